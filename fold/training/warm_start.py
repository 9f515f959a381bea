"""A new run that starts from the weights of another: what fits is taken, the rest starts anew, and both are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fold.checkpoint import KEY, PREFIX, Description, read
from fold.data.download import check_url, download
from fold.errors import FoldError
from fold.files import locked
from fold.models import Architecture, Recogniser
from fold.models.asr import empty_model
from fold.registry import pack_fields
from fold.settings import differences
from fold.training.checkpoint_io import newest_checkpoint

HEADS = ("ctc_head", "decoder")  # parts that may start anew
SHOWN = 5  # new units that the line names


@dataclass(frozen=True)
class WarmStart:
    """Where a run takes its first weights from.

    source: a checkpoint of `fold fit`, or its URL; folder: where what a URL gives is kept.
    """

    source: str
    folder: Path

    @classmethod
    def of(cls, given: str, folder: Path) -> WarmStart:
        """The start from what a user gave, which may also be the folder of a run or of an experiment's runs. Names that
        will mean another file tomorrow, such as `latest`, are followed. Raises FoldError if there is no such file."""
        if "://" in given:
            check_url(given)
            return cls(given, folder)
        if not Path(given).exists():
            raise FoldError(
                f"init_from: no such file {given}; expected a checkpoint of `fold fit`, the folder of a run, or a URL"
            )
        return cls(str(_checkpoint_in(Path(given)).resolve()), folder)

    @property
    def is_remote(self) -> bool:
        return "://" in self.source

    def fetch(self) -> None:
        """Downloads a URL, unless an earlier start of this run has: called by one process of a machine. Raises
        FoldError if it cannot be had."""
        if self.is_remote:
            with locked(self.folder):
                if not self._file.exists():
                    download(self.source, self._file, sha256=None)

    def check(self, architecture: Architecture) -> None:
        """Raises FoldError, naming what differs, if a model of this architecture cannot start from these weights."""
        _check_alike(self.source, self._read()[0].architecture, architecture)

    def load(self, model: Recogniser, description: Description) -> str:
        """Gives a new model the weights that fit, and returns the line that tells which. Raises FoldError as `check`
        does, and if the audio has another sample rate."""
        held, weights = self._read()
        _check_alike(self.source, held.architecture, description.architecture)
        if held.sample_rate != description.sample_rate:
            raise FoldError(
                f"init_from {self.source}: takes audio at {held.sample_rate} Hz, not {description.sample_rate}; set "
                f"--data.sample_rate={held.sample_rate}"
            )
        taken, new = take(model, description, weights, held)
        if wrong := [part for part in new if part not in HEADS]:
            raise FoldError(f"init_from {self.source}: its weights of {', '.join(wrong)} do not fit the model")
        told = f"starts from {self.source}: {', '.join(taken)} taken" + (f", {', '.join(new)} new" if new else "")
        return f"{told}; {_told_of_units(held.units.symbols, description.units.symbols)}"

    @property
    def _file(self) -> Path:
        return self.folder / "start.ckpt" if self.is_remote else Path(self.source)

    def _read(self) -> tuple[Description, dict[str, Tensor]]:
        """What the source says of its model, and the weights by their names in the recogniser."""
        content = read(self._file)
        try:
            held = Description.from_dict(content[KEY])
            state = content["state_dict"]
            return held, {name.removeprefix(PREFIX): w for name, w in state.items() if name.startswith(PREFIX)}
        except (KeyError, TypeError, AttributeError) as error:
            raise FoldError(f"init_from {self.source}: holds no model of `fold fit` ({error!r})") from None


def take(
    model: Recogniser, description: Description, weights: Mapping[str, Tensor], held: Description
) -> tuple[list[str], list[str]]:
    """Copies into a new model the weights of each part that fits, and of what there is for each unit those of units
    that both have.

    description: of the model; weights: another's, by their names in its recogniser; held: its description.
    Returns the parts that were taken, and those that stay new.
    """
    by_unit = unit_dimensions(description)
    theirs, ours = _shared(held.units.symbols, description.units.symbols)
    own = model.state_dict()
    taken, new = [], []
    for part in dict.fromkeys(name.partition(".")[0] for name in own):
        names = _names(own, part)
        if names == _names(weights, part) and all(_fits(own[n], weights[n], by_unit.get(n)) for n in names):
            for name in names:
                _copy(own[name], weights[name], by_unit.get(name), theirs, ours)
            taken.append(part)
        else:
            new.append(part)
    return taken, new


def unit_dimensions(description: Description) -> dict[str, int]:
    """The dimension that counts units, of each weight that has one, by name: where a model of more units is larger."""
    few, many = (
        empty_model(description.architecture, len(description.units) + more, description.sample_rate).state_dict()
        for more in (0, 1)
    )
    sizes = {name: list(zip(weight.shape, many[name].shape, strict=True)) for name, weight in few.items()}
    return {
        name: [a == b for a, b in pairs].index(False) for name, pairs in sizes.items() if any(a != b for a, b in pairs)
    }


def _checkpoint_in(path: Path) -> Path:
    """The newest checkpoint of a run, of an experiment's newest run, or of a folder; else the file itself."""
    if not path.is_dir():
        return path
    inside = (path / "checkpoints", path / "latest" / "checkpoints", path)
    return newest_checkpoint(next(folder for folder in inside if folder.is_dir()))


def _check_alike(source: str, held: Architecture, now: Architecture) -> None:
    if type(held) is not type(now):
        raise FoldError(f"init_from {source}: holds a {type(held).__name__}, not a {type(now).__name__}")
    free = (*now.CHANGEABLE, *now.OF_HEADS)
    before, after = ({n: v for n, v in pack_fields(each).items() if n not in free} for each in (held, now))
    if differing := differences(before, after, "model.network"):
        raise FoldError(
            f"init_from {source}: another model (there -> here: {', '.join(differing)}); give this one the same"
        )


def _shared(theirs: Sequence[str], ours: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The indices of the units that two inventories share, in either."""
    places = {symbol: index for index, symbol in enumerate(theirs)}
    pairs = [(places[symbol], index) for index, symbol in enumerate(ours) if symbol in places]
    there, here = torch.tensor(pairs, dtype=torch.long).view(-1, 2).T
    return there, here


def _told_of_units(theirs: Sequence[str], ours: Sequence[str]) -> str:
    """How many units were kept, which are new, and how many had to go."""
    new, gone = [u for u in ours if u not in theirs], [u for u in theirs if u not in ours]
    if not new and not gone:
        return "the same units"
    named = ", ".join(map(repr, new[:SHOWN])) + (f" and {len(new) - SHOWN} more" if len(new) > SHOWN else "")
    return f"units: {len(ours) - len(new)} kept, {len(new)} new{f' ({named})' if new else ''}, {len(gone)} left out"


def _names(weights: Mapping[str, Tensor], part: str) -> set[str]:
    return {name for name in weights if name.partition(".")[0] == part}


def _fits(own: Tensor, given: Tensor, by_unit: int | None) -> bool:
    """Whether two weights have one shape, but for the number of units."""
    shapes = [[size for dim, size in enumerate(w.shape) if dim != by_unit] for w in (own, given)]
    return shapes[0] == shapes[1]


def _copy(own: Tensor, given: Tensor, by_unit: int | None, theirs: Tensor, ours: Tensor) -> None:
    given = given.to(own.device, own.dtype)
    if by_unit is None:
        own.copy_(given)
    else:
        kept = given.index_select(by_unit, theirs.to(own.device))
        own.index_copy_(by_unit, ours.to(own.device), kept)
