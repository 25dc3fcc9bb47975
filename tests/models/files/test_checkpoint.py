"""Reading checkpoint files: what is read, how cheaply, and the sentence for each thing that is no checkpoint."""

import ast
import hashlib
import json
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import samkit
from samkit.errors import CheckpointError
from samkit.models.files import own_bytes
from samkit.models.files.checkpoint import read_checkpoint
from samkit.models.files.hashes import file_sha256


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "image_encoder.weight": torch.randn(8, 4, generator=generator),
        "image_encoder.bias": torch.randn(8, generator=generator).half(),
        "mask_decoder.weight": torch.randn(2, 3, 5, generator=generator).bfloat16(),
    }


def write(path: Path, content: object, **options: object) -> Path:
    torch.save(content, path, **options)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    sentence = str(caught.value)
    assert path.name in sentence and sentence.endswith(".") and "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    "wrap",
    [lambda w: w, lambda w: {"model": w}, lambda w: {"state_dict": w, "epoch": 3}, OrderedDict],
    ids=["bare", "model", "state_dict", "ordered"],
)
@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"])
def test_reads_what_torch_save_wrote(tmp_path, wrap, options):
    path = write(tmp_path / "model.pth", wrap(weights()), **options)
    checkpoint = read_checkpoint(path)
    assert list(checkpoint.state_dict) == list(weights())
    for key, tensor in weights().items():
        assert checkpoint.state_dict[key].dtype == tensor.dtype and torch.equal(checkpoint.state_dict[key], tensor)
    assert checkpoint.metadata == {} and checkpoint.file_bytes == path.stat().st_size and checkpoint.path == path


