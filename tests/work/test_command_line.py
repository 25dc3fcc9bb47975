"""A spec as a command: read again by the command line it is the same spec, whatever the experiment and its inputs."""

import json
import shlex
from dataclasses import replace
from types import NoneType, UnionType
from typing import Literal, get_args, get_origin
from unittest import mock

import numpy as np
import pytest
from annotated_types import Ge, Gt, Le
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from samkit.cli import app
from samkit.errors import ParamsError
from samkit.experiments.inputs import Inputs
from samkit.experiments.params import build_params
from samkit.experiments.registry import NAMES, find_experiment
from samkit.experiments.steering import Correction, FilmObject, Steering, Switch
from samkit.media.drawing import mask_to_png
from samkit.media.rle import mask_to_rle
from samkit.media.sample_videos import load_sample_video
from samkit.models.sam import load_model
from samkit.prompts import Prompts
from samkit.work.command_line import MAX_MASK_CHARACTERS, command_line, takes_bank_file, takes_steering_file
from samkit.work.execute import compute, spec_of
from samkit.work.lab import Lab
from samkit.work.sources import BANK_FILE
from samkit.work.spec import PriorSpec, Ref, RunSpec
from tests.work import specs

FILM = "video-priors"


class Stopped(Exception):
    """The command line has read its options."""


def read(command: str, folder) -> RunSpec:
    """The spec that the command line makes of a command, but for what tells its runs apart."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "samkit"] and words[-2:] == ["--out", "run"]
    with mock.patch("samkit.work.execute.compute", side_effect=Stopped) as computed, pytest.raises(Stopped):
        app([*words[3:-1], str(folder / "run")], standalone_mode=False)
    spec, _ = computed.call_args.args
    assert len(spec.attempt) == 32
    return replace(spec, attempt="")


def values_of(annotation, bounds=()) -> st.SearchStrategy:
    """Values that a parameter takes. bounds: pydantic's, of its field."""
    arguments = get_args(annotation)
    if get_origin(annotation) is UnionType:
        return st.one_of([values_of(each, bounds) for each in arguments])
    if get_origin(annotation) is Literal:
        return st.sampled_from(arguments)
    if get_origin(annotation) is tuple:
        return st.lists(st.integers(1, 32), max_size=4).map(tuple)
    low = next(
        (getattr(bound, "ge", getattr(bound, "gt", None)) for bound in bounds if isinstance(bound, Ge | Gt)), None
    )
    high = next((bound.le for bound in bounds if isinstance(bound, Le)), None)
    above = any(isinstance(bound, Gt) for bound in bounds)
    return {
        NoneType: st.none(),
        bool: st.booleans(),
        str: specs.texts,
        int: st.integers(low, high),
        float: st.floats(low, high, exclude_min=above, allow_nan=False, allow_infinity=False),
    }[annotation]


def params_of(experiment: str) -> st.SearchStrategy[dict]:
    """Parameters that the experiment takes, as they are written down."""
    params_class = find_experiment(experiment).Params
    known = {name: values_of(field.annotation, field.metadata) for name, field in params_class.model_fields.items()}

    def build(values):
        try:
            return build_params(params_class, values).model_dump(mode="json")
        except ParamsError:
            assume(False)

    return st.fixed_dictionaries({}, optional=known).map(build)


words = st.text(min_size=1, max_size=8)
refs = st.builds(Ref, words)
marks = specs.prompts.filter(lambda prompts: not prompts.is_empty)
grids = st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=2, max_size=4).map(np.array)


@st.composite
def film_inputs(draw) -> dict:
    """What the command line makes of a film and of what is remembered before it begins."""
    video, side = draw(words), draw(st.none() | st.sampled_from([2, 480, 1280]))
    first, elsewhere, prompts = Ref(f"{video}#0", side=side), draw(refs), draw(marks)
    number = draw(st.integers(0, 99))
    later = Ref(f"{video}#{number}", side=side)
    mask = mask_to_rle(draw(grids))
    ways = [
        {"image": first},
        {"image": first, "prompts": prompts, "priors": (PriorSpec(first, prompts, film_frame=0),)},
        {"image": first, "priors": (PriorSpec(first, mask=mask, film_frame=0),)},
        {"image": later, "prompts": prompts, "priors": (PriorSpec(later, prompts, film_frame=number),)},
        {"image": later, "priors": (PriorSpec(later, mask=mask, film_frame=number),)},
        {"image": elsewhere, "prompts": prompts},
        {"image": elsewhere, "priors": (PriorSpec(elsewhere, mask=mask),)},
    ]
    return draw(st.sampled_from(ways)) | {"video": Ref(video, side=side), "bank": draw(st.none() | refs)}


