"""Runs that leave and come in as a zip file; whatever is hostile or damaged is refused whole."""

import hashlib
import json
import os
import stat
import zipfile
from pathlib import Path

import pytest

from samkit.errors import BadInput
from samkit.tracking.bundle import archive as archive_module
from samkit.tracking.bundle import bundle as bundle_module
from samkit.tracking.bundle.archive import export_runs, import_runs
from samkit.tracking.store.store import RunStore
from tests.tracking.conftest import made_up_bundle
from tests.tracking.test_bundle import assert_same_run

DATA = Path(__file__).parents[1] / "data" / "schema_1"


@pytest.fixture
def two(tmp_path):
    return [made_up_bundle(tmp_path / f"run{seed}", seed) for seed in range(2)]


def rewritten(source: Path, target: Path, change) -> Path:
    """The zip file with its entries, name -> content, changed by `change`."""
    with zipfile.ZipFile(source) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return target


def refused(file: Path, folder: Path, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        import_runs(file, folder)


def test_one_and_several_come_in_as_they_left(two, tmp_path):
    for count in (1, 2):
        came = import_runs(export_runs(two[:count], tmp_path / f"{count}.zip"), tmp_path / f"in{count}")
        assert [bundle.run_uuid for bundle in came] == [bundle.run_uuid for bundle in two[:count]]
        for seed, bundle in enumerate(came):
            assert_same_run(bundle, seed)


def test_importing_twice_and_into_another_store_keeps_the_uuid_and_never_doubles(two, tmp_path):
    file = export_runs(two, tmp_path / "two.zip")
    for name in ("a", "b"):
        store = RunStore(f"sqlite:///{tmp_path / name}.db")
        first = [store.keep(bundle).run_id for bundle in import_runs(file, tmp_path / f"{name}1")]
        again = [store.keep(bundle).run_id for bundle in import_runs(file, tmp_path / f"{name}2")]
        assert first == again and {run.run_uuid for run in store.runs()} == {bundle.run_uuid for bundle in two}


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/outside.txt", "outputs/../../outside.txt", "outputs\\..\\outside.txt"]
)
@pytest.mark.parametrize("count", [1, 2])
def test_paths_that_lead_elsewhere_are_refused(two, tmp_path, name, count):
    """In the file itself, and in a run inside the file."""
    single = rewritten(
        export_runs(two[:1], tmp_path / "one.zip"), tmp_path / "bad1.zip", lambda entries: entries.update({name: b"x"})
    )
    file = single
    if count == 2:
        inside = f"{two[0].run_uuid}.zip"
        file = rewritten(
            export_runs(two, tmp_path / "two.zip"),
            tmp_path / "bad2.zip",
            lambda entries: entries.update({inside: single.read_bytes()}),
        )
    refused(file, tmp_path / "deep" / "in", "holds")
    assert not list(tmp_path.rglob("outside.txt")) and not Path("/etc/outside.txt").exists()


def test_links_are_refused(two, tmp_path):
    file = export_runs(two[:1], tmp_path / "one.zip")
    link = zipfile.ZipInfo("outputs/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(file, tmp_path / "in", "is a link")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [["outputs/mask_0.png"], ["outputs/Mask_0.PNG"], ["\u00e9.png", "e\u0301.png"]])
def test_two_files_of_one_name_are_refused(two, tmp_path, names):
    file = export_runs(two[:1], tmp_path / "one.zip")
    with zipfile.ZipFile(file, "a") as archive:
        for name in names:
            archive.writestr(name, b"another")
    refused(file, tmp_path / "in", "two files of one name")


@pytest.mark.parametrize("count", [1, 2])
def test_files_that_are_no_runs_are_refused(two, tmp_path, count):
    file = rewritten(
        export_runs(two[:count], tmp_path / "good.zip"),
        tmp_path / "bad.zip",
        lambda entries: entries.update({"virus.exe": b"x"}),
    )
    refused(file, tmp_path / "in", "virus.exe")


@pytest.mark.parametrize("count", [1, 2])
def test_a_file_that_unpacks_to_more_than_it_may_is_refused(two, tmp_path, monkeypatch, count):
    """A megabyte of zeros packs to a thousandth."""

    def grow(entries):
        entries["outputs/zeros.bin"] = bytes(2**20)

    single = rewritten(export_runs(two[:1], tmp_path / "one.zip"), tmp_path / "bomb1.zip", grow)
    inside = f"{two[0].run_uuid}.zip"
    file = single
    if count == 2:
        file = rewritten(
            export_runs(two, tmp_path / "two.zip"),
            tmp_path / "bomb2.zip",
            lambda entries: entries.update({inside: single.read_bytes()}),
        )
    for module in (archive_module, bundle_module):
        monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 2**19)
    monkeypatch.setattr(bundle_module.unzip_bundle, "__defaults__", (None, 2**19))
    refused(file, tmp_path / "in", "too large")
    assert not list((tmp_path / "in").rglob("zeros.bin"))


