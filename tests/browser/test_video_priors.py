"""Video with image priors in a real browser: two memories, a film, scrubbing, keeping, and the same from the command
line.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from samkit.media.film import masks_from_json
from samkit.media.video import open_video

pytestmark = pytest.mark.browser

PAGE = "video-priors"
CANVAS = ".st-key-canvas_frame"


def test_a_dialog_stays_open_when_the_film_behind_it_is_done(visitor, page):
    visitor.open(PAGE)
    page.get_by_role("button", name="Segment", exact=True).click()
    page.locator(".st-key-change_film button:visible").click()
    page.get_by_role("dialog").wait_for()
    page.get_by_role("tab", name="Masks of a frame").wait_for(state="attached", timeout=180_000)
    assert page.get_by_role("dialog").count() == 1
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("tab", name="Numbers").click()


def at_frame(page, frame: int) -> None:
    """The player has come to that frame, and the page with it."""
    page.locator(f'.player[data-frame="{frame}"]').wait_for()
    page.get_by_text(f"coin, frame {frame} ·").wait_for()
    page.locator("body:not([data-samkit-film-moves])").wait_for(state="attached")


def download(page, label: str, path: Path) -> Path:
    with page.expect_download() as download:
        page.locator(f'[class*="st-key-file_video-priors_{label}"] button:visible').first.click()
    download.value.save_as(path)
    return path


@pytest.mark.timeout(400)
def test_record_two_memories_run_scrub_correct_keep_and_read_back(visitor, page, home, tmp_path):
    visitor.open(PAGE)
    page.locator(".player output").wait_for()
    page.locator(".st-key-film_on_canvas").get_by_text("Picture", exact=True).click()
    visitor.rest()
    page.get_by_text("1 recorded").wait_for()
    page.locator(".st-key-mask_button_video-priors_0 button:visible").click()
    visitor.rest()
    page.get_by_role("button", name="Record this memory").click()
    page.get_by_text("2 recorded").wait_for()
    page.locator(".st-key-film_on_canvas").get_by_text("Frame", exact=True).click()
    at_frame(page, 0)

    page.get_by_text("Only some frames").click()
    count = page.locator(".st-key-knob_video-priors_count input[type=range]")
    count.focus()
    page.keyboard.press("Home")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.locator(".st-key-knob_video-priors_count", has_text="6").wait_for()
    page.get_by_role("button", name="Segment", exact=True).click()
    page.get_by_role("tab", name="Masks of a frame").wait_for(timeout=120_000)
    at_frame(page, 5)

    # Film and charts follow each other: a click on a chart, then a step by the keyboard, then the film plays.
    chart = page.locator(".charts svg").first
    chart.click(position={"x": chart.bounding_box()["width"] * 2 / 35, "y": 20})
    at_frame(page, 2)
    chart.press("ArrowRight")
    at_frame(page, 3)
    line = page.locator(".charts svg .now").nth(2)
    assert float(line.get_attribute("x1")) == pytest.approx(1000 * 3 / 35, abs=1)
    scores = page.evaluate("window.samkitPlayers.get('film').tracks[0].object_score")
    told = page.locator(".charts figcaption span").first.text_content()
    assert [float(end) for end in told.split(" to ")] == pytest.approx([min(scores), max(scores)], abs=0.01)
    page.get_by_text("Object 1: object score").wait_for()
    page.get_by_role("button", name="Play", exact=True).click()
    page.locator(".player").locator("button[name=play]", has_text="Pause").wait_for()
    page.wait_for_function("window.samkitPlayers.get('film').frame > 4")
    line = page.locator(".st-key-chips_video-priors [data-testid='stCaptionContainer'] p").first
    assert "coin, frame " in line.evaluate("line => getComputedStyle(line, '::after').content") and line.is_visible()
    page.locator(".player").locator("button[name=play]").click()
    page.locator(".player").locator("button[name=play]", has_text="Play").wait_for()

    # What is marked on a frame counts from there on. A press before the page has come there is made when it has.
    box = page.locator(".st-key-canvas_frame").bounding_box()
    chart.click(position={"x": chart.bounding_box()["width"] * 3 / 35, "y": 20})
    page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    at_frame(page, 3)
    page.get_by_role("button", name="Segment from frame 3").click()
    page.locator(".st-key-chip_correction_3_0 button:visible").wait_for()
    page.get_by_role("tab", name="Files").click(timeout=120_000)
    bank = download(page, "Memory", tmp_path / "bank.safetensors")
    steering = download(page, "Steering", tmp_path / "steering.json")
    run_id = visitor.keep(PAGE)

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    run = client.get_run(run_id)
    assert run.data.tags["samkit.video"] == "coin" and len(run.data.tags["samkit.video_sha256"]) == 64
    folder = Path(client.download_artifacts(run.info.run_id, "outputs", str(tmp_path)))
    masks = masks_from_json((folder / "masks.json").read_bytes())
    film = open_video(folder / "film.mp4")
    assert list(masks) == list(range(6)) and film.length == 6 and film.size == (270, 480)
    assert json.loads((folder / "recipe.json").read_text())["priors"][1]["picture"]["name"] == "coins"

    command = [
        sys.executable,
        "-m",
        "samkit",
        "run",
        "video-priors",
        "--model",
        "nano-sam2",
        "--video",
        "sample:coin",
        "--bank",
        str(bank),
        "--steering",
        str(steering),
    ]
    # A film's run leaves a core to others, and another number of threads may move a pixel.
    environment = os.environ | {"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() - 1))}
    again = [*command, "--set", "count=6", "--out", str(tmp_path / "again")]
    subprocess.run(again, check=True, capture_output=True, cwd=Path(__file__).parents[2], env=environment)
    again = masks_from_json((tmp_path / "again/outputs/masks.json").read_bytes())
    assert again.keys() == masks.keys() and all(np.array_equal(again[frame], masks[frame]) for frame in masks)


@pytest.mark.parametrize("size", [(800, 900), (420, 900), (960, 600)])
def test_what_comes_next_is_seen_beside_the_film_on_a_narrow_screen(visitor, page, size):
    page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    visitor.open(PAGE)
    page.locator(".player output").wait_for()
    button, canvas = (page.locator(f"{each}:visible").first for each in (".st-key-run_film button", CANVAS))
    assert page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollTop") == 0
    seen, above = button.bounding_box(), canvas.bounding_box()
    assert above["y"] + above["height"] <= seen["y"] and seen["y"] + seen["height"] <= size[1]
    visitor.click(PAGE, 0.5, 0.5)
    assert button.bounding_box()["y"] + seen["height"] <= size[1], "also with a mark and its masks"


def test_the_first_press_on_a_film_that_follows_its_run_counts(visitor, page):
    visitor.open(PAGE)
    page.locator(".player output").wait_for()
    for _ in range(6):
        # Until a run of the page takes seconds that goes back to a frame for the masks under the pointer.
        page.get_by_role("slider", name="Encoding side").press("ArrowRight")
    visitor.rest()
    page.get_by_role("button", name="Segment", exact=True).click()
    expect(page.locator(".player")).to_have_attribute("data-frame", re.compile(r"[7-9]|\d\d"), timeout=60_000)
    visitor.canvas(PAGE).click(button="right", position={"x": 40, "y": 40})
    frame = int(page.locator(".player").get_attribute("data-frame"))
    page.locator(".st-key-film_strip").get_by_role("button", name=f"frame {frame}", exact=True).wait_for()
