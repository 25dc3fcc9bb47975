"""A frame of a film as the picture: chosen in the picture dialog, kept, opened again, named by the copied command; what
is no film is a sentence.
"""

from pathlib import Path

import pytest

from samkit.media.sample_videos import load_sample_video
from samkit.media.video import open_video
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import read_bundle
from samkit.tracking.store.store import RunStore
from samkit.ui.controls.picture_picker import FRAME
from samkit.work.replay import replay
from tests.media.films import cut, moving_frames, write_film_file, write_sound
from tests.pages.app import new_app, page_path

PAGE = page_path("mask_stability")


@pytest.fixture
def page(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))
    app = new_app()
    app.run().switch_page(PAGE).run()
    dialog(app)
    app.segmented_control(key="picture_kind").set_value(FRAME)
    return dialog(app)


def dialog(app, key: str = "change_picture"):
    """Run with the dialog open. In a browser only the dialog runs again; here all does, and without this press it would
    be closed.
    """
    return app.button(key=key).click().run()


def work(app):
    return app.session_state["samkit.workspace"]


def upload(app, path: Path):
    app.file_uploader(key="frame_film_upload_0").set_value((path.name, path.read_bytes(), "video/mp4"))
    return dialog(app)


def use(app):
    app.button(key="use_frame").click()
    return dialog(app)


def command(app) -> str:
    return next(code.value for code in app.code if "samkit run" in code.value)


def test_a_frame_of_a_sample_film_is_kept_opened_again_and_replayed(page, tmp_path):
    # A store that has to be made first may take longer than the page waits.
    assert not RunStore().runs()
    page.slider(key="frame_index_coin_36").set_value(12)
    dialog(page)
    assert any(caption.value.startswith("1.00 s of 3.00 s") for caption in page.caption)
    assert work(page).picture.name == "coffee"
    use(page)
    frame = load_sample_video("coin").picture(12)
    assert work(page).picture == frame and work(page).picture.name == "coin, frame 12" and work(page).prompts.is_empty
    work(page).edit(Prompts(points=[(0.4, 0.65, 1)]))
    page.run()
    assert "--image 'sample:coin#12' " in command(page)
    page.button(key="keep_mask-stability").click().run()
    assert not page.error and not page.exception, work(page).last_kept["mask-stability"]["outcome"].sentence
    (run,) = RunStore().runs()
    RunStore().load(run.run_id, tmp_path / "bundle")
    assert replay(read_bundle(tmp_path / "bundle")).identical
    again = new_app()
    again.query_params["run"] = run.run_id
    again.run().switch_page(PAGE)
    again.query_params["run"] = run.run_id
    again.run()
    assert (
        work(again).picture == frame
        and work(again).picture.name == "coin, frame 12"
        and work(again).prompts == work(page).prompts
    )
    assert not again.error and "--image 'sample:coin#12' " in command(again)


def test_a_frame_of_an_own_film(page, tmp_path):
    path = write_film_file(tmp_path / "own film.mp4", moving_frames(20))
    upload(page, path)
    assert page.radio(key="frame_film").value == "own" and not page.error
    page.slider(key="frame_index_own_20").set_value(19)
    use(page)
    with open_video(path) as film:
        assert work(page).picture == film.picture(19)
    assert work(page).picture.name == "own film.mp4, frame 19" and "--image 'own film.mp4#19' " in command(page)


def test_another_film_has_its_own_slider_and_a_single_frame_has_none(page, tmp_path):
    page.slider(key="frame_index_coin_36").set_value(35)
    dialog(page)
    page.radio(key="frame_film").set_value("cat")
    dialog(page)
    assert page.slider(key="frame_index_cat_40").value == 35
    upload(page, write_film_file(tmp_path / "one.mp4", moving_frames(1)))
    assert not [slider for slider in page.slider if slider.key.startswith("frame_index")] and not page.error
    use(page)
    assert work(page).picture.name == "one.mp4, frame 0"


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda path: cut(write_film_file(path, moving_frames(20)), 0.6), "is cut short or damaged"),
        (lambda path: path.write_bytes(b"no film at all") and path, "is not a film that can be read here"),
        (lambda path: path.write_bytes(b"") or path, "is empty"),
        (write_sound, "only sound"),
    ],
)
def test_what_is_no_film_is_a_sentence_and_the_film_before_stays(page, tmp_path, make, sentence):
    before = work(page).picture, work(page).prompts
    page.slider(key="frame_index_coin_36").set_value(7)
    upload(page, make(tmp_path / "broken.mp4"))
    assert [sentence in error.value for error in page.error] == [True] and not page.exception
    assert page.radio(key="frame_film").value == "coin" and page.slider(key="frame_index_coin_36").value == 7
    assert (work(page).picture, work(page).prompts) == before
    use(page)
    assert work(page).picture == load_sample_video("coin").picture(7)


def test_a_frame_that_can_not_be_decoded_is_a_sentence(page, monkeypatch):
    from samkit.errors import PictureError
    from samkit.media.sample_videos import MadeVideo

    def fail(video, index):
        raise PictureError(f"Frame {index} of {video.name} can't be decoded: the file is damaged there.")

    before = work(page).picture
    monkeypatch.setattr(MadeVideo, "_read", fail)
    use(page)
    assert "Frame 0 of coin can't be decoded" in page.error[0].value and not page.exception
    assert work(page).picture == before and page.slider(key="frame_index_coin_36").value == 0


def test_the_second_picture_takes_a_frame_too(page):
    page.switch_page(page_path("cross_image")).run()
    dialog(page, "change_picture_b")
    page.segmented_control(key="picture_kind").set_value(FRAME)
    dialog(page, "change_picture_b")
    page.slider(key="frame_index_coin_36").set_value(3)
    page.button(key="use_frame").click()
    dialog(page, "change_picture_b")
    assert (
        page.session_state["samkit.picture_pair"].b.picture.name == "coin, frame 3"
        and work(page).picture.name == "coffee"
    )
    assert "--image-b 'sample:coin#3' " in command(page) and not page.error
