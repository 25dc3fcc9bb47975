"""Checkpoints as people have them load as what they are, and say what was done to them; or are refused by name."""

import warnings

import pytest
import torch

import samkit
from samkit.errors import CheckpointError
from tests.models.files.people_files import ROWS, Row, sam1, sam2


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_it_loads_as_what_it_is_or_is_refused_by_name(row: Row, tmp_path):
    ref = row.write(tmp_path)
    if row.family is None:
        with pytest.raises(CheckpointError) as caught:
            samkit.load_model(ref, device="cpu")
        sentence = str(caught.value)
        assert row.told in sentence and sentence.endswith(".") and "\n" not in sentence
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = samkit.load_model(ref, device="cpu")
    assert model.info.family == row.family
    assert row.told in " ".join(model.info.changes)
    if row.same:
        weights = {"sam1": sam1, "sam2": sam2}[row.family]()
        key = "mask_decoder.iou_token.weight"
        expected = weights[key if row.family == "sam1" else f"sam_{key}"]
        assert torch.equal(model.network.state_dict()[key], expected)
