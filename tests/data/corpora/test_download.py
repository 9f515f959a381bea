import hashlib
import io
import socket
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fold.data.corpora import FSDD, LibriSpeech, fsdd
from fold.data.corpora.download import ATTEMPTS, download, fetch_archive, unpack
from fold.data.files import part_path
from fold.errors import FoldError

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves one content under every path; can break off, or ignore ranges; keeps the ranges asked for."""

    content = CONTENT
    break_after: int | None = None
    ranges = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/archive.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        wanted = self.headers["Range"]
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        if start and start >= len(self.server.content):
            self.send_error(416)
            return
        rest = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.break_after])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_download_appears_whole_and_checked(server, tmp_path):
    download(server.url, tmp_path / "deep" / "a.bin", sha256=SHA256)
    assert (tmp_path / "deep" / "a.bin").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.bin"]


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    server.break_after = 400_000
    download(server.url, tmp_path / "a.bin", sha256=SHA256)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=400000-", "bytes=800000-"]


def test_a_later_run_resumes_too(server, tmp_path):
    server.break_after = 10
    with pytest.raises(FoldError, match="broke off; run again to resume"):
        download(server.url, tmp_path / "a.bin", sha256=SHA256)
    assert not (tmp_path / "a.bin").exists()
    server.break_after = None
    download(server.url, tmp_path / "a.bin", sha256=SHA256)
    assert server.asked[-1] == f"bytes={10 * ATTEMPTS}-"
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(server, tmp_path):
    part_path(tmp_path / "a.bin").write_bytes(b"other")
    server.ranges = False
    download(server.url, tmp_path / "a.bin", sha256=SHA256)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_complete_but_unchecked_download_is_taken(server, tmp_path):
    part_path(tmp_path / "a.bin").write_bytes(CONTENT)
    download(server.url, tmp_path / "a.bin", sha256=SHA256)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(FoldError, match=f"checksum {SHA256}, expected 0000"):
        download(server.url, tmp_path / "a.bin", sha256="0000")
    assert list(tmp_path.iterdir()) == []


def test_offline_says_what_to_do(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.tar.gz"
    with pytest.raises(FoldError, match=rf"cannot download {url}: .*refused.*ROOT=") as error:
        download(url, tmp_path / "a.tar.gz", sha256=None)
    assert "\n" not in str(error.value)


def make_tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def make_zip(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tar.gz", make_tar((tarfile.TarInfo("top/in/x.txt"), b"x"))),
        ("a.zip", make_zip(**{"top/in/x.txt": b"x"})),
    ],
)
def test_an_archive_is_fetched_once_and_unpacked(server, name, content, tmp_path):
    server.content = content
    url = server.url.replace("archive.bin", name)
    for _ in range(2):
        folder = fetch_archive(url, tmp_path / "corpus", inside="top/in", sha256=None)
    assert len(server.asked) == 1
    assert (folder / "x.txt").read_text() == "x"
    assert list(tmp_path.iterdir()) == [folder]


def symlink(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tar.gz", make_tar((tarfile.TarInfo("../escaped"), b"x"))),
        ("a.tar.gz", make_tar((symlink("top", "/tmp"), b""), (tarfile.TarInfo("top/escaped"), b"x"))),
        ("a.zip", make_zip(**{"../escaped": b"x"})),
        ("a.zip", make_zip(**{"/escaped": b"x"})),
        ("a.tar.gz", b"no archive"),
        ("a.zip", b"no archive"),
        ("a.tar.gz", make_tar((tarfile.TarInfo("top/x"), b"x" * 100000))[:-60]),
        ("a.tar.gz", make_tar((tarfile.TarInfo("else/x"), b"x"))),
    ],
)
def test_bad_archives_are_refused_and_write_nothing_outside(name, content, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(content)
    with pytest.raises(FoldError, match=name):
        unpack(tmp_path / "in" / name, tmp_path / "in" / "corpus", inside="top")
    assert not (tmp_path / "in" / "corpus").exists()
    assert not list(tmp_path.glob("escaped"))


def test_corpora_without_a_root_are_downloaded(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fsdd, "URL", server.url.replace("archive.bin", "v1.zip"))
    server.content = make_zip(**{f"free-spoken-digit-dataset-{fsdd.VERSION}/recordings/7_anna_12.wav": b""})
    root = FSDD(train_strings=1).locate(None, tmp_path)
    assert FSDD(train_strings=1).recipes("train", root)[0].text.startswith("seven")


def test_librispeech_is_fetched_by_its_published_checksums(monkeypatch, tmp_path):
    fetched = {}

    def fake_fetch(url, folder, *, inside, sha256):
        (folder / "1" / "2").mkdir(parents=True)
        (folder / "1" / "2" / "1-2.trans.txt").touch()
        fetched[url.rsplit("/", 1)[-1]] = (inside, len(bytes.fromhex(sha256)))

    monkeypatch.setattr("fold.data.corpora.librispeech.fetch_archive", fake_fetch)
    root = LibriSpeech().locate(None, tmp_path)
    assert fetched == {
        f"{subset}.tar.gz": (f"LibriSpeech/{subset}", 32) for subset in ("train-clean-100", "dev-clean", "test-clean")
    }
    assert sorted(path.name for path in root.iterdir()) == ["dev-clean", "test-clean", "train-clean-100"]
