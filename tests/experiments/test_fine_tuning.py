"""What changed is found where it was changed, and nothing else is."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from samkit.errors import CheckpointError, ParamsError
from samkit.experiments import fine_tuning
from samkit.experiments.inputs import Inputs
from samkit.media.given_masks import Truth
from samkit.media.pictures import Picture
from samkit.models.sam import SamModel, load_model
from samkit.prompts import Prompts
from samkit.work.execute import execute
from samkit.work.lab import Lab
from samkit.work.replay import replay
from samkit.work.spec import Ref, RunSpec
from tests.random_models import SMALL_MOBILE_SAM, SMALL_SAM1, SMALL_SAM2, save_random_model
from tests.test_cli import samkit

CONFIGS = {"sam1": SMALL_SAM1, "sam2": SMALL_SAM2, "mobile": SMALL_MOBILE_SAM}
BLOCK = {
    "sam1": "image_encoder.blocks.2.",
    "sam2": "image_encoder.trunk.blocks.2.",
    "mobile": "image_encoder.layers.2.blocks.0.",
}
"""The third block of each."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Each model, a copy with one block moved, and a copy in float16."""
    folder = tmp_path_factory.mktemp("tuned")
    for name, config in CONFIGS.items():
        path = save_random_model(folder / f"{name}.safetensors", config)
        state = load_file(path)
        metadata = {"samkit": json.dumps(json.loads(_metadata(path)))}
        moved = {key: 1.1 * value if key.startswith(BLOCK[name]) else value for key, value in state.items()}
        save_file(moved, folder / f"{name}_tuned.safetensors", metadata=metadata)
        half = {key: value.half() for key, value in state.items()}
        save_file(half, folder / f"{name}_half.safetensors", metadata=metadata)
    return folder


def _metadata(path) -> str:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.metadata()["samkit"]


@pytest.fixture(scope="module")
def inputs():
    rgb = np.random.default_rng(0).integers(0, 256, (60, 96, 3), dtype=np.uint8)
    return Inputs(Picture.from_array(rgb, "noise"), Prompts(points=((0.5, 0.5, 1),)))


def compared(folder, name, other, inputs, **params):
    model = load_model(folder / f"{name}.safetensors", device="cpu")
    path = str(folder / f"{other}.safetensors")
    return fine_tuning.run(model, inputs, fine_tuning.Params(other_model=path, **params), Lab())


