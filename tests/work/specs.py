"""Specs for property tests: any that can be, whether or not what they refer to is there."""

from typing import get_args

from hypothesis import strategies as st

from samkit.experiments.steering import Action, Correction, FilmObject, Steering, Switch
from samkit.prompts import Prompts
from samkit.work.spec import HintSpec, PriorSpec, Ref, RunSpec

texts = st.text(max_size=8)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
refs = st.builds(Ref, texts, st.none() | hashes, texts, st.none() | st.integers(2, 9999))
shares = st.floats(0, 1)
points = st.tuples(shares, shares, st.integers(0, 1))
corners = st.tuples(shares, shares, shares, shares)
boxes = corners.filter(lambda box: box[0] != box[2] and box[1] != box[3])
prompts = st.builds(Prompts, st.lists(points, max_size=3), st.lists(boxes, max_size=2))
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
masks = st.fixed_dictionaries({"size": st.lists(st.integers(1, 99), min_size=2, max_size=2), "counts": texts})
hints = st.builds(HintSpec, st.sampled_from(["mask", "logits"]), refs)
priors = st.builds(
    PriorSpec,
    refs,
    prompts,
    st.none() | st.integers(0, 3),
    st.none() | masks,
    st.none() | st.integers(0, 99),
    st.none() | hints,
    st.integers(0, 3),
)
names = st.text("abc", max_size=3)
film_objects = st.builds(FilmObject, names, st.sampled_from(("", "#16a0aa")))
_corrected = st.integers(0, 99), prompts, st.none() | st.integers(0, 3), st.none() | masks, st.integers(0, 3)
corrections = st.builds(
    Correction,
    *_corrected,
    st.booleans(),
    st.lists(st.builds(Correction, *_corrected, st.booleans()), max_size=2).map(tuple),
)
switches = st.builds(Switch, st.integers(0, 99), st.sampled_from(get_args(Action)))
steerings = st.builds(
    Steering,
    st.lists(film_objects, max_size=2).map(tuple),
    st.lists(corrections, max_size=2).map(tuple),
    st.lists(switches, max_size=2).map(tuple),
)
run_specs = st.builds(
    RunSpec,
    experiment=texts,
    model=refs,
    params=st.dictionaries(texts, values, max_size=4),
    prompts=prompts,
    image=st.none() | refs,
    image_b=st.none() | refs,
    video=st.none() | refs,
    priors=st.lists(priors, max_size=2).map(tuple),
    bank=st.none() | refs,
    mask_hint=st.none() | hints,
    truth=st.none() | refs,
    truth_b=st.none() | refs,
    banks=st.lists(st.none() | refs, max_size=2).map(tuple),
    steering=steerings,
    device=texts,
    dtype=texts,
    threads=st.none() | st.integers(1, 99),
    attempt=texts,
)
