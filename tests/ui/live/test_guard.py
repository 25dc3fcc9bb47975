"""What the pages may fetch."""

import asyncio

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from samkit.ui.live.guard import MIDDLEWARE, POLICY
from tests.pages.app import MAIN


def answer(path: str) -> dict[bytes, bytes]:
    """The headers of an answer."""
    sent = []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    own = {"Content-Security-Policy": "default-src 'none'"}
    routes = [Route("/", lambda request: Response("x")), Route("/own", lambda request: Response("x", headers=own))]
    app = Starlette(routes=routes, middleware=MIDDLEWARE)
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "root_path": ""}
    asyncio.run(app(scope, receive, send))
    return dict(sent[0]["headers"])


def test_a_page_fetches_nothing_from_elsewhere():
    assert answer("/")[b"content-security-policy"].decode() == POLICY
    sources = {word for part in POLICY.split("; ") for word in part.split()[1:]}
    assert sources <= {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
    assert "img-src 'self' data: blob:" in POLICY and "default-src 'self'" in POLICY


def test_an_answer_with_a_policy_of_its_own_keeps_it():
    assert answer("/own")[b"content-security-policy"] == b"default-src 'none'"


def test_the_app_has_it():
    from pathlib import Path

    assert "middleware=MIDDLEWARE" in Path(MAIN).parents[3].joinpath("Home.py").read_text()
