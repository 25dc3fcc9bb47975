"""The command line as a person or a script uses it, with real files; in a process of its own wherever the process is
what is tested.
"""

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from samkit.cli import main
from samkit.cli.inputs import INPUT_OPTIONS
from samkit.experiments.inputs import Inputs
from samkit.experiments.registry import NAMES, find_experiment
from samkit.media.drawing import mask_to_png
from samkit.media.film import masks_from_json, write_film
from samkit.media.masks import stability_score
from samkit.media.pictures import array_to_png, read_picture
from samkit.media.sample_videos import load_sample_video
from samkit.media.video import open_video
from samkit.models.memory_bank import MemoryBank
from samkit.tracking.bundle.archive import export_runs, import_runs
from samkit.tracking.bundle.bundle import read_bundle
from samkit.work.outcome import compare_masks
from tests.random_models import SMALL_SAM2, save_random_model
from tests.tracking.conftest import changed

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Finished:
    returncode: int
    stdout: str
    stderr: str


def samkit(*arguments, expect=0, **environment):
    """`python -m samkit ...` within this process, so that torch and mlflow load once. Its exit code must be `expect`;
    bad input must end in one sentence.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        mock.patch.dict(os.environ, environment),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    return checked(Finished(ended.value.code, out.getvalue(), err.getvalue()), expect)


def samkit_process(*arguments, expect=0, python_options=(), **environment):
    """The same as a process of its own."""
    command = [sys.executable, *python_options, "-m", "samkit", *map(str, arguments)]
    return checked(
        subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False, env=os.environ | environment
        ),
        expect,
    )


def checked(done, expect):
    assert done.returncode == expect, done.stderr
    if expect == 2:
        assert "Traceback" not in done.stderr and "╭" not in done.stderr
        assert done.stdout == "" and len(done.stderr.strip().splitlines()[-1]) > 20
    return done


@pytest.fixture(scope="module")
def small_model(tmp_path_factory):
    return save_random_model(tmp_path_factory.mktemp("models") / "small-sam2.safetensors", SMALL_SAM2)


def test_help_loads_nothing_heavy():
    done = samkit_process("--help", python_options=("-X", "importtime"))
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "samkit.cli" in loaded
    assert not loaded & {"torch", "mlflow", "streamlit", "numpy", "cv2", "pydantic", "plotly", "rich"}
    assert "models" in done.stdout


def test_no_arguments_show_the_help():
    assert samkit().stdout == samkit("--help").stdout


def test_models_are_listed_with_their_state():
    rows = json.loads(samkit("models", "list", "--json").stdout)["models"]
    states = {row["name"]: row["state"] for row in rows}
    assert states["nano-sam2"] == "embedded" and states["sam_vit_h_4b8939"] == "absent"
    assert len([row for row in rows if row["url"]]) == 12
    plain = samkit("models").stdout
    assert all(name in plain for name in states) and plain == samkit("models", "list").stdout


def test_model_info(small_model):
    info = json.loads(samkit("models", "info", small_model, "--json").stdout)
    assert (info["family"], info["version"], info["native_side"], info["window_sizes"]) == (
        "sam2",
        "2.1",
        128,
        [8, 4, 4, 2],
    )
    assert info["parameter_count"] == sum(info["parameters"].values())
    assert info["sha256"] in samkit("models", "info", small_model).stdout


def test_an_embedded_model_needs_no_download():
    path = samkit("models", "download", "nano-sam2").stdout.strip()
    assert Path(path).is_file()
    assert json.loads(samkit("models", "download", "nano-sam2", "--json").stdout) == {"name": "nano-sam2", "path": path}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["modles"], "Did you mean 'models'?"),
        (["models", "frob"], "No such command 'frob'."),
        (["models", "list", "--jsn"], "--json"),
        (["models", "download"], "Missing argument"),
        (["models", "download", "sam2.1_hiera_tinny"], "did you mean sam2.1_hiera_tiny"),
        (["models", "info", "nano-sam9"], "did you mean nano-sam2"),
        (["models", "info", "sam_vit_h_4b8939"], "models download sam_vit_h_4b8939"),
        (["models", "info", "missing/model.pt"], "There is no file missing/model.pt"),
        (["models", "info", "./README-as-model.md"], "There is no file"),
    ],
)
def test_wrong_usage_and_bad_input_end_with_2_and_one_sentence(arguments, sentence):
    done = samkit(*arguments, expect=2)
    assert sentence in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_process_ends_with_2_and_one_sentence():
    done = samkit_process("models", "info", "nano-sam9", expect=2)
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_text_file_is_no_model(tmp_path):
    text = tmp_path / "notes.pt"
    text.write_text("not a checkpoint")
    assert str(text.name) in samkit("models", "info", text, expect=2).stderr


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "noise.png"
    path.write_bytes(array_to_png(np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8)))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A run store and a spool of their own."""
    folder = tmp_path_factory.mktemp("home")
    return {"SAMKIT_HOME": str(folder), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}


