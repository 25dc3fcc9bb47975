"""Specs that a person wrote: what they mean, and that every mistake is a sentence with its line."""

import pytest

from samkit.errors import BadInput
from samkit.work.sweep.grid import combinations, values_of
from samkit.work.sweep.spec import read_spec, spec_from_text

GOOD = """experiment: window-size
models: nano-sam1
pictures: [coffee, {files: a/*.jpg, masks: m}]
prompts: [none, given, {truth: box, jitter: 5}]
params:
  window_sizes: [[8, 8, 8, 8], [14, 14, 14, 14]]
  side: {from: 256, to: 512, step: 128}
"""


def test_what_is_written_short_is_understood():
    spec = spec_from_text(GOOD)
    assert spec.models == ("nano-sam1",)
    assert spec.pictures[0].samples == ("coffee",)
    assert [rule.label for rule in spec.prompts] == ["none", "given", "box, moved by 5 %"]
    assert len(list(combinations(spec.params, spec.zip))) == 6


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("  window_sizes", "  windw_sizes", "Line 6: there is no parameter windw_sizes; did you mean window_sizes"),
        ("models:", "model:", "Line 2: there is no setting model; did you mean models?"),
        ("jitter: 5", "jiter: 5", "Line 4: there is no setting jiter; did you mean jitter?"),
        ("masks: m}", "mask: m}", "Line 3: there is no setting mask; did you mean masks or images?"),
        ("window-size", "window-sizes", 'Line 1: There is no experiment "window-sizes": did you mean window-size?'),
        ("step: 128", "step: 0", "Line 7: A range goes up"),
        ("[[8, 8, 8, 8], [14, 14, 14, 14]]", "[8, 14]", "second pair of brackets"),
        ("truth: box", "truth: bix", "Line 4: prompts 2 truth:"),
        ("{files: a/*.jpg, masks: m}", "{masks: m}", "Line 3: pictures 1: give one of samples, files, coco or davis"),
        ("  side:", "  window_sizes:", 'Line 7: "window_sizes" is there twice, first on line 6'),
        ("models: nano-sam1", "models: [", "is not YAML"),
        ("models: nano-sam1", "models: &a nano-sam1\nname: *a", "Line 3: write *a out"),
        ("window-size", "video-priors", "Line 3: video-priors runs on films: give these; leave pictures: out"),
        ("experiment: window-size", "experiment: block-norms", "Line 4: block-norms takes no prompts"),
        ("jitter: 5}]", "}]\nrepeats: 3", "Line 5: a repeat draws prompts anew"),
        ("[none,", "[box,", "Line 4: prompts: a prompt in one word is none or given"),
        ("step: 128", "stp: 128", "Line 7: There is no stp in a range"),
        ("params:", "device: gpu\nparams:", "Line 5: there is no device gpu: give auto, cpu, cuda or mps"),
        ("params:", "zip: [{mask_index: [0, 1], repeats: [1]}]\nparams:", "Line 5: the lists of a zip group"),
    ],
)
def test_a_mistake_names_its_line(old, new, sentence):
    assert old in GOOD
    with pytest.raises(BadInput) as caught:
        spec_from_text(GOOD.replace(old, new))
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("nano-sam1", "nano-sam3", 'Line 2: There is no model "nano-sam3": did you mean nano-sam'),
        ("nano-sam1", "my/tune.pt", "Line 2: There is no file"),
        ("masks: m}", "masks: mask}", "mask: did you mean masks?"),
        ("masks: m}", "masks: elsewhere}", "elsewhere: check the path"),
        ("coffee", "cofee", "Line 3: there is no sample picture cofee: did you mean coffee?"),
    ],
)
def test_models_and_samples_that_nobody_has_are_found_before_a_cell_is_run(tmp_path, old, new, sentence):
    file = tmp_path / "sweep.yaml"
    (tmp_path / "masks").mkdir()
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(BadInput) as caught:
        read_spec(file)
    assert sentence in str(caught.value)


def test_ranges_have_both_ends():
    assert values_of({"from": 0.1, "to": 0.5, "step": 0.1}) == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert values_of({"from": 256, "to": 1024, "step": 256}) == [256, 512, 768, 1024]


def test_a_zip_group_goes_along_together():
    made = list(combinations({"a": [1, 2]}, [{"b": [3, 4], "c": [5, 6]}]))
    assert made == [
        {"a": 1, "b": 3, "c": 5},
        {"a": 1, "b": 4, "c": 6},
        {"a": 2, "b": 3, "c": 5},
        {"a": 2, "b": 4, "c": 6},
    ]
