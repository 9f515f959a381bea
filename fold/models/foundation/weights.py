"""Weights in files, read by memory map: a tensor comes into memory when it is copied to where it belongs."""

from __future__ import annotations

import contextlib
import json
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor, nn

from fold.errors import FoldError

SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
INDEX = ".index.json"  # after the name of weights that lie in several files
POINTER = b"version https://git-lfs"  # how a file begins that stands for one that git-lfs has yet to bring
SPELLINGS = {  # of the weight norm, by versions of PyTorch
    ".weight_g": ".parametrizations.weight.original0",
    ".weight_v": ".parametrizations.weight.original1",
}
ENCODER = ("encoder.", "feature_extractor.", "feature_projection.")  # all else is heads, such as those of pre-training
READABLE = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
LAYER = re.compile(r"unfolding\.layers\.(\d+)\.")

Names = Callable[[str], tuple[str, ...]]
"""Of a weight of ours: the names of what it is joined from, along its first axis."""


@dataclass(frozen=True)
class Weights(Mapping[str, Tensor]):
    """Stored tensors by name. where: their file, for messages; read: for each name, what reads its tensor."""

    where: str
    read: Mapping[str, Callable[[], Tensor]]

    def __getitem__(self, name: str) -> Tensor:
        with readable(self.where):
            return self.read[name]()

    def __contains__(self, name: object) -> bool:
        return name in self.read

    def __iter__(self) -> Iterator[str]:
        return iter(self.read)

    def __len__(self) -> int:
        return len(self.read)

    def over(self, others: Weights) -> Weights:
        """These, and those of others under the names that these lack."""
        return Weights(self.where, {**others.read, **self.read})

    def joined(self, names: Sequence[str]) -> Tensor:
        """The tensors of these names, joined. Raises FoldError if one is missing."""
        missing = [name for name in names if name not in self.read]
        if missing:
            raise FoldError(f"{self.where}: does not fit the configuration: Missing {missing[0]}")
        return self[names[0]] if len(names) == 1 else torch.cat([self[name] for name in names])


@contextlib.contextmanager
def readable(file: object) -> Iterator[None]:
    """Makes one line of whatever a damaged or hostile file provokes."""
    try:
        yield
    except FoldError:
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise FoldError(f"{file}: cannot be read as weights ({reason})") from None


def check_is_no_pointer(file: Path) -> None:
    """Raises FoldError if git-lfs has yet to bring the file."""
    with file.open("rb") as start:
        if start.read(len(POINTER)) == POINTER:
            raise FoldError(f"{file}: is a pointer of git-lfs, not the file itself: `git lfs pull` in its folder")


def open_folder(folder: Path, prefix: str) -> Weights:
    """The weights of a Hugging Face directory, in one file or in shards; prefix: which their names may begin with.

    Raises FoldError if there are none, or if they cannot be read.
    """
    for name in (SAFETENSORS, PICKLED):
        if (folder / name).exists():
            return open_file(folder / name, prefix)
        if (folder / (name + INDEX)).exists():
            return _open_shards(folder / (name + INDEX), prefix)
    raise FoldError(f"{folder}: holds neither {SAFETENSORS} nor {PICKLED}, nor one of them in shards (*{INDEX})")


def _open_shards(index: Path, prefix: str) -> Weights:
    try:
        check_is_no_pointer(index)
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        shards = [index.parent / Path(name).name for name in names]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise FoldError(f"{index}: lists no shards (expected a `weight_map`: {error!r})") from None
    if missing := [shard.name for shard in shards if not shard.exists()]:
        raise FoldError(f"{index}: lists {missing[0]}, which is missing; {len(missing)} of {len(shards)} shards are")
    read: dict[str, Callable[[], Tensor]] = {}
    for shard in shards:
        read |= _read_file(shard)
    return Weights(str(index), _common_names(read, prefix))


def open_file(file: Path, prefix: str) -> Weights:
    """The weights of one file, safetensors or pickled; nothing pickled is executed."""
    return Weights(str(file), _common_names(_read_file(file), prefix))


def _read_file(file: Path) -> dict[str, Callable[[], Tensor]]:
    with readable(file):
        check_is_no_pointer(file)
        return _safetensors(file) if file.suffix == ".safetensors" else _of_dict(pickled(file))


