"""A real HTTP server on this machine that serves one file, well or badly."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE_BYTES = 1 << 16


@dataclass
class FileServer:
    """What to serve and how; a test may change it between requests."""

    content: bytes
    ignore_range: bool = False
    status: int | None = None
    """Answer with this status and no file."""
    statuses_first: list[int] = field(default_factory=list)
    """Answer with these before behaving."""
    cut_after: list[int] = field(default_factory=list)
    """For the next requests, break the connection off after that many bytes of the body."""
    headers: dict[str, str] = field(default_factory=dict)
    """Added to, or in place of, the right ones."""
    pause_s: float = 0.0
    """Wait between pieces of 64 KiB."""
    stop_at: int | None = None
    """Hold back the body's bytes from there on until `go_on` is set."""
    go_on: threading.Event = field(default_factory=threading.Event)
    ranges: list[str | None] = field(default_factory=list)
    """The Range header of each request so far."""
    url: str = ""


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            server.ranges.append(wanted)
            status = server.statuses_first.pop(0) if server.statuses_first else server.status
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted).group(1)) if wanted and not server.ignore_range else 0
            if status is None and start >= len(server.content) > 0:
                status = 416
            if status is not None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = server.content[start:]
            headers = {"Content-Length": str(len(body)), "Content-Type": "application/octet-stream"}
            if wanted and not server.ignore_range:
                self.send_response(206)
                headers["Content-Range"] = f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            else:
                self.send_response(200)
            for name, value in (headers | server.headers).items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            limit = server.cut_after.pop(0) if server.cut_after else len(body)
            for at in range(0, limit, PIECE_BYTES):
                if server.stop_at is not None and at + PIECE_BYTES > server.stop_at:
                    server.go_on.wait()
                try:
                    self.wfile.write(body[at : min(at + PIECE_BYTES, limit)])
                except OSError:
                    return
                time.sleep(server.pause_s)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def serve(content: bytes) -> Iterator[FileServer]:
    """Serve `content` under any path until the block ends."""
    server = FileServer(content)
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        http.shutdown()
        http.server_close()
        thread.join()
