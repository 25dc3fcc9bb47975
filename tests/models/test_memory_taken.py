"""What a model takes of memory, said before it is loaded, is what it takes once it is."""

import json
from pathlib import Path

import pytest
import torch

from samkit.models.encoding_cost import encoding_cost
from samkit.models.files.catalogue import catalogue, find_entry
from samkit.models.memory_taken import memory_of_released, memory_taken
from samkit.models.network.linear import can_pack, pack_linears, packed_numbers
from samkit.models.official_sizes import NUMBERS, OFFICIAL_SIZES
from samkit.models.sam import load_model
from samkit.models.sam_network import build_network
from tests.models.files.people_files import sam1, saved, under


def test_of_embedded_models_and_of_people_s_files(tmp_path):
    paths = [find_entry(name).local_path() for name in ("nano-sam1", "nano-sam2")]
    paths.append(Path(saved(tmp_path, {"model": under("module.", sam1())}, "sam1", "people.pt")))
    for path in paths:
        taken, model = memory_taken(path), load_model(path)
        numbers = model.info.parameter_count + (packed_numbers(model.network) if can_pack(torch.float32) else 0)
        assert taken.weights == pytest.approx(4 * numbers, rel=0.01)
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


@pytest.mark.parametrize("name", ["sam2.1_hiera_tiny", "sam_vit_b_01ec64", "mobile_sam"])
def test_of_models_that_are_not_here_yet(name):
    entry, taken = find_entry(name), memory_of_released(name)
    assert not entry.on_disk and taken.native_side == 1024 and taken.encoding > 100_000_000
    network = build_network(OFFICIAL_SIZES[name])
    numbers = sum(tensor.numel() for tensor in network.state_dict().values())
    # The official file has little but its numbers.
    assert 4 * numbers == pytest.approx(entry.file_bytes, rel=0.04)
    assert (numbers, packed_numbers(network)) == NUMBERS[name]


def test_of_every_released_model_something_is_said():
    released = {entry.name for entry in catalogue() if not entry.embedded}
    assert released == OFFICIAL_SIZES.keys() == NUMBERS.keys()
    assert memory_of_released("sam3").native_side == 1008
    assert memory_of_released("nano-sam2") is None


@pytest.mark.skipif(not can_pack(torch.float32), reason="what is laid out for the processor is laid out here")
def test_what_packing_lays_down_is_counted():
    network = load_model("nano-sam1", device="cpu").network
    pack_linears(network)
    packed = sum(layer._packed.numel() for layer in network.modules() if getattr(layer, "_packed", None) is not None)
    assert packed == packed_numbers(network)
