"""The app asks no other machine for anything: a real server, a visitor who opens pages, and every look-up recorded."""

import json
import sys
import textwrap

from benchmarks.visitors import Session
from samkit.tracking.store.keep import keep_run
from tests.loops import in_a_thread
from tests.tracking.conftest import made_up_bundle
from tools.running_app import free_port, running

RECORDER = """
    import json, os, socket
    LOCAL = (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::", b"localhost")

    def note(what, host):
        if host not in LOCAL:
            with open(os.environ["ASKED"], "a") as file:
                file.write(json.dumps([what, str(host)]) + "\\n")
            raise OSError("there is no network in this test")

    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def getaddrinfo(host, *arguments, **more):
        note("look-up", host)
        return look_up(host, *arguments, **more)

    def connected(self, address):
        # A datagram socket that is connected has sent nothing.
        if self.family in (socket.AF_INET, socket.AF_INET6) and self.type == socket.SOCK_STREAM:
            note("connection", address[0])
        return connect(self, address)

    socket.getaddrinfo, socket.socket.connect = getaddrinfo, connected
"""


def test_a_server_that_is_visited_asks_nobody(tmp_path, monkeypatch):
    """Started as on a server, where Streamlit looks for its own address; runs are kept by it and by a command."""
    home, port = tmp_path / "home", free_port()
    home.mkdir()
    monkeypatch.setenv("SAMKIT_HOME", str(home))
    run_id = keep_run(made_up_bundle(tmp_path / "run")).run.run_id
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(RECORDER))
    asked = tmp_path / "asked"
    environment = {"PYTHONPATH": str(tmp_path), "ASKED": str(asked), "SAMKIT_HOME": str(home)}
    for name in ("CI", "PYTEST_CURRENT_TEST", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    options = ["--server.port", str(port), "--server.headless", "true", "--server.fileWatcherType", "none"]
    command = [sys.executable, "-m", "streamlit", "run", "Home.py", *options]

    async def visit(url: str) -> None:
        for page, query in (("", ""), ("kept_run", f"id={run_id}")):
            session = Session(url, page, query)
            await session.open()
            assert not session.errors
            await session.close()

    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/_stcore/health", environment, tmp_path / "log"):
        in_a_thread(visit(url))
    told = [json.loads(line) for line in asked.read_text().splitlines()] if asked.exists() else []
    assert told == []
    assert f":{port}" in (tmp_path / "log").read_text()