@st.composite
def picture_inputs(draw, experiment: str) -> dict:
    takes = find_experiment(experiment).TAKES
    strategies = {"image": refs, "image_b": st.none() | refs, "prompts": specs.prompts}
    return {name: draw(strategy) for name, strategy in strategies.items() if name in takes}


@st.composite
def expressible_specs(draw, experiment: str) -> RunSpec:
    """A spec that the command line can make."""
    return RunSpec(
        experiment,
        draw(refs),
        draw(params_of(experiment)),
        device=draw(st.sampled_from(["auto", "cpu", "cuda"])),
        dtype=draw(st.sampled_from(["float32", "bfloat16"])) if find_experiment(experiment).TAKES else "float32",
        **draw(film_inputs() if experiment == FILM else picture_inputs(experiment)),
    )


@pytest.mark.parametrize("experiment", NAMES)
def test_a_command_that_is_read_again_is_the_same_spec(experiment, tmp_path):
    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(expressible_specs(experiment))
    def check(spec):
        again = read(command_line(spec), tmp_path)
        assert again == spec and again.id == spec.id

    check()


@pytest.mark.parametrize("experiment", NAMES)
def test_what_is_as_it_would_be_anyway_is_left_out(experiment):
    spec = RunSpec(experiment, Ref("nano-sam2"))
    assert shlex.split(command_line(spec))[3:] == ["run", experiment, "--model", "nano-sam2", "--out", "run"]


def test_a_command_reads_like_one_that_a_person_wrote():
    spec = RunSpec(
        "mask-stability",
        Ref("nano-sam2", "ab" * 32),
        {"lower_threshold": -3, "colormap": "magma", "mask_index": None},
        Prompts([(0.5, 0.25, 1)], [(0, 0, 1, 0.5)]),
        image=Ref("my cup.png", "cd" * 32),
        device="cpu",
        threads=2,
        attempt="x",
    )
    assert command_line(spec) == (
        "python -m samkit run mask-stability --model nano-sam2 --image 'my cup.png' --point 0.5,0.25,1 "
        "--box 0.0,0.0,1.0,0.5 --set lower_threshold=-3.0 --set colormap=magma --device cpu --out run"
    )


def test_a_page_s_inputs_that_the_experiment_does_not_take_are_left_out():
    spec = RunSpec("block-norms", Ref("nano-sam1"), image=Ref("a.png"), prompts=Prompts([(0.5, 0.5, 1)]))
    assert "--point" not in command_line(spec)


POINT = Prompts([(0.5, 0.5, 1)])
FRAME, CUP = Ref("sample:coin#0"), Ref("cup.png")
LARGE_MASK = {"size": [1, 1], "counts": "0" * MAX_MASK_CHARACTERS}


@pytest.mark.parametrize(
    "priors",
    [
        (PriorSpec(CUP, POINT), PriorSpec(FRAME, POINT, film_frame=0)),
        (PriorSpec(FRAME, POINT, mask_index=1, film_frame=0),),
        (PriorSpec(Ref("sample:coin#3"), POINT, film_frame=4),),
        (PriorSpec(Ref("sample:coin#3"), POINT),),
        (PriorSpec(CUP, mask=LARGE_MASK),),
    ],
)
def test_memories_that_no_options_can_express_are_in_the_runs_bank(priors):
    spec = RunSpec(FILM, Ref("nano-sam2"), prompts=priors[0].prompts, image=priors[0].picture, priors=priors)
    spec = replace(spec, video=Ref("sample:coin"), bank=Ref("mine.safetensors"))
    assert f"--video sample:coin --bank {BANK_FILE} --out" in command_line(spec) and takes_bank_file(spec)


def test_a_frame_of_the_film_is_remembered_as_that_frame(tmp_path):
    """As the page does it; not as a picture from elsewhere, which counts otherwise among the memories."""
    for number in (0, 12):
        frame = Ref(f"sample:coin#{number}")
        command = f"run {FILM} --model nano-sam2 --video sample:coin --image {frame.ref} --point 0.5,0.5 --out run"
        spec = read(f"python -m samkit {command}", tmp_path)
        assert spec.priors == (PriorSpec(frame, POINT, film_frame=number),)
        assert read(command_line(spec), tmp_path) == spec and not takes_bank_file(spec)


