"""Video with image priors in a real browser: two memories, a film, scrubbing, keeping, and the same from the command
line.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from samkit.media.film import masks_from_json
from samkit.media.video import open_video
from tests.browser.visitor import KEEP_MS

pytestmark = pytest.mark.browser


def settled(page) -> None:
    page.locator(".samkit-mask").nth(3).wait_for()
    page.wait_for_function('() => !document.querySelector(\'[data-testid="stStatusWidget"], [data-stale="true"]\')')
    page.wait_for_timeout(400)


def test_a_dialog_stays_open_when_the_film_behind_it_is_done(page, app_url):
    page.goto(f"{app_url}/video_priors")
    page.get_by_role("button", name="Segment", exact=True).click()
    page.get_by_role("button", name="Picture", exact=True).click()
    page.get_by_role("dialog").wait_for()
    film = 'iframe[title^="The film with its masks"]'
    page.locator(film).wait_for(state="attached", timeout=180_000)
    assert page.get_by_role("dialog").count() == 1
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.frame_locator(film).locator("video").first.wait_for()


@pytest.mark.timeout(400)
def test_record_two_memories_run_scrub_keep_and_read_back(page, app_url, home, tmp_path):
    page.goto(f"{app_url}/video_priors")
    settled(page)
    page.get_by_text("1 recorded").wait_for()
    page.locator(".st-key-mask_button_video-priors_0 button:visible").click()
    settled(page)
    page.get_by_role("button", name="Record this memory").click()
    page.get_by_text("2 recorded").wait_for()

    page.get_by_text("Only some frames").click()
    count = page.locator(".st-key-knob_video-priors_count input[type=range]")
    count.focus()
    page.keyboard.press("Home")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.locator(".st-key-knob_video-priors_count", has_text="6").wait_for()
    settled(page)
    page.get_by_role("button", name="Segment", exact=True).click()
    player = page.frame_locator('iframe[title^="The film with its masks"]')
    player.locator("#where b").wait_for(timeout=120_000)

    # Film and charts follow each other: a click in the middle of a chart, then a step by the keyboard.
    chart = player.locator("svg").first
    chart.click(position={"x": chart.bounding_box()["width"] * 0.6, "y": 20})
    player.locator("#where b", has_text="Frame 3").wait_for()
    chart.press("ArrowRight")
    player.locator("#where b", has_text="Frame 4").wait_for()
    line = player.locator("svg .now").nth(2)
    assert float(line.get_attribute("x1")) == pytest.approx(800, abs=1)
    assert player.locator("video").evaluate("film => film.videoWidth") == 480

    page.get_by_role("tab", name="Masks of a frame").click()
    page.get_by_text("· best").first.wait_for()
    page.get_by_role("tab", name="Files").click()
    with page.expect_download() as download:
        page.locator(
            '.st-key-file_video-priors_Memory\\ bank button:visible, [class*="st-key-file_video-priors_Memory"] '
            "button:visible"
        ).first.click()
    download.value.save_as(tmp_path / "bank.safetensors")
    page.get_by_label("Name").fill("two memories")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Keep this run").click()
    page.get_by_text("Last kept:").wait_for(timeout=KEEP_MS)

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("samkit/video-priors").experiment_id])
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
        str(tmp_path / "bank.safetensors"),
    ]
    # A film's run leaves a core to others, and another number of threads may move a pixel.
    environment = os.environ | {"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() - 1))}
    again = [*command, "--set", "count=6", "--out", str(tmp_path / "again")]
    subprocess.run(again, check=True, capture_output=True, cwd=Path(__file__).parents[2], env=environment)
    again = masks_from_json((tmp_path / "again/outputs/masks.json").read_bytes())
    assert again.keys() == masks.keys() and all(np.array_equal(again[frame], masks[frame]) for frame in masks)