def test_a_file_that_lies_about_its_size_is_refused(two, tmp_path):
    """Its directory says ten bytes where a thousand are packed."""
    file = rewritten(
        export_runs(two[:1], tmp_path / "one.zip"),
        tmp_path / "lie.zip",
        lambda entries: entries.update({"outputs/mask_0.png": bytes(1000)}),
    )
    content = bytearray(file.read_bytes())
    sizes = [content.find((1000).to_bytes(4, "little"), start) for start in (0, content.find(b"PK\x01\x02"))]
    for place in sizes:
        content[place : place + 4] = (10).to_bytes(4, "little")
    file.write_bytes(content)
    refused(file, tmp_path / "in", "not a readable zip|damaged|not the file that was kept")


def test_another_schema_is_refused_and_nothing_of_the_file_comes_in(two, tmp_path):
    def age(entries):
        entries["run.json"] = json.dumps(json.loads(entries["run.json"]) | {"schema": 99}).encode()

    old = rewritten(export_runs(two[1:], tmp_path / "one.zip"), tmp_path / "old.zip", age)
    inside = f"{two[1].run_uuid}.zip"
    file = rewritten(
        export_runs(two, tmp_path / "two.zip"),
        tmp_path / "mixed.zip",
        lambda entries: entries.update({inside: old.read_bytes()}),
    )
    refused(file, tmp_path / "in", "another version of samkit")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"not a zip at all" * 100])
def test_what_is_no_zip_is_a_sentence(tmp_path, content):
    file = tmp_path / "x.zip"
    file.write_bytes(content)
    refused(file, tmp_path / "in", "not a readable zip")
    with pytest.raises(BadInput, match="There is no file"):
        import_runs(tmp_path / "missing.zip", tmp_path / "in")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_nobody_waits_for_a_pipe_or_a_device(tmp_path):
    os.mkfifo(tmp_path / "pipe.zip")
    for path in (tmp_path / "pipe.zip", Path("/dev/zero"), tmp_path):
        with pytest.raises(BadInput, match="can't be opened .*: check the path"):
            import_runs(path, tmp_path / "in")


def test_a_cut_off_file_is_a_sentence(two, tmp_path):
    file = export_runs(two, tmp_path / "two.zip")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    refused(file, tmp_path / "in", "not a readable zip")


def test_what_no_import_would_take_is_not_exported(two, tmp_path, monkeypatch):
    (two[0].path / "outputs" / "tables.json").write_bytes(b" " * (33 * 2**20))
    with pytest.raises(BadInput, match="tables.json is larger than an import takes"):
        export_runs(two, tmp_path / "large.zip")
    for limit in ("MAX_FILES", "MAX_UNPACKED_BYTES"):
        with monkeypatch.context() as patch, pytest.raises(BadInput, match="export them in parts"):
            patch.setattr(archive_module, limit, 1)
            export_runs(two, tmp_path / "many.zip")
    assert not list(tmp_path.glob("*.zip"))


def with_record(entries: dict, **more) -> None:
    entries["run.json"] = json.dumps(json.loads(entries["run.json"]) | more).encode()


def with_file(entries: dict, file: str, content: bytes) -> None:
    """The file changed, with a checksum that fits."""
    entries[file] = content
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    with_record(entries, files=json.loads(entries["run.json"])["files"] | {file: entry})


def mixed(two, tmp_path, change) -> Path:
    """A file of two runs whose second one was changed."""
    bad = rewritten(export_runs(two[1:], tmp_path / "one.zip"), tmp_path / "bad.zip", change)
    return rewritten(
        export_runs(two, tmp_path / "two.zip"),
        tmp_path / "mixed.zip",
        lambda all_: all_.update({f"{two[1].run_uuid}.zip": bad.read_bytes()}),
    )


