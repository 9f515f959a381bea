"""The description that an exported folder carries: `model.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fold_device.errors import DeviceError

FILE = "model.json"
FORMAT = "fold-onnx"
VERSION = 1
JOINERS = ("characters", "sentencepiece")
DEFAULT_PRECISION = "int8"


@dataclass(frozen=True)
class Stored:
    """The files of one precision, relative to the folder.

    data: of the weights, or None where the graph holds them; bytes, crc32: of both, one after the other; crc32 is None
    in a folder that tells none.
    """

    file: str
    data: str | None
    bytes: int
    crc32: int | None


@dataclass(frozen=True)
class Description:
    """What a folder holds.

    sample_rate: in Hz; frame_seconds: of an output frame; units: text of each output, the blank first;
    joiner: how units make words, one of `JOINERS`; max_repeats: of each physical layer; deepest: greatest depth;
    depths: repeats of the canonical path of each depth; models: files of each precision.
    """

    folder: Path
    sample_rate: int
    frame_seconds: float
    units: tuple[str, ...]
    joiner: str
    max_repeats: tuple[int, ...]
    deepest: int
    depths: Mapping[int, tuple[int, ...]]
    models: Mapping[str, Stored]

    def choose(self, depth: int | None = None, repeats: Sequence[int] | None = None) -> tuple[int, ...]:
        """The repeats meant by a depth, or given; those of the deepest path without either. Raises DeviceError."""
        if depth is not None and repeats is not None:
            raise DeviceError("depth and repeats exclude each other: repeats add up to a depth")
        if repeats is None:
            depth = max(self.depths) if depth is None else depth
            if depth not in self.depths:
                raise DeviceError(f"depth {depth}: this model has depths {', '.join(map(str, self.depths))}")
            return self.depths[depth]
        return self._checked(tuple(repeats))

    def _checked(self, repeats: tuple[int, ...]) -> tuple[int, ...]:
        limits = self.max_repeats
        inside = len(repeats) == len(limits) and all(1 <= n <= most for n, most in zip(repeats, limits, strict=True))
        if not inside or sum(repeats) > self.deepest:
            raise DeviceError(
                f"repeats {_joined(repeats)}: this model runs its {len(limits)} layers at least once each, at most "
                f"{_joined(limits)} times, and {self.deepest} times together"
            )
        return repeats

    def stored(self, precision: str | None = None) -> tuple[str, Stored]:
        """The name and the files of a precision; int8, or what there is, without one. Raises DeviceError."""
        if precision is None:
            precision = DEFAULT_PRECISION if DEFAULT_PRECISION in self.models else next(iter(self.models))
        if precision not in self.models:
            raise DeviceError(f"precision {precision}: {self.folder} holds {', '.join(self.models)}")
        return precision, self.models[precision]


def read_description(folder: str | Path) -> Description:
    """Reads the description of an exported folder. Raises DeviceError if there is none, or it contradicts itself."""
    folder = Path(folder)
    file = folder / FILE
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        what = "no such folder" if not folder.exists() else f"no {FILE} in it"
        raise DeviceError(f"{folder}: {what}; expected a folder that `fold export --to onnx` wrote") from None
    except ValueError as error:
        raise DeviceError(f"{file}: damaged, or no JSON ({error})") from None
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise DeviceError(f"{file}: not of the format {FORMAT} that `fold export --to onnx` writes")
    if plain.get("version") != VERSION:
        raise DeviceError(f"{file}: version {plain.get('version')} of its format; this program reads {VERSION}")
    if plain.get("input") != "waveform":
        raise DeviceError(f"{file}: the model takes {plain.get('input')}; export it with `--input waveform`")
    try:
        description = _parsed(folder, plain)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DeviceError(f"{file}: {what}") from None
    for depth, repeats in description.depths.items():
        if sum(description._checked(repeats)) != depth:
            raise DeviceError(f"{file}: depth {depth} is given as repeats {_joined(repeats)}")
    return description


def _parsed(folder: Path, plain: Mapping[str, Any]) -> Description:
    """Raises what `read_description` tells."""
    joiner, depths, models = plain["joiner"], plain["depths"], plain["models"]
    if joiner not in JOINERS:
        raise ValueError(f"joiner is {joiner!r}: expected one of {', '.join(JOINERS)}")
    if not depths or not models:
        raise ValueError("expected at least one depth and one model")
    return Description(
        folder=folder,
        sample_rate=int(plain["sample_rate"]),
        frame_seconds=float(plain["frame_seconds"]),
        units=tuple(map(str, plain["units"])),
        joiner=joiner,
        max_repeats=tuple(map(int, plain["max_repeats"])),
        deepest=int(plain["deepest"]),
        depths={depth: tuple(map(int, depths[str(depth)])) for depth in sorted(map(int, depths))},
        models={
            name: Stored(found["file"], found.get("data"), int(found["bytes"]), found.get("crc32"))
            for name, found in models.items()
        },
    )


def _joined(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))
