"""Whoever waits for a long encoding is told how far it is, and can end it."""

import os
import sys
import threading
from types import SimpleNamespace

import pytest

from samkit.errors import Cancelled
from samkit.media.pictures import Picture
from samkit.media.samples import load_sample
from samkit.models.sam import SamModel, load_model
from samkit.work import long_encoding
from samkit.work.lab import Lab
from tests.random_models import SMALL_MOBILE_SAM, SMALL_SAM1, SMALL_SAM2, save_random_model


@pytest.fixture(scope="module", params=[SMALL_SAM1, SMALL_SAM2, SMALL_MOBILE_SAM], ids=["v1", "v2", "MobileSAM"])
def model(request, tmp_path_factory) -> SamModel:
    return load_model(
        str(save_random_model(tmp_path_factory.mktemp("model") / "model.safetensors", request.param)), device="cpu"
    )


@pytest.fixture
def long(monkeypatch):
    monkeypatch.setattr(long_encoding, "LONG_S", 0.0)


@pytest.fixture
def picture() -> Picture:
    return load_sample("chelsea")


def test_every_block_is_told(long, picture, model, monkeypatch):
    told: list[tuple[float, str]] = []
    lab = Lab(progress=lambda share, line: told.append((share, line)))
    lab.report(0.2, "Beginning")
    monkeypatch.setattr(long_encoding, "time", SimpleNamespace(perf_counter=iter(range(100)).__next__))
    _ = lab.encoding(model, picture, side=256).value
    count = sum(model.info.blocks_per_stage)
    begun, *blocks = told[1:]
    assert begun == (0.2, "Encoding at a side of 256 pixels: about 0 s")
    lines = [line.partition(", about ") for _, line in blocks]
    assert [line[0] for line in lines] == [
        f"Encoding at a side of 256 pixels: block {number} of {count}" for number in range(1, count + 1)
    ]
    assert lines[0][2] != "0 s left" and lines[-1][2] == "0 s left"
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(0.6), "half of what was left"


def test_it_can_be_ended_after_each_block(long, picture, model):
    told: list[str] = []
    lab = Lab(progress=lambda _, line: told.append(line), cancelled=lambda: len(told) == 3)
    with pytest.raises(Cancelled):
        _ = lab.encoding(model, picture, side=128).value
    assert len(told) == 3
    assert Lab().encoding(model, picture, side=64).value.settings.side == 64, "others go on"


def test_background_work_knows_of_one_that_goes_first(long, picture, model):
    seen: list[long_encoding.UnderWay | None] = []
    lab = Lab(progress=lambda *_: seen.append(long_encoding.goes_first()))
    _ = lab.encoding(model, picture, side=128).value
    before, *blocks = seen
    assert before is None and {each and each.side for each in blocks} == {128}
    assert long_encoding.goes_first() is None, "it is over"
    with pytest.raises(Cancelled):
        _ = (
            Lab(progress=lambda *_: None, cancelled=lambda: bool(long_encoding.goes_first()))
            .encoding(model, picture, side=128)
            .value
        )
    assert long_encoding.goes_first() is None, "nor is one that was ended"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a thread has no priority of its own")
def test_background_work_itself_goes_before_nobody(long, picture, model):
    seen: list[long_encoding.UnderWay | None] = []

    def work() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + 1)
        _ = Lab(progress=lambda *_: seen.append(long_encoding.goes_first())).encoding(model, picture, side=128).value

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(seen) > 1 and not any(seen)


def test_short_ones_say_nothing(picture, model):
    told: list[str] = []
    _ = Lab(progress=lambda _, line: told.append(line)).encoding(model, picture, side=64).value
    assert told == []


def idle(monkeypatch) -> None:
    monkeypatch.setattr(long_encoding.os, "getloadavg", lambda: (0.5, 0.0, 0.0))


def test_how_long_is_learned_from_what_was_encoded_here(monkeypatch):
    pace = long_encoding.Pace()
    monkeypatch.setattr(long_encoding.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(long_encoding.os, "getloadavg", lambda: (8.0, 0.0, 0.0))
    assert pace.factor("one") == 4.0, "nothing is learned yet, and four want each core"
    idle(monkeypatch)
    assert pace.factor("one") == 1.0
    pace.note("one", 0.001, 0.1)
    assert pace.factor("one") == 1.0, "too short to tell"
    pace.note("one", 2.0, 6.0)
    pace.note("other", 2.0, 1.0)
    assert (pace.factor("one"), pace.factor("other"), pace.factor("a third")) == (3.0, 0.5, 0.5)


def test_who_encodes_is_asked_first_and_told_how_long(picture, model, monkeypatch):
    pace = long_encoding.Pace()
    idle(monkeypatch)
    monkeypatch.setattr("samkit.work.lab.PACE", pace)
    asked = []

    def ask(who, side, seconds):
        asked.append((who, side, seconds))
        if len(asked) == 1:
            raise long_encoding.LongEncoding("sha", side, 125)

    lab = Lab(ask=ask)
    encoding = lab.encoding(model, picture, side=128)
    with pytest.raises(long_encoding.LongEncoding, match="side of 128 pixels takes about 2 min"):
        _ = encoding.value
    said = sum(model.block_seconds(picture.size, side=128, fit="native"))
    assert asked == [(model, 128, pytest.approx(said))]
    pace.note(f"{model.info.sha256} float32", 1.0, 4.0)
    _ = encoding.value
    _ = encoding.value
    assert len(asked) == 2 and asked[1][2] == pytest.approx(4 * said)


def test_the_estimate_grows_with_the_side(model):
    seconds = [sum(model.block_seconds((300, 451), side=side, fit="native")) for side in (512, 1024, 4096)]
    assert 0 < 3 * seconds[0] < seconds[1] < seconds[2] / 10
