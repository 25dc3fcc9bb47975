"""Marks in the list of own checkpoints: what came or changed since the visitor last looked."""

from samkit.ui.state.own_files import OwnFiles


def marks(files: OwnFiles, **states: int) -> dict[str, str | None]:
    """Of a list that shows all of them."""
    files.look(states)
    return {path: files.shown(path) for path in states}


def test_nothing_is_new_at_first_and_the_first_file_of_an_empty_folder_is():
    assert marks(OwnFiles(), a=1) == {"a": None}
    files = OwnFiles()
    assert marks(files) == {}
    assert marks(files, a=1) == {"a": "new"}


def test_a_file_that_a_search_hid_is_not_new_for_that():
    files = OwnFiles()
    files.look({"a": 1, "hidden": 1})
    assert marks(files, a=1, hidden=1) == {"a": None, "hidden": None}


def test_a_mark_stays_while_the_list_is_open_and_goes_when_it_was_seen():
    files = OwnFiles()
    marks(files, a=1)
    assert marks(files, a=2, b=1) == marks(files, a=2, b=1) == {"a": "changed", "b": "new"}
    files.list_opened()
    assert marks(files, a=2, b=1) == {"a": None, "b": None}
    assert marks(files, a=3, b=1) == {"a": "changed", "b": None}


def test_a_mark_that_nobody_saw_waits():
    files = OwnFiles()
    marks(files, a=1)
    files.look({"a": 2})
    files.list_opened()
    assert marks(files, a=2) == {"a": "changed"}


def test_a_file_that_is_still_being_copied_is_new_and_one_that_is_used_has_no_mark():
    files = OwnFiles()
    marks(files)
    marks(files, a=1)
    assert marks(files, a=2) == {"a": "new"}
    files.used("a")
    assert marks(files, a=2) == {"a": None}
    assert marks(files) == {}
    assert marks(files, a=2) == {"a": "new"}
