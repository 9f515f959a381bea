"""Downloads from a server that breaks off, stalls, lies and comes back."""

import hashlib
import io
import os
import socket
import sys
from pathlib import Path

import hostile
import pytest
from fsspec import AbstractFileSystem
from fsspec.registry import _registry
from hostile import HostileServer

from fold.data import download as module
from fold.data.download import ATTEMPTS, Unreachable, complete, download
from fold.errors import FoldError
from fold.files import part_path

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "/archive.bin"


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """The pauses between attempts, which take no time."""
    taken: list[float] = []
    monkeypatch.setattr("time.sleep", taken.append)
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.5)
    return taken


@pytest.fixture
def server(pauses, tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "archive.bin").write_bytes(CONTENT)
    with HostileServer(tmp_path / "served") as server:
        yield server


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "deep" / "a.bin"


def test_a_download_appears_whole_and_checked(server, file):
    download(server.url + FILE, file, sha256=SHA256)
    assert file.read_bytes() == CONTENT
    assert os.listdir(file.parent) == ["a.bin"]


def test_a_broken_download_goes_on_where_it_stopped(server, file):
    server.script = iter([hostile.SHORT, hostile.SHORT])
    download(server.url + FILE, file, sha256=SHA256)
    assert file.read_bytes() == CONTENT
    first, second, last = server.requests
    assert (first.range, second.range) == (None, f"bytes={first.sent}-")
    assert last.range == f"bytes={first.sent + second.sent}-"
    assert first.sent + second.sent + last.sent == len(CONTENT)


@pytest.mark.parametrize("fault", hostile.PASSING)
def test_every_passing_fault_is_survived_at_every_attempt_but_the_last(server, file, fault):
    server.script = iter([hostile.SHORT, fault, hostile.SHORT, fault])
    complete(server.url + FILE, part_path(file), sha256=SHA256, max_bytes=len(CONTENT), fetches=ATTEMPTS)
    assert part_path(file).read_bytes() == CONTENT
    assert len(server.requests) <= ATTEMPTS


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (hostile.RESET, ".*"),
        (hostile.STALL, "timed out"),
        (hostile.BUSY, "HTTP Error 503"),
        (hostile.SHORT, "the connection broke off after 992000 of 1024000 bytes"),
    ],
)
def test_a_fault_that_stays_ends_after_all_attempts_with_longer_pauses(server, pauses, file, fault, reason):
    server.always = {FILE: fault}
    with pytest.raises(Unreachable, match=f"{server.url}{FILE}: {reason}.*; tries: {ATTEMPTS}$") as error:
        download(server.url + FILE, file, sha256=SHA256)
    assert "\n" not in str(error.value)
    assert len(server.requests) == ATTEMPTS
    assert pauses == [1, 2, 4, 8]
    assert not file.exists()


def test_a_later_run_resumes_too(server, file):
    server.script = iter([hostile.SHORT] * ATTEMPTS)
    with pytest.raises(Unreachable):
        download(server.url + FILE, file, sha256=SHA256)
    received = sum(request.sent for request in server.requests)
    download(server.url + FILE, file, sha256=SHA256)
    assert server.requests[-1].range == f"bytes={received}-"
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [hostile.MISSING, hostile.FORBIDDEN])
def test_what_the_server_refuses_is_not_asked_for_twice(server, file, status):
    server.always = {FILE: status}
    with pytest.raises(Unreachable, match=f"HTTP Error {status}.*tries: 1"):
        download(server.url + FILE, file, sha256=SHA256)
    assert len(server.requests) == 1


def test_a_server_without_ranges_starts_over(server, file):
    server.script = iter([hostile.SHORT, hostile.NO_RANGE])
    download(server.url + FILE, file, sha256=None)
    assert file.read_bytes() == CONTENT


def test_a_complete_but_unchecked_download_is_taken(server, file):
    file.parent.mkdir()
    part_path(file).write_bytes(CONTENT)
    download(server.url + FILE, file, sha256=SHA256)
    assert file.read_bytes() == CONTENT
    assert sum(request.sent for request in server.requests) == 0


def test_leftover_bytes_that_are_wrong_are_fetched_anew(server, file):
    file.parent.mkdir()
    part_path(file).write_bytes(b"other")
    download(server.url + FILE, file, sha256=SHA256)
    assert file.read_bytes() == CONTENT
    assert [request.range for request in server.requests] == ["bytes=5-", None]


def test_leftovers_longer_than_the_file_are_not_taken_for_it(server, file):
    file.parent.mkdir()
    part_path(file).write_bytes(CONTENT + b"of an earlier version")
    download(server.url + FILE, file, sha256=None)
    assert file.read_bytes() == CONTENT


