"""A run as data: it comes back from JSON and pickle as it was, and its id says which specs ask for one run."""

import json
import pickle
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace

import pytest
from hypothesis import given

from samkit.errors import BadInput, PromptError
from samkit.experiments.steering import FilmObject, Steering, Switch
from samkit.prompts import Prompts
from samkit.work.spec import HintSpec, PriorSpec, Ref, RunSpec
from tests.work.specs import run_specs

HASH = "ab" * 32
COFFEE = Ref("sample:coffee", HASH, "coffee")
SPEC = RunSpec(
    "video-priors",
    Ref("nano-sam2", "cd" * 32, "nano-sam2"),
    {"side": 128, "count": None},
    Prompts([(0.5, 0.5, 1)]),
    image=COFFEE,
    image_b=Ref("tall.png", "ef" * 32),
    video=Ref("sample:coin", "01" * 32, "coin"),
    priors=(PriorSpec(COFFEE, Prompts([(0.5, 0.5, 1)]), 1, {"size": [2, 3], "counts": "06"}, 0),),
    bank=Ref("memory_bank.safetensors", "23" * 32),
    device="cpu",
    dtype="bfloat16",
    threads=2,
    attempt="first",
)


@given(run_specs)
def test_a_spec_comes_back_from_json_and_from_pickle_as_it_was(spec):
    back = RunSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert back == spec and back.id == spec.id and hash(back) == hash(spec)
    assert pickle.loads(pickle.dumps(spec)) == spec


@given(run_specs)
def test_an_id_is_32_hex_digits(spec):
    assert re.fullmatch("[0-9a-f]{32}", spec.id)


def test_a_spec_can_not_be_changed():
    with pytest.raises(FrozenInstanceError):
        SPEC.device = "cuda"
    params = {"sizes": (1, 2)}
    spec = RunSpec("a", Ref("b"), params)
    params["side"] = 3
    assert spec.params == {"sizes": [1, 2]}


def test_what_is_as_it_would_be_anyway_is_left_out_of_the_dict():
    assert RunSpec("block-norms", Ref("nano-sam1"), image=COFFEE).to_dict() == {
        "experiment": "block-norms",
        "model": {"ref": "nano-sam1"},
        "params": {},
        "image": {"ref": "sample:coffee", "sha256": HASH, "name": "coffee"},
    }


def test_the_id_is_the_same_in_every_process():
    code = f"from samkit.work.spec import RunSpec; print(RunSpec.from_dict({SPEC.to_dict()!r}).id)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == SPEC.id


OTHER = {
    "experiment": "cross-image",
    "model": Ref("nano-sam2", "99" * 32, "nano-sam2"),
    "params": {"side": 128, "count": 1},
    "prompts": Prompts([(0.5, 0.6, 1)]),
    "image": Ref("sample:coffee", "99" * 32, "coffee"),
    "image_b": None,
    "video": Ref("sample:coin"),
    "priors": (),
    "bank": None,
    "banks": (Ref("memory_bank_1.safetensors", "45" * 32),),
    "steering": Steering(switches=(Switch(3, "reset"),)),
    "device": "auto",
    "dtype": "float32",
    "attempt": "second",
    "mask_hint": HintSpec("mask", Ref("hint.png")),
    "truth": Ref("truth.png"),
    "truth_b": Ref("truth.png"),
}
OTHER_PRIOR = {
    "picture": Ref("sample:coffee", "99" * 32, "coffee"),
    "prompts": Prompts(),
    "mask_index": None,
    "mask": {"size": [2, 3], "counts": "15"},
    "film_frame": 1,
    "mask_hint": HintSpec("logits", Ref("hint.npy", HASH)),
    "object": 1,
}


@pytest.mark.parametrize("entry", OTHER)
def test_another_value_is_another_run(entry):
    assert replace(SPEC, **{entry: OTHER[entry]}).id != SPEC.id


@pytest.mark.parametrize("entry", OTHER_PRIOR)
def test_another_memory_is_another_run(entry):
    assert replace(SPEC, priors=(replace(SPEC.priors[0], **{entry: OTHER_PRIOR[entry]}),)).id != SPEC.id


def test_names_texts_of_known_content_and_threads_make_no_other_run():
    elsewhere = Ref("/home/someone/coffee.png", HASH, "my cup")
    prior = replace(SPEC.priors[0], picture=elsewhere)
    assert replace(SPEC, threads=None, image=elsewhere, priors=(prior,)).id == SPEC.id
    named, plain = (Steering((FilmObject(*own),)) for own in (("cup", "#112233"), ()))
    assert replace(SPEC, steering=named).id == replace(SPEC, steering=plain).id
    assert {each.name for each in fields(RunSpec)} == {*OTHER, "threads"}
    assert {each.name for each in fields(PriorSpec)} == set(OTHER_PRIOR)


def test_a_film_that_is_shrunk_is_another_film():
    """Its SHA-256 is the file's; that of a frame is of its pixels, so the side says nothing more of it."""
    shrunk = replace(SPEC, video=replace(SPEC.video, side=640))
    assert len({SPEC.id, shrunk.id, replace(SPEC, video=replace(SPEC.video, side=320)).id}) == 3
    assert RunSpec.from_dict(shrunk.to_dict()) == shrunk and shrunk.to_dict()["video"]["side"] == 640
    assert replace(SPEC, image=replace(COFFEE, side=640)).id == SPEC.id
    unseen = RunSpec("video-priors", Ref("nano-sam2"), image=Ref("roll.mp4#0"), video=Ref("roll.mp4"))
    smaller = {name: replace(getattr(unseen, name), side=640) for name in ("image", "video")}
    assert len({unseen.id, replace(unseen, image=smaller["image"]).id, replace(unseen, **smaller).id}) == 3


def test_content_that_nobody_has_looked_at_counts_by_its_text():
    def of(ref):
        return RunSpec("block-norms", Ref("nano-sam1"), image=ref).id

    assert of(Ref("a.png")) == of(Ref("a.png", None, "a name"))
    assert len({of(Ref("a.png")), of(Ref("b.png")), of(Ref("a.png", HASH))}) == 3
    # A text that reads like a hash is no hash.
    assert of(Ref(HASH)) != of(Ref("a.png", HASH))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"experiment": None}, "'experiment'"),
        ({"model": {"name": "nano"}}, "'model.ref'"),
        ({"model": "nano"}, "'model'"),
        ({"image": {"ref": 12}}, "'image.ref'"),
        ({"threads": "2"}, "'threads'"),
        ({"pictures": []}, "'pictures'"),
        ({"priors": [{"picture": {"ref": "a"}, "frame": 1}]}, "'priors.0.frame'"),
        ({"params": [1]}, "'params'"),
        ({"params": {"side": float("nan")}}, "can't be written down"),
    ],
)
def test_a_dict_that_describes_no_run_is_a_sentence(change, sentence):
    with pytest.raises(BadInput, match=sentence):
        RunSpec.from_dict(SPEC.to_dict() | change)


def test_prompts_outside_the_picture_are_their_own_sentence():
    with pytest.raises(PromptError, match="lies outside the picture"):
        RunSpec.from_dict(SPEC.to_dict() | {"prompts": {"points": [[320, 200, 1]]}})


def test_parameters_that_json_can_not_hold_are_a_sentence():
    with pytest.raises(BadInput, match="can't be written down"):
        RunSpec("block-norms", Ref("nano-sam1"), {"side": object()})
