"""The catalogue: its table, its names, where its files lie, and what a reference resolves to. No network."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

from samkit.errors import CheckpointError, DownloadError
from samkit.models.files import catalogue as catalogue_module
from samkit.models.files.catalogue import catalogue, find_entry, resolve_model
from samkit.models.files.download import download
from samkit.models.files.folders import extra_models_folders, look_for_own, models_folder, own_checkpoints
from samkit.models.files.locate import plain_name

# As published beside the official files: name, bytes, sha256. Written out here a second time so that a slip in the
# catalogue's own table shows.
PUBLISHED = """
sam_vit_b_01ec64.pth 375042383 ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912
sam_vit_l_0b3195.pth 1249524607 3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622
sam_vit_h_4b8939.pth 2564550879 a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e
sam2.1_hiera_tiny.pt 156008466 7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69
sam2.1_hiera_small.pt 184416285 6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38
sam2.1_hiera_base_plus.pt 323606802 a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5
sam2.1_hiera_large.pt 898083611 2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318
sam2_hiera_tiny.pt 155906050 65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125
sam2_hiera_small.pt 184309650 95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3
sam2_hiera_base_plus.pt 323493298 d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071
sam2_hiera_large.pt 897952466 7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b
"""
OFFICIAL_NAMES = [line.split()[0].rpartition(".")[0] for line in PUBLISHED.strip().splitlines()]


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """No test sees, or writes to, the folders of the person who runs it."""
    monkeypatch.setenv("SAMKIT_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.delenv("SAMKIT_EXTRA_MODELS", raising=False)
    (tmp_path / "models").mkdir()


@pytest.fixture
def tiny():
    return find_entry("sam2.1_hiera_tiny")


def sparse_file(path: Path, size: int) -> Path:
    with open(path, "wb") as stream:
        stream.truncate(size)
    return path


@pytest.fixture
def embedded_nano(tmp_path, monkeypatch):
    """An assets folder of the test's own, with one small model and its card."""
    assets = tmp_path / "assets"
    assets.mkdir()
    metadata = {"family": "sam2", "version": "2.1", "title": "Nano", "native_side": 256}
    save_file(
        {"weight": numpy.ones(3, numpy.float16)},
        assets / "nano-test.safetensors",
        metadata={"samkit": json.dumps(metadata)},
    )
    (assets / "nano-test.md").write_text(
        "# Nano\n\nFor trying out.\n\n## Licence\n\nThe weights are for\nresearch only.\n\nMore.\n\n## "
        "Training\n\nLong.\n"
    )
    monkeypatch.setattr(catalogue_module, "assets_folder", lambda: assets)
    return assets / "nano-test.safetensors"


def test_the_official_files_are_as_published():
    official = [entry for entry in catalogue() if entry.url and entry.name != "mobile_sam"]
    assert sorted(f"{entry.filename} {entry.file_bytes} {entry.sha256}" for entry in official) == sorted(
        PUBLISHED.strip().splitlines()
    )
    folders = {"1": "segment_anything", "2.0": "segment_anything_2/072824", "2.1": "segment_anything_2/092824"}
    for entry in official:
        assert entry.licence == "Apache-2.0"
        assert entry.url == f"https://dl.fbaipublicfiles.com/{folders[entry.version]}/{entry.filename}"
        assert entry.family == ("sam1" if entry.version == "1" else "sam2")


def test_mobile_sam_is_the_file_that_others_have_pinned():
    entry = find_entry("mobile_sam")
    assert (entry.filename, entry.file_bytes, entry.licence) == ("mobile_sam.pt", 40728226, "Apache-2.0")
    assert entry.sha256 == "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f"
    assert entry.url and entry.url.endswith("/weights/mobile_sam.pt")


