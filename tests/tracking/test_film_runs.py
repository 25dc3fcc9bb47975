"""Runs on films: which film is opened again, and which places on this machine are not even looked into."""

import hashlib
import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from samkit.errors import BadInput
from samkit.experiments.inputs import Prior
from samkit.experiments.steering import Correction, FilmObject, Steering
from samkit.media.film import mask_row, masks_to_json
from samkit.media.sample_videos import load_sample_video
from samkit.media.video import open_video
from samkit.prompts import Prompts
from samkit.tracking.bundle import film_inputs
from samkit.tracking.bundle.archive import export_runs, import_runs
from samkit.tracking.bundle.bundle import read_bundle, write_bundle
from samkit.tracking.bundle.kept_film import kept_film
from samkit.tracking.compare import Comparison, color_of
from samkit.tracking.store.about import about_run, datasets_of
from samkit.tracking.store.tags import tags_of
from samkit.ui.runs.compare_figures import swipe_captions
from samkit.ui.runs.compare_tables import shown_text
from tests.tracking.conftest import MODEL, made_up_result


def pictures(folder, colour: int):
    """A film as a folder of three frames."""
    folder.mkdir(parents=True)
    for index in range(3):
        cv2.imwrite(str(folder / f"{index:03}.png"), np.full((48, 64, 3), colour + index, np.uint8))
    return folder


def kept_with(video, folder):
    result, inputs = made_up_result()
    return write_bundle(
        folder, result=result, inputs=replace(inputs, video=video), model_info=MODEL, device="cpu", dtype="float32"
    )


def placed(bundle, place: str, files: dict | None = None, **more):
    """The run's folder, its film said to lie elsewhere. files: more entries of files"""
    document = bundle.record.to_dict()
    document["video"] |= {"place": place} | more
    document["files"] |= files or {}
    (bundle.path / "run.json").write_text(json.dumps(document))
    return bundle.path


@pytest.fixture
def never_opened(monkeypatch):
    monkeypatch.setattr(film_inputs, "open_video", lambda *arguments, **more: pytest.fail("a film was opened"))


def test_a_film_at_its_own_place_is_opened_while_it_is_the_same(tmp_path):
    folder = pictures(tmp_path / "film", 10)
    bundle = read_bundle(kept_with(open_video(folder), tmp_path / "run").path)
    assert bundle.inputs().video.length == 3
    assert (
        import_runs(export_runs([bundle], tmp_path / "run.zip"), tmp_path / "in")[0].inputs().video.sha256
        == open_video(folder).sha256
    )
    assert kept_with(load_sample_video("coin"), tmp_path / "sample").inputs().video.name == "coin"


def test_another_film_and_none_are_answered_alike_and_never_opened(tmp_path, never_opened):
    folder = pictures(tmp_path / "film", 10)
    bundle = kept_with(open_video(folder), tmp_path / "run")
    sentences = set()
    for change in (
        lambda: cv2.imwrite(str(folder / "003.png"), np.zeros((48, 64, 3), np.uint8)),
        lambda: shutil.rmtree(folder),
        lambda: folder.write_text("x"),
    ):
        change()
        with pytest.raises(BadInput, match="put the same film there") as error:
            bundle.inputs()
        sentences.add(str(error.value))
    assert len(sentences) == 1


@pytest.mark.parametrize("place", ["/dev/zero", "/etc/passwd", "/nowhere", "film", "../film", "~/film"])
def test_a_place_that_somebody_else_wrote_down_is_not_opened(tmp_path, never_opened, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "film", 99)
    bundle = kept_with(open_video(pictures(tmp_path / "own", 10)), tmp_path / "run")
    with pytest.raises(BadInput, match="put the same film there"):
        read_bundle(placed(bundle, place)).inputs()


