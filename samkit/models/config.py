"""A model's configuration, read from the shapes in its state dict.

What shapes can't tell comes, in this order, from the safetensors metadata entry `samkit`, from the official sizes
(known by their widths and block counts), and from the defaults below with a warning that names them.
"""

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from samkit.errors import CheckpointError
from samkit.models.check_config import check_config
from samkit.models.files.metadata import MAX_BLOCKS, ModelMetadata, read_metadata
from samkit.models.files.sam3_keys import NECK, PATCHES, TABLE, TRUNK, module_name, official_name
from samkit.models.network.hiera import HieraConfig
from samkit.models.network.mask_decoder import MaskDecoderConfig
from samkit.models.network.memory_side import MemoryConfig
from samkit.models.network.rotary_vit import WINDOW_READINGS, RotaryVitConfig
from samkit.models.network.tiny_vit import TinyVitConfig
from samkit.models.network.vit import VitConfig

Said = TypeVar("Said")


class Shaped(Protocol):
    """A tensor, or what a table of contents says of one."""

    @property
    def shape(self) -> tuple[int, ...]: ...


OFFICIAL_HIERA: dict[tuple[int, tuple[int, ...]], dict[str, Any]] = {
    (96, (1, 2, 7, 2)): {"num_heads": 1, "window_sizes": (8, 4, 14, 7), "global_blocks": (5, 7, 9)},
    (96, (1, 2, 11, 2)): {"num_heads": 1, "window_sizes": (8, 4, 14, 7), "global_blocks": (7, 10, 13)},
    (112, (2, 3, 16, 3)): {"num_heads": 2, "window_sizes": (8, 4, 14, 7), "global_blocks": (12, 16, 20)},
    (144, (2, 6, 36, 4)): {"num_heads": 2, "window_sizes": (8, 4, 16, 8), "global_blocks": (23, 33, 43)},
}
"""(channels, blocks per stage) of tiny, small, base+ and large -> what their shapes don't tell."""

UNUSED_OF_TINY_VIT = re.compile(
    r"^image_encoder\.(norm_head|head)\.|\.num_batches_tracked$|\.attention_bias_idxs$|\.attn\.ab$"
)
"""Entries of MobileSAM's files that segmenting has no use for: TinyViT's classifier, counters of its training, and
tables that follow from the window's size.
"""
TINY_VIT_STAGES = 4
CONVOLUTION_WINDOW = 7
"""What the official code says of the stage that has no windows."""

SAM3_HEAD_CHANNELS = 64
SAM3_TABLES_ACROSS = 3
"""How often the table of positions is repeated along the native side."""

DEFAULT_WINDOW_SIZES = (8, 4, 14, 7)
DEFAULT_NUM_HEADS = 1
DEFAULT_NATIVE_SIDE = 1024
DEFAULT_DECODER_HEADS = 8
DEFAULT_MEMORY_HEADS = 1

MEMORY_PREFIXES = (
    "memory_attention.",
    "memory_encoder.",
    "maskmem_tpos_enc",
    "no_mem_pos_enc",
    "no_obj_ptr",
    "no_obj_embed_spatial",
    "obj_ptr_proj.",
    "obj_ptr_tpos_proj.",
    "mask_downsample.",
)
"""Keys of SAM v2's memory side, which segmenting a picture does not need. The official files have them beside the
others; samkit's network has them under `memory.`
"""


