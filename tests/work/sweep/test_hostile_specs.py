"""Specs, globs and annotation files that were made to do harm, or that are broken: each ends in a sentence, soon."""

import json

import pytest

from samkit.errors import BadInput, SamkitError
from samkit.work.sweep import found_files
from samkit.work.sweep.cases import all_cases
from samkit.work.sweep.cells import make_cells
from samkit.work.sweep.spec import MAX_SPEC_BYTES, read_spec, spec_from_text
from tests.work.sweep.tiny import make_files, spec

HEAD = "experiment: mask-stability\nmodels: tiny.safetensors\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_files(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: &a [1, 1]\nb: &b [*a, *a]\nc: &c [*b, *b]", "Line 2: write \\*a out"),
        ("a: &a [*a]", "aliases are not read"),
        ("!!python/object/apply:os.system [echo harm]", "is not YAML"),
        ("experiment: !!python/name:os.system", "is not YAML"),
        ("experiment: " + "[" * 100_000, "nested too deeply"),
        ("params: " + "{a: " * 30 + "1" + "}" * 30, "nested too deeply"),
        (HEAD + "pictures: coins\nseed: " + "9" * 5000, "."),
        (HEAD + "pictures: coins\nseed: 2020-13-45", "Line 4|can't be read"),
        (HEAD + "pictures: coins\nparams: {side: {from: 0, to: .inf, step: 1}}", "Line 4"),
        (HEAD + "pictures: coins\nparams: {side: {from: .nan, to: 1, step: 1}}", "Line 4"),
        (
            HEAD + "pictures: coins\nparams: {upper_threshold: {from: 0, to: 1, step: 0.0000001}}",
            "at most 100000 values",
        ),
        (HEAD + "pictures: coins\nprompts: {truth: box, jitter: .inf}", "Line 4"),
        (HEAD + "pictures: coins\nrepeats: 99999999", "Line 4"),
        (HEAD + "pictures: coins\n? [a, b]\n: c", "Line|can't be read"),
        (HEAD + "pictures: coins\nname: a\nname: b", "is there twice"),
        (HEAD + "pictures: \x00", "is not YAML"),
        ("---\na: 1\n---\nb: 2", "is not YAML"),
        ("- a", "names and values"),
        ("", "names and values"),
    ],
    ids=range(19),
)
def test_yaml_that_was_made_to_do_harm(text, sentence):
    with pytest.raises(BadInput, match=sentence):
        spec_from_text(text)


def test_a_spec_is_a_small_text_file(tmp_path):
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_SPEC_BYTES + 1))
    (tmp_path / "picture.yaml").write_bytes(b"\x89PNG\xff\xfe\x00")
    for name in ("large.yaml", "picture.yaml", "nowhere.yaml"):
        with pytest.raises(SamkitError):
            read_spec(tmp_path / name)
    with pytest.raises(SamkitError):
        read_spec(type(tmp_path)("/dev/zero"))


def test_a_few_lines_cannot_ask_for_more_cells_than_memory_holds(folder):
    many = "{from: 1, to: 9, step: 0.005}"
    params = f"params: {{upper_threshold: {many}, stability_offset: {many}}}"
    made = spec(folder, f"{HEAD}pictures: {{files: photos/*.png}}\nprompts: none\n{params}\n")
    with pytest.raises(BadInput, match="at most 1,000,000 are run at once"):
        make_cells(made, all_cases(made))


@pytest.mark.parametrize("kind", ["pictures", "films", "pairs"])
@pytest.mark.parametrize(
    "pattern",
    ["loops/**/*.png", "loops/**/*/**/*.png", "a**b/*.png", "/dev/*", "/proc/self/*", "[", "loops/*/../*.mp4"],
)
def test_globs_end(folder, kind, pattern):
    loops = folder / "loops"
    if not loops.exists():
        loops.mkdir()
        for name in ("a", "b"):
            # Two links to their own folder: 2^40 ways to walk through them.
            (loops / name).symlink_to(loops)
    experiment = {"pictures": "mask-stability", "films": "video-priors", "pairs": "cross-image"}[kind]
    text = (
        f"experiment: {experiment}\nmodels: x\n{kind}: {{files: '{pattern}'}}\nprompts: {{points: [[0.5, 0.5, 1]]}}\n"
    )
    with pytest.raises(BadInput, match="There is no|more than once|is no glob"):
        all_cases(spec(folder, text))


def test_a_glob_looks_at_no_whole_disk(folder, monkeypatch):
    text = f"{HEAD}pictures: {{files: '{folder}/**/*.png'}}\nprompts: none\n"
    assert all_cases(spec(folder, text))
    for name, bound in (("MAX_LOOKED_AT", 3), ("LOOKING_S", -1.0)):
        with monkeypatch.context() as patch, pytest.raises(BadInput, match="name a folder further in"):
            patch.setattr(found_files, name, bound)
            all_cases(spec(folder, text))