def test_a_wrong_checksum_is_fetched_once_more_and_leaves_nothing(server, file):
    with pytest.raises(Unreachable, match=f"checksum {SHA256}, expected 0000; tries: 2"):
        download(server.url + FILE, file, sha256="0000")
    assert [request.range for request in server.requests] == [None, None]
    assert os.listdir(file.parent) == []


def test_an_endless_answer_is_cut_off(server, file):
    server.always = {FILE: hostile.ENDLESS}
    with pytest.raises(Unreachable, match=f"more than the {len(CONTENT)} bytes expected"):
        complete(server.url + FILE, part_path(file), sha256=SHA256, max_bytes=len(CONTENT))


def test_a_server_that_is_not_there_is_tried_again(pauses, file):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.tar.gz"
    with pytest.raises(Unreachable, match=rf"cannot download {url}: .*refused; tries: {ATTEMPTS}"):
        download(url, file, sha256=None)


def test_a_disk_that_cannot_be_written_is_no_reason_to_try_again(server, pauses, file):
    file.parent.write_text("no folder")
    with pytest.raises(FoldError, match=f"cannot write {part_path(file)}"):
        download(server.url + FILE, file, sha256=None)
    assert pauses == []


@pytest.mark.parametrize(
    "url",
    [
        "pipe:touch hacked",
        "pipe://touch hacked",
        "file:///etc/passwd",
        "ftp://host/a.tar",
        "gs://bucket/a.tar",
        "data:text/plain,a",
        "simplecache::http://host/a.tar",
        "http://host/a.tar::file:///etc/passwd",
        "http://host/a|touch hacked",
        "http://host/a b",
        "http://host/a\r\nX: y",
        "http://host/a\n",
        "http://user:password@host/a",
        "http://host/a?token=secret",
        "http:///a",
        "/etc/passwd",
    ],
)
def test_other_urls_are_refused_before_anything_is_done(url, file):
    with pytest.raises(FoldError, match="is refused: expected http://HOST/PATH, https://HOST/PATH or s3://BUCKET/PATH"):
        download(url, file, sha256=None)
    assert not file.parent.exists()


@pytest.mark.parametrize("url", ["https://host:8080/a/b-c_d.tar", "http://[::1]:80/a", "s3://bucket/a/b.tar"])
def test_plain_urls_are_let_pass(url):
    module.check_url(url)


class FlakyFile(io.BytesIO):
    """Gives a block, then breaks off, as often as told; notes where reading began."""

    failures = 0
    begun: list[int] = []
    size = len(CONTENT)
    details = {"type": "file"}

    def seek(self, place: int) -> int:
        self.begun.append(place)
        return super().seek(place)

    def read(self, size: int) -> bytes:
        if self.tell() > self.begun[-1] and FlakyFile.failures:
            FlakyFile.failures -= 1
            raise RuntimeError("an exception of botocore's")
        return super().read(size)


class Bucket(AbstractFileSystem):
    """Stands for s3fs."""

    protocol = "s3"

    def _open(self, path: str, *args: object, **kwargs: object) -> FlakyFile:
        if path != "bucket/a.tar":
            raise FileNotFoundError(path)
        return FlakyFile(CONTENT)


@pytest.fixture
def bucket(monkeypatch):
    monkeypatch.setitem(_registry, "s3", Bucket)
    monkeypatch.setattr(FlakyFile, "begun", [])


def test_s3_goes_on_where_it_stopped(bucket, pauses, monkeypatch, file):
    monkeypatch.setattr(FlakyFile, "failures", 2)
    download("s3://bucket/a.tar", file, sha256=SHA256)
    assert file.read_bytes() == CONTENT
    assert FlakyFile.begun == [0, module.BLOCK_BYTES, 2 * module.BLOCK_BYTES]


def test_what_s3_does_not_hold_is_not_asked_for_twice(bucket, pauses, file):
    with pytest.raises(Unreachable, match=r"s3://bucket/b.tar: there is no such object; tries: 1"):
        download("s3://bucket/b.tar", file, sha256=SHA256)
    assert pauses == []


def test_s3_without_its_package_says_what_to_install(monkeypatch, file):
    for needed in ("s3fs", "botocore.exceptions"):
        monkeypatch.setitem(sys.modules, needed, None)  # as if they were not installed
    with pytest.raises(FoldError, match=r"s3://bucket/a.tar: S3 needs .* missing: pip install 'fold-asr\[s3\]'"):
        download("s3://bucket/a.tar", file, sha256=None)