@pytest.fixture(scope="module")
def kept(small_model, picture, home, tmp_path_factory):
    """What `run ... --keep --json` printed, and the folder it wrote."""
    out = tmp_path_factory.mktemp("runs") / "new" / "run"
    done = samkit_process(
        "run",
        "mask-stability",
        "--model",
        small_model,
        "--image",
        picture,
        "--point",
        "0.4,0.6",
        "--point",
        "0.9,0.1,0",
        "--box",
        "0.8,0.9,0.1,0.2",
        "--set",
        "input_scale=0.5",
        "--set",
        "lower_threshold=-2",
        "--set",
        "jitter_copies=2",
        "--out",
        out,
        "--name",
        "first",
        "--note",
        "a note",
        "--keep",
        "--json",
        **home,
    )
    assert done.stderr.splitlines()[0].endswith("Encoding the picture")
    return json.loads(done.stdout), out


def rerun(folder, small_model, expect=0, **environment):
    return samkit("replay", folder, "--model", small_model, "--json", expect=expect, **environment)


def test_a_run_is_written_as_a_bundle(kept, small_model):
    printed, out = kept
    bundle = read_bundle(out)
    assert bundle.name == "first" and bundle.record.note == "a note" and printed["run_uuid"] == bundle.run_uuid
    assert bundle.prompts.points == ((0.4, 0.6, 1), (0.9, 0.1, 0)) and bundle.prompts.boxes == ((0.1, 0.2, 0.8, 0.9),)
    assert (bundle.params["input_scale"], bundle.params["lower_threshold"], bundle.params["jitter_copies"]) == (
        0.5,
        -2.0,
        2,
    )
    assert (
        printed["metrics"] == {name: metric.value for name, metric in bundle.record.metrics.items()}
        and "jitter_iou" in printed["metrics"]
        and "iou_unscaled" in printed["metrics"]
    )
    assert printed["facts"] == bundle.record.facts and printed["facts"]["mask_index"] in range(4)
    assert (
        all(Path(file).is_file() for file in printed["files"])
        and str(out / "outputs" / "mask_chosen.png") in printed["files"]
    )
    assert bundle.record.model.sha256 == hashlib.sha256(small_model.read_bytes()).hexdigest()
    assert set(bundle.masks()) == {"mask_0", "mask_1", "mask_2", "mask_3", "mask_chosen", "mask_core"}


def test_a_kept_run_is_read_back_with_mlflows_own_client(kept, home):
    from mlflow import MlflowClient

    printed, out = kept
    client = MlflowClient(home["MLFLOW_TRACKING_URI"])
    run = client.get_run(printed["kept"]["run_id"])
    assert (
        run.data.params["input_scale"] == "0.5"
        and run.data.metrics["predicted_iou"] == printed["metrics"]["predicted_iou"]
    )
    assert run.data.tags["samkit.run_uuid"] == printed["run_uuid"]
    mask = client.download_artifacts(run.info.run_id, "outputs/mask_chosen.png")
    assert Path(mask).read_bytes() == (out / "outputs" / "mask_chosen.png").read_bytes()