@pytest.mark.parametrize("where", ["files: {}", "files: photos/0.png, masks: {}", "davis: {}", "coco: {}"])
def test_names_that_no_file_can_have_are_a_short_sentence(folder, where):
    text = f"{HEAD}pictures: {{{where.format('x' * 5000)}}}\nprompts: none\n"
    with pytest.raises(BadInput, match="can't be used|can't be read as a COCO") as refused:
        all_cases(spec(folder, text))
    assert len(str(refused.value)) < 500


def test_a_picture_that_is_a_device_is_none(folder):
    for name in ("/dev/zero", "/dev/tty", str(folder)):
        with pytest.raises(BadInput, match="There is no picture"):
            all_cases(spec(folder, HEAD + f"pictures: {{files: {name}}}\nprompts: none\n"))


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"images": [], "annotations": {}},
        {"images": [{"id": []}], "annotations": []},
        {"images": [{"id": 1}], "annotations": [{"image_id": 1, "segmentation": []}]},
        {"images": [{"id": 1, "file_name": "0.png", "height": 10**9, "width": 10**9}],
         "annotations": [{"image_id": 1, "segmentation": [[0, 0, 5, 0, 5, 5]]}]},
        {"images": [{"id": 1, "file_name": "/etc/passwd", "height": 40, "width": 60}],
         "annotations": [{"image_id": 1, "segmentation": [[0, 0, 5, 0, 5, 5]]}]},
        {"images": [{"id": 1, "file_name": "0.png", "height": 40, "width": 60}],
         "annotations": [{"image_id": 1, "segmentation": {"size": [40, 60], "counts": [10**12]}}]},
        {"images": [{"id": 1, "file_name": "0.png", "height": 40, "width": 60}],
         "annotations": [{"image_id": 1, "segmentation": {"size": [40, 60], "counts": "nonsense"}}]},
        {"images": [{"id": 1, "file_name": "0.png", "height": "x", "width": 60}],
         "annotations": [{"image_id": 1, "segmentation": [[0, 0, 5, 0, 5, 5]]}]},
        {"images": [{"id": 1, "file_name": "0.png", "height": float("inf"), "width": 60}],
         "annotations": [{"image_id": 1, "segmentation": [[0, 0, 5, 0, 5, 5]]}]},
        {"images": [{"id": 1, "file_name": "0.png", "height": 40, "width": 60}],
         "annotations": [{"image_id": 1, "segmentation": [[0, 0, 5, 0, 5, 10**400]]}]},
        {"images": [{"id": 1, "file_name": "0.png", "height": 40, "width": 60}],
         "annotations": [{"image_id": 1, "segmentation": [[0, 0, 5, 0, 5, float("nan")]]}]},
        {"images": [{"id": 1, "file_name": "0.png", "height": 40, "width": 60}],
         "annotations": [{"image_id": 1, "segmentation": {"size": 5, "counts": [2400]}}]},
        {"images": [{"id": 1, "file_name": "a\0b", "height": 40, "width": 60}],
         "annotations": [{"image_id": 1, "segmentation": [[0, 0, 5, 0, 5, 5]]}]},
    ],
    ids=range(14),
)  # fmt: skip
def test_annotation_files_that_lie(folder, tmp_path, document):
    (tmp_path / "coco.json").write_text(json.dumps(document))
    text = f"{HEAD}pictures: {{coco: {tmp_path}/coco.json, images: photos}}\nprompts: {{truth: box}}\n"
    with pytest.raises(SamkitError):
        all_cases(spec(folder, text))


def test_annotations_that_no_memory_holds_are_not_read(folder, tmp_path, monkeypatch):
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": []}')
    monkeypatch.setattr("samkit.work.sweep.cases.memory_at_hand", lambda: 300)
    with pytest.raises(BadInput, match="takes about .* of memory"):
        all_cases(spec(folder, f"{HEAD}pictures: {{coco: {tmp_path}/coco.json}}\nprompts: none\n"))


def test_deep_and_cut_off_json(folder, tmp_path):
    for content in ("[" * 200_000, '{"images": [', "\x00", '{"images": 1e999, "annotations": []}'):
        (tmp_path / "coco.json").write_text(content)
        (tmp_path / "prompts.json").write_text(content)
        with pytest.raises(SamkitError):
            all_cases(spec(folder, f"{HEAD}pictures: {{coco: {tmp_path}/coco.json}}\nprompts: none\n"))
        with pytest.raises(SamkitError):
            made = spec(folder, f"{HEAD}pictures: coffee\nprompts: {{file: {tmp_path}/prompts.json}}\n")
            make_cells(made, all_cases(made))
