"""The cache of remote shards under many processes, kills, little room and a hostile server."""

import hashlib
import multiprocessing
import os
import pickle
import random
import time
from pathlib import Path

import hostile
import pytest
from hostile import HostileServer

from fold.data import cache as module
from fold.data import download
from fold.data.cache import ShardCache
from fold.data.download import ATTEMPTS, Unreachable
from fold.errors import FoldError

SIZE = 100_000
CONTENTS = {f"{i}.tar": random.Random(i).randbytes(SIZE) for i in range(8)}

fork = multiprocessing.get_context("fork")  # so that children need no import of this file


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.5)


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    for name, content in CONTENTS.items():
        (tmp_path / "served" / name).write_bytes(content)
    with HostileServer(tmp_path / "served") as server:
        yield server


@pytest.fixture
def cache(tmp_path) -> ShardCache:
    return ShardCache(tmp_path / "cache", 3 * SIZE)


def open_file(cache: ShardCache, server: HostileServer, number: int):
    content = CONTENTS[f"{number}.tar"]
    sha256 = hashlib.sha256(content).hexdigest()
    return cache.open(f"{server.url}/{number}.tar", sha256=sha256, num_bytes=len(content))


def is_right(cache: ShardCache, server: HostileServer, number: int) -> bool:
    with open_file(cache, server, number) as stream:
        return stream.read() == CONTENTS[f"{number}.tar"]


def held(cache: ShardCache) -> set[str]:
    """Names of the files whose copies are in the cache."""
    digests = {hashlib.sha256(content).hexdigest(): name for name, content in CONTENTS.items()}
    return {digests[path.name[:64]] for path in cache.folder.glob(f"*-{SIZE}")}


def bytes_held(cache: ShardCache) -> int:
    return sum(path.stat().st_size for path in cache.folder.iterdir() if path.suffix not in (".lock", ".failed"))


def test_a_file_is_fetched_once_and_then_at_hand(server, cache):
    assert all(is_right(pickle.loads(pickle.dumps(cache)), server, 0) for _ in range(3))
    assert len(server.requests) == 1


@pytest.mark.parametrize("seed", range(3))
def test_faults_by_chance_do_no_harm(server, cache, seed):
    server.script = hostile.random_faults(seed, share=0.4)
    order = random.Random(seed).choices(range(len(CONTENTS)), k=20)
    assert all(is_right(cache, server, number) for number in order)
    assert {request.fault for request in server.requests} > {hostile.GOOD}
    assert bytes_held(cache) <= cache.max_bytes


def test_flipped_bytes_are_fetched_again_as_often_as_there_are_attempts(server, cache):
    server.script = iter([hostile.FLIPPED] * (ATTEMPTS - 1))
    assert is_right(cache, server, 0)
    server.always = {"/1.tar": hostile.FLIPPED}
    with pytest.raises(Unreachable, match=rf"{server.url}/1.tar: checksum \w+, expected \w+; tries: {ATTEMPTS}"):
        open_file(cache, server, 1)
    assert len(server.asked("/1.tar")) == ATTEMPTS
    assert held(cache) == {"0.tar"}


@pytest.mark.parametrize(("fault", "tries"), [(hostile.MISSING, 1), (hostile.BUSY, ATTEMPTS)])
def test_an_unreachable_file_is_named_and_left_alone_for_a_while(server, cache, monkeypatch, fault, tries):
    server.always = {"/0.tar": fault}
    for _ in range(3):
        with pytest.raises(Unreachable, match=f"{server.url}/0.tar: HTTP Error {fault}.*tries: {tries}"):
            open_file(cache, server, 0)
    assert len(server.requests) == tries
    assert not list(cache.folder.glob("*.part"))  # it holds no place
    server.always = {}
    assert is_right(cache, server, 1)
    # A later run has forgotten it, and so has this one after a while.
    with pytest.raises(Unreachable):
        open_file(cache, server, 0)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0)
    assert is_right(cache, server, 0)


def test_a_later_run_asks_again_at_once(server, cache):
    server.always = {"/0.tar": hostile.MISSING}
    with pytest.raises(Unreachable):
        open_file(cache, server, 0)
    server.always = {}
    time.sleep(0.01)  # file systems keep time in ticks
    assert is_right(ShardCache(cache.folder, cache.max_bytes), server, 0)


def test_the_least_recently_used_file_makes_room(server, cache):
    for number in (0, 1, 2):
        assert is_right(cache, server, number)
        time.sleep(0.01)
    assert is_right(cache, server, 0)
    assert is_right(cache, server, 3)
    assert held(cache) == {"0.tar", "2.tar", "3.tar"}


def test_a_file_evicted_while_it_is_read_can_be_read_to_the_end(server, cache):
    with open_file(cache, server, 0) as stream:
        for number in (1, 2, 3):
            assert is_right(cache, server, number)
        assert "0.tar" not in held(cache)
        assert stream.read() == CONTENTS["0.tar"]


