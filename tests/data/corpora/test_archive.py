import io
import itertools
import tarfile
import zipfile

import hostile
import pytest
from hostile import HostileServer

from fold.data.corpora import FSDD, LibriSpeech, fsdd
from fold.data.corpora.archive import fetch_archive, unpack
from fold.errors import FoldError
from fold.files import part_path


@pytest.fixture
def server(monkeypatch, tmp_path_factory):
    """Serves what a test writes into its folder."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with HostileServer(tmp_path_factory.mktemp("served")) as server:
        yield server


def test_a_failed_download_says_what_to_do(server, tmp_path):
    with pytest.raises(FoldError, match=rf"cannot download {server.url}/a.zip: .*404.*; run again .*ROOT=") as error:
        fetch_archive(f"{server.url}/a.zip", tmp_path / "corpus", inside="top", sha256=None)
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
    ids=["tar", "zip"],
)
def test_an_archive_is_fetched_once_and_unpacked(server, name, content, tmp_path):
    (server.folder / name).write_bytes(content)
    for _ in range(2):
        folder = fetch_archive(f"{server.url}/{name}", tmp_path / "corpus", inside="top/in", sha256=None)
    assert len(server.requests) == 1
    assert (folder / "x.txt").read_text() == "x"
    assert list(tmp_path.iterdir()) == [folder]


def test_what_a_kill_after_unpacking_left_is_removed(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "a.zip").write_bytes(make_zip(**{"top/x.txt": b"x"}))
    (part_path(tmp_path / "corpus") / "top").mkdir(parents=True)
    fetch_archive("http://host/a.zip", tmp_path / "corpus", inside="top", sha256=None)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_what_a_killed_unpacking_left_does_not_appear(tmp_path):
    (tmp_path / "a.zip").write_bytes(make_zip(**{"top/x.txt": b"x"}))
    (part_path(tmp_path / "corpus") / "top").mkdir(parents=True)
    (part_path(tmp_path / "corpus") / "top" / "of another archive").touch()
    unpack(tmp_path / "a.zip", tmp_path / "corpus", inside="top")
    assert [path.name for path in (tmp_path / "corpus").iterdir()] == ["x.txt"]


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
    ids=itertools.count(),  # a tar holds the time of its making: no name that two processes agree on
)
def test_bad_archives_are_refused_and_write_nothing_outside(name, content, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(content)
    with pytest.raises(FoldError, match=name):
        unpack(tmp_path / "in" / name, tmp_path / "in" / "corpus", inside="top")
    assert not (tmp_path / "in" / "corpus").exists()
    assert not list(tmp_path.glob("escaped"))


def test_corpora_without_a_root_are_downloaded(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fsdd, "URL", f"{server.url}/v1.zip")
    recording = f"free-spoken-digit-dataset-{fsdd.VERSION}/recordings/7_anna_12.wav"
    (server.folder / "v1.zip").write_bytes(make_zip(**{recording: b""}))
    server.script = iter([hostile.ERROR, hostile.SHORT])
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