def test_a_run_without_json_prints_metrics_and_the_folder(small_model, picture, tmp_path):
    prompts = tmp_path / "prompts.json"
    prompts.write_text('{"fg_points": [[0.4, 0.6]], "bg_points": [], "boxes": []}')
    done = samkit(
        "run",
        "mask-stability",
        "--model",
        small_model,
        "--image",
        picture,
        "--prompts",
        prompts,
        "--out",
        tmp_path / "run",
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("predicted_iou ") and lines[-1] == str(tmp_path / "run")
    assert "Encoding the picture" in done.stderr and "Encoding" not in done.stdout
    bundle = read_bundle(tmp_path / "run")
    assert bundle.prompts.points == ((0.4, 0.6, 1),)
    logits = bundle.arrays()["logits"]
    assert logits.shape == (4, 32, 32) and 0 <= stability_score(logits) <= 1


def test_replay_is_identical_from_folder_store_and_zip(kept, small_model, home, tmp_path):
    printed, out = kept
    run_id = printed["kept"]["run_id"]
    assert json.loads(samkit("runs", "list", "--search", "no-such-word", "--json", **home).stdout)["runs"] == []
    assert (
        len(
            json.loads(samkit("runs", "list", "--search", "first params.input_scale = '0.5'", "--json", **home).stdout)[
                "runs"
            ]
        )
        == 1
    )
    samkit("runs", "export", run_id, "--out", tmp_path / "run.zip", **home)
    for target in (out, run_id, tmp_path / "run.zip"):
        outcome = json.loads(rerun(target, small_model, **home).stdout)
        assert outcome["identical"] is True and outcome["metric_differences"] == {} and outcome["surroundings"] == []


def test_replay_names_what_differs(kept, small_model, tmp_path):
    changed = copy_with_another_mask(kept[1], tmp_path / "changed")
    outcome = json.loads(rerun(changed, small_model, expect=1).stdout)
    assert outcome["identical"] is False
    assert outcome["mask_differences"] == ["mask_2 differs in 7 of 12600 pixels."]
    assert outcome["metric_differences"] == {"predicted_iou": [0.5, kept[0]["metrics"]["predicted_iou"]]}
    assert outcome["surroundings"] == [f"Different torch: 1.0 when kept, {read_bundle(kept[1]).record.torch} now."]
    plain = samkit("replay", changed, "--model", small_model, expect=1).stdout
    assert (
        "1 of 6 masks differ; metrics that moved by more than 1e-05: predicted_iou; all " in plain
        and "mask_2 differs in 7" in plain
        and "predicted_iou: 0.5 when kept" in plain
    )


def copy_with_another_mask(source, target):
    """A bundle with seven other pixels in mask_2, another metric and another torch, and checksums that fit."""
    bundle = read_bundle(source)
    mask = bundle.masks()["mask_2"]
    mask[3, :7] = ~mask[3, :7]
    record = bundle.record.to_dict() | {"torch": "1.0"}
    record["metrics"]["predicted_iou"]["value"] = 0.5
    for file in record["files"]:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        (target / file).write_bytes((source / file).read_bytes())
    png = mask_to_png(mask)
    (target / "outputs" / "mask_2.png").write_bytes(png)
    record["files"] = record["files"] | {
        "outputs/mask_2.png": {"sha256": hashlib.sha256(png).hexdigest(), "bytes": len(png)}
    }
    (target / "run.json").write_text(json.dumps(record))
    return target


def test_replay_refuses_a_damaged_run_by_the_files_name(kept, small_model, tmp_path):
    damaged = copy_with_another_mask(kept[1], tmp_path / "damaged")
    (damaged / "outputs" / "mask_0.png").write_bytes(b"not what was kept")
    assert "outputs/mask_0.png" in rerun(damaged, small_model, expect=2).stderr


def test_replay_says_how_to_give_a_model_it_does_not_find(kept):
    assert "--model" in samkit("replay", kept[1], expect=2).stderr


def test_replay_of_several_runs_in_one_zip_names_the_ways_to_one(kept, tmp_path):
    first, second = read_bundle(kept[1]), read_bundle(copy_with_another_mask(kept[1], tmp_path / "second"))
    export_runs([first, changed(second, run_uuid="0" * 32)], tmp_path / "both.zip")
    sentence = samkit("replay", tmp_path / "both.zip", expect=2).stderr
    assert "both.zip holds 2 runs" in sentence and "runs import" in sentence


def copy_with(source, target, **entries):
    """A bundle with other entries in its run.json, which has no checksum."""
    shutil.copytree(source, target)
    record = json.loads((target / "run.json").read_text())
    (target / "run.json").write_text(json.dumps(record | entries))
    return target


@pytest.mark.parametrize("value", ["large", float("nan"), None])
def test_a_run_whose_metrics_are_no_numbers_is_refused(kept, small_model, tmp_path, value):
    metrics = read_bundle(kept[1]).record.to_dict()["metrics"]
    odd = copy_with(kept[1], tmp_path / "odd", metrics=metrics | {"predicted_iou": {"value": value}})
    done = samkit("replay", odd, "--model", small_model, "--json", expect=2)
    assert "run.json" in done.stderr and done.stderr.count("\n") == 1 and not done.stdout


def test_replay_of_metrics_that_all_moved_ends_with_1(kept, small_model, tmp_path):
    metrics = {name: {"value": value + 1} for name, value in kept[0]["metrics"].items()}
    outcome = json.loads(rerun(copy_with(kept[1], tmp_path / "moved", metrics=metrics), small_model, expect=1).stdout)
    assert set(outcome["moved"]) == set(metrics) and not outcome["identical"]


def test_replay_of_a_run_from_another_device_says_where_it_ran(kept, small_model, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    moved = copy_with(kept[1], tmp_path / "cuda", device="cuda")
    assert json.loads(rerun(moved, small_model).stdout)["surroundings"] == [
        "Different device: cuda when kept, cpu now."
    ]
    assert (
        "is not there on this machine"
        in samkit("replay", moved, "--model", small_model, "--device", "cuda", expect=1).stderr
    )


def test_replay_opens_no_file_that_a_run_names(kept, tmp_path):
    (tmp_path / "secret.txt").write_text("the first line\n")
    hostile = copy_with(
        kept[1],
        tmp_path / "hostile",
        model=read_bundle(kept[1]).record.to_dict()["model"]
        | {"name": str(tmp_path / "secret.txt"), "ref": str(tmp_path / "secret.txt")},
    )
    sentence = samkit("replay", hostile, expect=2).stderr
    assert "is not on this machine" in sentence and "the first line" not in sentence


def test_replay_finds_a_model_by_its_hash_in_the_own_folders(kept, small_model, tmp_path):
    shutil.copy(small_model, tmp_path / "renamed.safetensors")
    outcome = json.loads(samkit("replay", kept[1], "--json", SAMKIT_EXTRA_MODELS=str(tmp_path)).stdout)
    assert outcome["identical"] and outcome["surroundings"] == []


def test_runs_are_listed_shown_and_handed_on(kept, home, tmp_path):
    run_id = kept[0]["kept"]["run_id"]
    listed = json.loads(samkit("runs", "list", "--experiment", "mask-stability", "--json", **home).stdout)
    assert [run["run_id"] for run in listed["runs"]] == [run_id] and listed["waiting"] == 0
    assert json.loads(samkit("runs", "show", run_id, "--json", **home).stdout) == read_bundle(kept[1]).record.to_dict()
    samkit("runs", "export", run_id, "--out", tmp_path / "run.zip", **home)
    assert "already there" in samkit("runs", "export", run_id, "--out", tmp_path / "run.zip", expect=2, **home).stderr
    elsewhere = {"SAMKIT_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/other.db"}
    first = samkit("runs", "import", tmp_path / "run.zip", **elsewhere).stdout
    assert samkit("runs", "import", tmp_path / "run.zip", **elsewhere).stdout == first


def test_runs_are_compared(small_model, picture, tmp_path):
    home = {"SAMKIT_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/runs.db"}
    ids = []
    for side in (64, 96):
        out = tmp_path / f"side{side}"
        words = [
            "--model",
            small_model,
            "--image",
            picture,
            "--point",
            "0.4,0.6",
            "--set",
            f"side={side}",
            "--set",
            "mask_index=1",
            "--keep",
            "--json",
        ]
        ids.append(json.loads(samkit("run", "mask-stability", *words, "--out", out, **home).stdout)["kept"]["run_id"])
    printed = json.loads(samkit("runs", "compare", *ids, "--json", **home).stdout)
    assert printed["differ"] == {"side": [64, 96]} and printed["mask"] == "mask_chosen"
    first, second = (read_bundle(tmp_path / f"side{side}").mask("mask_chosen") for side in (64, 96))
    iou = pytest.approx((first & second).sum() / (first | second).sum())
    assert printed["overlaps"] == [
        {"runs": [0, 1], "masks": ["mask_chosen", "mask_chosen"], "iou": [[1.0, iou], [iou, 1.0]]}
    ]
    assert "IoU of mask_chosen, runs 1, 2" in samkit("runs", "compare", *ids, **home).stdout
    assert "2 to 12 runs can be compared, not 1" in samkit("runs", "compare", ids[0], expect=2, **home).stderr


def test_a_run_waits_in_the_spool_while_the_store_is_away_and_is_delivered_once(small_model, picture, tmp_path):
    away = {"SAMKIT_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    done = samkit(
        "run",
        "mask-stability",
        "--model",
        small_model,
        "--image",
        picture,
        "--out",
        tmp_path / "run",
        "--keep",
        "--json",
        **away,
    )
    assert json.loads(done.stdout)["kept"] == {"run_id": None, "url": None, "spooled": True}
    assert "spool" in done.stderr
    assert "does not answer" in samkit("runs", "deliver", expect=1, **away).stderr
    back = away | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    assert len(json.loads(samkit("runs", "deliver", "--json", **back).stdout)["delivered"]) == 1
    assert json.loads(samkit("runs", "deliver", "--json", **back).stdout) == {
        "delivered": [],
        "set_aside": [],
        "left": 0,
        "problem": None,
        "sweeps": [],
    }


RUN = ["run", "mask-stability", "--model", "MODEL", "--image", "PICTURE", "--out", "OUT"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "mask-stabilty", *RUN[2:]], "did you mean mask-stability?"),
        ([*RUN, "--set", "lower_thresold=1"], "did you mean lower_threshold"),
        ([*RUN, "--set", "lower_threshold=30"], '"lower_threshold" can\'t be 30'),
        ([*RUN, "--set", "side"], "--set takes name=value"),
        ([*RUN, "--set", "side=33"], "The side 33 can't be encoded"),
        ([*RUN, "--point", "0.5"], "--point takes x,y or x,y,label"),
        ([*RUN, "--point", "nan,0.5"], "coordinates are finite numbers"),
        ([*RUN, "--point", "320,200"], "not pixels"),
        ([*RUN, "--box", "0.5,0.5,0.5,0.9"], "has no area"),
        ([*RUN, "--prompts", "missing.json"], "missing.json can't be read"),
        ([*RUN[:4], "--image", "missing.png", "--out", "OUT"], "There is no file 'missing.png'"),
        ([*RUN[:4], "--image", "sample:chelsee", "--out", "OUT"], "did you mean chelsea?"),
        ([*RUN[:4], "--image", "sample:coin#36", "--out", "OUT"], "coin has the frames 0 to 35; there is no frame 36"),
        ([*RUN[:4], "--image", "missing.mp4#3", "--out", "OUT"], "There is no file 'missing.mp4'"),
        (["run", "mask-stability", "--model", "nano-sam9", *RUN[4:]], "did you mean nano-sam2"),
        ([*RUN[:6], "--out", str(ROOT)], "is not empty"),
        (RUN[:6], "Missing option '--out'"),
        (
            ["run", "position-encoding", *RUN[2:4], "--dtype", "bfloat16", "--out", "OUT"],
            "runs no image encoder: leave --dtype out",
        ),
        (
            ["run", "video-priors", *RUN[2:], "--video", "sample:coin"],
            "must be marked on the picture: give --point, --box, --prompts or --mask",
        ),
        (["replay", "no-such-run"], "There is no run 'no-such-run'"),
        (["runs", "show", "xyz"], "is not a run's id"),
        (["runs", "import", "missing.zip"], "There is no file missing.zip"),
        (["runs", "import", "/dev/zero"], "zero can't be opened (zero is a device"),
        (["replay", "/dev/zero"], "There is no run '/dev/zero'"),
        ([*RUN[:6], "--out", "/proc/none"], "can't be made in /proc (No such file or directory): give --out another"),
    ],
)
def test_runs_that_can_not_be(arguments, sentence, small_model, picture, tmp_path):
    out = tmp_path / "out"
    known = {"MODEL": small_model, "PICTURE": picture, "OUT": out}
    done = samkit(*(known.get(argument, argument) for argument in arguments), expect=2)
    assert sentence in done.stderr.strip().splitlines()[-1]
    assert not out.exists()


