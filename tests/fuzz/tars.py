"""Mutated tars: indexed, or refused, and it ends."""

from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path
from typing import IO

import numpy as np
import soundfile
from torture.mutations import DAMAGES

from fold.data.corpora import WebShards
from fold.data.corpora.tars import Layout, scan
from fuzz import Findings

LAYOUTS = (
    Layout(("wav",), ("txt", "json:text"), (), listed=False, inside="", columns={}),
    Layout(("wav",), (), (), listed=True, inside="list.csv", columns={}),
)


def whole(kind: int) -> bytes:
    """Four samples, two with long names, in the tar format of this number."""
    stream = io.BytesIO()
    sound = io.BytesIO()
    soundfile.write(sound, 0.3 * np.sin(np.arange(400)), 8000, format="WAV")
    names = ["a", "b/b", "c" * 120, "ü" * 60]
    rows = "".join(f"{name}.wav,yes\n" for name in names)
    members = [("list.csv", f"audio,text\n{rows}".encode())]
    for name in names:
        members += [(f"{name}.wav", sound.getvalue()), (f"{name}.txt", b"yes"), (f"{name}.json", b'{"text": "yes"}')]
    with tarfile.open(fileobj=stream, mode="w", format=kind) as tar:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return stream.getvalue()


def header_damaged(content: bytearray, dice: random.Random) -> bytearray:
    """A header with other numbers or another type, and a checksum that fits."""
    starts = [n for n in range(0, len(content), 512) if content[n + 257 : n + 262] == b"ustar"]
    start = dice.choice(starts)
    first, size = dice.choice(((124, 12), (156, 1), (0, 100), (345, 155)))
    for place in range(first, first + size):
        if dice.randrange(3) == 0:
            content[start + place] = dice.choice((0, 32, 48, 55, 103, 120, 128, 255))
    block = content[start : start + 512]
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    content[start + 148 : start + 156] = b"%06o\0 " % total
    return content


def indexed(file: Path, content: bytes, layout: Layout, listen: WebShards) -> str:
    file.write_bytes(content)
    stream: IO[bytes]
    with file.open("rb") as stream:
        for sample in scan(file.name, stream, layout, listen.listen):
            assert sample.fault or (sample.frames > 0 and sample.text)
            assert "\n" not in sample.fault
    return "read"


def tars(number: int, folder: Path, seed: int = 0) -> Findings:
    """Mutates `number` tars."""
    kinds = [whole(kind) for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    findings = Findings("tars")
    for index in range(number):
        dice = random.Random(f"{seed} {index}")
        damage = dice.choice((*DAMAGES, header_damaged, header_damaged, header_damaged))
        content = bytes(damage(bytearray(dice.choice(kinds)), dice))
        layout = LAYOUTS[index % 2]
        findings.try_case(
            f"{seed} {index}",
            lambda content=content, layout=layout: indexed(folder / "a.tar", content, layout, WebShards()),
        )
    return findings
