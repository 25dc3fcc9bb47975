"""Whose page is made when many are asked for."""

import threading
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from samkit.ui.parts import turns as module
from samkit.ui.parts.turns import Clicks, Turns

PATIENCE_S = 10.0


class Made:
    """A page in a thread of its own, which is made until `end` is set."""

    def __init__(self, turns: Turns, order: list[str], name: str):
        self.begun, self.end = threading.Event(), threading.Event()

        def make() -> None:
            with turns.turn():
                order.append(name)
                self.begun.set()
                self.end.wait(PATIENCE_S)

        self.thread = threading.Thread(target=make)
        self.thread.start()

    def ended(self) -> None:
        self.end.set()
        self.thread.join(PATIENCE_S)


def until(there: Callable[[], bool]) -> None:
    tick = threading.Event()
    while not there():
        tick.wait(0.001)


def test_pages_are_made_in_the_order_in_which_they_were_asked_for():
    turns, order = Turns(1, 60.0), []
    pages = []
    for name in "abc":
        pages.append(Made(turns, order, name))
        until(lambda: bool(order) and turns.waiting == len(pages) - 1)
    assert order == ["a"] and turns.under_way
    for page in pages:
        assert page.begun.wait(PATIENCE_S)
        page.ended()
    assert order == ["a", "b", "c"] and not turns.under_way


def test_nobody_waits_until_a_long_page_is_done():
    turns, order = Turns(1, 0.05), []
    long = Made(turns, order, "long")
    assert long.begun.wait(PATIENCE_S)
    short = Made(turns, order, "short")
    assert short.begun.wait(PATIENCE_S) and not long.end.is_set()
    for page in (short, long):
        page.ended()


def test_a_turn_within_a_turn_goes_on_and_an_error_ends_it():
    turns = Turns(1, 60.0)
    for _ in range(2):
        try:
            with turns.turn(), turns.turn():
                assert turns.under_way
                raise KeyError
        except KeyError:
            assert not turns.under_way


def test_a_page_waits_for_a_click_and_not_for_ever(monkeypatch):
    monkeypatch.setattr(module, "CLICK_S", PATIENCE_S)
    monkeypatch.setattr(module, "CLICKS_S", PATIENCE_S)
    clicks, begun, went_on = Clicks(), threading.Event(), threading.Event()

    def page() -> None:
        clicks.begin_page()
        clicks.go_first()
        begun.set()
        clicks.go_first()
        went_on.set()

    thread = threading.Thread(target=page)
    with clicks.one():
        with clicks.one():
            thread.start()
        assert not begun.wait(0.05)
    assert went_on.wait(PATIENCE_S)
    thread.join(PATIENCE_S)
    monkeypatch.setattr(module, "CLICKS_S", 0.01)
    with clicks.one():
        page()


def test_each_element_of_a_page_waits_for_clicks(monkeypatch):
    """By a name inside Streamlit: where another version has none, this test says so."""
    waited = []
    monkeypatch.setattr(module.clicks, "go_first", lambda: waited.append(True))

    def script() -> None:
        import streamlit as st

        from samkit.ui.parts.turns import page_turn

        with page_turn():
            st.text("one")
            st.text("two")

    app = AppTest.from_function(script).run()
    assert [text.value for text in app.text] == ["one", "two"] and len(waited) >= 2
