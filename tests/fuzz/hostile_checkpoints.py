"""Checkpoints that lie, one kind of lie each. None of them may end a process, fill its memory or hold it up: each gets
a sentence.
"""

import io
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.random_models import SMALL_SAM1, SMALL_SAM2, random_state, save_random_model

Attack = Callable[[Path], object]
ATTACKS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    ATTACKS[function.__name__] = function
    return function


def small_state() -> dict[str, torch.Tensor]:
    return random_state(SMALL_SAM2)


def with_pickle(path: Path, data: bytes, storages: dict[str, bytes] | None = None, **options: int) -> None:
    """The zip that torch.save writes, with a pickle of one's own."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("model/data.pkl", data)
        archive.writestr("model/byteorder", b"little")
        for key, content in (storages or {"0": bytes(64)}).items():
            archive.writestr(f"model/data/{key}", content)
        archive.writestr("model/version", b"3\n")


def tensor_pickle(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *,
    offset: int = 0,
    count: int = 16,
    keys: int = 1,
    storage: str = "FloatStorage",
) -> bytes:
    """A pickle of a state dict whose tensors lie on storage 0 as they say."""

    def number(value: int) -> bytes:
        size = (value.bit_length() + 8) // 8
        return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)

    def sides(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + b"X\x07\x00\x00\x00storage"
        + b"ctorch\n"
        + storage.encode()
        + b"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + number(count)
        + b"tQ"
        + number(offset)
        + sides(shape)
        + sides(strides)
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )
    items = b"".join(b"X\x08\x00\x00\x00" + f"{key:08d}".encode() + tensor for key in range(keys))
    return b"\x80\x02}(" + items + b"u."


def safetensors(path: Path, header: object, data: bytes = bytes(64), length: int | None = None) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)


def one(dtype: object = "F32", shape: object = (4, 4), offsets: object = (0, 64)) -> dict[str, object]:
    return {"weight": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@attack
def storage_is_smaller_than_its_tensor(path: Path) -> None:
    with_pickle(path, tensor_pickle((1024, 1024, 1024), (1024 * 1024, 1024, 1), count=1 << 30))


@attack
def tensor_is_larger_than_its_storage(path: Path) -> None:
    with_pickle(path, tensor_pickle((4096, 4096), (4096, 1)))


@attack
def strides_leave_the_storage(path: Path) -> None:
    with_pickle(path, tensor_pickle((2, 2), (1 << 40, 1)))


@attack
def one_number_stands_for_a_billion(path: Path) -> None:
    with_pickle(path, tensor_pickle((32768, 32768), (0, 0)))


@attack
def offset_is_beyond_the_storage(path: Path) -> None:
    with_pickle(path, tensor_pickle((2, 2), (2, 1), offset=1 << 50))


@attack
def offset_is_negative(path: Path) -> None:
    with_pickle(path, tensor_pickle((2, 2), (2, 1), offset=-4))


@attack
def sizes_are_negative(path: Path) -> None:
    with_pickle(path, tensor_pickle((-2, -2), (2, 1)))


@attack
def strides_are_negative(path: Path) -> None:
    with_pickle(path, tensor_pickle((2, 2), (-1, 1), offset=8))


@attack
def sizes_overflow(path: Path) -> None:
    with_pickle(path, tensor_pickle((1 << 62, 1 << 62), (1, 1)))


@attack
def sizes_of_a_thousand_bits(path: Path) -> None:
    with_pickle(path, tensor_pickle((1 << 1000, 1), (1, 1)))


@attack
def a_thousand_dimensions(path: Path) -> None:
    with_pickle(path, tensor_pickle((1,) * 1000, (1,) * 1000))


@attack
def no_numbers_at_all(path: Path) -> None:
    with_pickle(path, tensor_pickle((0, 1 << 60), (1, 1)))


@attack
def thousands_of_weights_on_one_storage(path: Path) -> None:
    with_pickle(path, tensor_pickle((256, 256), (256, 1), count=65536, keys=2_500), {"0": bytes(4 * 65536)})


@attack
def thirty_thousand_weights(path: Path) -> None:
    with_pickle(path, tensor_pickle((2, 2), (2, 1), keys=30_000))


@attack
def storage_of_a_kind_unknown(path: Path) -> None:
    with_pickle(path, tensor_pickle((2, 2), (2, 1), storage="NoSuchStorage"))


@attack
def storage_that_is_not_there(path: Path) -> None:
    with_pickle(path, tensor_pickle((2, 2), (2, 1)), {"7": bytes(64)})


@attack
def keys_that_take_for_ever_to_hash(path: Path) -> None:
    # (), then ((), ()), then that twice ... : the hash of a tuple looks at each of its 2**60 parts.
    doubled = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    with_pickle(path, b"\x80\x02})" + doubled + b"K\x01s.")


@attack
def lists_in_lists(path: Path) -> None:
    with_pickle(path, b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".")


@attack
def a_state_dict_in_itself(path: Path) -> None:
    with_pickle(path, b"\x80\x02}q\x00X\x05\x00\x00\x00modelh\x00s.")


@attack
def numbers_of_the_pickle_without_end(path: Path) -> None:
    with_pickle(path, b"\x80\x02" + b"N0" * 600_000 + b"}.")


@attack
def a_pickle_of_marks(path: Path) -> None:
    with_pickle(path, b"\x80\x02" + b"(" * 100_000 + b"tt.")


@attack
def text_of_four_gigabytes(path: Path) -> None:
    with_pickle(path, b"\x80\x02X\xff\xff\xff\xff.")


@attack
def memo_of_four_billion(path: Path) -> None:
    with_pickle(path, b"\x80\x02}r\xff\xff\xff\xff.")


class Calls:
    def __init__(self, name: str, *arguments: object):
        self.name, self.arguments = name, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        module, _, function = self.name.rpartition(".")
        return getattr(__import__(module, fromlist=["x"]), function), self.arguments


def calling(name: str, *arguments: object, legacy: bool = False) -> Attack:
    def write(path: Path) -> None:
        torch.save({"weight": Calls(name, *arguments)}, path, _use_new_zipfile_serialization=not legacy)

    return write


ATTACKS |= {
    "calls_os_system": calling("os.system", "false"),
    "calls_os_system_legacy": calling("os.system", "false", legacy=True),
    "calls_eval": calling("builtins.eval", "1"),
    "calls_exit": calling("os._exit", 3),
    "calls_open": calling("builtins.open", os.devnull),
    "calls_bytearray": calling("builtins.bytearray", 10**12),
    "calls_import_module": calling("importlib.import_module", "antigravity"),
    "calls_getattr": calling("builtins.getattr", "x", "upper"),
    "calls_torch_load": calling("torch.load", "/dev/zero"),
    "calls_abort": calling("os.abort"),
    "calls_torch_empty": calling("torch.empty", 10**12),
}


@attack
def a_plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Calls("os.abort"), protocol=2) + bytes(64))


def dtype_attack(dtype: torch.dtype) -> Attack:
    return lambda path: torch.save({"weight": torch.zeros(4, 4, dtype=dtype), "other": torch.zeros(2)}, path)


ATTACKS |= {
    f"weights_of_{str(dtype).removeprefix('torch.')}": dtype_attack(dtype)
    for dtype in (
        torch.int8,
        torch.int64,
        torch.bool,
        torch.complex64,
        torch.complex128,
        torch.float8_e4m3fn,
        torch.uint16,
    )
}


@attack
def a_zip_that_unpacks_to_gigabytes(path: Path) -> None:
    with_pickle(path, tensor_pickle((2, 2), (2, 1)), {"0": bytes(50_000_000)}, compression=zipfile.ZIP_DEFLATED)


@attack
def a_zip_cut_short(path: Path) -> None:
    torch.save(small_state(), path)
    os.truncate(path, path.stat().st_size // 2)


@attack
def a_zip_with_a_member_twice(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for shape in ((2, 2), (4, 4)):
            archive.writestr("model/data.pkl", tensor_pickle(shape, (2, 1)))
        archive.writestr("model/data/0", bytes(64))


def patched_zip(path: Path, where: bytes, at: int, layout: str, value: int) -> None:
    """Change a number of the zip's list of members."""
    with_pickle(path, tensor_pickle((2, 2), (2, 1)))
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, data.rindex(where) + at, value)
    path.write_bytes(data)