def _common_names(read: Mapping[str, Callable[[], Tensor]], prefix: str) -> dict[str, Callable[[], Tensor]]:
    """Weights by their common names. Where the encoder's begin with the prefix, others are of heads, and those that go
    by a name of the encoder are left out: the last layer of transformers' XVector is a `feature_extractor` too."""
    others = ENCODER if any(name.startswith(prefix) for name in read) else ()
    return {common_name(name, prefix): reader for name, reader in read.items() if not name.startswith(others)}


def of_dict(weights: Mapping[str, Tensor], where: str) -> Weights:
    """Weights at hand; where: what messages call them."""
    return Weights(where, {common_name(name, ""): reader for name, reader in _of_dict(weights).items()})


def common_name(name: str, prefix: str) -> str:
    """A weight's name without its prefix, in today's spelling."""
    name = name.removeprefix(prefix)
    for old, new in SPELLINGS.items():
        name = name.replace(old, new)
    return name


def _safetensors(file: Path) -> dict[str, Callable[[], Tensor]]:
    held = safetensors.safe_open(file, framework="pt")
    return {name: partial(held.get_tensor, name) for name in held.keys()}  # noqa: SIM118 (no mapping)


def pickled(file: Path) -> Mapping[str, Any]:
    """What a pickled file holds by name, its tensors by memory map; only tensors and plain values are read."""
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError:  # whose message advises to execute what the file holds
        raise ValueError("not written by torch.save, or holds more than tensors and plain values") from None
    if not isinstance(weights, Mapping):
        raise ValueError(f"holds a {type(weights).__name__}, no weights by name")
    return weights


def _of_dict(weights: Mapping[str, Tensor]) -> dict[str, Callable[[], Tensor]]:
    return {name: _at_hand(weight) for name, weight in weights.items() if isinstance(weight, Tensor)}


def _at_hand(weight: Tensor) -> Callable[[], Tensor]:
    return lambda: weight


@torch.no_grad()
def load(
    model: nn.Module, weights: Weights, names: Names, groups: Sequence[Sequence[int]], optional: frozenset[str]
) -> None:
    """Copies stored weights into a model, but for its head.

    groups: for each layer of the model, the stored layers that it takes the mean of; optional: weights of the model
    that stay as they are where none are stored.
    Raises FoldError if something is missing, or has another shape than the model's, or is no weight.
    """
    for ours, target in model.state_dict().items():
        layer = LAYER.match(ours)
        places = groups[int(layer[1])] if layer else [0]
        sources = [names(LAYER.sub(f"unfolding.layers.{place}.", ours)) for place in places]
        if ours.startswith("ctc_head.") or (ours in optional and not weights.keys() >= set(sources[0])):
            continue
        tensors = [weights.joined(source) for source in sources]
        for tensor, source in zip(tensors, sources, strict=True):
            if target.is_floating_point():  # not of a number of batches
                check_is_weight(tensor, source[0], weights.where)
            if tensor.shape != target.shape:
                shapes = f"{tuple(tensor.shape)}, not {tuple(target.shape)}"
                wrong = f"size mismatch of {source[0]}: {shapes}"
                raise FoldError(f"{weights.where}: does not fit the configuration: {wrong}")
        target.copy_(tensors[0] if len(tensors) == 1 else torch.stack([t.float() for t in tensors]).mean(0))


def check_is_weight(tensor: Tensor, name: str, where: str) -> None:
    """Raises FoldError for whole numbers and those of 8 bits, which need scales to be weights, for NaN and infinity."""
    if tensor.dtype not in READABLE:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise FoldError(f"{where}: {name} is {kind}: quantised weights are not read; expected float32, 16 or bfloat16")
    if tensor.numel() and not all(extreme.isfinite() for extreme in tensor.aminmax()):  # which copies nothing
        raise FoldError(f"{where}: {name} holds NaN or infinity")


def check_all_used(model: nn.Module, weights: Weights, names: Names, num_layers: int, left: tuple[str, ...]) -> None:
    """Raises FoldError if stored weights of the encoder belong to a part that the model has not.

    num_layers: of the original; left: beginnings of the names of what is left out on purpose.
    """
    used: set[str] = set()
    for ours in model.state_dict():
        for place in range(num_layers) if LAYER.match(ours) else [0]:
            used.update(names(LAYER.sub(f"unfolding.layers.{place}.", ours)))
    strangers = (name for name in weights if name.startswith(ENCODER) and name not in used)
    if stranger := next((name for name in strangers if not name.startswith(left)), None):
        raise FoldError(f"{weights.where}: does not fit the configuration: Unexpected {stranger}")