@pytest.mark.parametrize("mask_index", [None, 2])
@pytest.mark.parametrize("bank", [None, Ref("mine.safetensors")])
def test_one_marked_picture_from_elsewhere_is_named_in_the_command(mask_index, bank, tmp_path):
    """Whatever mask the run would choose of a picture of its own."""
    spec = RunSpec(FILM, Ref("nano-sam2"), {"mask_index": 3}, POINT, image=CUP, video=Ref("sample:coin"), bank=bank)
    recorded = replace(spec, priors=(PriorSpec(CUP, POINT, mask_index),))
    assert not takes_bank_file(recorded)
    again = read(command_line(recorded), tmp_path)
    assert (again.image, again.prompts, again.priors, again.bank) == (CUP, POINT, (), bank)
    assert again.params["mask_index"] == mask_index and read(command_line(again), tmp_path) == again


@pytest.mark.parametrize("priors", [(), (PriorSpec(CUP, POINT),)])
def test_a_pages_bank_is_read_from_the_runs_own_file(priors):
    """Which holds what was recorded beside it as well."""
    prompts = priors[0].prompts if priors else Prompts()
    spec = RunSpec(FILM, Ref("nano-sam2"), prompts=prompts, image=CUP, priors=priors, bank=Ref(BANK_FILE, "ab" * 32))
    spec = replace(spec, video=Ref("sample:coin"))
    assert f"--video sample:coin --bank {BANK_FILE} --out" in command_line(spec) and takes_bank_file(spec)


def test_a_frame_that_is_larger_than_the_film_is_no_frame_that_options_can_express():
    frame, film = Ref("roll.mp4#4", side=None), Ref("roll.mp4", side=640)
    spec = RunSpec(FILM, Ref("nano-sam2"), prompts=POINT, image=frame, video=film, priors=(PriorSpec(frame, POINT),))
    assert f"--video roll.mp4 --video-side 640 --bank {BANK_FILE} --out" in command_line(spec)
    frame = replace(frame, side=640)
    spec = replace(spec, image=frame, priors=(PriorSpec(frame, POINT, film_frame=4),))
    assert "--video roll.mp4 --video-side 640 --image roll.mp4#4 --point" in command_line(spec).replace("'", "")


def test_what_was_done_to_a_run_is_read_from_its_own_files(tmp_path, monkeypatch):
    """Several objects, each with its bank, corrections and switches."""
    steering = Steering((FilmObject("cup"), FilmObject()), (Correction(3, POINT, object=1),), (Switch(4, "reset"),))
    spec = RunSpec(FILM, Ref("nano-sam2"), image=CUP, video=Ref("sample:coin"), steering=steering)
    assert command_line(spec).endswith("--video sample:coin --steering steering.json --out run")
    assert takes_steering_file(spec) and not takes_bank_file(spec)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steering.json").write_bytes(steering.to_json())
    assert read(command_line(spec), tmp_path).steering == steering
    second = replace(spec, priors=(PriorSpec(CUP, POINT, object=1),), prompts=POINT)
    assert "--bank none --bank memory_bank_object2.safetensors --steering steering.json" in command_line(second)
    again = read(command_line(second), tmp_path)
    assert (again.bank, again.banks) == (None, (Ref("memory_bank_object2.safetensors"),)) and takes_bank_file(second)


def test_a_bank_alone_is_named_as_it_is():
    spec = RunSpec(FILM, Ref("nano-sam2"), image=CUP, video=Ref("sample:coin"), bank=Ref("mine.safetensors"))
    assert "--video sample:coin --bank mine.safetensors --out" in command_line(spec)


@pytest.mark.parametrize("written", ["file", "text"])
def test_a_mask_is_read_from_a_file_or_from_the_command(written, tmp_path):
    mask = np.zeros((6, 9), bool)
    mask[1:4, 2:7] = True
    (tmp_path / "mask.png").write_bytes(mask_to_png(mask))
    text = str(tmp_path / "mask.png") if written == "file" else json.dumps(mask_to_rle(mask))
    command = f"run {FILM} --model nano-sam2 --video sample:coin --image cup.png --mask {shlex.quote(text)} --out run"
    spec = read(f"python -m samkit {command}", tmp_path)
    assert spec.priors == (PriorSpec(CUP, mask=mask_to_rle(mask)),)
    assert read(command_line(spec), tmp_path) == spec


def test_the_command_of_a_page_s_values_makes_the_same_run(tmp_path):
    """Samples are found again by what the command calls them."""
    model = load_model("nano-sam2", device="cpu")
    frame = load_sample_video("coin").picture(3)
    params = find_experiment("mask-stability").Params(side=64)
    spec = spec_of("mask-stability", "nano-sam2", model, Inputs(frame, POINT), params, device="cpu")
    assert compute(read(command_line(spec), tmp_path), Lab()).spec.id == spec.id
