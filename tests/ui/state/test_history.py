"""Undo and redo of prompts."""

from samkit.prompts import Prompts
from samkit.ui.state.workspace import Workspace

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


def test_another_picture_has_no_history():
    work = Workspace()
    work.edit(A)
    work.undo()
    work.show_picture(work.picture, B)
    work.redo()
    work.undo()
    assert work.prompts == B
