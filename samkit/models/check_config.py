"""Whether a configuration can be built and run: one bound on all that a file may ask for, before any of it is made."""

from typing import TYPE_CHECKING

from samkit.errors import CheckpointError
from samkit.models.files.metadata import MAX_BLOCKS, MAX_FILE_WINDOW, MAX_HEADS, MAX_NATIVE_SIDE, MIN_NATIVE_SIDE
from samkit.models.network.hiera import HieraConfig
from samkit.models.network.rotary_vit import RotaryVitConfig
from samkit.models.network.tiny_vit import TinyVitConfig
from samkit.models.network.vit import VitConfig

if TYPE_CHECKING:
    from samkit.models.config import ModelConfig

Rules = list[tuple[str, bool]]
"""What may be wrong, to end a sentence, and whether it is right."""
MAX_LAYERS = 64
MAX_KERNEL = 31
MAX_GRID = 512
MAX_PATCH = 64
MASKS = 4
"""One for a single mask and three for several, which is what all that comes after the decoder counts on."""


def check_config(config: "ModelConfig") -> None:
    """Raises `CheckpointError` that names the first thing that no network can be built or run with."""
    for reason, fits in (*_encoder_rules(config), *_decoder_rules(config), *_memory_rules(config)):
        if not fits:
            raise CheckpointError(
                f"The checkpoint asks for a network that can't be built: {reason}. Its file is damaged, or its "
                "metadata says what doesn't fit its weights."
            )


def _encoder_rules(config: "ModelConfig") -> Rules:
    encoder = config.encoder
    rules = [
        (f"it has {encoder.depth} blocks, not 1 to {MAX_BLOCKS}", 1 <= encoder.depth <= MAX_BLOCKS),
        (f"{encoder.num_heads} attention heads", 1 <= encoder.num_heads <= MAX_HEADS),
        (
            f"{encoder.channels} channels don't divide into {encoder.num_heads} heads",
            _divides(encoder.num_heads, encoder.channels),
        ),
        (
            f"window sizes {_listed(encoder.window_sizes)}, not four from 1 to {MAX_FILE_WINDOW}",
            len(encoder.window_sizes) == 4 and all(1 <= window <= MAX_FILE_WINDOW for window in encoder.window_sizes),
        ),
        (
            f"global blocks {_listed(encoder.global_blocks)} of {encoder.depth}",
            all(0 <= block < encoder.depth for block in encoder.global_blocks),
        ),
    ]
    if isinstance(encoder, HieraConfig):
        rules += _hiera_rules(encoder)
    elif isinstance(encoder, TinyVitConfig):
        rules += _tiny_vit_rules(encoder)
    elif isinstance(encoder, RotaryVitConfig):
        rules += _rotary_vit_rules(encoder)
    else:
        rules += _vit_rules(encoder)
    if all(fits for _, fits in rules):
        step = config.side_step
        rules.append(
            (
                f"a native side of {config.native_side} pixels, not a multiple of {step} from {MIN_NATIVE_SIDE} to "
                f"{MAX_NATIVE_SIDE}",
                MIN_NATIVE_SIDE <= config.native_side <= MAX_NATIVE_SIDE and config.native_side % step == 0,
            )
        )
    return rules


def _hiera_rules(encoder: HieraConfig) -> Rules:
    return [
        ("a stage without blocks", all(count >= 1 for count in encoder.blocks_per_stage)),
        (
            f"position tables of {_listed(encoder.background_size)} and {encoder.tile_size}",
            all(1 <= side <= MAX_GRID for side in (*encoder.background_size, encoder.tile_size)),
        ),
    ]


