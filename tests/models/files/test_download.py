"""Downloads from a real server on this machine: whole, resumed, interrupted, refused, wrong, and two at once. No
internet.
"""

import errno
import hashlib
import random
import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

import pytest

import samkit.models.files.download as download_module
from samkit.errors import DownloadError
from samkit.models.files.catalogue import CatalogueEntry
from samkit.models.files.download import download
from tests.models.files.file_server import serve

CONTENT = random.Random(0).randbytes(1_500_000)
ENTRY = CatalogueEntry(
    name="test_model",
    title="Test model",
    family="sam2",
    version="2.1",
    filename="test_model.pt",
    file_bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    licence="Apache-2.0",
    url="http://nowhere.invalid/test_model.pt",
)


@pytest.fixture(autouse=True)
def no_waiting_and_no_proxy(monkeypatch):
    monkeypatch.setattr(download_module, "_RETRY_WAITS_S", (0.0, 0.0, 0.0))
    monkeypatch.setattr(download_module, "_LOCK_POLL_S", 0.05)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def server():
    with serve(CONTENT) as server:
        yield server


def part_of(folder: Path) -> Path:
    return ENTRY.part_path(folder)


def refusal(server, folder: Path, entry: CatalogueEntry = ENTRY) -> str:
    with pytest.raises(DownloadError) as caught:
        download(entry, folder, base_url=server.url)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    assert not entry.local_path(folder).exists()
    return str(caught.value)


def test_a_whole_download(server, tmp_path):
    folder = tmp_path / "new" / "folder"
    seen = []
    path = download(ENTRY, folder, lambda done, total: seen.append((done, total)), base_url=server.url + "/")
    assert path == folder / "test_model.pt" and path.read_bytes() == CONTENT
    assert ENTRY.state(folder) == "on disk" and not part_of(folder).exists()
    done = [bytes_done for bytes_done, total in seen]
    assert (
        done == sorted(done)
        and done[0] == 0
        and done[-1] == len(CONTENT)
        and {total for _, total in seen} == {len(CONTENT)}
    )
    assert len(set(done)) > 4


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    download(ENTRY, tmp_path, base_url=server.url)
    seen = []
    download(ENTRY, tmp_path, lambda *progress: seen.append(progress), base_url=server.url)
    assert len(server.ranges) == 1 and seen == [(len(CONTENT), len(CONTENT))]


@pytest.mark.parametrize("content", [b"too short", bytes(len(CONTENT))], ids=["short", "same size"])
def test_another_file_of_that_name_is_replaced(server, tmp_path, content):
    ENTRY.local_path(tmp_path).write_bytes(content)
    assert download(ENTRY, tmp_path, base_url=server.url).read_bytes() == CONTENT