ATTACKS |= {
    "a_zip_whose_member_lies_beyond_the_file": lambda path: patched_zip(path, b"PK\x01\x02", 42, "<I", 0xFFFFFFF0),
    "a_zip_whose_members_claim_four_gigabytes": lambda path: patched_zip(path, b"PK\x01\x02", 24, "<I", 0xFFFFFFF0),
    "a_zip_whose_list_claims_four_gigabytes": lambda path: patched_zip(path, b"PK\x05\x06", 12, "<I", 0xFFFFFFF0),
    "a_zip_whose_list_begins_elsewhere": lambda path: patched_zip(path, b"PK\x05\x06", 16, "<I", 4),
    "a_zip_with_a_password": lambda path: patched_zip(path, b"PK\x01\x02", 8, "<H", 1),
}


@attack
def a_zip_of_a_hundred_thousand_members(path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}.")
    data = buffer.getvalue()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry, count = data[start:end], 100_000
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(entry) * count, start, 0)
    path.write_bytes(data[:start] + entry * count + tail)


ATTACKS |= {
    "header_of_16_exabytes": lambda path: safetensors(path, one(), length=(1 << 64) - 1),
    "header_longer_than_the_file": lambda path: safetensors(path, one(), length=90_000_000),
    "header_of_17_megabytes": lambda path: safetensors(path, b"{" + b" " * 17_000_000 + b"}"),
    "header_of_brackets": lambda path: safetensors(path, b'{"a":' + b"[" * 200_000),
    "header_that_is_a_list": lambda path: safetensors(path, b"{}[]"),
    "header_without_weights": lambda path: safetensors(path, {}),
    "header_with_a_number_of_10000_digits": lambda path: safetensors(path, b'{"a":' + b"9" * 10_000 + b"}"),
    "header_with_a_key_twice": lambda path: safetensors(path, b'{"a":1,"a":2}'),
    "shape_larger_than_its_bytes": lambda path: safetensors(path, one(shape=(4096, 4096, 4096))),
    "shape_negative": lambda path: safetensors(path, one(shape=(-4, -4))),
    "shape_of_fractions": lambda path: safetensors(path, one(shape=(4.0, 4.0))),
    "shape_of_truth": lambda path: safetensors(path, one(shape=(True, 16))),
    "shape_of_text": lambda path: safetensors(path, one(shape="44")),
    "shape_overflows": lambda path: safetensors(path, one(shape=(1 << 62, 1 << 62))),
    "shape_is_nothing": lambda path: safetensors(path, one(shape=(0, 1 << 62), offsets=(0, 0))),
    "offsets_backwards": lambda path: safetensors(path, one(offsets=(64, 0))),
    "offsets_negative": lambda path: safetensors(path, one(offsets=(-8, 56))),
    "offsets_beyond_the_file": lambda path: safetensors(path, one(offsets=(0, 1 << 50))),
    "offsets_infinite": lambda path: safetensors(path, json.dumps(one(offsets=(0, float("inf")))).encode()),
    "offsets_of_one": lambda path: safetensors(path, one(offsets=(0,))),
    "offsets_shared": lambda path: safetensors(path, one() | {"other": one()["weight"]}),
    "dtype_unknown": lambda path: safetensors(path, one(dtype="F99")),
    "dtype_is_a_list": lambda path: safetensors(path, one(dtype=["F32"])),
    "entry_is_a_number": lambda path: safetensors(path, {"weight": 1}),
    "metadata_is_a_number": lambda path: safetensors(path, {"__metadata__": 7} | one()),
    "metadata_is_brackets": lambda path: safetensors(path, {"__metadata__": {"samkit": "[" * 100_000}} | one()),
}


