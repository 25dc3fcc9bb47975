"""A native side and windows of one file: from a JSON beside it, behind its name, or remembered by its hash."""

import json
import warnings

import pytest
import torch

import samkit
from samkit.errors import CheckpointError
from samkit.models.files.depends import depends_on
from samkit.models.files.remembered import remember
from tests.models.files.people_files import sam2


def load(ref):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return samkit.load_model(str(ref), device="cpu").info


@pytest.fixture
def medical(tmp_path, monkeypatch):
    """A SAM 2 that was trained at 512, which nothing in its file tells."""
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path / "home"))
    path = tmp_path / "MedSAM2_latest.pt"
    torch.save({"model": sam2()}, path)
    return path


def test_a_file_that_says_nothing_runs_at_1024_under_its_own_hash(medical):
    info = load(medical)
    assert info.native_side == 1024 and info.sha256 == info.file_sha256 and info.changes == ()


def test_a_json_of_its_name_says_512(medical):
    plain = load(medical)
    medical.with_suffix(".json").write_text(json.dumps({"native_side": 512, "window_sizes": [8, 4, 7, 7]}))
    info = load(medical)
    assert info.native_side == 512 and info.window_sizes == (8, 4, 7, 7)
    assert info.sha256 != info.file_sha256 == plain.sha256, "masks are others, so it is another model"
    assert "512 pixels" in info.changes[-1] and info.settings == {"native_side": 512, "window_sizes": [8, 4, 7, 7]}
    assert load(f"{medical}#plain").sha256 == plain.sha256


def test_behind_the_name_it_counts_most_and_makes_the_same_model(medical):
    chosen = load(f"{medical}#side=512")
    medical.with_suffix(".json").write_text(json.dumps({"native_side": 512}))
    assert load(medical).sha256 == chosen.sha256
    assert load(f"{medical}#side=1024").sha256 == chosen.file_sha256


def test_what_is_remembered_belongs_to_the_hash_wherever_the_file_lies(medical, tmp_path):
    before = depends_on(medical)
    digest = load(medical).sha256
    remember(digest, 512, None)
    assert depends_on(medical) != before, "a loaded model must not be handed out any more"
    copy = tmp_path / "elsewhere.pt"
    copy.write_bytes(medical.read_bytes())
    assert load(copy).native_side == 512
    remember(digest, None, None)
    assert load(copy).native_side == 1024


def test_masks_at_512(medical):
    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = samkit.load_model(f"{medical}#side=512&windows=8,4,14,7", device="cpu")
    rgb = np.zeros((40, 60, 3), np.uint8)
    prediction = model.predict_masks(model.encode_image(rgb), samkit.Prompts(points=[(0.5, 0.5, 1)]))
    assert prediction.logits.shape == (4, 128, 128)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("side=10", "32 to 4096"),
        ("side=500", "multiple of 32"),
        ("windows=8,4", "four whole numbers"),
        ("windows=8,4,14,700", "from 1 to 72"),
        ("nothing", "no model under the name"),
        ("what=3", "can't be understood"),
        ("base=no_such_model", "There is no model"),
    ],
)
def test_what_can_not_be_is_a_sentence(medical, choice, words):
    with pytest.raises(CheckpointError, match=words):
        load(f"{medical}#{choice}")


@pytest.mark.parametrize(
    "said", ["[1]", "{", '{"native_side": "512"}', '{"native_side": 1e9}', '{"window_sizes": [1]}', "[" * 100_000]
)
def test_a_json_that_is_damaged_is_a_sentence(medical, said):
    medical.with_suffix(".json").write_text(said)
    with pytest.raises(CheckpointError, match="MedSAM2_latest.json"):
        load(medical)
