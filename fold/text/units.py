"""Output units: characters or SentencePiece pieces, with the blank first and the end of sentence last.

Index 0 is `<blank>` (CTC), 1 is `<unk>`, the last is `<sos/eos>` (attention decoder); the rest lie between.
Units know how the transcripts were written that they were trained on, and so do their prepared corpus and checkpoints.
"""

import base64
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sentencepiece

from fold.errors import FoldError
from fold.text.normalise import UNKNOWN_TEXT, Normaliser
from fold_device.words import between

BLANK, UNKNOWN, END = "<blank>", "<unk>", "<sos/eos>"
LONGEST_SENTENCE = 4192
"""Bytes of a transcript that SentencePiece takes unless it is told of more; longer ones it drops without a word."""


class Units(ABC):
    """A bijection, up to unknown symbols, between text and sequences of indices.

    Args:
        normaliser: how text is written; None for units of the time before there was one: as it comes.
    """

    blank = 0
    unk = 1

    def __init__(self, normaliser: Normaliser | None = None) -> None:
        self.normaliser = normaliser

    @property
    def eos(self) -> int:
        return len(self) - 1

    def written(self, text: str) -> str:
        """Return what a person said, written as the transcripts that the units were trained on."""
        return self.normaliser(text) if self.normaliser else text

    @abstractmethod
    def __len__(self) -> int:
        """Number of units, blank, unknown and end of sentence included."""

    @property
    @abstractmethod
    def symbols(self) -> list[str]:
        """A name for each unit in index order, by which units of two inventories are the same."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the indices of a text, without blank and end of sentence."""

    def joined(self, texts: Iterable[str]) -> str:
        """Return texts that were said one after another as one; those that are empty leave no trace."""
        return " ".join(filter(None, texts))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of indices; blank and end of sentence are skipped (repeats are not merged)."""
        text = self._text([index for index in ids if index not in (self.blank, self.eos)])
        return self.normaliser.hypothesis(text) if self.normaliser else text

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values from which `units_from_dict` makes equal units."""
        return {**self._plain(), **({"text": self.normaliser.to_dict()} if self.normaliser else {})}

    @abstractmethod
    def _text(self, ids: Sequence[int]) -> str:
        """Return the text of indices, none of them silent."""

    @abstractmethod
    def _plain(self) -> dict[str, Any]:
        """Return the values of `to_dict` that only this kind of units has."""


class CharUnits(Units):
    """One unit per character, the space among them. Units of pre-trained heads may have several characters: text is
    then read from its beginning, the longest unit that fits first.

    Args:
        characters: the inventory, in index order from 2 on; each once.
        normaliser: as of `Units`.
        separator: what stands between any two units in text, such as a space between phonemes.
    """

    def __init__(self, characters: Sequence[str], normaliser: Normaliser | None = None, separator: str = "") -> None:
        super().__init__(normaliser)
        self.characters = list(characters)
        self.separator = separator
        self._index = {character: 2 + i for i, character in enumerate(self.characters)}
        longest_first = sorted(self.characters, key=len, reverse=True)
        self._unit = re.compile("|".join([*map(re.escape, longest_first), "."]), re.DOTALL)

    @classmethod
    def train(cls, texts: Iterable[str], normaliser: Normaliser | None = None) -> "CharUnits":
        return cls(sorted(set().union(*texts)), normaliser)

    def __len__(self) -> int:
        return len(self.characters) + 3

    @property
    def symbols(self) -> list[str]:
        return [BLANK, UNKNOWN, *self.characters, END]

    def encode(self, text: str) -> list[int]:
        units = text.split(self.separator) if self.separator else self._unit.findall(text)
        return [self._index.get(unit, self.unk) for unit in units if unit]

    def joined(self, texts: Iterable[str]) -> str:
        """As of `Units`; in a script that sets no words apart, whose units have no space, nothing stands between."""
        return (self.separator or between(self.characters)).join(filter(None, texts))

    def _text(self, ids: Sequence[int]) -> str:
        return self.separator.join(map(self._symbol, ids)).strip()

    def _plain(self) -> dict[str, Any]:
        separator = {"separator": self.separator} if self.separator else {}
        return {"kind": "char", "characters": self.characters, **separator}

    def _symbol(self, index: int) -> str:
        return UNKNOWN_TEXT if index == self.unk else self.characters[index - 2]