def test_names_aliases_titles_and_hashes_are_told_apart():
    entries = catalogue()
    spellings = [spelling for entry in entries for spelling in (entry.name, *entry.aliases)]
    assert len(set(spellings)) == len(spellings)
    assert len({entry.title for entry in entries}) == len(entries)
    assert all(re.fullmatch("[0-9a-f]{64}", entry.sha256) for entry in entries if not entry.brought)
    assert all(
        find_entry(spelling).name == entry.name for entry in entries for spelling in (entry.name, *entry.aliases)
    )


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("vit_b", "sam_vit_b_01ec64"),
        ("ViT-H", "sam_vit_h_4b8939"),
        ("sam_vit_l", "sam_vit_l_0b3195"),
        (" sam2.1_tiny ", "sam2.1_hiera_tiny"),
        ("sam2.1_hiera_base+", "sam2.1_hiera_base_plus"),
        ("SAM2-hiera-large", "sam2_hiera_large"),
        ("vit_t", "mobile_sam"),
    ],
)
def test_spellings(spelling, name):
    assert find_entry(spelling).name == name


def test_an_unknown_name_lists_the_near_ones():
    with pytest.raises(CheckpointError, match=r'no model "sam2.1_hiera_tinny": did you mean sam2.1_hiera_tiny'):
        find_entry("sam2.1_hiera_tinny")
    with pytest.raises(CheckpointError) as caught:
        find_entry("zzzzzz")
    assert all(name in str(caught.value) for name in OFFICIAL_NAMES)


def test_embedded_models_come_first_and_describe_themselves(embedded_nano):
    nano = catalogue()[0]
    assert (nano.name, nano.title, nano.family, nano.version, nano.licence) == (
        "nano-test",
        "Nano",
        "sam2",
        "2.1",
        "The weights are for research only.",
    )
    assert nano.file_bytes == embedded_nano.stat().st_size
    assert nano.embedded and nano.on_disk and nano.state() == "embedded"
    assert resolve_model("nano-test") == resolve_model("Nano_Test") == nano.local_path() == embedded_nano
    embedded_nano.with_suffix(".md").unlink()
    assert catalogue()[0].licence == "not stated"


@pytest.mark.parametrize("name", ["sam3", "sam3.1"])
def test_sam3_is_brought_and_never_downloaded(name, tmp_path, monkeypatch):
    entry = find_entry(name)
    assert entry.url is None and not entry.embedded and "SAM License" in entry.licence
    assert (entry.state(), entry.on_disk, entry.size_text) == ("to bring", False, "")
    with pytest.raises(CheckpointError, match="ask Meta for access.*Put sam3"):
        resolve_model(name)
    with pytest.raises(DownloadError, match="can't be downloaded here"):
        download(entry)
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", str(own))
    brought = sparse_file(own / entry.filename, 2_000_000)
    assert resolve_model(name) == brought and not entry.on_disk, "a file of one's own is listed as such"
    sparse_file(entry.local_path(), 3_000_000)
    assert resolve_model(name) == entry.local_path() and entry.on_disk and "3" in entry.size_text


def test_an_embedded_model_without_a_family_is_an_error(embedded_nano):
    save_file({"weight": numpy.ones(3, numpy.float16)}, embedded_nano)
    with pytest.raises(CheckpointError, match="does not state its family"):
        catalogue()


def test_state_follows_the_files(tiny):
    assert tiny.state() == "absent" and not tiny.on_disk
    sparse_file(tiny.part_path(), 0)
    assert tiny.state() == "absent"
    sparse_file(tiny.part_path(), 1000)
    assert tiny.state() == "partial" and not tiny.on_disk
    sparse_file(tiny.local_path(), tiny.file_bytes)
    assert tiny.state() == "on disk" and tiny.on_disk
    sparse_file(tiny.local_path(), tiny.file_bytes - 1)
    assert tiny.state() == "partial"
    assert tiny.state(folder=models_folder() / "elsewhere") == "absent"


def test_resolving_a_model_that_is_not_there_gives_the_command(tiny):
    with pytest.raises(
        CheckpointError,
        match=r"not on this machine yet: run `python -m samkit models download sam2.1_hiera_tiny` \(156 MB\)",
    ):
        resolve_model("sam2.1_tiny")
    sparse_file(tiny.part_path(), 1000)
    with pytest.raises(
        CheckpointError, match="only partly downloaded: run `python -m samkit models download sam2.1_hiera_tiny`"
    ):
        resolve_model("sam2.1_tiny")
    sparse_file(tiny.local_path(), 5)
    with pytest.raises(CheckpointError, match="has 5 bytes where the official file has 156008466: run"):
        resolve_model("sam2.1_tiny")
    sparse_file(tiny.local_path(), tiny.file_bytes)
    assert resolve_model("sam2.1_tiny") == tiny.local_path()


