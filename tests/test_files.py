import hashlib
import multiprocessing
import os

import pytest

from fold.files import checksum, locked, replacing


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old"
    with replacing(path) as stream:
        stream.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_checksums_agree_with_hashlib(tmp_path, algorithm):
    content = bytes(3_000_000)
    (tmp_path / "a").write_bytes(content)
    assert checksum(tmp_path / "a", algorithm) == hashlib.new(algorithm, content).hexdigest()


def append_under_lock(folder, word):
    with locked(folder):
        (folder / "log").open("a").write(f"{word}\n")


def test_a_second_process_waits_for_the_lock(tmp_path):
    # Forked, so that the child needs no import of this file.
    child = multiprocessing.get_context("fork").Process(target=append_under_lock, args=(tmp_path, "second"))
    with locked(tmp_path):
        child.start()
        child.join(0.5)
        assert child.is_alive()
        (tmp_path / "log").open("a").write("first\n")
    child.join(10)
    assert child.exitcode == 0
    assert (tmp_path / "log").read_text() == "first\nsecond\n"