class SentencePieceUnits(Units):
    """Subword units of a SentencePiece unigram model.

    The model's own inventory starts with its `<unk>`, so unit = piece + 1, and the end of sentence follows.

    Args:
        model: serialized model proto.
        normaliser: as of `Units`.
    """

    def __init__(self, model: bytes, normaliser: Normaliser | None = None) -> None:
        super().__init__(normaliser)
        self.model = model
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    @classmethod
    def train(cls, texts: Sequence[str], vocab_size: int, normaliser: Normaliser | None = None) -> "SentencePieceUnits":
        """Train on all transcripts, however long, so that `len(units) == vocab_size`.

        Raises:
            FoldError: the text is too small for that many units, or has more characters than units.
        """
        model = io.BytesIO()
        longest = max((len(text.encode()) for text in texts), default=0)
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=model,
                vocab_size=vocab_size - 2,
                model_type="unigram",
                character_coverage=1.0,
                normalization_rule_name="identity",
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                max_sentence_length=max(longest, LONGEST_SENTENCE),
                num_threads=1,
                minloglevel=4,
            )
        except RuntimeError as error:
            raise FoldError(_explain(str(error), vocab_size)) from error
        return cls(model.getvalue(), normaliser)

    def __len__(self) -> int:
        return self._processor.get_piece_size() + 2

    @property
    def symbols(self) -> list[str]:
        pieces = [self._processor.id_to_piece(piece) for piece in range(1, self._processor.get_piece_size())]
        return [BLANK, UNKNOWN, *pieces, END]

    def encode(self, text: str) -> list[int]:
        return [1 + piece for piece in self._processor.encode(text)]

    def _text(self, ids: Sequence[int]) -> str:
        text: str = self._processor.decode([index - 1 for index in ids])
        return text.strip()

    def _plain(self) -> dict[str, Any]:
        return {"kind": "sentencepiece", "model": base64.b64encode(self.model).decode()}


def _explain(error: str, vocab_size: int) -> str:
    """Return SentencePiece's error in terms of units, of which there are two more than pieces."""
    if most := re.search(r"<= (\d+)\.", error):
        return f"vocab_size {vocab_size} is too large for the training transcripts; at most {int(most[1]) + 2}"
    if least := re.search(r"required_chars. \d+ vs (\d+)", error):
        return f"vocab_size {vocab_size} is too small for their characters; at least {int(least[1]) + 2}"
    return f"SentencePiece cannot train {vocab_size} units on the training transcripts: {error}"


@dataclass(frozen=True)
class UnitsConfig:
    """Which units to train.

    Args:
        kind: Characters, or SentencePiece pieces.
        vocab_size: Number of units, blank, unknown and end of sentence included; SentencePiece only.
    """

    kind: Literal["char", "sentencepiece"] = "char"
    vocab_size: int | None = None


def train_units(config: UnitsConfig, texts: Sequence[str], normaliser: Normaliser | None = None) -> Units:
    """Train units on the training transcripts, which `normaliser` wrote.

    Raises:
        FoldError: the setting contradicts itself or does not fit the transcripts.
    """
    if config.kind == "char":
        if config.vocab_size is not None:
            raise FoldError("units of kind 'char' are taken from the transcripts; leave out vocab_size")
        return CharUnits.train(texts, normaliser)
    if config.vocab_size is None:
        raise FoldError("units of kind 'sentencepiece' need a vocab_size, e.g. 500")
    return SentencePieceUnits.train(texts, config.vocab_size, normaliser)


def units_from_dict(values: dict[str, Any]) -> Units:
    """Return the units that `Units.to_dict` described."""
    normaliser = Normaliser(**values["text"]) if "text" in values else None
    match values:
        case {"kind": "char", "characters": list(characters)}:
            return CharUnits(characters, normaliser, values.get("separator", ""))
        case {"kind": "sentencepiece", "model": str(model)}:
            return SentencePieceUnits(base64.b64decode(model), normaliser)
    raise FoldError(f"unknown kind of units {values.get('kind')!r}; expected 'char' or 'sentencepiece'")