@dataclass(frozen=True)
class ModelConfig:
    """
    family:      "sam1", "sam2" or "sam3"; version: "1", "2.0", "2.1", "3.0" or "3.1"
    native_side: in pixels
    memory:      None for SAM v1 and for files of the image side alone
    """

    family: str
    version: str
    native_side: int
    encoder: VitConfig | TinyVitConfig | HieraConfig | RotaryVitConfig
    decoder: MaskDecoderConfig
    memory: MemoryConfig | None = None

    @property
    def patch_size(self) -> int:
        """Pixels of the input that one token of the first block covers, along a side."""
        return self.encoder.patch_size

    @property
    def convolution_stages(self) -> tuple[int, ...]:
        """Stages, counted from 1, that are made of convolutions and so have no windows."""
        return (1,) if self.encoder.convolution_blocks else ()

    @property
    def side_step(self) -> int:
        """Sides the encoder can run are multiples of this: one token of its coarsest map."""
        return self.encoder.side_step

    @property
    def feature_stride(self) -> int:
        """Pixels of the input that one feature of the decoder's lowest level covers, along a side."""
        return self.encoder.feature_stride

    @property
    def feature_strides(self) -> tuple[float, ...]:
        """Pixels of the input that one feature covers along a side, level by level, coarsest first."""
        lowest = self.feature_stride
        return (lowest, lowest / 2, lowest / 4) if self.decoder.high_resolution else (lowest,)

    @property
    def raw_strides(self) -> tuple[float, ...]:
        """The same of the trunk's maps before the neck: one for each stage where stages pool, else one."""
        if isinstance(self.encoder, HieraConfig):
            return tuple(float(self.patch_size * 2**stage) for stage in (3, 2, 1, 0))
        return (self.feature_stride,)

    @property
    def repeats_window_table(self) -> bool:
        """Whether a second position table is repeated window by window, and can be left out."""
        return isinstance(self.encoder, HieraConfig)

    @property
    def window_readings(self) -> tuple[str, ...]:
        """What a window of another size can mean for positions inside it, see `WINDOW_READINGS`; empty where positions
        inside a window are learned, or there are none.
        """
        return WINDOW_READINGS if isinstance(self.encoder, RotaryVitConfig) else ()

    @property
    def has_stages(self) -> bool:
        """Whether the map of tokens shrinks on its way; else four groups of blocks stand in for stages."""
        return isinstance(self.encoder, HieraConfig | TinyVitConfig)

    @property
    def memory_lack(self) -> str:
        """What a model that remembers nothing is, to follow its name in a sentence; empty where it has a memory."""
        if self.memory is not None:
            return ""
        if self.version == "3.1":
            return "a SAM 3.1 model, whose tracker for many objects at once is not in samkit"
        return "a SAM v1 model, which has no memory" if self.family == "sam1" else "a file without the memory side"


def read_config(state_dict: Mapping[str, Shaped], metadata: Mapping | ModelMetadata | None = None) -> ModelConfig:
    """The configuration of a state dict with the official keys. Raises `CheckpointError` for another model's."""
    said = metadata if isinstance(metadata, ModelMetadata) else read_metadata(metadata or {})
    keys = state_dict.keys()
    read = None
    if PATCHES in keys and "tracker.sam_mask_decoder.iou_token.weight" in keys:
        read = _read_sam3
    elif "image_encoder.trunk.patch_embed.proj.weight" in keys and "sam_mask_decoder.iou_token.weight" in keys:
        read = _read_sam2
    elif "image_encoder.patch_embed.proj.weight" in keys and "mask_decoder.iou_token.weight" in keys:
        read = _read_sam1
    elif "image_encoder.patch_embed.seq.0.c.weight" in keys and "mask_decoder.iou_token.weight" in keys:
        read = _read_mobile_sam
    if read is not None:
        try:
            config = read(state_dict, said)
        except (IndexError, ValueError, ZeroDivisionError, OverflowError) as error:
            raise CheckpointError(
                "The weights of this checkpoint have shapes that no Segment Anything model has: its file is damaged, "
                "or was made by other software. Give a SAM v1, v2, v2.1 or v3 checkpoint with the official keys."
            ) from error
        check_config(config)
        return config
    some = ", ".join(key[:100] for key in list(keys)[:3]) or "none at all"
    raise CheckpointError(
        "This checkpoint is not a Segment Anything model: the keys of SAM v1 (image_encoder.patch_embed...) and "
        f"v2 (image_encoder.trunk...) are missing; it has {len(keys)} keys, among them {some}. Give a SAM v1, v2, "
        "v2.1 or v3 checkpoint with the official keys."
    )


