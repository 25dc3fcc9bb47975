"""J and F against their definitions counted pixel by pixel, and a model judged on a small sequence."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import save_file

import samkit
from tests.training.pictures import draw_picture, write_pair
from training.evaluate_video import Frame, follow, judge_sequence, means, read_sequence, sequence_names
from training.export import export_state, file_metadata
from training.model import NANO_SAM2_WITH_MEMORY, build_network
from training.video_measures import boundary_similarity, outline, region_similarity

masks = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda size: st.tuples(arrays(bool, size), arrays(bool, size), arrays(bool, size))
)


def outline_pixels(mask: np.ndarray) -> list[tuple[int, int]]:
    """Pixels that differ from the one to the right, below, or below and to the right; on the last row and column only
    along it.
    """
    height, width = mask.shape
    pixels = []
    for y in range(height):
        for x in range(width):
            steps = [(0, 1)] if y == height - 1 else [(1, 0)] if x == width - 1 else [(0, 1), (1, 0), (1, 1)]
            if any(y + dy < height and x + dx < width and mask[y + dy, x + dx] != mask[y, x] for dy, dx in steps):
                pixels.append((y, x))
    return pixels


def share_near(pixels: list, others: list, radius: float) -> float:
    return float(np.mean([min(np.hypot(y - v, x - u) for v, u in others) <= radius for y, x in pixels]))


@given(masks)
def test_outlines_are_where_neighbours_differ(drawn):
    assert list(map(tuple, np.argwhere(outline(drawn[0])))) == outline_pixels(drawn[0])


@given(masks, st.booleans())
def test_j_and_f_against_their_definitions(drawn, with_void):
    mask, target, void = drawn[0], drawn[1], drawn[2] if with_void else np.zeros_like(drawn[2])
    j, f = region_similarity(mask, target, void), boundary_similarity(mask, target, void)
    mask, target = mask & ~void, target & ~void
    assert j == pytest.approx((mask & target).sum() / (mask | target).sum() if (mask | target).any() else 1)
    own, wanted = outline_pixels(mask), outline_pixels(target)
    if own and wanted:
        radius = np.ceil(0.008 * np.hypot(*mask.shape))
        precision, recall = share_near(own, wanted, radius), share_near(wanted, own, radius)
        assert f == pytest.approx(2 * precision * recall / (precision + recall) if precision + recall else 0)
    else:
        assert f == (1 if not own and not wanted else 0)


def test_an_outline_may_be_off_by_the_tolerance_and_no_more():
    target = np.zeros((300, 400), bool)
    target[100:200, 100:250] = True
    # 0.8 % of a diagonal of 500 is 4.
    assert boundary_similarity(np.roll(target, 4, axis=1), target) == 1
    assert 0.3 < boundary_similarity(np.roll(target, 6, axis=1), target) < 0.8
    assert boundary_similarity(np.roll(target, (60, 160), axis=(0, 1)), target) < 0.1


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "nano.safetensors"
    save_file(
        export_state(build_network(NANO_SAM2_WITH_MEMORY).state_dict(), NANO_SAM2_WITH_MEMORY),
        path,
        metadata={"samkit": json.dumps(file_metadata("nano-sam2", "", {}))},
    )
    return samkit.load_model(path, device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sequence of five frames; object 2 comes on the second one, and the fourth is not annotated."""
    root = tmp_path_factory.mktemp("video")
    for part in ("JPEGImages/walk", "Annotations/walk"):
        (root / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(5):
        rgb, ids = draw_picture(rng)
        ids[:5] = 255
        write_pair(
            root / f"JPEGImages/walk/{index}.jpg",
            root / f"Annotations/walk/{index}.png",
            rgb,
            np.where((ids == 2) & (index == 0), 0, ids).astype(np.uint8),
        )
    (root / "Annotations/walk/3.png").unlink()
    return root


def test_objects_are_followed_from_their_first_frame(model, folder):
    steps = list(follow(model, read_sequence(folder, "walk")))
    assert [sorted(present) for _, present, _ in steps] == [[], [1], [1, 2], [1, 2], [1, 2]]
    assert all(set(np.unique(labels)) <= {0, *present} for _, present, labels in steps)


def test_one_object_is_followed_as_the_library_does(model, folder):
    first, *rest = read_sequence(folder, "walk")
    frames = [Frame(first.rgb, np.where(first.ids == 1, 1, 0)), *(Frame(frame.rgb, None) for frame in rest)]
    bank = samkit.MemoryBank()
    bank.add_prompt(model.encode_memory(model.encode_image(first.rgb, film=True), first.ids == 1))
    tracked = list(model.track_video((frame.rgb for frame in rest), bank))
    for (_, present, labels), step in zip(list(follow(model, iter(frames)))[1:], tracked, strict=True):
        assert ((labels == 1) == step.prediction.mask(step.prediction.best)).all() and present == {
            1: step.prediction.object_score > 0
        }


def test_frames_that_count_are_judged(model, folder, monkeypatch):
    figures, strip = judge_sequence(model, folder, "walk")
    # Of object 1, frames 1 and 2: 0 is the prompt, 3 is not annotated, 4 is the last. Of object 2, frame 2.
    assert [(row.sequence, row.object_id, row.frames) for row in figures] == [("walk", 1, 2), ("walk", 2, 1)]
    assert all(0 <= value <= 1 for row in figures for value in (row.j, row.f, row.lost)) and strip.shape == (
        120,
        6 * 180,
        3,
    )
    steps = list(follow(model, read_sequence(folder, "walk")))
    frame, _, labels = steps[2]
    assert figures[1].j == region_similarity(labels == 2, frame.ids == 2, frame.ids == 255)
    assert means(figures).keys() == {"all objects"}
    assert means(figures)["all objects"]["J"] == pytest.approx(np.mean([row.j for row in figures]), abs=5e-4)
    monkeypatch.setattr("training.evaluate_video.HELD_OUT_SEQUENCES", ("walk",))
    assert means(figures)["sequences no run sees"] == means(figures)["all objects"]


def test_a_folder_of_another_layout_is_refused(tmp_path, folder):
    assert sequence_names(folder) == ["walk"]
    with pytest.raises(ValueError, match="laid out as DAVIS"):
        sequence_names(tmp_path)
