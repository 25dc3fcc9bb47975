"""What the released models are made of, by the names of the catalogue: for what is said of a model before its file is
on this machine. Files that are loaded tell it themselves, see config.py.
"""

from samkit.models.config import ModelConfig
from samkit.models.network.hiera import HieraConfig
from samkit.models.network.mask_decoder import MaskDecoderConfig
from samkit.models.network.memory_side import MemoryConfig
from samkit.models.network.rotary_vit import RotaryVitConfig
from samkit.models.network.tiny_vit import TinyVitConfig
from samkit.models.network.vit import VitConfig

_WINDOW, _GRID = 14, 64
"""Of SAM v1, in tokens."""
_SCORED = MaskDecoderConfig(iou_sigmoid=True, high_resolution=True, object_score_dims=(256, 256, 256, 1))


def _vit(channels: int, depth: int, heads: int, global_blocks: tuple[int, ...]) -> ModelConfig:
    encoder = VitConfig(
        channels=channels,
        depth=depth,
        num_heads=heads,
        patch_size=16,
        native_grid=_GRID,
        window_sizes=(_WINDOW,) * 4,
        global_blocks=global_blocks,
        hidden=4 * channels,
        table_rows=tuple(2 * (_GRID if block in global_blocks else _WINDOW) - 1 for block in range(depth)),
    )
    return ModelConfig("sam1", "1", 1024, encoder, MaskDecoderConfig())


def _hiera(
    channels: int,
    heads: int,
    blocks: tuple[int, ...],
    windows: tuple[int, ...],
    global_blocks: tuple[int, ...],
    background: int = 7,
) -> HieraConfig:
    return HieraConfig(channels, heads, blocks, windows, global_blocks, (background, background))


_HIERAS = {
    "tiny": _hiera(96, 1, (1, 2, 7, 2), (8, 4, 14, 7), (5, 7, 9)),
    "small": _hiera(96, 1, (1, 2, 11, 2), (8, 4, 14, 7), (7, 10, 13)),
    "base_plus": _hiera(112, 2, (2, 3, 16, 3), (8, 4, 14, 7), (12, 16, 20), 14),
    "large": _hiera(144, 2, (2, 6, 36, 4), (8, 4, 16, 8), (23, 33, 43)),
}
_MEMORIES = {"sam2.1": MemoryConfig(), "sam2": MemoryConfig(timed_pointers=False, absent_embedding=False)}
_SAM3 = RotaryVitConfig(
    channels=1024,
    depth=32,
    num_heads=16,
    patch_size=14,
    table_grid=24,
    trained_window=24,
    window_sizes=(24,) * 4,
    global_blocks=(7, 15, 23, 31),
)

OFFICIAL_SIZES: dict[str, ModelConfig] = {
    "sam_vit_b_01ec64": _vit(768, 12, 12, (2, 5, 8, 11)),
    "sam_vit_l_0b3195": _vit(1024, 24, 16, (5, 11, 17, 23)),
    "sam_vit_h_4b8939": _vit(1280, 32, 16, (7, 15, 23, 31)),
    "mobile_sam": ModelConfig(
        "sam1",
        "1",
        1024,
        TinyVitConfig((64, 128, 160, 320), (2, 2, 6, 2), (1, 4, 5, 10), (7, 7, 14, 7), (7, 7, 14, 7)),
        MaskDecoderConfig(),
    ),
    **{
        f"{release}_hiera_{size}": ModelConfig(
            "sam2", release.removeprefix("sam") if "." in release else "2.0", 1024, encoder, _SCORED, memory
        )
        for release, memory in _MEMORIES.items()
        for size, encoder in _HIERAS.items()
    },
    "sam3": ModelConfig("sam3", "3.0", 1008, _SAM3, _SCORED, MemoryConfig()),
    "sam3.1": ModelConfig("sam3", "3.1", 1008, _SAM3, _SCORED),
}

NUMBERS: dict[str, tuple[int, int]] = {
    "sam_vit_b_01ec64": (93_735_728, 88_974_336),
    "sam_vit_l_0b3195": (312_343_088, 306_029_568),
    "sam_vit_h_4b8939": (641_090_864, 633_185_280),
    "mobile_sam": (9_818_564, 9_359_360),
    "sam2.1_hiera_tiny": (38_962_754, 38_094_080),
    "sam2.1_hiera_small": (46_060_610, 45_171_968),
    "sam2.1_hiera_base_plus": (80_850_434, 79_821_056),
    "sam2.1_hiera_large": (224_446_898, 223_086_848),
    "sam2_hiera_tiny": (38_946_242, 38_077_696),
    "sam2_hiera_small": (46_044_098, 45_155_584),
    "sam2_hiera_base_plus": (80_833_922, 79_804_672),
    "sam2_hiera_large": (224_430_386, 223_070_464),
    "sam3": (464_929_922, 458_024_192),
    "sam3.1": (457_408_145, 450_864_384),
}
"""How many numbers each has, and how many more packing lays down. Counted beforehand: building a network only to count
it takes a tenth of a second, and a list asks for all of them.
"""
