"""Where pre-trained weights come from: torchaudio's bundles, Hugging Face directories, hubs, checkpoints of others."""

from __future__ import annotations

import dataclasses
import re
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from fold.errors import FoldError
from fold.models.foundation.bundles import Bundle, bundles
from fold.models.foundation.checkpoints import SUFFIXES, open_checkpoint
from fold.models.foundation.huggingface import Directory
from fold.models.foundation.lighthubert import LightHuBERT, Subnet
from fold.models.foundation.masking import Masking
from fold.models.foundation.shape import AnyShape, Dropouts
from fold.models.foundation.tokens import Vocabulary
from fold.models.foundation.weights import PICKLED, SAFETENSORS, Weights

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SMALL_FILES = ("*.json",)
WEIGHTS = (SAFETENSORS, "model-*.safetensors", PICKLED, "pytorch_model-*.bin")


class Source(Protocol):
    """Pre-trained weights."""

    @property
    def sample_rate(self) -> int:
        """Hz of the audio that the model was trained on."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """How the names of weights begin that are left out on purpose."""

    @property
    def weights(self) -> Weights:
        """The weights under the source's own names."""

    def shape(self) -> AnyShape:
        """The model's shape, known without its weights."""

    def vocabulary(self) -> Vocabulary | None:
        """What the rows of its CTC head stand for; None: it has no head."""

    def dropouts(self) -> Dropouts:
        """Of its training, as far as they are known."""

    def masking(self) -> Masking:
        """Of its training, as far as it is known."""

    def fetch(self) -> None:
        """Puts the weights on this machine, if they are not there."""

    def names(self, ours: str) -> tuple[str, ...]:
        """The source's names of what a weight of ours is joined from."""


class HubDirectory(Directory):
    """A Hugging Face directory that a hub has, copied to the user's cache: its small files at once, its weights when
    they are wanted. path: its id."""

    @cached_property
    def folder(self) -> Path:
        return _download(str(self.path), SMALL_FILES)

    def fetch(self) -> None:
        _ = self.weights

    @cached_property
    def weights(self) -> Weights:
        """Downloaded when they are first asked for: only they tell that a model has no head."""
        adapters = () if self.language is None else (f"adapter.{self.language}.*",)
        _download(str(self.path), (*SMALL_FILES, *_preferred(str(self.path)), *adapters))
        return super().weights


def _preferred(name: str) -> tuple[str, ...]:
    """The files of weights in a hub: not the same weights twice."""
    try:
        listed = _ask_hub(name, lambda hub: hub.list_repo_files(name))
    except FoldError:
        return WEIGHTS  # those that lie in the cache
    safe = [file for file in listed if re.fullmatch(r"model(-[\w-]+)?\.safetensors", file)]
    return tuple(safe) or WEIGHTS


def _download(name: str, patterns: tuple[str, ...]) -> Path:
    return Path(_ask_hub(name, lambda hub: hub.snapshot_download(name, allow_patterns=list(patterns))))


def _ask_hub(name: str, question: Any) -> Any:
    """What a hub answers. Raises FoldError if it cannot be asked, or has nothing of that name."""
    try:
        import huggingface_hub

        return question(huggingface_hub)
    except Exception as error:  # of a connection, a proxy, an id that is none, a package that is missing
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise FoldError(
            f"source '{name}': no such folder, and no hub could be asked for it ({reason}); where there is a network, "
            f"`hf download {name} --local-dir FOLDER`, then --model.network.source=FOLDER"
        ) from None


def find_source(name: str, language: str | None = None, subnet: Subnet | None = None) -> Source:
    """The source of that name. language, subnet: of one with several. Raises FoldError if there is none."""
    source = _find(name, language)
    if isinstance(source, LightHuBERT):
        return dataclasses.replace(source, subnet=subnet)
    if subnet is not None:
        raise FoldError(f"source {name}: is one network; --model.network.subnet is for checkpoints of LightHuBERT")
    return source


def _find(name: str, language: str | None) -> Source:
    if language is not None and (name in bundles() or Path(name).is_file()):
        several = "--model.network.language is for Hugging Face directories with the adapters of several (MMS)"
        raise FoldError(f"source {name}: has one language; {several}")
    if name in bundles():
        return Bundle(name)
    if Path(name).is_file():
        return open_checkpoint(Path(name))
    if Path(name).is_dir():
        return Directory(Path(name), language)
    if Path(name).suffix in SUFFIXES:
        raise FoldError(f"source '{name}': no such file")
    if HUB_ID.fullmatch(name) and not name.startswith("."):
        return HubDirectory(Path(name), language)
    raise FoldError(
        f"source '{name}': no folder, no id of a hub (owner/name), and none of torchaudio's models, which are "
        f"{', '.join(bundles())}"
    )