def test_a_frame_of_a_film_is_a_picture(small_model, picture, tmp_path):
    with_mark = Path(shutil.copy(picture, tmp_path / "picture#12"))
    frame = load_sample_video("coin").picture(12)
    film = write_film(tmp_path / "film.mp4", [frame.rgb] * 3, 12)
    words = ["run", "mask-stability", "--model", small_model, "--point", "0.4,0.65"]
    pictures = []
    for number, image in enumerate(("sample:coin#12", f"{film}#2", with_mark)):
        samkit(*words, "--image", image, "--out", tmp_path / str(number))
        pictures.append(read_bundle(tmp_path / str(number)).inputs().image)
    assert pictures[0] == frame and pictures[2] == read_picture(picture)
    assert [each.name for each in pictures] == ["coin, frame 12", "film.mp4, frame 2", "picture#12"]
    with open_video(film) as opened:
        assert pictures[1] == opened.picture(2)


ENDLESS = """
import sys
import torch
from samkit.cli import main
from samkit.models.sam import SamModel

def encode_image(*arguments, **options):
    print("Begun.", file=sys.stderr, flush=True)
    while True:
        torch.ones(64, 64) @ torch.ones(64, 64)

SamModel.encode_image = encode_image
main(sys.argv[1:])
"""
"""The command line with a picture that is never done being encoded, so that it is interrupted in the middle of that."""