def test_reads_safetensors_and_its_metadata(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(
        weights(),
        path,
        metadata={"samkit": json.dumps({"family": "sam2", "window_sizes": [8, 4, 8, 4]}), "format": "pt"},
    )
    checkpoint = read_checkpoint(str(path))
    assert checkpoint.metadata == {"family": "sam2", "window_sizes": [8, 4, 8, 4]}
    for key, tensor in weights().items():
        assert torch.equal(checkpoint.state_dict[key], tensor)


def test_content_decides_and_not_the_suffix(tmp_path):
    save_file(weights(), tmp_path / "really_safetensors.pth")
    write(tmp_path / "really_zip.safetensors", weights())
    write(tmp_path / "no_suffix", weights())
    for path in tmp_path.iterdir():
        assert torch.equal(read_checkpoint(path).state_dict["image_encoder.weight"], weights()["image_encoder.weight"])


def test_parameters_and_counters_are_read_as_plain_tensors(tmp_path):
    norm = torch.nn.BatchNorm1d(4)
    path = write(tmp_path / "model.pt", dict(norm.named_parameters()) | dict(norm.named_buffers()))
    state_dict = read_checkpoint(path).state_dict
    assert state_dict["num_batches_tracked"].ndim == 0
    assert not any(tensor.requires_grad or isinstance(tensor, torch.nn.Parameter) for tensor in state_dict.values())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the process's memory from /proc")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_take_the_files_size_in_memory_and_not_twice_that(tmp_path, suffix):
    def resident_kb() -> int:
        return int(
            next(
                line.split()[1]
                for line in Path("/proc/self/status").read_text().splitlines()
                if line.startswith("VmRSS")
            )
        )

    path = tmp_path / f"large{suffix}"
    large = {f"layer{index}.weight": torch.ones(1024, 4096) for index in range(8)}
    save_file(large, path) if suffix == ".safetensors" else torch.save({"model": large}, path)
    del large
    before = resident_kb()
    checkpoint = read_checkpoint(path)
    assert 0.9 < 1024 * (resident_kb() - before) / checkpoint.file_bytes < 1.3
    checkpoint.state_dict["layer0.weight"].zero_()
    assert float(read_checkpoint(path).state_dict["layer0.weight"][0, 0]) == 1.0, (
        "writing to a weight must not reach the file"
    )


def overwritten(path: Path) -> None:
    """All of its bytes are others, in the very same file, of the same size and with the same times."""
    status = path.stat()
    with open(path, "r+b") as stream:
        stream.write(b"\xff" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(path: Path) -> None:
    path.with_name("other").write_bytes(b"another file")
    os.replace(path.with_name("other"), path)


def cut(path: Path) -> None:
    os.truncate(path, 10)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("change", [overwritten, replaced, cut, os.unlink], ids=lambda change: change.__name__)
def test_weights_and_hash_are_of_what_was_read_whatever_becomes_of_the_file(tmp_path, suffix, change):
    path = tmp_path / f"model{suffix}"
    save_file(weights(), path) if suffix == ".safetensors" else write(path, weights())
    written = hashlib.sha256(path.read_bytes()).hexdigest()
    checkpoint = read_checkpoint(path)
    assert file_sha256(path) == written
    change(path)
    assert checkpoint.sha256 == written
    for key, tensor in weights().items():
        assert torch.equal(checkpoint.state_dict[key], tensor)
    if path.exists():
        assert file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest() != written


def test_a_file_that_is_written_to_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "model.pt", weights())
    reading = own_bytes._read

    def read_and_written_to(*arguments):
        own = reading(*arguments)
        with open(path, "r+b") as stream:
            stream.seek(-1, os.SEEK_END)
            stream.write(b"x")
        return own

    monkeypatch.setattr(own_bytes, "_read", read_and_written_to)
    assert "written to while it was read" in refusal(path)


def test_a_file_larger_than_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = write(tmp_path / "model.pt", weights())
    monkeypatch.setattr(own_bytes, "memory_at_hand", lambda: 1000)
    assert "1.0 kB of memory are free" in refusal(path)


class RunsCode:
    """Unpickling it by the ordinary pickle module creates the file `target`."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return (os.system, (f"touch '{self.target}'",))


@pytest.mark.parametrize(
    "options",
    [{}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}],
    ids=["zip", "legacy", "protocol4"],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_pickle_that_wants_to_run_code_does_not(tmp_path, options, suffix):
    proof = tmp_path / "code_was_run"
    path = write(tmp_path / f"evil{suffix}", {"model": weights(), "extra": RunsCode(proof)}, **options)
    with open(path, "rb") as stream:
        torch.load(stream, weights_only=False)
    assert proof.exists(), "the file must be a working attack, or this test proves nothing"
    proof.unlink()
    assert "run code on this machine" in refusal(path)
    assert not proof.exists()


def test_the_refusal_names_the_code(tmp_path):
    assert "system" in refusal(write(tmp_path / "evil.pt", RunsCode(tmp_path / "code_was_run")))
    unusual = {"model": weights(), "made_by": torch.nn.Linear(1, 1)}
    assert "Linear" in refusal(write(tmp_path / "unusual.pt", unusual))


@pytest.mark.parametrize("protocol", range(6))
def test_a_plain_pickle_is_never_opened(tmp_path, protocol):
    proof = tmp_path / "code_was_run"
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(RunsCode(proof), protocol=protocol))
    refusal(path)
    assert not proof.exists()


def test_missing_folder_empty(tmp_path):
    assert "no file" in refusal(tmp_path / "absent.pt")
    assert "no file" in refusal(write(tmp_path / "model.pt", weights()) / "below_a_file.pt")
    folder = tmp_path / "folder.pt"
    folder.mkdir()
    assert "is a folder" in refusal(folder)
    empty = tmp_path / "empty.pt"
    empty.touch()
    assert "is empty" in refusal(empty)
    pipe = tmp_path / "pipe.pt"
    os.mkfifo(pipe)
    assert "not an ordinary file" in refusal(pipe)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "web page"),
        (b"\n\n  <html lang='en'>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:7402e0d8\nsize 156008466\n", "git-lfs pointer"),
        (b"model:\n  name: sam\n", 'begins "model:"'),
        ("größe: ".encode() + b"x" * 2000, "text file"),
        (("x" * 1023 + "ö").encode(), "text file"),
        (b"\x1f\x8b\x08\x00" + bytes(60), "compressed archive"),
        (b"GGUF\x03\x00\x00\x00" + bytes(60), "not a checkpoint"),
        (bytes(range(256)) * 8, "not a checkpoint"),
        (b"\x00\x01", "cut short"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_other_files(tmp_path, content, words, suffix):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    assert words in refusal(path)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("kept", [3, 7, 12, 31, 100, 0.2, 0.5, 0.9, 0.999, -1])
def test_truncated(tmp_path, kind, kept):
    whole = tmp_path / "whole"
    state_dict = {f"layer{index}.weight": torch.randn(64, 64) for index in range(20)}
    if kind == "safetensors":
        save_file(state_dict, whole)
    else:
        write(whole, state_dict, _use_new_zipfile_serialization=kind == "zip")
    content = whole.read_bytes()
    length = kept if isinstance(kept, int) else int(kept * len(content))
    path = tmp_path / "cut.pth"
    path.write_bytes(content[:length])
    assert "cut short" in refusal(path)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_damaged_anywhere_in_the_table_of_contents_is_a_sentence_or_a_state_dict(tmp_path, kind):
    whole = tmp_path / "whole"
    if kind == "safetensors":
        save_file(weights(), whole, metadata={"samkit": "{}"})
    else:
        write(whole, weights(), _use_new_zipfile_serialization=kind == "zip")
    content = whole.read_bytes()
    path = tmp_path / "damaged.pth"
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0x5A
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except CheckpointError as error:
            assert str(error).endswith(".")


def test_zips_that_are_no_checkpoint(tmp_path):
    other = tmp_path / "other.pt"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("model/readme.md", "hello")
    assert "unpack it" in refusal(other)
    program = tmp_path / "program.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), program)
    assert "TorchScript" in refusal(program)
    packed = tmp_path / "packed.pt"
    with (
        zipfile.ZipFile(write(tmp_path / "model.pt", weights())) as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for entry in source.infolist():
            archive.writestr(entry.filename, source.read(entry))
    assert "compress" in refusal(packed)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (torch.ones(3), "holds a tensor, not a state dict"),
        ([torch.ones(3)], "holds a list, not a state dict"),
        ({}, "no weights at all"),
        ({"model": {}}, "no weights at all"),
        ({"epoch": 3, "loss": 0.5}, "epoch: a int"),
        ({0: torch.ones(3)}, "other things than weights"),
        ({"model": [torch.ones(3)]}, "model: a list"),
        ({"weight": torch.ones(3, dtype=torch.int8), "scale": torch.ones(3)}, "weight: int8"),
        ({"weight": torch.ones(3, dtype=torch.complex64)}, "weight: complex64"),
        ({"weight": torch.ones(3, dtype=torch.bool)}, "1 of the 1 weights"),
        ({"weight": torch.eye(3).to_sparse()}, "sparse"),
        ({"weight": torch._neg_view(torch.ones(3))}, "marked as negated"),
        ({"weight": torch.ones(3, device="meta")}, "without values"),
        ({"weight": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}, "qint8"),
    ],
)
def test_not_a_state_dict_of_floats(tmp_path, content, words):
    assert words in refusal(write(tmp_path / "model.pt", content))


def test_safetensors_metadata_that_is_no_object(tmp_path):
    for text in ("{", "[1, 2]", "[" * 100_000):
        path = tmp_path / "model.safetensors"
        save_file(weights(), path, metadata={"samkit": text})
        assert "not a JSON object" in refusal(path)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = write(tmp_path / "model.pt", weights())

    def denied(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(CheckpointError, match="Permission denied"):
        read_checkpoint(path)


def test_no_code_of_samkit_unpickles_in_any_other_way():
    package = Path(samkit.errors.__file__).parent
    own_pipes = package / "work/sweep/messages.py"  # between the processes of one sweep
    for source in set(package.rglob("*.py")) - {own_pipes}:
        for call in (
            node for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
        ):
            name = ast.unparse(call.func)
            assert name not in (
                "pickle.load",
                "pickle.loads",
                "torch.jit.load",
                "torch.hub.load",
                "Unpickler",
                "pickle.Unpickler",
                "torch.load",
            ), source
