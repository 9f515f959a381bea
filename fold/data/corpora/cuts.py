"""Cuts as lhotse describes them: what is said in them, and which file holds the channels that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from fold.data.corpora.segments import TOLERANCE
from fold.errors import FoldError

HARMLESS = ("Resample",)
"""Changes of a recording that preparing it makes anyway."""
SUPERVISIONS = "supervisions"


class _Source(NamedTuple):
    kind: str
    file: str
    channels: list[int]


def checked_cut(where: str, cut: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cut with its supervisions in the order in which they are said.

    Args:
        where: for messages.
        cut: as lhotse writes it.

    Raises:
        FoldError: It is made of several cuts, or its supervisions do not tell what is said in it: there are none, one
            lacks a text or is only partly in it, or two overlap in different channels.
    """
    if "tracks" in cut or cut.get("type") == "PaddingCut":
        raise FoldError(
            f"{where}: a {cut.get('type', 'MixedCut')}, whose audio is made when it is loaded: save it (lhotse's "
            "save_audios), or list its cuts apart"
        )
    supervisions = cut.get(SUPERVISIONS)
    if not isinstance(supervisions, list) or not all(isinstance(each, dict) for each in supervisions):
        return dict(cut)
    if not supervisions:
        raise FoldError(f"{where}: the cut has no supervisions, so no text: leave it out")
    for each in supervisions:
        _check_within(f"{where}: the supervision '{each.get('id', '')}'", each, cut)
    ordered = sorted(supervisions, key=_times)
    for one, other in pairwise(ordered):
        if one.get("channel") != other.get("channel") and _times(other)[0] < _times(one)[1] - TOLERANCE:
            raise FoldError(
                f"{where}: supervisions of different channels overlap at {_times(other)[0]:.2f} s: give each channel a "
                "cut of its own"
            )
    return {**cut, SUPERVISIONS: ordered}


def _check_within(name: str, supervision: Mapping[str, Any], cut: Mapping[str, Any]) -> None:
    """Raises FoldError unless a supervision has a text, and the cut holds all of it."""
    if supervision.get("text") is None:
        raise FoldError(f"{name} has no text: transcribe it, or leave the cut out")
    try:
        (start, end), length = _times(supervision), float(cut.get("duration", "inf"))
    except (TypeError, ValueError):
        raise FoldError(f"{name}: expected start and duration in seconds, and a duration of the cut") from None
    if not (start >= -TOLERANCE and end <= length + TOLERANCE):
        raise FoldError(
            f"{name} is from {start:.2f} s to {end:.2f} s of a cut of {length:.2f} s, but its text is of all of it: "
            "cut between supervisions (lhotse's trim_to_supervisions)"
        )


def _times(supervision: Mapping[str, Any]) -> tuple[float, float]:
    """Where a supervision starts and ends in its cut, in seconds."""
    start = float(supervision.get("start", 0.0))
    return start, start + float(supervision.get("duration", 0.0))


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