def test_what_is_larger_than_the_cache_is_had_alone(server, tmp_path, caplog):
    cache = ShardCache(tmp_path / "cache", SIZE - 1)
    for number in (0, 1):
        assert is_right(cache, server, number)
        assert held(cache) == {f"{number}.tar"}
    assert "exceeds the 99999 bytes allowed by 1" in caplog.text


def test_other_files_in_the_folder_are_left_alone(server, cache):
    cache.folder.mkdir()
    (cache.folder / "thesis.part").write_bytes(bytes(4 * SIZE))
    for number in range(4):
        assert is_right(cache, server, number)
    assert (cache.folder / "thesis.part").stat().st_size == 4 * SIZE
    assert len(held(cache)) == 3


def read_at_random(cache, server_url, seed, failures):
    rng = random.Random(seed)
    for _ in range(40):
        number = rng.randrange(len(CONTENTS))
        content = CONTENTS[f"{number}.tar"]
        url, sha256 = f"{server_url}/{number}.tar", hashlib.sha256(content).hexdigest()
        with cache.open(url, sha256=sha256, num_bytes=SIZE) as stream:
            if stream.read() != content:
                failures.put(f"{url} is wrong")
        if len(list(cache.folder.glob(f"*-{SIZE}*"))) > 4:
            failures.put("too much is held")


def run_together(*targets) -> list[str]:
    """Run functions in processes of their own; return what went wrong."""
    failures = fork.SimpleQueue()
    processes = [fork.Process(target=target, args=(*args, failures)) for target, *args in targets]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    return [f"exit code {p.exitcode}" for p in processes if p.exitcode] + ([] if failures.empty() else [failures.get()])


def test_processes_at_odds_over_little_room_read_right_and_keep_the_bound(server, tmp_path):
    cache = ShardCache(tmp_path / "cache", 4 * SIZE)
    assert not run_together(*[(read_at_random, cache, server.url, seed) for seed in range(4)])


def read_all(cache, server_url, failures):
    for name, content in CONTENTS.items():
        url, sha256 = f"{server_url}/{name}", hashlib.sha256(content).hexdigest()
        cache.open(url, sha256=sha256, num_bytes=SIZE).close()


def test_processes_that_want_the_same_fetch_it_once(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 30)  # a busy machine is no reason to ask twice
    cache = ShardCache(tmp_path / "cache", 100 * SIZE)
    assert not run_together(*[(read_all, cache, server.url)] * 4)
    assert len(server.requests) == len(CONTENTS)


def wait_for(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def killed(server, cache, monkeypatch) -> Path:
    """What a process killed half-way through file 0 leaves."""
    server.script = iter([hostile.STALL])
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 30)
    monkeypatch.setattr(download, "BLOCK_BYTES", SIZE // 10)
    child = fork.Process(target=is_right, args=(cache, server, 0))
    child.start()
    wait_for(lambda: any(path.stat().st_size == SIZE // 2 for path in cache.folder.glob("*.part")))
    child.kill()
    child.join()
    [part] = cache.folder.glob("*.part")
    return part


def test_a_kill_within_a_file_costs_no_more_than_the_rest_of_it(server, cache, killed):
    assert is_right(cache, server, 0)
    assert [request.range for request in server.requests] == [None, f"bytes={SIZE // 2}-"]
    assert not killed.exists()


def test_what_a_killed_process_left_holds_its_place_but_not_for_ever(server, cache, killed):
    for number in (1, 2, 3):
        assert is_right(cache, server, number)
    assert killed.exists() and held(cache) == {"2.tar", "3.tar"}
    long_ago = time.time() - 2 * module.ABANDONED_SECONDS
    os.utime(killed, (long_ago, long_ago))
    assert is_right(cache, server, 4)
    assert not killed.exists() and held(cache) == {"2.tar", "3.tar", "4.tar"}


@pytest.mark.parametrize("url", ["pipe:touch hacked", "file:///etc/passwd", "simplecache::http://host/a", "gs://a/b"])
def test_other_urls_are_refused(cache, url):
    with pytest.raises(FoldError, match="is refused"):
        cache.open(url, sha256="0" * 64, num_bytes=1)
    assert bytes_held(cache) == 0


@pytest.mark.parametrize(("sha256", "num_bytes"), [("../" * 21 + "x", 1), ("0" * 64, "1/../../x"), ("0" * 64, "1")])
def test_an_index_cannot_lead_out_of_the_cache(cache, sha256, num_bytes):
    with pytest.raises(FoldError, match="is no sha256 checksum"):
        cache.open("http://host/a", sha256=sha256, num_bytes=num_bytes)
    assert not cache.folder.exists()


def test_a_cache_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(FoldError, match=f"the cache {tmp_path / 'cache'} cannot be used"):
        open_file(ShardCache(tmp_path / "cache", SIZE), server, 0)
