"""A prepared corpus reads the same from a folder and from a server, a hostile one included."""

from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

import hostile
import numpy as np
import pytest
from hostile import HostileServer

from fold.data import download
from fold.data.cache import ShardCache
from fold.data.download import Unreachable
from fold.data.index import INDEX_FILE, Shard, read_index
from fold.data.location import Location
from fold.data.shards import load_sidecar, read_sidecar, sidecar_path
from fold.errors import FoldError


@pytest.fixture
def prepared(tones_shards) -> Path:
    [folder] = tones_shards.glob("tones-*")
    return folder


@pytest.fixture
def shards(prepared) -> list[Shard]:
    return [shard for split in read_index(prepared).splits.values() for shard in split.shards]


@pytest.fixture
def cache(tmp_path, monkeypatch) -> ShardCache:
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.5)
    return ShardCache(tmp_path / "cache", 1 << 30)


@pytest.fixture
def server(prepared):
    with HostileServer(prepared.parent) as server:
        yield server


def check_files(location: Location, prepared: Path, shards: list[Shard]) -> None:
    assert location.index() == read_index(prepared)
    for shard in shards:
        with location.sidecar(shard) as stream:
            np.testing.assert_array_equal(load_sidecar(stream, shard.file), read_sidecar(prepared / shard.file))
        with location.shard(shard) as stream:
            assert stream.read() == (prepared / shard.file).read_bytes()


def test_a_folder_and_a_url_give_the_same_files(prepared, shards, cache, server):
    url = f"{server.url}/{prepared.name}"
    for base in (str(prepared), url, url + "/"):
        check_files(Location.of(base, cache), prepared, shards)
        assert str(Location.of(base, cache)) == base.rstrip("/")
    # The index once for each location, all else once.
    assert len(server.requests) == 2 + 2 * len(shards)


def test_a_hostile_server_gives_the_same_files(prepared, shards, cache, server, monkeypatch):
    monkeypatch.setattr("fold.data.location.MAX_INDEX_BYTES", 1 << 20)
    index_faults = [hostile.ENDLESS, hostile.ERROR, hostile.BROKEN, hostile.SHORT, hostile.GOOD]
    server.script = chain(index_faults, chain.from_iterable(zip(hostile.PASSING, repeat(hostile.GOOD))))
    check_files(Location.of(f"{server.url}/{prepared.name}", cache), prepared, shards)
    assert len(server.requests) > len(index_faults) + 2 * len(shards)


def test_a_sidecar_needs_no_shard(prepared, shards, cache, server):
    Location.of(f"{server.url}/{prepared.name}", cache).sidecar(shards[0]).close()
    assert [request.path.rsplit("/", 1)[-1] for request in server.requests] == [sidecar_path(Path(shards[0].file)).name]


def test_what_is_not_there_is_named(prepared, shards, cache, server):
    location = Location.of(f"{server.url}/elsewhere", cache)
    for name, read in ((INDEX_FILE, location.index), (shards[0].file, lambda: location.shard(shards[0]))):
        with pytest.raises(Unreachable, match=f"{server.url}/elsewhere/{name}: HTTP Error 404"):
            read()
    with pytest.raises(FoldError, match="elsewhere holds no prepared corpus"):
        Location.of("elsewhere", cache).index()


@pytest.mark.parametrize(
    "base", ["pipe:cat /etc/passwd", "file:///etc", "gs://bucket", "filecache::s3://bucket", "s3:"]
)
def test_other_urls_are_refused(cache, base):
    with pytest.raises(FoldError, match="is refused: expected http://HOST/PATH"):
        Location.of(base, cache)


@pytest.mark.parametrize("file", ["../secret.tar", "/etc/passwd", "a/b.tar", ".tar", "a|b.tar", "a.tar\n", None])
@pytest.mark.parametrize("base", [".", "http://127.0.0.1:1/corpus"])
def test_an_index_cannot_lead_out_of_its_folder(shards, cache, base, file):
    for read in (Location.of(base, cache).shard, Location.of(base, cache).sidecar):
        with pytest.raises(FoldError, match="the index names a shard"):
            read(replace(shards[0], file=file))
