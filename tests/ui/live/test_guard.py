"""What the pages may fetch."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from samkit.ui.live.guard import MIDDLEWARE, POLICY
from tests.loops import in_a_thread
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
    in_a_thread(app(scope, receive, send))
    return dict(sent[0]["headers"])


def test_a_page_fetches_nothing_from_elsewhere():
    assert answer("/")[b"content-security-policy"].decode() == POLICY
    sources = {word for part in POLICY.split("; ") for word in part.split()[1:]}
    assert sources <= {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
    assert "img-src 'self' data: blob:" in POLICY and "default-src 'self'" in POLICY


def test_an_answer_with_a_policy_of_its_own_keeps_it():
    assert answer("/own")[b"content-security-policy"] == b"default-src 'none'"


def upload(size: int, monkeypatch, told: bool, public: bool = True) -> int | None:
    """The status of an upload of so many bytes; None where the connection was ended."""
    if public:
        monkeypatch.setenv("SAMKIT_PUBLIC", "1")
        monkeypatch.setenv("SAMKIT_LIMIT_FILM_MB", "1")
        monkeypatch.setenv("SAMKIT_LIMIT_PICTURE_MB", "1")
    parts, sent = [bytes(2**18)] * (size // 2**18), []

    async def receive():
        body = parts.pop() if parts else b""
        return {"type": "http.request", "body": body, "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    async def take(request):
        try:
            return Response(str(len(await request.body())))
        except ClientDisconnect:
            return Response(status_code=400)

    path = "/_stcore/upload_file/a/b"
    app = Starlette(routes=[Route(path, take, methods=["PUT"])], middleware=MIDDLEWARE)
    headers = [(b"content-length", str(size).encode())] if told else []
    scope = {"type": "http", "method": "PUT", "path": path, "headers": headers, "query_string": b"", "root_path": ""}
    in_a_thread(app(scope, receive, send))
    return sent[0]["status"]


def test_a_public_server_ends_uploads_that_nothing_would_take(monkeypatch):
    for told in (True, False):
        assert upload(2**20, monkeypatch, told) == 200
        assert upload(2**21, monkeypatch, told) in (400, 413)


def test_any_other_takes_them(monkeypatch):
    monkeypatch.delenv("SAMKIT_PUBLIC", raising=False)
    assert upload(2**22, monkeypatch, True, public=False) == 200


def test_the_app_has_it():
    assert "middleware=MIDDLEWARE" in Path(MAIN).parents[3].joinpath("Home.py").read_text()