def test_ctrl_c_ends_with_130(small_model, picture, tmp_path):
    command = [
        sys.executable,
        "-c",
        ENDLESS,
        "run",
        "mask-stability",
        "--model",
        small_model,
        "--image",
        picture,
        "--point",
        "0.5,0.5",
        "--out",
        tmp_path / "run",
    ]
    # A test run started in the background hands its children an ignored SIGINT; a person's terminal does not.
    listens = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, **listens
    )
    while (line := process.stderr.readline()) != "Begun.\n":
        assert line, "it ended before its work began"
    process.send_signal(signal.SIGINT)
    complaint = process.stderr.read()
    assert (
        process.wait(timeout=30) == 130
        and process.stdout.read() == ""
        and complaint.strip().splitlines()[-1] == "Interrupted."
    )
    assert not (tmp_path / "run").exists()


def test_several_runs_travel_in_one_zip(kept, tmp_path):
    first, second = read_bundle(kept[1]), read_bundle(copy_with_another_mask(kept[1], tmp_path / "second"))
    second = changed(second, run_uuid="0" * 32)
    export_runs([first, second], tmp_path / "both.zip")
    (tmp_path / "unpacked").mkdir()
    back = import_runs(tmp_path / "both.zip", tmp_path / "unpacked")
    assert [bundle.path.name for bundle in back] == ["run-0", "run-1"]
    assert [compare_masks(bundle.masks(), first.masks()) for bundle in back] == [
        (),
        ("mask_2 differs in 7 of 12600 pixels.",),
    ]