def test_resolving_own_files(tmp_path, monkeypatch):
    folder = tmp_path / "own"
    folder.mkdir()
    own = sparse_file(folder / "mine.pth", 10)
    assert resolve_model(own) == resolve_model(str(own)) == own
    with pytest.raises(CheckpointError, match="no file mine.pth"):
        resolve_model("mine.pth")
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", str(folder))
    assert resolve_model("mine.pth") == resolve_model("mine") == own
    with pytest.raises(CheckpointError, match="no file"):
        resolve_model(folder / "other.pth")
    with pytest.raises(CheckpointError, match='no model "other"'):
        resolve_model("other")
    monkeypatch.chdir(folder)
    sparse_file(folder / "without_suffix", 10)
    assert resolve_model("without_suffix") == Path("without_suffix")


def test_own_checkpoints_are_the_files_of_the_configured_folders(tmp_path, monkeypatch):
    assert own_checkpoints() == ()
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    for name in ("b.PTH", "a.safetensors", "c.pt", "notes.txt", ".hidden.pt", "d.pt.part"):
        (first / name).touch()
    (first / "folder.pt").mkdir()
    (second / "e.pt").touch()
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", f"{first}:{second}:")
    assert extra_models_folders() == (first, second)
    assert [path.name for path in own_checkpoints()] == ["a.safetensors", "b.PTH", "c.pt", "e.pt"]
    assert [path.name for path in own_checkpoints(second)] == ["e.pt"]
    with pytest.raises(CheckpointError, match="absent can't be read"):
        own_checkpoints(tmp_path / "absent")


def test_a_folder_that_cannot_be_read_hides_none_of_the_others(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.pt").touch()
    (tmp_path / "file").touch()
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", f"{tmp_path}/absent:{tmp_path}/there:{tmp_path}/file")
    look = look_for_own()
    assert look.paths == (tmp_path / "there" / "a.pt",) and look.whole
    assert ["absent" in look.unread[0], "file" in look.unread[1]] == [True, True]
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", f"{tmp_path}/absent")
    with pytest.raises(CheckpointError, match="absent can't be read"):
        look_for_own()


def test_own_checkpoints_lie_in_folders_below_too(tmp_path, monkeypatch):
    saved = tmp_path / "runs" / "medical" / "checkpoint-500"
    saved.mkdir(parents=True)
    for name in ("model.safetensors", "optimizer.pt", "rng_state_0.pth", "training_args.bin", "before.pt"):
        (saved / name).touch()
    (tmp_path / "runs" / "again").symlink_to(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "packed.pt").touch()
    deep = tmp_path / "1" / "2" / "3" / "4"
    (deep / "5").mkdir(parents=True)
    (deep / "in.pt").touch()
    (deep / "5" / "out.pt").touch()
    assert own_checkpoints(tmp_path) == (saved, saved / "before.pt", deep / "in.pt")
    monkeypatch.setattr("samkit.models.files.folders.MAX_LOOKED_AT", 3)
    look = look_for_own(tmp_path)
    assert look.paths == () and not look.whole


def test_a_model_in_the_hubs_cache_is_called_as_its_repository(tmp_path):
    version = tmp_path / "models--facebook--sam-vit-base" / "snapshots" / "70c1a07f"
    version.mkdir(parents=True)
    (version / "model.safetensors").touch()
    assert own_checkpoints(tmp_path) == (version,)
    assert plain_name(version) == plain_name(version / "model.safetensors") == "sam-vit-base"


def test_models_folder_default(monkeypatch):
    monkeypatch.setenv("SAMKIT_MODELS_DIR", " ")
    assert models_folder() == Path.home() / ".cache" / "samkit" / "models"


def test_the_catalogue_needs_neither_torch_nor_the_network():
    code = (
        "import sys, samkit.models.files.catalogue as c; c.catalogue(); print([m for m in ('torch', 'requests', "
        "'mlflow', 'streamlit') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
