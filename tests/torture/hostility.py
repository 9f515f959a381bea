"""Shards fetched from a server that fails most of its requests: they arrive whole, or the failure is named."""

from __future__ import annotations

from pathlib import Path

from hostile import HostileServer, random_faults

from fold.data.cache import ShardCache
from fold.data.download import Unreachable
from fold.data.index import read_index
from fold.data.location import Location
from torture import Tally


def hostility(number: int, prepared: Path, folder: Path, share: float = 0.5) -> Tally:
    """Fetches a prepared corpus anew until `number` requests were made, a share of them faulty.

    A file that five tries in a row did not bring counts as survived only if that was reported as unreachable.
    """
    shards = [shard for split in read_index(prepared).splits.values() for shard in split.shards]
    tried = lost = 0
    with HostileServer(prepared.parent) as server:
        while tried < number:
            server.script = random_faults(seed=tried, share=share)
            before = len(server.requests)
            location = Location.of(f"{server.url}/{prepared.name}", ShardCache(folder / str(tried), 1 << 30))
            for shard in shards:
                try:
                    with location.shard(shard) as stream:
                        lost += stream.read() != (prepared / shard.file).read_bytes()
                except Unreachable:
                    continue
            tried += len(server.requests) - before
    return Tally("requests to a hostile server", tried, tried - lost)