def test_an_object_is_followed_to_a_second_picture(small_model, picture, tmp_path):
    out = tmp_path / "run"
    words = [
        "run",
        "cross-image",
        "--model",
        small_model,
        "--image",
        picture,
        "--image-b",
        "sample:coins",
        "--point",
        "0.4,0.6",
        "--out",
        out,
    ]
    printed = json.loads(
        samkit(*words, "--set", "prompt_on=b", "--set", "repeats=2", "--set", "refine_edges=true", "--json").stdout
    )
    bundle = read_bundle(out)
    assert bundle.record.picture_b.name == "coins" and bundle.inputs().image_b.size == (303, 384)
    assert bundle.masks()["mask_tracked"].shape == (90, 140) and bundle.masks()["mask_prompted"].shape == (303, 384)
    assert "refine_iou" in printed["metrics"] and bundle.params["refine_edges"] is True
    assert MemoryBank.load(out / "outputs" / "memory_bank.safetensors").frame == 3
    outcome = json.loads(rerun(out, small_model).stdout)
    assert outcome["identical"] is True and outcome["metric_differences"] == {}
    sentence = samkit(*words[:6], "--point", "0.4,0.6", "--out", tmp_path / "other", expect=2).stderr
    assert "needs two pictures" in sentence


def test_a_film_is_run_with_prompts_a_mask_or_a_bank_and_replayed(small_model, picture, tmp_path):
    rgb = read_picture(picture).rgb
    (tmp_path / "mask.png").write_bytes(mask_to_png(rgb[..., 0] > rgb[..., 0].mean()))
    common = ["run", "video-priors", "--model", small_model, "--video", "sample:coin", "--set", "count=2", "--json"]
    printed = json.loads(samkit(*common, "--image", picture, "--point", "0.5,0.5", "--out", tmp_path / "film").stdout)
    assert printed["facts"]["frames"] == 2 and {"film.mp4", "masks.json", "prior_0.png"} <= {
        Path(file).name for file in printed["files"]
    }
    assert samkit("replay", tmp_path / "film", "--model", small_model).stdout.startswith(
        "The array, all 3 masks and all metrics are identical"
    )
    masks = masks_from_json((tmp_path / "film/outputs/masks.json").read_bytes())
    assert list(masks) == [0, 1] and masks[0].shape == (270, 480)
    json.loads(
        samkit(*common, "--image", picture, "--mask", tmp_path / "mask.png", "--out", tmp_path / "masked").stdout
    )
    assert json.loads((tmp_path / "masked/inputs/priors.json").read_text())[0]["has_mask"]
    json.loads(samkit(*common, "--point", "0.2,0.5", "--out", tmp_path / "own").stdout)
    assert json.loads((tmp_path / "own/inputs/priors.json").read_text())[0]["film_frame"] == 0
    with np.load(tmp_path / "film/outputs/arrays.npz") as arrays:
        (tmp_path / "bank").write_bytes(arrays["memory_bank"].tobytes())
    samkit(*common, "--bank", tmp_path / "bank", "--out", tmp_path / "banked")
    again = masks_from_json((tmp_path / "banked/outputs/masks.json").read_bytes())
    assert all(np.array_equal(again[frame], mask) for frame, mask in masks.items())


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--video", "sample:con"], "There is no sample film 'con'"),
        (["--video", "missing.mp4"], "There is no file 'missing.mp4'"),
        (["--image", "PICTURE"], "There is no film"),
        ([], "There is no picture"),
        (["--video", "sample:coin"], "Nothing is marked on coin, frame 0"),
        (["--video", "sample:coin", "--bank", "PICTURE", "--point", "0.5,0.5"], "can't be read as a memory bank"),
        (["--video", "sample:coin", "--image", "PICTURE", "--mask", "PICTURE"], "is not a mask"),
        (["--image", "PICTURE", "--mask", "PICTURE"], "give a film with --video too"),
        (["--image", "PICTURE", "--video-side", "640"], "give a film with --video too"),
        (["--video", "sample:coin", "--video-side", "641"], "an even number of pixels from 2 up, not 641"),
        (["--video", "sample:coin", "--point", "0.5,0.5", "--video-side", "64"], "can't be shrunk to 64 pixels"),
        (["--video", "sample:coin", "--mask", "PICTURE", "--point", "0.5,0.5"], "not both"),
    ],
)
def test_films_that_can_not_be(arguments, sentence, small_model, picture, tmp_path):
    words = [picture if argument == "PICTURE" else argument for argument in arguments]
    done = samkit("run", "video-priors", "--model", small_model, *words, "--out", tmp_path / "out", expect=2)
    assert sentence in done.stderr.strip().splitlines()[-1] and not (tmp_path / "out").exists()


