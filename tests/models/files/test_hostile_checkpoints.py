"""Files that lie, loaded in a process of its own whose memory is limited: each gets a sentence, soon."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from samkit.errors import CheckpointError
from samkit.models.sam import load_model
from tests.fuzz.hostile_checkpoints import ATTACKS, save, small_state, valid_files

LIMIT_MB = 1500
"""Beyond what the process takes before the first file."""
CHILD = """
import json, resource, sys, time
from pathlib import Path
from samkit.errors import SamkitError
from samkit.models.sam import load_model
from tests.fuzz.hostile_checkpoints import ATTACKS

path = Path(sys.argv[1])
load_model("nano-sam2", device="cpu")
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[2]) * 10**6,) * 2)
for name, write in ATTACKS.items():
    print(json.dumps({"name": name, "begun": True}), flush=True)
    write(path)
    start = time.thread_time()
    try:
        load_model(path, device="cpu")
        outcome, text = "loaded", ""
    except SamkitError as error:
        outcome, text = "refused", str(error)
    except BaseException as error:
        outcome, text = type(error).__name__, repr(error)[:500]
    seconds = time.thread_time() - start
    print(json.dumps({"name": name, "outcome": outcome, "text": text, "seconds": seconds}), flush=True)
    path.unlink()
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, dict]:
    path = tmp_path_factory.mktemp("hostile") / "model.pt"
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(LIMIT_MB)], capture_output=True, text=True, timeout=240
    )
    rows = [json.loads(line) for line in child.stdout.splitlines()]
    assert child.returncode == 0, f"it ended at {rows[-1:]}: {child.stderr[-500:]}"
    return {row["name"]: row for row in rows if "outcome" in row}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the process's memory from /proc")
def test_each_lie_gets_a_sentence(outcomes):
    assert outcomes.keys() == ATTACKS.keys()
    others = {name: row for name, row in outcomes.items() if row["outcome"] != "refused"}
    assert not others
    for name, row in outcomes.items():
        text = row["text"]
        assert text.endswith(".") and "\n" not in text and len(text) < 500, (name, text)
        assert row["seconds"] < 20, (name, row["seconds"])


@pytest.mark.parametrize(("name", "write"), list(valid_files()), ids=lambda value: value if type(value) is str else "")
def test_whole_files_load(tmp_path, name, write):
    path = tmp_path / name
    write(path)
    assert load_model(path, device="cpu").info.parameter_count > 100_000


def test_what_the_weights_are_does_not_matter_to_the_metadata(tmp_path):
    path = tmp_path / "model.safetensors"
    save(path, small_state(), trained_on="anything", figures={"val": [1, {"x": None}]}, global_blocks=[])
    assert load_model(path, device="cpu").info.global_blocks == ()


def test_a_loaded_model_gives_the_same_masks_when_its_file_is_written_over(tmp_path):
    import numpy as np

    path = tmp_path / "model.safetensors"
    save(path, small_state())
    rgb = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    model = load_model(path, device="cpu")
    digest = model.info.sha256
    features = model.encode_image(rgb).features[0]
    path.write_bytes(bytes(path.stat().st_size))
    again = model.encode_image(rgb)
    assert torch.equal(again.features[0], features)
    assert model.info.sha256 == digest == again.model_sha256
    with pytest.raises(CheckpointError):
        load_model(path, device="cpu")
