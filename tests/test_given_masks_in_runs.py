"""A mask hint and a truth on their way through the command line, a kept run, its zip file and its replay."""

import hashlib
import json
import shlex
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import samkit as library
from samkit.errors import BadInput
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.mask_stability import Params
from samkit.media.given_masks import MaskHint, Truth
from samkit.media.pictures import read_picture
from samkit.prompts import Prompts
from samkit.tracking.bundle.archive import export_runs, import_runs
from samkit.tracking.bundle.bundle import read_bundle
from samkit.tracking.compare import Comparison
from samkit.work.command_line import command_line
from samkit.work.execute import compute, spec_of, write
from samkit.work.kept_run import sources_of, spec_of_bundle
from samkit.work.lab import Lab
from samkit.work.replay import replay
from samkit.work.spec import RunSpec
from tests.random_models import SMALL_SAM2, save_random_model
from tests.test_cli import samkit

NUMBERS = np.zeros((90, 140), np.uint8)
NUMBERS[10:50, 20:80], NUMBERS[60:80, 90:130], NUMBERS[50:54] = 1, 2, 255


@pytest.fixture(scope="module")
def small_model(tmp_path_factory):
    return save_random_model(tmp_path_factory.mktemp("models") / "small-sam2.safetensors", SMALL_SAM2)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with a picture, a mask of two objects, a large mask of one, and logits; the present one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 256, (90, 140, 3), dtype=np.uint8)).save("a.png")
    Image.fromarray(rng.integers(0, 256, (70, 70, 3), dtype=np.uint8)).save("b.png")
    Image.fromarray(NUMBERS).save("numbers.png")
    np.save("large.npy", np.kron(NUMBERS == 2, np.ones((2, 2), bool)))
    np.save("square.npy", np.eye(70, dtype=bool))
    np.save("logits.npy", rng.normal(0, 4, (32, 32)).astype(np.float32))
    return tmp_path


def printed(*words) -> dict:
    return json.loads(samkit("run", *words, "--json").stdout)


@pytest.mark.parametrize("hint", ["numbers.png#1", "large.npy", "logits.npy"])
def test_a_run_with_hint_and_truth_is_kept_exported_and_replayed(hint, small_model, files):
    common = ["mask-stability", "--model", small_model, "--image", "a.png"]
    plain = printed(*common, "--point", "0.3,0.3", "--out", "plain")
    run = printed(*common, "--point", "0.3,0.3", "--mask", hint, "--truth", "numbers.png#2", "--out", "run")
    assert "true_iou" not in plain["metrics"] and 0 <= run["metrics"]["true_iou"] <= run["metrics"]["true_iou_best"]
    assert run["metrics"]["predicted_iou"] != plain["metrics"]["predicted_iou"]
    bundle = read_bundle("run")
    kind = "logits" if hint == "logits.npy" else "mask"
    assert bundle.record.mask_hint.kind == kind and bundle.record.mask_hint.ref == hint
    (told,) = [row for row in Comparison([bundle, read_bundle("plain")]).circumstances if row.name == "mask_hint"]
    assert told.values[0] and not told.values[1]
    inputs = bundle.inputs()
    assert np.array_equal(inputs.truth.mask, NUMBERS == 2) and np.array_equal(inputs.truth.ignore, NUMBERS == 255)
    if kind == "mask":
        assert np.array_equal(inputs.mask_hint.values, (1 if "#1" in hint else 2) == NUMBERS)
    (came,) = import_runs(export_runs([bundle], Path("run.zip")), Path("came"))
    assert came.inputs().mask_hint.sha256 == inputs.mask_hint.sha256
    outcome = replay(came, model=str(small_model))
    assert outcome.identical and not outcome.metric_differences
    kept = spec_of_bundle(came)
    assert RunSpec.from_dict(kept.to_dict()) == kept
    again = compute(replace(kept, model=replace(kept.model, ref=str(small_model))), Lab())
    assert again.spec.id == replace(kept, model=again.spec.model, threads=None).id


def test_two_pictures_have_a_truth_each_and_a_hint_on_the_prompted_one(small_model, files):
    words = ["cross-image", "--model", small_model, "--image", "a.png", "--image-b", "b.png", "--set", "prompt_on=b"]
    words += ["--mask", "square.npy", "--truth", "numbers.png", "--truth-b", "square.npy"]
    run = printed(*words, "--out", "run")
    assert {"true_iou", "prompted_true_iou"} <= run["metrics"].keys()
    assert replay(read_bundle("run"), model=str(small_model)).identical
    kept = read_bundle("run")
    sources = sources_of(kept.inputs())
    spec = spec_of_bundle(kept)
    assert sources.hint(spec.mask_hint, kept.picture("image_b")).kind == "mask"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--mask", "a.png"], "a picture in colours, not a mask"),
        (["--truth", "numbers.png#9"], "holds no object 9: it holds 1 and 2"),
        (["--truth", "square.npy"], "square.npy has 70 x 70 pixels, the picture 140 x 90"),
        (["--mask", "missing.png"], "There is no file 'missing.png'"),
        (["--mask", '{"size": [9, 9]}'], "not a COCO mask"),
        (["--truth", "logits.npy"], "holds fractions, not a mask"),
        (["--truth-b", "square.npy"], "mask-stability takes"),
    ],
)
def test_what_can_not_be_a_hint_or_a_truth_is_one_sentence(words, sentence, small_model, files):
    common = ["run", "mask-stability", "--model", small_model, "--image", "a.png", "--point", "0.5,0.5", "--out", "run"]
    assert sentence in samkit(*common, *words, expect=2).stderr and not Path("run").exists()


