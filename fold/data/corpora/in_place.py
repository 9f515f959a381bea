"""Utterances that stay where they are."""

from dataclasses import dataclass

from fold.audio import Channel
from fold.data.corpora.base import Recipe


@dataclass(frozen=True)
class InPlace(Recipe):
    """An utterance in a tar of somebody else's.

    Attributes:
        place: path or URL of the tar.
        place_bytes, place_sha256: what it was when it was indexed.
        head: the first field of the header of the recording's member.
        offset, num_bytes: where the recording lies in the tar.
        frames: samples of each of its channels.
        sample_rate: of the recording, in Hz; 0 if it cannot be used.
        channel: which of them is read.
        fault: why it cannot be used; '' if it can.
    """

    place: str
    place_bytes: int
    place_sha256: str
    head: str
    offset: int
    num_bytes: int
    frames: int
    sample_rate: int
    channel: Channel
    fault: str
