"""Undo and redo of prompts and of the hint."""

import numpy as np

from samkit.media.given_masks import MaskHint
from samkit.media.pictures import Picture
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.ui.state.workspace import MAX_RECENT, Workspace

A, B, C = (Prompts([(share, 0.5, 1)]) for share in (0.1, 0.2, 0.3))


def test_what_was_undone_is_done_again_in_order():
    work = Workspace()
    for prompts in (A, B, C):
        work.edit(prompts)
    for expected in (B, A, Prompts(), Prompts()):
        work.undo()
        assert work.prompts == expected
    for expected in (A, B, C, C):
        work.redo()
        assert work.prompts == expected
    work.undo()
    assert work.prompts == B


def test_another_change_leaves_nothing_to_do_again():
    work = Workspace()
    work.edit(A)
    work.undo()
    work.edit(B)
    work.redo()
    assert work.prompts == B


def test_a_hint_is_undone_cleared_and_done_again_with_the_prompts():
    work = Workspace()
    first, second = (MaskHint(np.full(work.picture.size, True), name) for name in ("first", "second"))
    work.edit(A)
    work.take_hint(first, (1.0, 0.5))
    work.take_hint(second)
    work.undo()
    assert (work.prompts, work.given.hint, work.given.share) == (A, first, (1.0, 0.5))
    work.clear()
    assert not work.is_marked
    steps = len(work.history)
    work.clear()
    assert len(work.history) == steps, "there was nothing to clear"
    work.undo()
    assert (work.prompts, work.given.hint) == (A, first)
    work.undo()
    assert (work.prompts, work.given.hint) == (A, None)
    for _ in range(2):
        work.redo()
    assert not work.is_marked and work.given.hint is None


def test_another_picture_has_no_history():
    work = Workspace()
    work.edit(A)
    work.undo()
    work.show_picture(work.picture, B)
    work.redo()
    work.undo()
    assert work.prompts == B


def test_who_comes_back_to_a_picture_finds_what_was_on_it():
    work, hint = Workspace(), MaskHint(np.ones((4, 4), bool))
    first, other = work.picture, load_sample("chelsea")
    work.edit(A)
    work.edit(B)
    work.take_hint(hint)
    work.open_picture(other, A, own_first=True)
    assert (work.prompts, work.given.hint, work.history) == (A, None, [])
    work.clear()
    work.open_picture(first, A, own_first=True)
    assert (work.prompts, work.given.hint) == (B, hint)
    for _ in range(2):
        work.undo()
    assert (work.prompts, work.given.hint) == (A, None)
    work.redo()
    work.open_picture(other, B, own_first=True)
    assert work.prompts == B, "what was cleared there comes back by undo alone"
    work.undo()
    assert work.prompts == A


def test_an_opened_run_can_be_undone_on_the_same_picture_and_on_one_that_was_here():
    work = Workspace()
    mine, other = work.picture, load_sample("chelsea")
    work.edit(A)
    work.open_picture(mine, B)
    assert work.prompts == B
    work.undo()
    assert work.prompts == A
    work.redo()
    work.open_picture(other, A)
    work.open_picture(mine, A)
    work.undo()
    assert work.prompts == B


def test_only_pictures_used_lately_are_remembered():
    work = Workspace()
    work.edit(A)
    first = work.picture
    for seed in range(MAX_RECENT + 1):
        work.open_picture(Picture(np.full((8, 8, 3), seed, np.uint8), f"{seed}.png"))
    assert len(work.left) == MAX_RECENT and first.sha256 not in work.left
    work.open_picture(first, own_first=True)
    assert work.prompts == Prompts() and not work.history


def test_a_mask_that_was_chosen_by_hand_is_chosen_of_that_picture_alone():
    work = Workspace()
    work.params["mask-stability"] = {"mask_index": 3, "input_scale": 0.5}
    work.show_picture(work.picture, Prompts([(0.5, 0.5, 1)]))
    assert work.params["mask-stability"]["mask_index"] == 3
    work.show_picture(load_sample("chelsea"))
    assert work.params["mask-stability"] == {"input_scale": 0.5}