def test_a_relative_place_is_not_opened_even_with_the_right_checksum(tmp_path, never_opened, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundle = kept_with(open_video(pictures(tmp_path / "own", 10)), tmp_path / "run")
    with pytest.raises(BadInput, match="put the same film there"):
        read_bundle(placed(bundle, "own")).inputs()


@pytest.mark.parametrize(
    "place",
    ["inputs/../../film", "inputs/../../../../../../etc/passwd", "inputs/image.png", "inputs/video.mp4", "inputs"],
)
def test_a_place_in_the_run_that_is_no_film_of_it_is_refused(tmp_path, place):
    """Whatever checksum it tells."""
    film = open_video(pictures(tmp_path / "film", 10))
    with pytest.raises(BadInput, match="'video' in its run.json"):
        read_bundle(placed(kept_with(film, tmp_path / "run"), place, sha256=film.sha256))


def test_a_film_kept_with_its_run_must_be_the_one_it_tells(tmp_path, never_opened):
    bundle = kept_with(open_video(pictures(tmp_path / "film", 10)), tmp_path / "run")
    (bundle.path / "inputs" / "video.mp4").write_bytes(b"another")
    files = {"inputs/video.mp4": {"sha256": hashlib.sha256(b"another").hexdigest(), "bytes": 7}}
    with pytest.raises(BadInput, match="missing or damaged"):
        read_bundle(placed(bundle, "inputs/video.mp4", files)).inputs()


def test_a_film_by_its_path_is_opened_only_below_a_folder_that_the_owner_named(tmp_path, never_opened, monkeypatch):
    """Whatever checksum a run from elsewhere tells."""
    from samkit.settings import film_folders

    bundle = kept_with(open_video(pictures(tmp_path / "films" / "own", 10)), tmp_path / "run")
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path / "another home"))
    with pytest.raises(BadInput, match="in a folder that SAMKIT_FILMS"):
        bundle.inputs()
    monkeypatch.setenv("SAMKIT_FILMS", f"{tmp_path / 'nowhere'}:relative:{tmp_path / 'films'}")
    assert film_folders() == (tmp_path / "nowhere", tmp_path / "films")
    (tmp_path / "films" / "link").symlink_to(tmp_path / "outside")
    shutil.move(tmp_path / "films" / "own", tmp_path / "outside")
    with pytest.raises(BadInput, match="in a folder that SAMKIT_FILMS"):
        read_bundle(placed(bundle, str(tmp_path / "films" / "link"))).inputs()


@pytest.mark.parametrize("place", ["/proc/self/pagemap", "/proc/kmsg", "/dev/zero", "/proc/self/mem"])
def test_files_without_an_end_are_not_read_even_where_the_owner_named_everything(tmp_path, place, monkeypatch):
    monkeypatch.setenv("SAMKIT_FILMS", "/")
    bundle = kept_with(open_video(pictures(tmp_path / "own", 10)), tmp_path / "run")
    with pytest.raises(BadInput, match="put the same film there"):
        read_bundle(placed(bundle, place)).inputs()


def found_rows(*frames: int, number: int = 0) -> list[dict]:
    figures = {"time_s": 0.0, "object_score": 1.5, "predicted_iou": 0.9, "area_share": 0.25}
    return [{"frame": frame, "object": number} | figures for frame in frames]


def run_of_two_objects(folder, frames=1):
    """A kept run on a film whose first frames have a mask of each of two objects, that of the first one smaller from
    frame to frame.
    """
    first, second = np.zeros((2, frames, 48, 64), bool)
    for frame in range(frames):
        first[frame, : 24 - 8 * frame, :32], second[frame, 24:, 32:] = True, True
    result, inputs = made_up_result()
    files = {
        name: masks_to_json([mask_row(frame, mask) for frame, mask in enumerate(masks)])
        for name, masks in (("masks.json", first), ("masks_1.json", second))
    }
    return write_bundle(
        folder / "run",
        result=replace(result, files=files),
        inputs=replace(inputs, video=open_video(pictures(folder / "film", 10))),
        model_info=MODEL,
        device="cpu",
        dtype="float32",
    )


def test_each_object_of_a_film_is_compared_by_itself(tmp_path):
    comparison = Comparison([run_of_two_objects(tmp_path)] * 2)
    assert comparison.objects == (2, 2) and comparison.frames == (0,)
    assert [shown_text(comparison, "frame 0", each) for each in comparison.shown("frame 0")] == [
        "run 1, object 1", "run 1, object 2", "run 2, object 1", "run 2, object 2"
    ]  # fmt: skip
    assert len({color_of(each) for each in comparison.shown("frame 0")}) == 4
    for number, place in ((1, (0, 0)), (2, (47, 63))):
        shown = comparison.shown(f"frame 0 of object {number}")
        assert [each.run for each in shown] == [0, 1] and all(comparison.mask(each)[place] for each in shown)
        assert len(comparison.grounds(f"frame 0 of object {number}")) == 1


