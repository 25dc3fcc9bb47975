"""What a model takes of memory, said before it is loaded, is what it takes once it is."""

import json
from pathlib import Path

import pytest
import torch

from samkit.models.encoding_cost import encoding_cost
from samkit.models.files.catalogue import find_entry
from samkit.models.memory_taken import memory_taken
from samkit.models.sam import load_model
from tests.models.files.people_files import sam1, saved, under


def test_of_embedded_models_and_of_people_s_files(tmp_path):
    paths = [find_entry(name).local_path() for name in ("nano-sam1", "nano-sam2")]
    paths.append(Path(saved(tmp_path, {"model": under("module.", sam1())}, "sam1", "people.pt")))
    for path in paths:
        taken, model = memory_taken(path), load_model(path)
        assert taken.weights == pytest.approx(4 * model.info.parameter_count, rel=0.01)
        side = model.info.native_side
        assert taken.native_side == side
        assert taken.encoding == encoding_cost(model.config, (side, side), model.info.window_sizes).memory


def test_it_follows_what_lies_beside_the_file(tmp_path):
    path = Path(saved(tmp_path, sam1(), "sam1", "people.pt"))
    before = memory_taken(path)
    told = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(told | {"native_side": 4 * before.native_side}))
    after = memory_taken(path)
    assert after.native_side == 4 * before.native_side and after.encoding > before.encoding


def test_nothing_is_said_of_what_is_no_model(tmp_path):
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("no checkpoint")
    for name in ("other.pt", "text.pt", "absent.pt"):
        assert memory_taken(tmp_path / name) is None
