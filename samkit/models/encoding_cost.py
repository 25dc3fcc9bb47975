"""What an encoding will take, before it is begun: memory and multiplications, by the encoder's widths and the size of
its input. Tests compare the estimate of memory with what a process really takes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from samkit.errors import EncodingError
from samkit.models.config import ModelConfig
from samkit.models.network.hiera import HieraConfig
from samkit.models.network.relative_attention import SCORE_STRIP
from samkit.models.network.rotary_neck import STRIP_ROWS
from samkit.models.network.rotary_vit import FEED_TOKENS, HEADS_AT_ONCE, STRIP_TOKENS, RotaryVitConfig
from samkit.models.network.tiny_vit import STRIP_TOKENS as TINY_STRIP_TOKENS
from samkit.models.network.tiny_vit import TinyVitConfig
from samkit.models.network.vit import STRIP_TOKENS as ROW_TOKENS
from samkit.models.network.vit import VitConfig
from samkit.models.network.windows import ceil_to
from samkit.words import format_bytes

Encoder = VitConfig | TinyVitConfig | HieraConfig | RotaryVitConfig

MAX_MULTIPLICATIONS = 4 * 10**13
"""Of one encoding or one tracked frame on a CPU: some ten minutes on two cores. ViT-H at its native side takes 7% of
it.
"""
SECONDS_OF_MOST = 600.0
"""As long as so many take."""
SPARE_SHARE = 0.9
"""How much of the memory at hand an encoding may take."""
PICTURE_BYTES = 60
"""Of each pixel of the input, while it is resized and normalised."""
FIXED_BYTES = 32_000_000
SCATTERED = 1.2
"""What the allocator holds beyond what is used."""
COPIES = 6
"""Of a map in a block without windows: what goes in, normed, queries, keys, values, what comes out."""


@dataclass(frozen=True)
class EncodingCost:
    """memory: peak in bytes, with that of the prompts decoded on it; multiplications: of the encoder alone."""

    memory: int
    multiplications: int


def encoding_cost(
    config: ModelConfig,
    padded_size: tuple[int, int],
    window_sizes: tuple[int, ...],
    *,
    keep_blocks: bool = False,
    item_bytes: int = 4,
) -> EncodingCost:
    """padded_size: (height, width) in pixels; item_bytes: of the encoder's dtype."""
    pixels = padded_size[0] * padded_size[1]
    encoder, decoder = config.encoder, config.decoder
    blocks = _blocks(encoder, pixels, window_sizes)
    work = sum(_work(*block) for block in blocks)
    low = pixels // encoder.feature_stride**2
    if isinstance(encoder, VitConfig):
        tokens, channels = blocks[0][:2]
        grid = (padded_size[0] + padded_size[1]) // encoder.patch_size
        held = tokens * channels
        # What relative positions add to the scores, and a strip of the scores themselves.
        within = (COPIES + 1) * held + encoder.num_heads * tokens * grid + SCORE_STRIP * tokens
        tables = len(encoder.global_blocks) * grid * grid // 2 * (channels // encoder.num_heads)
        peak = held + within + tables
        levels = low * decoder.channels
    elif isinstance(encoder, RotaryVitConfig):
        tokens, channels = blocks[0][:2]
        held = tokens * channels
        levels = low * decoder.channels * (3 if decoder.high_resolution else 1)
        in_blocks = _rotary_block(encoder, padded_size, window_sizes)
        peak = held + max(in_blocks, levels + _rotary_neck(encoder, padded_size))
    elif isinstance(encoder, TinyVitConfig):
        sizes = [tokens * channels for tokens, channels, _ in blocks]
        # What goes in, what comes out, and what attention hands to the convolution; a strip of what is widest; biases.
        held = max(sizes)
        pairs = [heads * window**4 for heads, window in zip(encoder.heads_per_stage[1:], window_sizes[1:], strict=True)]
        peak = 3 * held + TINY_STRIP_TOKENS * 8 * max(encoder.channels_per_stage) + 2 * max(pairs)
        levels = low * decoder.channels
    else:
        held = sum({channels: tokens * channels for tokens, channels, _ in blocks}.values())
        whole = [tokens * channels for tokens, channels, window in blocks if window == 0]
        # An odd window can't be pooled in strips.
        odd = [
            4 * tokens * channels
            for stage, (tokens, channels) in enumerate(_stages(encoder, pixels)[:-1])
            if window_sizes[stage] % 2
        ]
        peak = held + COPIES * max([*whole, *odd, 0])
        levels = low * decoder.channels * (3 if decoder.high_resolution else 1)
        # The neck makes the finest level at full width before it narrows it.
        peak = max(peak, held + 16 * low * decoder.channels if decoder.high_resolution else held)
    kept = max(held, sum(tokens * channels for tokens, channels, _ in blocks)) if keep_blocks else held
    decoding = 4 * 20 * low * decoder.channels
    memory = item_bytes * (kept + levels) + max(item_bytes * (peak - held), decoding) + PICTURE_BYTES * pixels
    return EncodingCost(FIXED_BYTES + int(SCATTERED * memory), work)