def module_keys(state_dict: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """A state dict's entries under samkit's own module names. The one place where keys are renamed. A memory side that
    is not in `config` is left out.
    """
    renamed = {}
    for key, tensor in state_dict.items():
        if isinstance(config.encoder, TinyVitConfig) and UNUSED_OF_TINY_VIT.search(key):
            continue
        if isinstance(config.encoder, RotaryVitConfig):
            # The pretraining's class token has no place on the map.
            if key == TABLE and tensor.shape[1] == config.encoder.table_grid**2 + 1:
                tensor = tensor[:, 1:]
            key = module_name(key)
        if config.family == "sam1":
            key = re.sub(r"\.mlp\.lin([12])\.", lambda match: f".mlp.layers.{int(match[1]) - 1}.", key)
        elif key.startswith(MEMORY_PREFIXES):
            if config.memory is None:
                continue
            key = f"memory.{key}"
        else:
            key = key.removeprefix("sam_")
        renamed[key] = tensor
    if config.family == "sam3" and config.memory is not None:
        # Nothing is computed with it, and SAM 3's own files may lack it.
        renamed.setdefault("memory.no_mem_pos_enc", torch.zeros(1, 1, config.decoder.channels))
    return renamed


def official_keys(module_state: Mapping[str, Tensor], family: str) -> dict[str, Tensor]:
    """The inverse of `module_keys`, for writing a checkpoint the official packages can read."""
    renamed = {}
    for key, tensor in module_state.items():
        if family == "sam1":
            key = re.sub(r"\.mlp\.layers\.([01])\.", lambda match: f".mlp.lin{int(match[1]) + 1}.", key)
        elif key.startswith(("prompt_encoder.", "mask_decoder.")):
            key = f"sam_{key}"
        else:
            key = key.removeprefix("memory.")
        renamed[official_name(key) if family == "sam3" else key] = tensor
    return renamed


def _read_sam1(state: Mapping[str, Shaped], metadata: ModelMetadata) -> ModelConfig:
    prefix = "image_encoder."
    try:
        channels, _, patch_size, _ = state[f"{prefix}patch_embed.proj.weight"].shape
        native_grid = state[f"{prefix}pos_embed"].shape[1]
        depth = _count(state, rf"{prefix}blocks\.(\d+)\.")
        tables = [state[f"{prefix}blocks.{block}.attn.rel_pos_h"].shape for block in range(depth)]
        hidden = state[f"{prefix}blocks.0.mlp.lin1.weight"].shape[0]
        neck_channels = state[f"{prefix}neck.0.weight"].shape[0]
        decoder = _read_decoder(state, "mask_decoder.", metadata, mlp_in="mlp.lin1")
    except KeyError as missing:
        raise _incomplete("SAM v1", missing) from None
    sizes = [(rows + 1) // 2 for rows, _ in tables]
    unwindowed = tuple(block for block, size in enumerate(sizes) if size == native_grid)
    global_blocks = _said(metadata.global_blocks, unwindowed)
    windowed = [size for block, size in enumerate(sizes) if block not in global_blocks]
    window_sizes = _said(metadata.window_sizes, (windowed[0] if windowed else native_grid,) * 4)
    encoder = VitConfig(
        channels=channels,
        depth=depth,
        num_heads=_said(metadata.num_heads, channels // tables[0][1]),
        patch_size=patch_size,
        native_grid=native_grid,
        window_sizes=window_sizes,
        global_blocks=global_blocks,
        neck_channels=neck_channels,
        hidden=hidden,
        table_rows=tuple(rows for rows, _ in tables),
    )
    native_side = _said(metadata.native_side, native_grid * patch_size)
    return ModelConfig("sam1", metadata.version or "1", native_side, encoder, decoder)


def _read_mobile_sam(state: Mapping[str, Shaped], metadata: ModelMetadata) -> ModelConfig:
    prefix = "image_encoder."
    try:
        blocks_per_stage = tuple(
            _count(state, rf"{prefix.replace('.', '[.]')}layers\.{stage}\.blocks\.(\d+)\.")
            for stage in range(TINY_VIT_STAGES)
        )
        if 0 in blocks_per_stage:
            raise KeyError(f"{prefix}layers.{blocks_per_stage.index(0)}.blocks.0.")
        conv_hidden, channels = state[f"{prefix}layers.0.blocks.0.conv1.c.weight"].shape[:2]
        biases = [
            state[f"{prefix}layers.{stage}.blocks.0.attn.attention_biases"].shape for stage in range(1, TINY_VIT_STAGES)
        ]
        widths = [state[f"{prefix}layers.{stage}.blocks.0.mlp.fc1.weight"].shape for stage in range(1, TINY_VIT_STAGES)]
        neck_channels = state[f"{prefix}neck.0.weight"].shape[0]
        decoder = _read_decoder(state, "mask_decoder.", metadata, mlp_in="mlp.lin1")
    except KeyError as missing:
        raise _incomplete("MobileSAM", missing) from None
    windows = (CONVOLUTION_WINDOW, *(math.isqrt(distances) for _, distances in biases))
    encoder = TinyVitConfig(
        channels_per_stage=(channels, *(inside for _, inside in widths)),
        blocks_per_stage=blocks_per_stage,
        heads_per_stage=(1, *(heads for heads, _ in biases)),
        window_sizes=_said(metadata.window_sizes, windows),
        native_windows=windows,
        neck_channels=neck_channels,
        conv_hidden=conv_hidden,
        mlp_ratio=widths[0][0] / widths[0][1],
    )
    native_side = _said(metadata.native_side, DEFAULT_NATIVE_SIDE)
    return ModelConfig("sam1", metadata.version or "1", native_side, encoder, decoder)


def _read_sam2(state: Mapping[str, Shaped], metadata: ModelMetadata) -> ModelConfig:
    prefix = "image_encoder.trunk."
    try:
        channels = state[f"{prefix}patch_embed.proj.weight"].shape[0]
        depth = _count(state, rf"{prefix.replace('.', '[.]')}blocks\.(\d+)\.")
        starts = [0] + [block for block in range(depth) if f"{prefix}blocks.{block}.proj.weight" in state]
        blocks_per_stage = tuple(end - start for start, end in zip(starts, [*starts[1:], depth], strict=True))
        background_h, background_w = state[f"{prefix}pos_embed"].shape[-2:]
        tile = state[f"{prefix}pos_embed_window"].shape[-1]
        hidden = state[f"{prefix}blocks.0.mlp.layers.0.weight"].shape[0]
        decoder = _read_decoder(state, "sam_mask_decoder.", metadata, mlp_in="mlp.layers.0")
        memory = _read_memory(state, metadata)
    except KeyError as missing:
        raise _incomplete("SAM v2", missing) from None
    if len(blocks_per_stage) != 4:
        raise CheckpointError(
            f"This SAM v2 checkpoint has {len(blocks_per_stage)} stages; samkit reads models with the official four."
        )
    known = {**_hiera_defaults(blocks_per_stage), **OFFICIAL_HIERA.get((channels, blocks_per_stage), {})}
    if (channels, blocks_per_stage) not in OFFICIAL_HIERA:
        guessed = [
            name for name in ("num_heads", "window_sizes", "global_blocks", "native_side") if name not in metadata
        ]
        if guessed:
            assumed = ", ".join(f"{name} {known.get(name, DEFAULT_NATIVE_SIDE)}" for name in guessed)
            warnings.warn(
                "This SAM v2 checkpoint is none of the official sizes and its file doesn't say "
                f"{', '.join(guessed)}; assumed: {assumed}. A safetensors file can say so in its metadata entry "
                '"samkit".',
                stacklevel=4,
            )
    encoder = HieraConfig(
        channels=channels,
        num_heads=_said(metadata.num_heads, known["num_heads"]),
        blocks_per_stage=blocks_per_stage,
        window_sizes=_said(metadata.window_sizes, known["window_sizes"]),
        global_blocks=_said(metadata.global_blocks, known["global_blocks"]),
        background_size=(background_h, background_w),
        tile_size=tile,
        mlp_ratio=hidden / channels,
    )
    version = metadata.version or ("2.1" if "no_obj_embed_spatial" in state else "2.0")
    native_side = _said(metadata.native_side, DEFAULT_NATIVE_SIDE)
    return ModelConfig("sam2", version, native_side, encoder, decoder, memory)


def _read_sam3(state: Mapping[str, Shaped], metadata: ModelMetadata) -> ModelConfig:
    try:
        channels, _, patch_size, _ = state[PATCHES].shape
        table_grid = math.isqrt(state[TABLE].shape[1])
        depth = _count(state, rf"{re.escape(TRUNK)}blocks\.(\d+)\.")
        hidden = state[f"{TRUNK}blocks.0.mlp.fc1.weight"].shape[0]
        neck_channels = state[f"{NECK}2.conv_1x1.weight"].shape[0]
        inner = {module_name(key): tensor for key, tensor in state.items() if key.startswith("tracker.")}
        decoder = _read_decoder(inner, "sam_mask_decoder.", metadata, mlp_in="mlp.layers.0")
        memory = _read_memory(inner, metadata)
    except KeyError as missing:
        raise _incomplete("SAM 3", missing) from None
    heads = _said(metadata.num_heads, max(1, channels // SAM3_HEAD_CHANNELS))
    window_sizes = _said(metadata.window_sizes, (table_grid,) * 4)
    edges = tuple(round(depth * group / 4) - 1 for group in range(1, 5))
    encoder = RotaryVitConfig(
        channels=channels,
        depth=depth,
        num_heads=heads,
        patch_size=patch_size,
        table_grid=table_grid,
        trained_window=table_grid,
        window_sizes=window_sizes,
        global_blocks=_said(metadata.global_blocks, edges),
        neck_channels=neck_channels,
        hidden=hidden,
    )
    version = metadata.version or "3.0"
    native_side = _said(metadata.native_side, SAM3_TABLES_ACROSS * table_grid * patch_size)
    return ModelConfig("sam3", version, native_side, encoder, decoder, memory)


def _hiera_defaults(blocks_per_stage: tuple[int, ...]) -> dict[str, Any]:
    """For sizes nobody published: three global blocks that end the third stage, spread over it about as far as in the
    official sizes.
    """
    last, step = sum(blocks_per_stage[:3]) - 1, max(1, round(blocks_per_stage[2] / 4))
    first_of_stage = sum(blocks_per_stage[:2])
    global_blocks = tuple(block for block in (last - 2 * step, last - step, last) if block > first_of_stage)
    return {"num_heads": DEFAULT_NUM_HEADS, "window_sizes": DEFAULT_WINDOW_SIZES, "global_blocks": global_blocks}


def _read_decoder(state: Mapping[str, Shaped], prefix: str, metadata: ModelMetadata, mlp_in: str) -> MaskDecoderConfig:
    layer = f"{prefix}transformer.layers.0."
    return MaskDecoderConfig(
        channels=state[f"{prefix}iou_token.weight"].shape[1],
        inner=state[f"{layer}cross_attn_token_to_image.q_proj.weight"].shape[0],
        num_heads=_said(metadata.decoder_heads, DEFAULT_DECODER_HEADS),
        hidden=state[f"{layer}{mlp_in}.weight"].shape[0],
        depth=_count(state, rf"{prefix}transformer\.layers\.(\d+)\."),
        num_masks=state[f"{prefix}mask_tokens.weight"].shape[0],
        iou_dims=_feed_forward_dims(state, f"{prefix}iou_prediction_head."),
        iou_sigmoid=prefix.startswith("sam_"),
        high_resolution=f"{prefix}conv_s0.weight" in state,
        object_score_dims=_feed_forward_dims(state, f"{prefix}pred_obj_score_head.")
        if f"{prefix}obj_score_token.weight" in state
        else None,
    )


def _read_memory(state: Mapping[str, Shaped], metadata: ModelMetadata) -> MemoryConfig | None:
    """None for a file of the image side alone."""
    if "memory_attention.norm.weight" not in state:
        return None
    fuser = "memory_encoder.fuser.layers."
    return MemoryConfig(
        channels=state["memory_encoder.out_proj.weight"].shape[0],
        layers=_count(state, r"memory_attention\.layers\.(\d+)\."),
        num_heads=_said(metadata.memory_heads, DEFAULT_MEMORY_HEADS),
        hidden=state["memory_attention.layers.0.linear1.weight"].shape[0],
        memories=state["maskmem_tpos_enc"].shape[0],
        mask_kernel=state["memory_encoder.mask_downsampler.encoder.0.weight"].shape[-1],
        fuser_kernel=state[f"{fuser}0.dwconv.weight"].shape[-1],
        fuser_hidden=state[f"{fuser}0.pwconv1.weight"].shape[0],
        fuser_layers=_count(state, r"memory_encoder\.fuser\.layers\.(\d+)\."),
        pointer_dims=_feed_forward_dims(state, "obj_ptr_proj."),
        timed_pointers="obj_ptr_tpos_proj.weight" in state,
        absent_embedding="no_obj_embed_spatial" in state,
    )


def _feed_forward_dims(state: Mapping[str, Shaped], prefix: str) -> tuple[int, ...]:
    weights = [state[f"{prefix}layers.{index}.weight"] for index in range(_count(state, rf"{prefix}layers\.(\d+)\."))]
    if not weights:
        raise KeyError(f"{prefix}layers.0.weight")
    return (weights[0].shape[1], *(weight.shape[0] for weight in weights))


def _count(state: Mapping[str, Shaped], pattern: str) -> int:
    """One more than the highest number `pattern` captures among the keys. Raises `CheckpointError` for more layers than
    any model has, before anybody counts up to that.
    """
    found = [match[1] for key in state if (match := re.match(pattern, key))]
    count = 1 + max((int(number) for number in found if len(number) < 10), default=-1)
    if count > MAX_BLOCKS or any(len(number) >= 10 for number in found):
        raise CheckpointError(
            f"This checkpoint numbers its layers up to {max(found, key=len)[:20]}, and no Segment Anything model has "
            f"more than {MAX_BLOCKS}: its file is damaged, or was made by other software."
        )
    return count


def _said(said: Said | None, otherwise: Said) -> Said:
    """What the metadata says, where it does."""
    return otherwise if said is None else said


def _incomplete(family: str, missing: KeyError) -> CheckpointError:
    return CheckpointError(
        f"This looks like a {family} checkpoint, but the entry {missing.args[0]} is missing; it may have been cut "
        "or saved only in part."
    )
