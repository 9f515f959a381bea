"""Recordings as lhotse describes them in its cuts: which file holds the channels that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fold.errors import FoldError

HARMLESS = ("Resample",)
"""Changes of a recording that preparing it makes anyway."""


class _Source(NamedTuple):
    kind: str
    file: str
    channels: list[int]


def place_in(where: str, recording: Mapping[str, Any], channels: object) -> dict[str, str]:
    """Return `audio`, the file of a recording, and `channel`, which of its channels is meant, from 1; '' for all.

    Args:
        where: for messages.
        recording: as lhotse writes it, with sources and the numbers that it gives their channels.
        channels: one of these numbers or several, as of a cut; None for all.

    Raises:
        FoldError: It is no recording of lhotse's, no file that can be read as it is holds these channels, or they are
            some of those of a file, but neither one nor all.
    """
    try:
        sources = [
            _Source(each["type"], each["source"], [*map(int, each["channels"])]) for each in recording["sources"]
        ]
        changes = [change["name"] for change in recording.get("transforms") or () if change["name"] not in HARMLESS]
    except (KeyError, TypeError, ValueError):
        raise FoldError(f"{where}: no recording as lhotse writes it, with sources that have channels") from None
    known = [channel for source in sources for channel in source.channels]
    asked: list[Any] = known if channels is None else [*channels] if isinstance(channels, Sequence) else [channels]
    holding = [source for source in sources if set(source.channels) & {c for c in known if c in asked}]
    if not holding or any(channel not in known for channel in asked):
        raise FoldError(f"{where}: channel is {channels}, but the recording has {_listed(known)}")
    if len(holding) > 1:
        raise FoldError(f"{where}: channels {_listed(asked)} are in {len(holding)} files; give each a cut of its own")
    [(kind, file, held)] = holding
    if kind != "file":
        raise FoldError(f"{where}: the audio is no file but a {kind}: save it as one (lhotse's save_audios)")
    if changes:
        raise FoldError(
            f"{where}: the audio is not that of its file, but changed by {', '.join(changes)}: save it as it should be "
            "(lhotse's save_audios)"
        )
    if len(asked) == 1:
        return {"audio": file, "channel": str(held.index(asked[0]) + 1)}
    if len(asked) < len(held):
        raise FoldError(f"{where}: channels {_listed(asked)} of {_listed(held)} are asked for; one or all can be read")
    return {"audio": file, "channel": ""}


def _listed(channels: Sequence[object]) -> str:
    return ", ".join(map(str, channels)) or "none"