@pytest.mark.parametrize("name", CONFIGS)
def test_one_block_that_was_trained_is_found(folder, inputs, name):
    result = compared(folder, f"{name}_tuned", name, inputs)
    changed = [row for row in result.tables["parts"] if row["changed"]]
    assert [(row["part"], row["group"]) for row in changed] == [("image encoder", "block 2")]
    assert changed[0]["relative_change"] == pytest.approx(0.1, rel=1e-4) and changed[0]["changed_share"] == 1
    assert all(row["relative_change"] == pytest.approx(0.1, rel=1e-3) for row in result.tables["weights"])
    assert result.facts["most_changed"] == "image encoder, block 2" and not result.facts["rounding_only"]
    assert result.facts["settings_differ"] == ""
    drifts = [row["drift"] for row in result.tables["blocks"]]
    assert drifts[:2] == [0, 0] and min(drifts[2:]) > 0
    assert result.value("drift") > 0 and result.arrays["drift_map"].max() > 0
    before, after = (load_model(folder / f"{each}.safetensors", device="cpu") for each in (name, f"{name}_tuned"))
    norms = [
        float(model.encode_image(inputs.picture.rgb, keep_blocks=True).blocks[-1].norm(dim=-1).max())
        for model in (after, before)
    ]
    last = result.tables["blocks"][-1]
    assert [last["max_norm"], last["other_max_norm"]] == pytest.approx(norms, rel=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_file_in_half_precision_differs_by_rounding_alone(folder, inputs, name):
    result = compared(folder, f"{name}_half", name, inputs)
    assert result.facts["rounding_only"] and 0 < result.value("weight_change") < 1e-3


def test_files_that_are_read_otherwise_say_so(folder, inputs):
    """A plain file of weights has lost its settings: what that changes is no work of training."""
    model = load_model(folder / "sam2.safetensors", device="cpu")
    read_otherwise = replace(model.info, window_sizes=tuple(size + 1 for size in model.info.window_sizes))
    other = SamModel(model.network, read_otherwise, "cpu", "float32")
    text = fine_tuning._settings_text(model, other)
    assert text.startswith("window sizes ") and "native side" not in text


def test_a_model_beside_itself_differs_in_nothing(folder, inputs):
    model = load_model(folder / "sam2.safetensors", device="cpu")
    truth = Truth(np.ones(inputs.picture.size, bool))
    marked = Inputs(inputs.picture, inputs.prompts, truth=truth)
    result = fine_tuning.run(model, marked, fine_tuning.Params(), Lab())
    assert result.index("changed_weights") == 0 and result.tables["weights"] == []
    assert (result.value("drift"), result.value("iou_other"), result.value("changed_share")) == (0, 1, 0)
    assert result.value("true_iou") == result.value("other_true_iou")


def test_a_file_without_its_memory_side_is_compared_in_the_rest(folder, inputs):
    state = load_file(folder / "sam2.safetensors")
    kept = {key: value for key, value in state.items() if key.startswith(("image_encoder.", "sam_", "no_mem_embed"))}
    metadata = {"samkit": _metadata(folder / "sam2.safetensors")}
    save_file(kept, folder / "picture_only.safetensors", metadata=metadata)
    result = compared(folder, "picture_only", "sam2", inputs)
    assert result.index("changed_weights") == 0 and result.index("only_in_one") > 20


def test_other_architectures_and_other_files_are_refused_with_a_sentence(folder, inputs):
    for other in ("sam2", "mobile"):
        with pytest.raises(ParamsError, match=r"sam1 and \w+ are not of one architecture .*: choose the model that"):
            compared(folder, "sam1", other, inputs)
    with pytest.raises(ParamsError, match="The file of sam2 is not the one that was compared with"):
        compared(folder, "sam2_tuned", "sam2", inputs, other_sha256="0" * 64)
    with pytest.raises(CheckpointError, match="There is no file"):
        compared(folder, "sam2", "nothing", inputs)


def test_a_kept_run_replays_with_both_models(folder, tmp_path, monkeypatch):
    """The other one is found by its hash among the owner's own files, whatever its path was."""
    spec = RunSpec(
        "fine-tuning",
        Ref(str(folder / "sam2_tuned.safetensors")),
        {"other_model": str(folder / "sam2.safetensors"), "side": 64},
        Prompts(points=((0.5, 0.5, 1),)),
        image=Ref("sample:coffee"),
        device="cpu",
    )
    bundle = execute(spec, Lab(), tmp_path / "run")
    assert len(bundle.params["other_sha256"]) == 64
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", str(folder))
    assert replay(bundle).identical
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", "")
    with pytest.raises(CheckpointError, match=r"The other model, sam2(\.safetensors)?, is not on this machine: put"):
        replay(bundle, model=str(folder / "sam2_tuned.safetensors"))


def test_the_command_line_says_what_changed_and_its_code_whether(folder):
    paths = [str(folder / f"{name}.safetensors") for name in ("sam2", "sam2_tuned", "sam1")]
    differs = samkit("models", "diff", paths[0], paths[1], expect=1)
    assert "weights differ" in differs.stdout and "block 2" in differs.stdout and "block 1 " not in differs.stdout
    printed = json.loads(samkit("models", "diff", paths[0], paths[1], "--json", expect=1).stdout)
    assert {row["group"] for row in printed["changed"]} == {"block 2"}
    assert "None of the" in samkit("models", "diff", paths[0], paths[0]).stdout
    assert "not of one architecture" in samkit("models", "diff", paths[0], paths[2], expect=2).stderr