def poisoned(value: float, key: str = "image_encoder.trunk.pos_embed") -> Attack:
    def write(path: Path) -> None:
        state = small_state()
        state[key] = state[key].clone()
        state[key].view(-1)[0] = value
        save(path, state)

    return write


METADATA = {
    "native_side": 128,
    "num_heads": 1,
    "window_sizes": [8, 4, 4, 2],
    "global_blocks": [5],
    "decoder_heads": 4,
}


def save(path: Path, state: dict[str, torch.Tensor], **metadata: object) -> None:
    save_file(
        {key: tensor.contiguous() for key, tensor in state.items()},
        path,
        metadata={"samkit": json.dumps({**METADATA, **metadata})},
    )


ATTACKS |= {"weights_with_nan": poisoned(float("nan")), "weights_with_infinity": poisoned(float("-inf"))}


def saying(**metadata: object) -> Attack:
    return lambda path: save(path, small_state(), **metadata)


ATTACKS |= {
    "window_sizes_of_a_billion": saying(window_sizes=[10**9] * 4),
    "window_sizes_of_nothing": saying(window_sizes=[0, 0, 0, 0]),
    "window_sizes_three": saying(window_sizes=[8, 4, 4]),
    "window_sizes_one_number": saying(window_sizes=8),
    "window_sizes_a_million": saying(window_sizes=[8] * 100_000),
    "window_sizes_text": saying(window_sizes="8444"),
    "heads_none": saying(num_heads=0),
    "heads_negative": saying(num_heads=-1),
    "heads_that_do_not_divide": saying(num_heads=3),
    "heads_a_fraction": saying(num_heads=1.0),
    "heads_true": saying(num_heads=True),
    "decoder_heads_none": saying(decoder_heads=0),
    "decoder_heads_that_do_not_divide": saying(decoder_heads=7),
    "memory_heads_none": saying(memory_heads=0),
    "memory_heads_too_many": saying(memory_heads=16),
    "native_side_of_a_trillion": saying(native_side=10**12),
    "native_side_negative": saying(native_side=-128),
    "native_side_that_fits_no_grid": saying(native_side=130),
    "native_side_nan": saying(native_side=float("nan")),
    "native_side_of_many_digits": saying(native_side=int("9" * 4000)),
    "global_blocks_from_the_end": saying(global_blocks=[-1]),
    "global_blocks_beyond_the_last": saying(global_blocks=[99]),
    "global_blocks_twice": saying(global_blocks=[5, 5]),
    "global_blocks_in_lists": saying(global_blocks=[[5]]),
    "version_a_list": saying(version=["2.1"]),
    "family_unknown": saying(family="sam9"),
    "name_of_many_lines": saying(name="a\nb"),
    "name_very_long": saying(name="x" * 100_000),
}


