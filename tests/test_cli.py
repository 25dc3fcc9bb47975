"""The command line as a person or a script uses it: in a process of its own, with real files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.random_models import SMALL_SAM2, save_random_model

ROOT = Path(__file__).resolve().parent.parent


def samkit(*arguments, expect=0, python_options=()):
    """The finished process of `python -m samkit ...`; its exit code must be `expect`, and a failure must be one plain sentence."""
    command = [sys.executable, *python_options, "-m", "samkit", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.returncode == expect, done.stderr
    if expect:
        assert "Traceback" not in done.stderr and "╭" not in done.stderr
        assert done.stdout == "" and len(done.stderr.strip().splitlines()[-1]) > 20
    return done


@pytest.fixture(scope="module")
def small_model(tmp_path_factory):
    return save_random_model(tmp_path_factory.mktemp("models") / "small-sam2.safetensors", SMALL_SAM2)


def test_help_loads_nothing_heavy():
    done = samkit("--help", python_options=("-X", "importtime"))
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
    assert len([row for row in rows if row["url"]]) == 11
    plain = samkit("models").stdout
    assert all(name in plain for name in states) and plain == samkit("models", "list").stdout


def test_model_info(small_model):
    info = json.loads(samkit("models", "info", small_model, "--json").stdout)
    assert (info["family"], info["version"], info["native_side"], info["window_sizes"]) == ("sam2", "2.1", 128, [8, 4, 4, 2])
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


def test_a_text_file_is_no_model(tmp_path):
    text = tmp_path / "notes.pt"
    text.write_text("not a checkpoint")
    assert str(text.name) in samkit("models", "info", text, expect=2).stderr