def test_an_entrys_own_url_is_used_without_a_mirror(server, tmp_path):
    assert download(replace(ENTRY, url=server.url + "/some/test_model.pt"), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("kept", [1, 700_000, len(CONTENT) - 1])
def test_resume(server, tmp_path, kept):
    part_of(tmp_path).write_bytes(CONTENT[:kept])
    seen = []
    assert download(ENTRY, tmp_path, lambda done, total: seen.append(done), base_url=server.url).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={kept}-"] and seen[0] == kept


def test_resume_from_a_server_that_ignores_range(server, tmp_path):
    server.ignore_range = True
    part_of(tmp_path).write_bytes(CONTENT[:700_000])
    assert download(ENTRY, tmp_path, base_url=server.url).read_bytes() == CONTENT


def test_a_whole_part_needs_no_server(tmp_path):
    part_of(tmp_path).write_bytes(CONTENT)
    assert download(ENTRY, tmp_path, base_url="http://127.0.0.1:9").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_begun_anew(server, tmp_path):
    part_of(tmp_path).write_bytes(CONTENT + b"more")
    assert download(ENTRY, tmp_path, base_url=server.url).read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_part_of_another_file_is_found_out_and_removed(server, tmp_path):
    part_of(tmp_path).write_bytes(bytes(1000))
    assert "another checksum" in refusal(server, tmp_path)
    assert not part_of(tmp_path).exists()
    assert download(ENTRY, tmp_path, base_url=server.url).read_bytes() == CONTENT


def test_a_changed_file_is_refused_and_removed(server, tmp_path):
    server.content = bytes(len(CONTENT))
    assert "another checksum" in refusal(server, tmp_path)
    assert not part_of(tmp_path).exists()


def test_a_connection_that_breaks_is_taken_up_again(server, tmp_path):
    server.cut_after = [600_000, 400_000, 0, 0, 300_000]
    assert download(ENTRY, tmp_path, base_url=server.url).read_bytes() == CONTENT
    assert len(server.ranges) == 6 and server.ranges[0] is None and server.ranges[-1].startswith("bytes=")


def test_a_connection_that_breaks_without_having_said_how_much_would_come(server, tmp_path):
    server.headers = {"Content-Length": ""}
    server.cut_after = [600_000]
    assert download(ENTRY, tmp_path, base_url=server.url).read_bytes() == CONTENT


def test_a_server_that_never_gets_anywhere(server, tmp_path):
    server.cut_after = [400_000] + [0] * 10
    assert (
        "stopped at 262 kB of 1.5 MB" in (sentence := refusal(server, tmp_path))
        and "models download test_model" in sentence
    )
    assert ENTRY.state(tmp_path) == "partial"
    server.cut_after = []
    assert download(ENTRY, tmp_path, base_url=server.url).read_bytes() == CONTENT


def test_errors_that_pass(server, tmp_path):
    server.statuses_first = [503, 429, 500]
    assert download(ENTRY, tmp_path, base_url=server.url).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "words", "requests_made"),
    [
        (404, "does not have the file (HTTP 404", 1),
        (403, "refuses the file (HTTP 403", 1),
        (503, "answers with HTTP 503", 4),
    ],
)
def test_errors_that_stay(server, tmp_path, status, words, requests_made):
    server.status = status
    part_of(tmp_path).write_bytes(CONTENT[:1000])
    assert words in refusal(server, tmp_path)
    assert len(server.ranges) == requests_made
    assert part_of(tmp_path).read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("kept", [0, 1000])
@pytest.mark.parametrize(
    "content", [CONTENT + b"x", CONTENT[:500], b"<html>Sign in"], ids=["longer", "shorter", "page"]
)
def test_another_file_than_expected(server, tmp_path, content, kept):
    server.content = content
    if kept:
        part_of(tmp_path).write_bytes(CONTENT[:kept])
    assert "sent something other than test_model.pt (1.5 MB)" in refusal(server, tmp_path)


def test_a_login_page_does_not_cost_the_part(server, tmp_path):
    server.content = b"<html>Sign in"
    server.ignore_range = True
    server.headers = {"Content-Type": "text/html; charset=utf-8", "Content-Length": ""}
    part_of(tmp_path).write_bytes(CONTENT[:700_000])
    assert "login page" in refusal(server, tmp_path)
    assert part_of(tmp_path).read_bytes() == CONTENT[:700_000]


def test_more_bytes_than_announced(server, tmp_path):
    server.content = CONTENT + bytes(400_000)
    server.headers = {"Content-Length": ""}
    assert "sent something other" in refusal(server, tmp_path)
    assert part_of(tmp_path).stat().st_size <= len(CONTENT)


def test_a_server_that_continues_at_the_wrong_place(server, tmp_path):
    server.headers = {"Content-Range": f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}"}
    part_of(tmp_path).write_bytes(CONTENT[:700_000])
    assert download(ENTRY, tmp_path, base_url=server.url).read_bytes() == CONTENT


def test_no_network(tmp_path):
    with pytest.raises(
        DownloadError,
        match="127.0.0.1:9 can't be reached: check the network and run `python -m samkit models download test_model` "
        "again",
    ):
        download(ENTRY, tmp_path, base_url="http://127.0.0.1:9")


def test_a_server_that_does_not_answer(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download_module, "_READ_TIMEOUT_S", 0.05)
    monkeypatch.setattr(download_module, "_RETRY_WAITS_S", (0.0,))
    server.pause_s = 0.4
    server.cut_after = [1, 1, 1]
    assert "stopped at" in refusal(server, tmp_path)