WRONG_RECORDS = [
    {"metrics": {"a": {"value": None}}},
    {"metrics": {"a": {"value": float("nan")}}},
    {"metrics": {"a": {"value": float("inf")}}},
    {"metrics": {"a": {"value": True}}},
    {"metrics": {"a": {"value": 10**400}}},
    {"metrics": {"a": {"value": 1.0, "better": "worse"}}},
    {"metrics": {"a": 1.0}},
    {"metrics": {"../a": {"value": 1.0}}},
    {"facts": None},
    {"facts": {"a": None}},
    {"facts": {"a": [1]}},
    {"facts": {"a": 10**30}},
    {"facts": {"a": "x" * 5_000}},
    {"facts": {"../a": 1}},
    {"facts": {f"a{number}": number for number in range(101)}},
    {"threads": None},
    {"masks": ["mask_0"]},
    {"masks": {"mask_0": {"on": "mask_0"}}},
    {"masks": {"mask_0": {}}},
    {"timings": {"a_ms": "soon"}},
    {"params": {"a=b'": 1}},
    {"params": {"a": float("nan")}},
    {"params": {"a": "\0"}},
    {"params": {"a": "\ud800"}},
    {"created": "yesterday"},
    {"created": "9999-12-31T23:59:59-12:00"},
    {"created": "0001-01-01T00:00:00+14:00"},
    {"video": 5},
    {"git_commit": 5},
    {"schema": True},
    {"schema": 1.5},
    {"prompts": {"points": [[2.0, 0.5, 1]], "boxes": []}},
    {"tags": {"a=b": "x"}},
    {"picture": {"name": 5, "sha256": "0"}},
    {"name": "x" * 10_000},
    {"model": {"name": "x", "sha256": None}},
]


@pytest.mark.parametrize("wrong", WRONG_RECORDS, ids=lambda wrong: json.dumps(wrong)[:40])
def test_a_record_that_no_store_could_hold_is_refused_with_its_file(two, tmp_path, wrong):
    refused(
        mixed(two, tmp_path, lambda entries: with_record(entries, **wrong)),
        tmp_path / "in",
        next(iter(wrong)) + "|not a kept run|another version",
    )


WRONG_IN_SCHEMA_1 = [
    {"metrics": {"a": None}},
    {"metrics": {"a": float("nan")}},
    {"metrics": {"a": float("inf")}},
    {"metrics": {"a": True}},
    {"metrics": {"../a": 1.0}},
    {"metrics": {"mask_index": "first"}},
    {"metrics": {"mask_index": True}},
    {"metrics": {"mask_index": 10**400}},
    {"metrics": [1.0]},
    {"masks": {"mask_0": {"on": "image"}}},
    {"masks": ["../inputs/image"]},
    {"masks": [1]},
    *(wrong for wrong in WRONG_RECORDS if not {"metrics", "facts", "masks", "schema"} & wrong.keys()),
]


@pytest.mark.parametrize("wrong", WRONG_IN_SCHEMA_1, ids=lambda wrong: json.dumps(wrong)[:40])
def test_a_record_of_schema_1_that_no_store_could_hold_is_refused(tmp_path, wrong):
    source = rewritten(
        DATA / "cross-image-on-b.zip", tmp_path / "bad.zip", lambda entries: with_record(entries, **wrong)
    )
    refused(source, tmp_path / "in", next(iter(wrong)) + "|not a kept run")


@pytest.mark.parametrize(
    "file",
    [
        "inputs/prompts.json",
        "inputs/image.png",
        "outputs/mask_0.png",
        "outputs/band.png",
        "outputs/arrays.npz",
        "outputs/tables.json",
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused_with_all_others(two, tmp_path, file):
    refused(
        mixed(two, tmp_path, lambda entries: with_file(entries, file, b"garbage")),
        tmp_path / "in",
        "Nothing of it was kept",
    )


def test_a_run_without_prompts_is_refused(two, tmp_path):
    def drop(entries):
        del entries["inputs/prompts.json"]
        with_record(
            entries,
            files={
                file: entry
                for file, entry in json.loads(entries["run.json"])["files"].items()
                if file != "inputs/prompts.json"
            },
        )

    refused(mixed(two, tmp_path, drop), tmp_path / "in", "names no inputs/prompts.json")


@pytest.mark.parametrize(
    ("file", "limit"), [("run.json", 4 * 2**20), ("outputs/tables.json", 32 * 2**20), ("inputs/prompts.json", 2**20)]
)
def test_files_that_are_read_whole_are_bounded_before_they_are_read(two, tmp_path, file, limit):
    """They pack to a thousandth; nothing is unpacked."""
    big = rewritten(
        export_runs(two[:1], tmp_path / "one.zip"),
        tmp_path / "big.zip",
        lambda entries: entries.update({file: b" " * limit + entries[file]}),
    )
    refused(big, tmp_path / "in", f"too large for a run: {file}")
    assert not list((tmp_path / "in").rglob("*.json"))


@pytest.mark.parametrize(
    ("file", "words"), [("run.json", "not a kept run"), ("outputs/tables.json", "nested too deeply")]
)
def test_nesting_without_end_is_a_sentence(two, tmp_path, file, words):
    deep = b"[" * 100_000 + b"]" * 100_000
    change = (
        (lambda entries: entries.update({file: deep}))
        if file == "run.json"
        else (lambda entries: with_file(entries, file, deep))
    )
    refused(mixed(two, tmp_path, change), tmp_path / "in", words)
