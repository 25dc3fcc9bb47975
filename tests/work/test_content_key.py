"""Keys follow from content alone: the same for the same, another one for anything else, in any process."""

import subprocess
import sys
import textwrap
from dataclasses import dataclass, make_dataclass
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from samkit.experiments import block_norms, mask_stability
from samkit.experiments.inputs import Inputs, Prior
from samkit.media.pictures import Picture
from samkit.models.memory_bank import Memory, MemoryBank
from samkit.prompts import Prompts
from samkit.work.content_key import content_key

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
nested = st.recursive(plain, lambda inner: st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner), max_leaves=8)


@dataclass(frozen=True)
class Named:
    name: str
    values: tuple[float, ...] = ()


def told_apart(value):
    """What tells two plain values apart: 1, 1.0 and True are not the same, nor are 0.0 and -0.0."""
    if isinstance(value, tuple):
        return tuple, tuple(map(told_apart, value))
    if isinstance(value, dict):
        return dict, tuple(sorted((name, told_apart(each)) for name, each in value.items()))
    return type(value), repr(value)


@given(nested, nested)
def test_the_key_is_the_same_for_the_same_content_and_no_other(a, b):
    assert (content_key(a) == content_key(b)) == (told_apart(a) == told_apart(b))


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_values_do_not_run_into_each_other(a, b):
    assert (content_key(*a) == content_key(*b)) == (a == b)


@given(st.dictionaries(st.text(), st.integers()))
def test_the_order_of_a_mapping_counts_for_nothing(mapping):
    assert content_key(mapping) == content_key(dict(reversed(mapping.items())))


@given(arrays(np.float32, array_shapes(max_dims=3, max_side=3), elements=st.floats(-9, 9, width=32)))
def test_arrays_count_by_values_shape_and_type(values):
    assert content_key(values) == content_key(values.copy(order="F"))
    assert content_key(values) != content_key(values.astype(np.float64))
    assert content_key(values) != content_key(values[None])
    changed = values.copy()
    changed.flat[0] += 1
    assert content_key(values) != content_key(changed)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool]
)
def test_tensors_count_by_values_shape_and_type(dtype):
    values = torch.tensor([[0, 1], [1, 0]]).to(dtype)
    assert content_key(values) == content_key(values.clone()) == content_key(values.T)
    assert content_key(values) != content_key(values.flatten())
    assert content_key(values) != content_key(values[:1])
    assert content_key(values) != content_key(1 - values.int())
    others = [torch.uint8] + [each for each in (torch.float32, torch.float16, torch.int64) if each != dtype]
    assert all(content_key(values) != content_key(values.to(other)) for other in others)
    assert content_key(values[0, 0]) != content_key(values[0, 1]), "without any axis"
    assert content_key(values[:0]) != content_key(values[:, :0]), "empty ones by their shape"


def test_large_whole_numbers_in_tensors_are_told_apart():
    assert content_key(torch.tensor(2**53)) != content_key(torch.tensor(2**53 + 1))


def test_data_classes_count_by_class_and_fields():
    twin = make_dataclass("Named", [("name", str), ("values", tuple)], frozen=True)
    assert content_key(Named("a", (1.0,))) == content_key(Named("a", (1.0,)))
    assert content_key(Named("a")) != content_key(Named("b"))
    assert content_key(Named("a")) != content_key(twin("a", ()))
    assert content_key(Named("a")) != content_key(("a", ()))


def test_parameters_of_two_experiments_are_not_the_same():
    assert content_key(mask_stability.Params()) == content_key(mask_stability.Params(side=None))
    assert content_key(mask_stability.Params()) != content_key(mask_stability.Params(side=128))
    assert content_key(mask_stability.Params()) != content_key(block_norms.Params())


def test_pictures_count_by_their_pixels():
    rgb = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert content_key(Picture(rgb, "a.png")) == content_key(Picture(rgb.copy(), "b.png"))
    assert content_key(Picture(rgb, "a.png")) != content_key(Picture(rgb[::-1].copy(), "a.png"))


def test_models_count_by_checkpoint_device_and_number_type():
    def model(sha256="x", device="cpu", dtype="float32"):
        return SimpleNamespace(info=SimpleNamespace(sha256=sha256), device=device, dtype=dtype)

    assert content_key(model()) == content_key(model())
    assert len({content_key(each) for each in (model(), model("y"), model(device="cuda"), model(dtype="x"))}) == 4


def test_memory_banks_count_by_what_they_remember():
    def bank(score: float) -> MemoryBank:
        filled = MemoryBank()
        filled.add_prompt(Memory(torch.zeros(2, 2, 3, dtype=torch.bfloat16), torch.zeros(4), score, "x"))
        return filled

    assert content_key(bank(1.0)) == content_key(bank(1.0)) != content_key(bank(2.0))


def test_inputs_count_by_all_they_hold():
    picture = Picture(np.zeros((4, 4, 3), np.uint8), "a")
    click, mask = Prompts(points=[(0.5, 0.5, 1)]), np.zeros((4, 4), bool)
    different = [
        Inputs(picture),
        Inputs(picture, click),
        Inputs(picture, click, picture),
        Inputs(picture, priors=(Prior(picture, click),)),
        Inputs(picture, priors=(Prior(picture, click, 1),)),
        Inputs(picture, priors=(Prior(picture, mask=mask),)),
        Inputs(picture, priors=(Prior(picture, mask=~mask),)),
        Inputs(picture, priors=(Prior(picture, mask=mask, film_frame=0),)),
    ]
    assert len({content_key(each) for each in different}) == len(different)


def test_functions_count_by_their_name_where_it_says_all():
    assert content_key(content_key) == content_key(content_key) != content_key(told_apart)
    factor = 3
    for nameless in (lambda x: x, lambda x: factor * x, Named("a").__eq__, partial(told_apart, 1)):
        with pytest.raises(TypeError, match="can't be known by its content"):
            content_key(nameless)
    assert content_key(Named) and content_key(Picture.from_array) and content_key(len)


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([object()]), SimpleNamespace(), iter(())])
def test_what_has_no_content_is_refused(value):
    with pytest.raises(TypeError, match="can't be known by its content"):
        content_key(value)


def test_what_has_a_key_of_its_own_counts_by_that():
    one, other = SimpleNamespace(content_key="k", more=1), SimpleNamespace(content_key="k", more=2)
    assert content_key(one) == content_key(other) != content_key("k")
    assert content_key(one) != content_key(SimpleNamespace(content_key="l"))


def test_another_process_gives_the_same_key():
    program = """
        import numpy as np
        from samkit.prompts import Prompts
        from samkit.work.content_key import content_key

        values = {"b": (1, 2.5, None), "a": "text"}, Prompts(points=[(0.25, 0.5, 1)]), np.arange(5), content_key
        print(content_key(*values))
    """
    keys = {
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    values = {"a": "text", "b": (1, 2.5, None)}, Prompts(points=[(0.25, 0.5, 1)]), np.arange(5), content_key
    assert keys == {content_key(*values)} and len(keys.pop()) == 32