def test_an_address_that_is_none(tmp_path):
    with pytest.raises(DownloadError, match="check the address"):
        download(ENTRY, tmp_path, base_url="nonsense")


def test_the_disk_is_measured_before_anything_is_fetched(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6))
    assert (
        "needs 1.5 MB more" in (sentence := refusal(server, tmp_path))
        and "1.0 MB free" in sentence
        and "SAMKIT_MODELS_DIR" in sentence
    )
    assert server.ranges == []


class FullDisk:
    """A file whose disk takes 500,000 bytes and no more."""

    def __init__(self, stream: IO[bytes]):
        self.stream = stream

    def write(self, chunk: bytes) -> int:
        if self.stream.tell() + len(chunk) > 500_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.stream.write(chunk)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


def test_a_disk_that_fills_up_keeps_the_part(server, tmp_path, monkeypatch):
    real_open = open
    monkeypatch.setattr(download_module, "open", lambda path, mode: FullDisk(real_open(path, mode)), raising=False)
    assert "is full: make room for the 1.5 MB of test_model.pt" in refusal(server, tmp_path)
    monkeypatch.undo()
    kept = part_of(tmp_path).read_bytes()
    assert 200_000 < len(kept) <= 500_000 and CONTENT.startswith(kept)


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="can't be used"):
        download(ENTRY, tmp_path / "file" / "models", base_url=server.url)


class Cancelled(Exception):
    pass


def test_cancelling_keeps_the_part_and_frees_the_lock(server, tmp_path):
    def cancel(done: int, total: int) -> None:
        if done > 600_000:
            raise Cancelled

    with pytest.raises(Cancelled):
        download(ENTRY, tmp_path, cancel, base_url=server.url)
    kept = part_of(tmp_path).read_bytes()
    assert len(kept) > 600_000 and CONTENT.startswith(kept)
    assert download(ENTRY, tmp_path, base_url=server.url).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(kept)}-"]


def test_an_oserror_of_the_callers_own_is_passed_on(server, tmp_path):
    def broken_pipe(done: int, total: int) -> None:
        raise BrokenPipeError("the caller's own")

    with pytest.raises(BrokenPipeError):
        download(ENTRY, tmp_path, broken_pipe, base_url=server.url)


PROCESS = """
import sys
from samkit.models.files.catalogue import CatalogueEntry
from samkit.models.files.download import download
seen = []
def report(done, total):
    seen.append(done)
    print(done, flush=True)
path = download(CatalogueEntry(**{entry!r}), sys.argv[1], report, base_url=sys.argv[2])
assert seen[-1] == path.stat().st_size and seen == sorted(seen), seen
"""
"""Downloads, and prints each number of bytes that is reported."""


def start_process(server, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROCESS.format(entry=asdict(ENTRY)), str(folder), server.url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_progress(process: subprocess.Popen[str], at_least: int) -> int:
    """The first number of bytes from `at_least` on that the process prints."""
    for line in process.stdout:
        if int(line) >= at_least:
            return int(line)
    raise AssertionError(process.communicate()[1])


def test_two_processes_at_once_fetch_once(server, tmp_path):
    server.stop_at = 700_000
    fetching = start_process(server, tmp_path)
    read_progress(fetching, 500_000)
    waiting = start_process(server, tmp_path)
    assert 500_000 <= read_progress(waiting, 0) < len(CONTENT), "whoever waits sees the other's bytes"
    server.go_on.set()
    for process in (fetching, waiting):
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert server.ranges == [None]
    assert ENTRY.local_path(tmp_path).read_bytes() == CONTENT


def test_threads_of_one_process_fetch_once(server, tmp_path):
    server.pause_s = 0.01
    paths = []
    threads = [
        threading.Thread(target=lambda: paths.append(download(ENTRY, tmp_path, base_url=server.url))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [ENTRY.local_path(tmp_path)] * 4 and server.ranges == [None]


def test_a_process_killed_midway_leaves_what_the_next_one_continues(server, tmp_path):
    server.stop_at = 700_000
    process = start_process(server, tmp_path)
    received = read_progress(process, 500_000)
    process.kill()
    process.communicate()
    server.go_on.set()
    assert download(ENTRY, tmp_path, base_url=server.url).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={received}-"]