@pytest.mark.parametrize("name", ["brush", "numbers.png#1"])
def test_the_command_of_a_page_makes_the_same_run(name, small_model, files):
    """Of what has no file the mask is written out; of an upload its file is named."""
    model = library.load_model(small_model, device="cpu")
    hint = MaskHint(NUMBERS == 1, name)
    inputs = Inputs(read_picture("a.png"), Prompts([(0.3, 0.3, 1)]), mask_hint=hint, truth=Truth(NUMBERS == 2))
    spec = spec_of("mask-stability", str(small_model), model, inputs, Params())
    words = shlex.split(command_line(spec))
    assert words[:4] == ["python", "-m", "samkit", "run"] and words[-2:] == ["--out", "run"]
    assert words[words.index("--mask") + 1].startswith("{" if name == "brush" else name)
    samkit(*words[3:])
    came = read_bundle("run").inputs()
    assert came.mask_hint.sha256 == hint.sha256 and came.truth.sha256 == inputs.truth.sha256


def test_what_is_too_long_to_be_written_out_is_the_file_that_the_run_holds(small_model, files):
    model = library.load_model(small_model, device="cpu")
    noise = np.random.default_rng(1).random((90, 140)) > 0.5
    for hint in (MaskHint(noise, "brush"), MaskHint(np.zeros((32, 32), np.float32), "previous mask")):
        inputs = Inputs(read_picture("a.png"), mask_hint=hint)
        spec = spec_of("mask-stability", str(small_model), model, inputs, Params())
        words = shlex.split(command_line(spec))
        assert words[words.index("--mask") + 1] == f"mask_hint{hint.suffix}"


def test_a_memory_of_a_film_keeps_its_hint(small_model, files):
    from samkit.experiments import video_priors
    from samkit.media.sample_videos import load_sample_video

    model = library.load_model(small_model, device="cpu")
    prior = Prior(read_picture("a.png"), Prompts([(0.3, 0.3, 1)]), mask_hint=MaskHint(NUMBERS == 1, "brush"))
    inputs = Inputs(prior.picture, prior.prompts, video=load_sample_video("coin"), priors=(prior,))
    spec = spec_of("video-priors", str(small_model), model, inputs, video_priors.Params(count=1))
    lab = Lab(sources=sources_of(inputs, lambda *_: model))
    bundle = write(compute(spec, lab), "run")
    wanted = model.predict_masks(model.encode_image(prior.picture.rgb), prior.prompts, NUMBERS == 1)
    assert np.array_equal(bundle.mask("mask_prior_0"), wanted.mask(wanted.best))
    assert replay(read_bundle("run"), model=model).identical
    assert spec.id != replace(spec, priors=(replace(spec.priors[0], mask_hint=None),)).id


def _png(array: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("inputs/truth.png", _png(NUMBERS), "its truth is not the one that run.json names"),
        ("inputs/truth.png", _png(NUMBERS[:40]), "its truth is not the one that run.json names"),
        ("inputs/truth.png", b"nothing", "not a picture"),
        ("inputs/mask_hint.png", _png(NUMBERS), "its mask hint is not the one"),
        ("inputs/mask_hint.png", b"\x93NUMPY\x01\x00\xff\xff", "numpy can't read it"),
        ("inputs/mask_hint.npy", b"more", "'mask_hint' in its run.json is missing or invalid"),
        ("inputs/truth_b.png", _png(NUMBERS), "'truth_b' in its run.json is missing or invalid"),
    ],
)
def test_a_strangers_zip_whose_masks_are_not_what_it_says_is_refused(file, content, words, small_model, files):
    common = ["mask-stability", "--model", small_model, "--image", "a.png"]
    printed(*common, "--mask", "numbers.png#1", "--truth", "numbers.png#2", "--out", "run")
    with zipfile.ZipFile(export_runs([read_bundle("run")], Path("run.zip"))) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    record = json.loads(entries["run.json"])
    record["files"][file] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    entries |= {file: content, "run.json": json.dumps(record).encode()}
    with zipfile.ZipFile("bad.zip", "w") as archive:
        for name, each in entries.items():
            archive.writestr(name, each)
    with pytest.raises(BadInput, match=words):
        import_runs(Path("bad.zip"), Path("came"))
