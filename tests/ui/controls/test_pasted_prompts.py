"""Prompts from the clipboard: what is taken, in which unit, and the sentence where it can't be."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from samkit.errors import PromptError
from samkit.prompts import Prompts
from samkit.ui.controls.pasted_prompts import Pasted, read_pasted

SIZE = (200, 400)
"""(height, width) in pixels."""


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("120, 50", Prompts([(0.3, 0.25, 1)])),
        ("120 50", Prompts([(0.3, 0.25, 1)])),
        ("(120, 50)\n(200, 100)", Prompts([(0.3, 0.25, 1), (0.5, 0.5, 1)])),
        ("120\t50\t0\r\n", Prompts([(0.3, 0.25, 0)])),
        ("40,20,200,100", Prompts([], [(0.1, 0.1, 0.5, 0.5)])),
        ("200,100,40,20; 1, 1", Prompts([(0.0025, 0.005, 1)], [(0.1, 0.1, 0.5, 0.5)])),
        ("[120, 50]", Prompts([(0.3, 0.25, 1)])),
        ("[[120, 50], [40, 20, 200, 100]]", Prompts([(0.3, 0.25, 1)], [(0.1, 0.1, 0.5, 0.5)])),
        ("0.25, 0.5", Prompts([(0.25, 0.5, 1)])),
        ("0.1,0.1,0.5,0.5", Prompts([], [(0.1, 0.1, 0.5, 0.5)])),
        ("1, 1", Prompts([(0.0025, 0.005, 1)])),
        ("400, 200", Prompts([(1, 1, 1)])),
    ],
)
def test_coordinates_are_taken_as_people_write_them(text, prompts):
    pasted = read_pasted(text, SIZE)
    assert pasted.prompts == prompts and not pasted.replaces
    assert ("shares" if "0." in text else "pixels") in pasted.sentence


@pytest.mark.parametrize("write", [Prompts.to_dict, Prompts.to_muggled_dict])
def test_json_is_a_whole_list(write):
    prompts = Prompts([(0.5, 0.25, 1), (0.1, 0.2, 0)], [(0.1, 0.1, 0.5, 0.5)])
    pasted = read_pasted(json.dumps(write(prompts)), SIZE)
    assert pasted == Pasted(prompts, True, "Pasted 2 points and 1 box in place of those that were there.")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no prompts"),
        ("see you at 10, room 240", "holds no prompts"),
        ("...", "holds no prompts"),
        ("120", "has 1 number"),
        ("1,2,3,4,5", "has 5 numbers"),
        ("500, 20", "lies outside the picture, which is 400 × 200 pixels"),
        ("-1, 20", "lies outside the picture"),
        ("10, 20, 7", "label"),
        ("10,10,10,50", "no area"),
        ('{"cats": 3}', "holds no prompts"),
        ("[1e999, 2]", "lies outside the picture"),
        ("[" * 50_000, "holds no prompts"),
        ("1," * 60_000, "more than 100000 characters"),
        ("\n".join(f"{x}, 1" for x in range(300)), "too many"),
    ],
)
def test_anything_else_is_a_sentence(text, sentence):
    with pytest.raises(PromptError, match=sentence):
        read_pasted(text, SIZE)


@given(some.text(max_size=60) | some.text("0123456789.,;-eE []()\n", max_size=60))
def test_whatever_is_pasted_the_answer_is_prompts_or_a_sentence(text):
    try:
        assert isinstance(read_pasted(text, SIZE).prompts, Prompts)
    except PromptError as error:
        assert str(error).endswith(".")