def _rotary_block(encoder: RotaryVitConfig, padded_size: tuple[int, int], window_sizes: tuple[int, ...]) -> int:
    """Numbers that a block of SAM 3 holds beside the map: with windows, a row of them, and queries, keys and values of
    a few; else what attention gives, and the keys and values of a few heads. Either has what is wide in the feed
    forward layers.
    """
    height, width = (length // encoder.patch_size for length in padded_size)
    window = max(window_sizes)
    row = 3 * max(ROW_TOKENS, window * ceil_to(width, window)) + COPIES * max(STRIP_TOKENS, window * window)
    by_heads = height * width * (1 + 3 * HEADS_AT_ONCE / encoder.num_heads)
    over_all = int(by_heads) + STRIP_TOKENS * 3 if encoder.global_blocks else 0
    return max(row, over_all) * encoder.channels + FEED_TOKENS * encoder.hidden


def _rotary_neck(encoder: RotaryVitConfig, padded_size: tuple[int, int]) -> int:
    """Of SAM 3's neck, whose finest level comes in strips, which hold it at full width before it is narrowed."""
    tokens = STRIP_ROWS * (padded_size[1] // encoder.patch_size)
    return tokens * (4 * encoder.channels + 3 * 16 * encoder.neck_channels)


def block_seconds(config: ModelConfig, padded_size: tuple[int, int], window_sizes: tuple[int, ...]) -> list[float]:
    """About how long each block of the encoder takes on two cores, in the order in which they run."""
    pixels = padded_size[0] * padded_size[1]
    return [
        SECONDS_OF_MOST * _work(*block) / MAX_MULTIPLICATIONS for block in _blocks(config.encoder, pixels, window_sizes)
    ]


def tracking_work(config: ModelConfig, tokens: int, remembered: int) -> int:
    """Multiplications of one frame's memory attention. tokens: of its lowest level; remembered: of all memories."""
    memory = config.memory
    if memory is None:
        return 0
    return (
        memory.layers
        * tokens
        * (2 * tokens * config.decoder.channels + remembered * (config.decoder.channels + memory.channels))
    )


def check_encoding(
    cost_of: Callable[[int], EncodingCost], side: int, step: int, free: int | None, on_processor: bool
) -> None:
    """Raise `EncodingError` where a side takes more than this machine has, with the largest one that doesn't.

    cost_of: of a side, a multiple of `step`; free: bytes of memory, None where nobody knows
    """
    cost = cost_of(side)
    if (reason := _excess(cost, free, on_processor)) is None:
        return
    fits, too_large = 0, side // step
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        if _excess(cost_of(middle * step), free, on_processor) is None:
            fits = middle
        else:
            too_large = middle
    advice = f"choose a side of {fits * step} or less" if fits else "choose a smaller model, or end what takes memory"
    raise EncodingError(f"Encoding at a side of {side} pixels would take {reason}: {advice}.")


def _excess(cost: EncodingCost, free: int | None, on_processor: bool) -> str | None:
    if free is not None and cost.memory > SPARE_SHARE * free:
        return f"about {format_bytes(cost.memory)} of memory, and {format_bytes(free)} are free here"
    minutes = cost.multiplications / MAX_MULTIPLICATIONS * SECONDS_OF_MOST / 60
    if on_processor and cost.multiplications > MAX_MULTIPLICATIONS:
        return f"about {minutes:.0f} minutes on two cores, and {SECONDS_OF_MOST / 60:.0f} are allowed"
    return None


def _work(tokens: int, channels: int, window: int) -> int:
    """Multiplications of a block."""
    return tokens * channels * (12 * channels + 2 * (tokens if window == 0 else window * window))


def _blocks(encoder: Encoder, pixels: int, window_sizes: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(tokens, channels, window) of each block; window 0: all tokens look at all."""
    stages = [
        stage
        for stage, count in zip(_stages(encoder, pixels), encoder.blocks_per_stage, strict=True)
        for _ in range(count)
    ]
    return [(*stage, window) for stage, window in zip(stages, encoder.block_windows(window_sizes), strict=True)]


def _stages(encoder: Encoder, pixels: int) -> list[tuple[int, int]]:
    """(tokens, channels) of each stage."""
    first = max(1, pixels // encoder.patch_size**2)
    # How much smaller the map is than the first stage's.
    shrunk = {
        VitConfig: (1, 1, 1, 1),
        RotaryVitConfig: (1, 1, 1, 1),
        HieraConfig: (1, 4, 16, 64),
        TinyVitConfig: (1, 4, 16, 16),
    }[type(encoder)]
    return [
        (max(1, first // times), channels) for times, channels in zip(shrunk, encoder.channels_per_stage, strict=True)
    ]
