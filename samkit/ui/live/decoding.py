"""Answers to questions: prompts decoded on the page's own encoding. Runs in a few threads of its own.

Under the pointer one thread decodes: torch's threads wait for each other, and where somebody else has the cores they do
so for half a second. What a click asks (`ALL`) is decoded with as many threads as the page has, and into the page's
memory, so that the page finds it there; but while others' pages or long work have the cores, one thread decodes it too,
and the page, which comes later then, decodes it once more for what is kept.
"""

import asyncio
import logging
import math
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from samkit.errors import SamkitError
from samkit.machine import refused_by_machine
from samkit.prompts import Prompts
from samkit.ui.live.messages import ALL, MASK_COUNT, ONE, Question, answer, refusal, wait
from samkit.ui.parts.turns import clicks, pages_under_way
from samkit.ui.state.live_work import LivePlace, Standing, remember_decode_time
from samkit.work.queue import anything_at_work

if TYPE_CHECKING:
    from samkit.models.encoding import ImageEncoding, MaskPrediction
    from samkit.models.sam import SamModel

STABILITY_OFFSET = 1.0
"""Of the official score."""
_log = logging.getLogger(__name__)


async def answer_to(question: Question, place: LivePlace) -> str | bytes:
    """What is sent back, computed without holding up the event loop. Without an encoding that is a request to wait;
    where nobody makes one the place notes that it was missed.
    """
    standing = place.standing
    if standing is None or (question.view and standing.view and question.view != standing.view):
        # The browser still shows the picture before, on which these masks would be wrong.
        return wait(question.n)
    if standing.model_ref() is None or standing.encoding() is None:
        if place.unkept == standing.encoding_key:
            return refusal(question.n, "The encoding is larger than the memory for encodings.")
        if place.unasked == standing.encoding_key:
            return refusal(question.n, "The encoding takes long, and nobody has asked for it yet.")
        place.missed = not standing.is_coming()
        return wait(question.n, place.missed)
    del place  # What is decoded keeps no session's things alive.
    loop = asyncio.get_running_loop()
    if question.masks != ALL:
        return await loop.run_in_executor(_single(), _answered_after_clicks, question, standing)
    crowded = pages_under_way() or anything_at_work()
    with clicks.one():
        return await loop.run_in_executor(_click_alone() if crowded else _page_like(), _answered, question, standing)


@lru_cache
def _single() -> ThreadPoolExecutor:
    """Threads in each of which torch computes alone; half of the cores stay free for the pages."""
    return ThreadPoolExecutor(max(1, min(4, (os.cpu_count() or 1) // 2)), "live-pointer", _alone)


@lru_cache
def _click_alone() -> ThreadPoolExecutor:
    """The same for clicks, which wait for nobody's pointer."""
    return ThreadPoolExecutor(1, "live-click-alone", _alone)


def _alone() -> None:
    from samkit.models.threads import set_own_threads

    set_own_threads(1)


@lru_cache
def _page_like() -> ThreadPoolExecutor:
    """A thread in which torch computes as in a page's."""
    return ThreadPoolExecutor(1, "live-click")


def _answered_after_clicks(question: Question, standing: Standing) -> str | bytes:
    clicks.go_first()
    return _answered(question, standing)


def _answered(question: Question, standing: Standing) -> str | bytes:
    try:
        prompts = question.prompts()
        model, encoding = standing.model_ref(), standing.encoding()
        if model is None or encoding is None:
            return wait(question.n)
        if question.masks == ALL:
            prediction = _remembered(model, encoding, prompts, standing)
        else:
            hint = standing.mask_hint
            prediction = model.predict_masks(encoding, prompts, None if hint is None else hint.values)
        remember_decode_time(standing, prediction.decode_ms)
        return _packed(question, prediction)
    except SamkitError as error:
        return refusal(question.n, str(error))
    except Exception as error:
        if (refused := refused_by_machine(error)) is not None:
            return refusal(question.n, str(refused))
        # Its kind alone: what it says may hold what a visitor has drawn.
        _log.error("A live question ended with %s.", type(error).__name__)
        return refusal(question.n, "These masks could not be computed; the page itself may tell why.")


def _remembered(model: "SamModel", encoding: "ImageEncoding", prompts: Prompts, standing: Standing) -> "MaskPrediction":
    """The prediction, where the page will look for it."""
    from samkit.experiments.measures.predicted_masks import predict
    from samkit.work.lab import LazyEncoding

    at_hand = LazyEncoding(standing.encoding_key, lambda: encoding)
    return standing.lab.recall(predict, model, at_hand, prompts, standing.mask_hint)


def _packed(question: Question, prediction: "MaskPrediction") -> bytes:
    logits = prediction.logits.float().cpu().numpy()
    geometry = prediction.geometry
    share = (
        geometry.resized_size[0] / geometry.padded_size[0],
        geometry.resized_size[1] / geometry.padded_size[1],
    )
    best = prediction.best
    if isinstance(question.masks, tuple):
        chosen = question.masks
    else:
        chosen = (best,) if question.masks == ONE else tuple(range(MASK_COUNT))
    return answer(
        question.n,
        logits,
        chosen,
        share=share,
        best=best,
        iou=prediction.iou.cpu().tolist(),
        stability=_stability(logits, share),
        decode_ms=prediction.decode_ms,
    )


def _stability(logits: np.ndarray, share: tuple[float, float]) -> list[float]:
    """The official score of each mask, float32 [4, h, w], over the part of the grid that the picture covers."""
    from samkit.media.masks import stability_score

    height, width = (math.ceil(part * length) for part, length in zip(share, logits.shape[1:], strict=True))
    return [stability_score(mask[:height, :width], offset=STABILITY_OFFSET) for mask in logits]