def changed(change: Callable[[dict[str, torch.Tensor]], None], config: object = SMALL_SAM2) -> Attack:
    def write(path: Path) -> None:
        state = random_state(config)  # type: ignore[arg-type]
        change(state)
        save(path, state, **({} if config is SMALL_SAM2 else {"num_heads": 2, "global_blocks": [1, 3]}))

    return write


def reshaped(key: str, *shape: int) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda state: state.__setitem__(key, torch.zeros(shape))


def added(key: str) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda state: state.__setitem__(key, torch.zeros(1))


TRUNK = "image_encoder.trunk."
ATTACKS |= {
    "a_billion_blocks": changed(added(f"{TRUNK}blocks.999999999.norm1.weight")),
    "blocks_of_5000_digits": changed(added(f"{TRUNK}blocks.{'9' * 5000}.norm1.weight")),
    "a_thousand_stages": changed(lambda state: [added(f"{TRUNK}blocks.{i}.proj.weight")(state) for i in range(200)]),
    "a_million_decoder_layers": changed(added("sam_mask_decoder.transformer.layers.999999.norm1.weight")),
    "a_million_memory_layers": changed(added("memory_attention.layers.999999.norm1.weight")),
    "a_million_head_layers": changed(added("sam_mask_decoder.iou_prediction_head.layers.999999.weight")),
    "patches_without_channels": changed(reshaped(f"{TRUNK}patch_embed.proj.weight", 1)),
    "position_table_of_one_dimension": changed(reshaped(f"{TRUNK}pos_embed", 7)),
    "window_table_too_large": changed(reshaped(f"{TRUNK}pos_embed_window", 1, 1, 4, 1000)),
    "wide_channels": changed(reshaped(f"{TRUNK}patch_embed.proj.weight", 300_000, 1)),
    "decoder_of_other_masks": changed(reshaped("sam_mask_decoder.mask_tokens.weight", 5, 32)),
    "decoder_of_one_channel": changed(reshaped("sam_mask_decoder.iou_token.weight", 1, 1)),
    "head_of_one_dimension": changed(reshaped("sam_mask_decoder.iou_prediction_head.layers.0.weight", 7)),
    "even_kernel": changed(reshaped("memory_encoder.fuser.layers.0.dwconv.weight", 32, 1, 4, 4)),
    "one_memory": changed(reshaped("maskmem_tpos_enc", 1, 1, 1, 16)),
    "v1_patches_without_channels": changed(reshaped("image_encoder.patch_embed.proj.weight", 4), SMALL_SAM1),
    "v1_patches_of_1000_pixels": changed(reshaped("image_encoder.patch_embed.proj.weight", 4, 3, 1000, 10), SMALL_SAM1),
    "v1_grid_of_a_million": changed(reshaped("image_encoder.pos_embed", 1, 1_000_000, 1, 1), SMALL_SAM1),
    "v1_even_tables": changed(reshaped("image_encoder.blocks.0.attn.rel_pos_h", 4, 16), SMALL_SAM1),
    "v1_tables_of_one_dimension": changed(reshaped("image_encoder.blocks.0.attn.rel_pos_h", 4), SMALL_SAM1),
    "v1_a_billion_blocks": changed(added("image_encoder.blocks.999999999.norm1.weight"), SMALL_SAM1),
}


@attack
def a_sparse_file_of_a_terabyte(path: Path) -> None:
    safetensors(path, {"weight": {"dtype": "F32", "shape": [1 << 38], "data_offsets": [0, 1 << 40]}})
    os.truncate(path, (1 << 40) + 8 + int.from_bytes(path.read_bytes()[:8], "little"))


@attack
def a_sparse_zip_of_a_terabyte(path: Path) -> None:
    with open(path, "wb") as stream:
        stream.write(b"PK\x03\x04")
        stream.truncate(1 << 40)


def valid_files() -> Iterator[tuple[str, Attack]]:
    """Small whole models, one of each format and family."""
    yield "sam1.safetensors", lambda path: save_random_model(path, SMALL_SAM1)
    yield "sam2.safetensors", lambda path: save_random_model(path, SMALL_SAM2)
    yield "sam2.pt", lambda path: torch.save({"model": OrderedDict(small_state())}, path)
    yield "sam1.pth", lambda path: torch.save(random_state(SMALL_SAM1), path, _use_new_zipfile_serialization=False)