INPUTS = {
    "--image": "PICTURE",
    "--image-b": "PICTURE",
    "--point": "0.5,0.5",
    "--box": "0.1,0.1,0.5,0.5",
    "--prompts": "missing.json",
    "--video": "sample:coin",
    "--video-side": "64",
    "--mask": "PICTURE",
    "--truth": "PICTURE",
    "--truth-b": "PICTURE",
    "--bank": "missing.safetensors",
}
TAKEN = {
    option: {field for field, options in INPUT_OPTIONS.items() if option in options}
    for every in INPUT_OPTIONS.values()
    for option in every
}


@pytest.mark.parametrize("option", INPUTS)
@pytest.mark.parametrize("experiment", NAMES)
def test_what_an_experiment_does_not_read_is_refused(experiment, option, small_model, picture, tmp_path):
    module, value = find_experiment(experiment), INPUTS[option]
    words = [
        "run",
        experiment,
        "--model",
        "nano-sam9",
        option,
        picture if value == "PICTURE" else value,
        "--out",
        tmp_path / "out",
    ]
    sentence = samkit(*words, expect=2).stderr.strip()
    others = [name for name in NAMES if TAKEN[option] & set(find_experiment(name).TAKES)]
    if experiment in others:
        assert "takes no" not in sentence and " no --" not in sentence
        return
    assert (
        f" no {option}, which is for " in sentence
        and sentence.startswith(experiment)
        and all(name in sentence for name in others)
    )
    own = sentence.partition(" no --")[0]
    assert (
        all(
            (name in own.replace(",", " ").split()) == bool(fields & set(module.TAKES))
            for name, fields in TAKEN.items()
        )
        if module.TAKES
        else "uses only the model" in own
    )
    assert "\n" not in sentence and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "info", f"{'x' * 5000}.pt"],
        ["replay", "x" * 5000],
        ["runs", "import", "x" * 5000],
        ["sweep", "x" * 5000],
        [*RUN[:6], "--out", "x" * 5000],
        [*RUN[:4], "--image", "x" * 5000, "--out", "OUT"],
    ],
)
def test_names_that_no_file_can_have_are_a_short_sentence(arguments, tmp_path):
    main_arguments = [str(tmp_path / "out") if each == "OUT" else each for each in arguments]
    with redirect_stderr(io.StringIO()) as err, pytest.raises(SystemExit) as ended:
        main([each.replace("MODEL", "nano-sam2").replace("PICTURE", "sample:coins") for each in main_arguments])
    assert ended.value.code in (1, 2) and len(err.getvalue()) < 500
    assert "File name too long" in err.getvalue()


def test_every_field_of_inputs_has_an_option_and_is_read_by_an_experiment():
    fields = set(Inputs.__dataclass_fields__)
    assert fields == set(INPUT_OPTIONS) == {field for name in NAMES for field in find_experiment(name).TAKES}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "ran out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), "ran out of memory"),
        (RecursionError(), "nested too deeply"),
        (OSError(errno.ENOSPC, "No space left on device", "/home/a/mlflow.db"), "/home/a/mlflow.db can't be used (No"),
        (OSError(errno.EROFS, "Read-only file system"), "A file can't be used (Read-only file system)"),
    ],
)
def test_what_the_machine_refuses_is_a_sentence(monkeypatch, capsys, error, words):
    def refuse(**options):
        raise error

    monkeypatch.setattr("samkit.cli.app", refuse)
    with pytest.raises(SystemExit) as ended:
        main(["models", "list"])
    assert ended.value.code == 1
    assert words in capsys.readouterr().err