def test_two_masks_are_called_by_what_tells_them_apart(tmp_path):
    bundles = [run_of_two_objects(tmp_path / name) for name in ("a", "b")]
    names = [f"Video with image priors, coin, {end}" for end in ("six memories", "one memory")]
    named = [
        replace(bundle, record=bundle.record.model_copy(update={"name": name}))
        for bundle, name in zip(bundles, names, strict=True)
    ]
    comparison = Comparison(named)
    first, second, other, _ = comparison.shown("frame 0")
    assert swipe_captions(comparison, "frame 0", (first, second)) == ["run 1, object 1", "run 1, object 2"]
    told = ["run 1, object 1 · six memories", "run 2, object 1 · one memory"]
    assert swipe_captions(comparison, "frame 0", (first, other)) == told


def test_what_a_kept_run_found_is_read_without_what_is_damaged(tmp_path):
    mask = np.zeros((48, 64), bool)
    mask[:24, :32] = True
    good, other = mask_row(0, mask), mask_row(1, np.ones((10, 10), bool))
    rows = [*found_rows(0, 1, 2), *found_rows(0, number=1), {"frame": 0, "object": 1, "object_score": "high"}, 7]
    result, inputs = made_up_result()
    result = replace(
        result,
        tables={"frames": rows},
        files={"masks.json": masks_to_json([good, other]), "masks_1.json": masks_to_json([good])},
    )
    inputs = replace(inputs, video=open_video(pictures(tmp_path / "film", 10)))
    bundle = write_bundle(
        tmp_path / "run", result=result, inputs=inputs, model_info=MODEL, device="cpu", dtype="float32"
    )
    kept = kept_film(bundle)
    assert kept is not None and [list(found) for found in kept.found] == [[0], [0]]
    assert np.array_equal(kept.on(0)[1].pixels, mask) and kept.on(0)[0].row["object_score"] == 1.5 and not kept.on(2)
    (bundle.path / "outputs/tables.json").write_text("[")
    assert kept_film(bundle) is None
    assert kept_film(kept_with(open_video(pictures(tmp_path / "other", 10)), tmp_path / "none")) is None


def two_objects_marked(folder, image=None):
    """A kept run on a film of which two objects were marked on two frames, with boxes and points."""
    result, inputs = made_up_result()
    marks = Prompts(points=[(0.25, 0.5, 1), (0.5, 0.5, 0)], boxes=[(0.1, 0.1, 0.4, 0.4)])
    corrections = Correction(2, Prompts(boxes=[(0.5, 0.5, 1, 1)]), object=1), Correction(0, marks)
    inputs = replace(
        inputs,
        image=image,
        prompts=Prompts(),
        video=load_sample_video("coin"),
        steering=Steering((FilmObject("cup"), FilmObject()), corrections),
    )
    result = replace(result, masks={})
    return write_bundle(folder, result=result, inputs=inputs, model_info=MODEL, device="cpu", dtype="float32")


def rows(*bundles) -> dict:
    return {row.name: row.values for row in Comparison(bundles).circumstances}


def test_a_films_prompts_are_those_of_all_objects_and_frames(tmp_path):
    told = rows(two_objects_marked(tmp_path / "a"), two_objects_marked(tmp_path / "b"))
    assert (told["points"], told["boxes"]) == ((2, 2), (2, 2)) and "picture" not in told
    assert told["prompts"][0] == (
        "cup, frame 0: +(0.250, 0.500) −(0.500, 0.500) box(0.100, 0.100, 0.400, 0.400); "
        "Object 2, frame 2: box(0.500, 0.500, 1.000, 1.000)"
    )


def test_a_picture_that_only_lay_on_the_page_is_not_named_of_a_films_run(tmp_path):
    """As runs have it that were kept before."""
    picture = made_up_result()[1].picture
    kept, other = two_objects_marked(tmp_path / "a", picture), two_objects_marked(tmp_path / "b")
    assert kept.record.picture is not None and kept.record.first_picture is None
    assert "picture" not in rows(kept, other) and "samkit.picture" not in tags_of(kept)
    assert [each.what for each in datasets_of(kept.record)] == ["film"]
    assert picture.name not in about_run(kept.record, "0" * 32)
    assert Comparison([kept, other]).peers == ((0, 1),)


def test_the_prompts_of_a_films_memory_count(tmp_path):
    result, inputs = made_up_result()
    inputs = replace(inputs, video=load_sample_video("coin"), priors=(Prior(inputs.picture, inputs.prompts),))
    result = replace(result, masks={})
    bundle = write_bundle(tmp_path / "a", result=result, inputs=inputs, model_info=MODEL, device="cpu", dtype="float32")
    told = rows(bundle, bundle)
    assert told["picture"] == ("noise.png",) * 2 and (told["points"][0], told["boxes"][0]) == (1, 1)
    assert told["prompts"][0].startswith("memory noise.png: +(0.500, 0.500)")