def _tiny_vit_rules(encoder: TinyVitConfig) -> Rules:
    return [
        ("a stage without blocks", all(count >= 1 for count in encoder.blocks_per_stage)),
        (
            f"{_listed(encoder.channels_per_stage)} channels don't divide into {_listed(encoder.heads_per_stage)} "
            "heads",
            all(
                heads <= MAX_HEADS and _divides(heads, channels)
                for heads, channels in zip(encoder.heads_per_stage, encoder.channels_per_stage, strict=True)
            ),
        ),
        (
            f"tables of biases for windows of {_listed(encoder.native_windows)}",
            all(1 <= window <= MAX_FILE_WINDOW for window in encoder.native_windows),
        ),
    ]


def _rotary_vit_rules(encoder: RotaryVitConfig) -> Rules:
    return [
        (f"patches of {encoder.patch_size} pixels", 1 <= encoder.patch_size <= MAX_PATCH),
        (f"a position table of {encoder.table_grid}", 1 <= encoder.table_grid <= MAX_GRID),
        (
            f"{encoder.channels // encoder.num_heads} channels a head, which don't turn in pairs",
            encoder.channels // encoder.num_heads % 4 == 0,
        ),
        (f"{encoder.channels} channels, which the neck can't quarter", encoder.channels % 4 == 0),
    ]


def _vit_rules(encoder: VitConfig) -> Rules:
    return [
        (f"patches of {encoder.patch_size} pixels", 1 <= encoder.patch_size <= MAX_PATCH),
        (f"a position table of {encoder.native_grid}", 1 <= encoder.native_grid <= MAX_GRID),
        (
            "tables of relative positions that belong to no window",
            all(rows % 2 == 1 and rows < 2 * MAX_GRID for rows in encoder.table_rows),
        ),
    ]


def _decoder_rules(config: "ModelConfig") -> Rules:
    decoder = config.decoder
    heads = decoder.num_heads
    return [
        (f"{heads} heads of the mask decoder", 1 <= heads <= MAX_HEADS),
        (
            f"{decoder.channels} and {decoder.inner} channels of the mask decoder don't divide into {heads} heads",
            _divides(heads, decoder.channels) and _divides(heads, decoder.inner),
        ),
        (f"{decoder.channels} channels of the mask decoder", decoder.channels >= 8 and decoder.channels % 8 == 0),
        (f"{decoder.depth} layers of the mask decoder", 1 <= decoder.depth <= MAX_LAYERS),
        (f"{decoder.num_masks} masks in place of {MASKS}", decoder.num_masks == MASKS),
        ("predicted IoUs of other masks", decoder.iou_dims[-1] == MASKS and len(decoder.iou_dims) <= MAX_LAYERS),
        (
            "an object score that is no single number",
            decoder.object_score_dims is None
            or (decoder.object_score_dims[-1] == 1 and len(decoder.object_score_dims) <= MAX_LAYERS),
        ),
    ]


def _memory_rules(config: "ModelConfig") -> Rules:
    memory = config.memory
    if memory is None:
        return []
    channels, kernels = config.decoder.channels, (memory.mask_kernel, memory.fuser_kernel)
    return [
        (
            f"{memory.num_heads} heads of the memory for {channels} channels",
            1 <= memory.num_heads <= MAX_HEADS and _divides(4 * memory.num_heads, channels),
        ),
        (
            f"{memory.channels} channels of the memory",
            memory.channels % 4 == 0 and _divides(memory.channels, channels),
        ),
        (
            f"{memory.layers} and {memory.fuser_layers} layers of the memory",
            1 <= memory.layers <= MAX_LAYERS and 1 <= memory.fuser_layers <= MAX_LAYERS,
        ),
        (f"kernels of {_listed(kernels)}", all(kernel % 2 == 1 and kernel <= MAX_KERNEL for kernel in kernels)),
        (f"{memory.memories} remembered frames", 2 <= memory.memories <= MAX_LAYERS),
        ("object pointers of another width", memory.pointer_dims[-1] == channels),
    ]


def _divides(part: int, whole: int) -> bool:
    return part > 0 and whole > 0 and whole % part == 0


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers[:8])) or "none"
