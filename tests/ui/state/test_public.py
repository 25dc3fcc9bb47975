"""What is used up on a public server, whose a run is, and the owner's way in."""

import pytest
import streamlit as st

from samkit.errors import BadInput, SamkitError
from samkit.tracking.store.tags import OWNER
from samkit.ui.state import public
from samkit.ui.state.public import Spent


@pytest.fixture
def visitor(monkeypatch):
    """A session whose browser's name can be changed, on a public server."""
    state = {"samkit.browser_name": "a" * 32}
    monkeypatch.setattr(st, "session_state", state)
    monkeypatch.setenv("SAMKIT_PUBLIC", "1")
    monkeypatch.delenv(public.SECRET, raising=False)
    for name in ("_uploads", "_encodings", "_tries"):
        spent = Spent(60)
        monkeypatch.setattr(public, name, lambda spent=spent: spent)
    return state


def test_what_was_used_comes_back_with_time_and_others_have_their_own():
    now = [0.0]
    spent = Spent(10, clock=lambda: now[0])
    assert [spent.spend("a", 2, 5, 8) for _ in range(3)] == [None, None, "visitor"]
    assert spent.spend("b", 4, 5, 8) is None and spent.spend("c", 1, 5, 8) == "all"
    now[0] = 10.0
    assert spent.spend("a", 5, 5, 8) is None


def test_a_clock_of_the_wall_that_is_set_back_takes_nothing_away(monkeypatch):
    monkeypatch.setattr("time.time", lambda: 0.0)
    spent = Spent(10)
    assert spent.spend("a", 1, 1, None) is None and spent.spend("a", 1, 1, None) == "visitor"


def test_a_run_is_changed_by_its_own_visitor_alone(visitor):
    mine = public.owner_tags()
    assert public.may_change(mine) and visitor["samkit.browser_name"] not in mine[OWNER]
    visitor["samkit.browser_name"] = "b" * 32
    assert not public.may_change(mine) and not public.may_change({}) and public.owner_tags() != mine
    with pytest.raises(SamkitError, match="another visitor's"):
        public.check_may_change(mine)
    with pytest.raises(SamkitError, match="not possible on a public server"):
        public.check_owner_only()


def test_on_a_machine_of_ones_own_everything_is_allowed(visitor, monkeypatch):
    monkeypatch.delenv("SAMKIT_PUBLIC")
    assert public.may_change({}) and public.owner_tags() == {} and public.own_runs_only() is None
    public.check_owner_only()
    public.check_upload("a.png", 10**12)
    public.check_pixels("a.png", 10**6, 10**6)
    public.encoding_allowance()(10**6)
    assert not public.is_admin()


def test_uploads_and_encodings_have_an_end(visitor, monkeypatch):
    with pytest.raises(BadInput, match="a.png has 21 MB; on this server 20 are the most"):
        public.check_upload("a.png", 21 * 2**20)
    for _ in range(6):
        public.check_upload("a.mp4", 50 * 2**20, film=True)
    with pytest.raises(BadInput, match="you have uploaded as much as a visitor may within an hour, 300 MB"):
        public.check_upload("a.mp4", 50 * 2**20, film=True)
    with pytest.raises(BadInput, match="25 million pixels"):
        public.check_pixels("a.png", 5000, 5000)
    allow = public.encoding_allowance()
    with pytest.raises(BadInput, match="at most 1024 here"):
        allow(1025)
    monkeypatch.setenv("SAMKIT_LIMIT_ENCODINGS_VISITOR", "2")
    allow = public.encoding_allowance()
    allow(1024)
    allow(32)
    with pytest.raises(BadInput, match="Within a minute you have had as many pictures encoded as may be"):
        allow(32)


def test_the_owner_comes_in_with_the_secret_alone(visitor, monkeypatch):
    with pytest.raises(SamkitError, match="not the owner's secret"):
        public.enter("")
    monkeypatch.setenv(public.SECRET, "short")
    with pytest.raises(SamkitError, match="not the owner's secret"):
        public.enter("short")
    monkeypatch.setenv(public.SECRET, "a long enough secret")
    with pytest.raises(SamkitError, match="not the owner's secret"):
        public.enter("a long enough secret ")
    public.enter("a long enough secret")
    assert public.is_admin() and public.owner_only() and public.own_runs_only() is None and public.may_change({})
    assert not public.present_limits().public
    public.leave()
    assert not public.is_admin()


def test_secrets_can_be_tried_a_few_times_a_minute(visitor, monkeypatch):
    monkeypatch.setenv(public.SECRET, "a long enough secret")
    for _ in range(public.TRIES_PER_MINUTE):
        with pytest.raises(SamkitError, match="not the owner's secret"):
            public.enter("wrong")
    with pytest.raises(SamkitError, match="wait a minute"):
        public.enter("a long enough secret")
    assert not public.is_admin()
