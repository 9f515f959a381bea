"""The JSON files of a Hugging Face directory: what hears, what the head's rows stand for."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fold.errors import FoldError
from fold.models.foundation.kinds import check_value
from fold.models.foundation.tokens import Vocabulary
from fold.models.foundation.weights import SAFETENSORS, check_is_no_pointer

CONFIG, VOCABULARY, PREPROCESSOR, PROCESSOR = (
    "config.json",
    "vocab.json",
    "preprocessor_config.json",
    "processor_config.json",  # in which transformers 5 keeps what the one before held
)
TOKENIZER, SPECIAL_TOKENS, ADDED_TOKENS = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
ROLES = {  # of tokens, where no file says otherwise
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "word_delimiter_token": "|",
}
HEARING = {"do_normalize": bool, "sampling_rate": int, "num_mel_bins": int, "stride": int}  # of feature extractors


@dataclass(frozen=True)
class Files:
    """The JSON files in `folder`. They are read when asked for; every fault is one FoldError naming the file."""

    folder: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        return self.read(CONFIG)

    @cached_property
    def extractor(self) -> dict[str, Any] | None:
        """The settings of the feature extractor, wherever they are kept; None where they are nowhere."""
        nested = self.read(PROCESSOR, required=False)
        held = nested.get("feature_extractor") or nested.get("audio_processor")
        if held is None and not (self.folder / PREPROCESSOR).exists():
            return None
        file, settings = (PROCESSOR, held) if isinstance(held, dict) else (PREPROCESSOR, self.read(PREPROCESSOR))
        for name, kind in HEARING.items():
            if name in settings:
                self.check_value(file, name, settings[name], kind)
        return settings

    @cached_property
    def tokenizer(self) -> dict[str, Any]:
        """The settings of the tokenizer. As in transformers, roles come from a file of their own, unless the other
        lists the tokens themselves."""
        settings = self.read(TOKENIZER, required=False)
        if "added_tokens_decoder" in settings:
            return settings
        return {**settings, **self.read(SPECIAL_TOKENS, required=False)}

    @property
    def default_language(self) -> str | None:
        return self.tokenizer.get("target_lang")

    def vocabulary(self, language: str | None) -> Vocabulary:
        """What the rows of the CTC head stand for; language: whose vocabulary, where there are several.

        Raises FoldError if they do not tell the blank, if tokens have no rows of their own or none is text, or if a
        language is wanted that they have not.
        """
        roles = {role: self._role(role) for role in ROLES}
        delimiter, (held, size) = roles["word_delimiter_token"], self._chosen(language)
        self._check_rows(VOCABULARY, held, delimiter)
        rows = {**self._later(set(held.values()), size, delimiter), **held}
        blank = self._blank(rows, roles["pad_token"])
        special = {roles["bos_token"], roles["eos_token"], roles["unk_token"], roles["pad_token"], *self._special()}
        units: dict[str, int] = {}
        for row, token in sorted((row, token) for token, row in rows.items() if row != blank and token):
            if token == delimiter:
                units[self._space()] = row  # before a token that reads alike
            elif token not in special:
                units.setdefault(token, row)
        if not units:
            raise FoldError(f"{self.folder / VOCABULARY}: holds no token that is text; expected a row for each letter")
        unknown, end = (_in_head(rows.get(roles[role] or ""), blank, size) for role in ("unk_token", "eos_token"))
        return Vocabulary(tuple(units), tuple(units.values()), blank, unknown, end, self._separator())

    def _space(self) -> str:
        """How the delimiter of words reads."""
        space = self.tokenizer.get("replace_word_delimiter_char", " ")
        self.check_value(TOKENIZER, "replace_word_delimiter_char", space, str)
        return str(space)

    def _later(self, taken: Collection[int], size: float, delimiter: str | None) -> dict[str, int]:
        """The rows of tokens that came to the vocabulary later, where they are none of the taken ones; without that of
        a delimiter beyond the head, which transformers adds to vocabularies of languages that set no words apart."""
        later = {token: row for token, row in self._added().items() if row not in taken}
        return {token: row for token, row in later.items() if row < size or token != delimiter}

    def _chosen(self, language: str | None) -> tuple[dict[str, Any], float]:
        """The vocabulary, of a language where there are several, and how many rows its head has, as far as that is
        told: languages have heads of their own, of which config.json says nothing."""
        held, size = self.read(VOCABULARY), self.config.get("vocab_size")
        if held and all(isinstance(value, dict) for value in held.values()):
            languages = list(held)
            chosen = language or self.default_language or (languages[0] if len(languages) == 1 else None)
            if chosen not in languages:
                wanted = "several languages" if chosen is None else f"no language '{chosen}'"
                shown = ", ".join(languages[:10]) + (f" and {len(languages) - 10} more" if len(languages) > 10 else "")
                raise FoldError(f"{self.folder / VOCABULARY}: has {wanted}; --model.network.language takes {shown}")
            rows = [row for row in held[chosen].values() if type(row) is int]
            return held[chosen], max(rows, default=0) + 1
        return held, size if type(size) is int else math.inf

    def _added(self) -> dict[str, Any]:
        """The rows of tokens that came to the vocabulary later."""
        listed = self.tokenizer.get("added_tokens_decoder")
        try:
            file, added = TOKENIZER, {entry["content"]: int(row) for row, entry in (listed or {}).items()}
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise FoldError(f"{self.folder / TOKENIZER}: expected tokens by their rows ({error!r})") from None
        if listed is None:  # transformers 4 held them elsewhere at first
            file, added = ADDED_TOKENS, self.read(ADDED_TOKENS, required=False)
        self._check_rows(file, added, None)
        return added

    def _check_rows(self, file: str, rows: Mapping[str, Any], delimiter: str | None) -> None:
        """Raises FoldError unless each token has a row of its own, but for two that both read as a space."""
        tokens: dict[int, str] = {}
        for token, row in rows.items():
            self.check_value(file, f"the row of {token!r}", row, int, least=0)
            other = tokens.setdefault(row, token)
            if other != token and {token, other} != {delimiter, " "}:
                raise FoldError(f"{self.folder / file}: {other!r} and {token!r} are both row {row}: expected one each")

    def _role(self, role: str) -> str | None:
        default = None if role == "word_delimiter_token" and self._separator() else ROLES[role]
        return _content(self.tokenizer.get(role, default))

    def _special(self) -> set[str]:
        """Tokens that have no part in text, besides those with a role."""
        added = _entries(self.tokenizer.get("added_tokens_decoder"))
        marked = [entry for entry in added if isinstance(entry, dict) and entry.get("special")]
        # The first name is of transformers 4, the second of 5.
        listed = [*map(self.tokenizer.get, ("additional_special_tokens", "extra_special_tokens"))]
        return {content for entry in [*marked, *_entries(*listed)] if (content := _content(entry))}

    def _separator(self) -> str:
        """What stands between units in text: something where they are phonemes."""
        phonemes = "Phoneme" in str(self.tokenizer.get("tokenizer_class"))
        return _content(self.tokenizer.get("phone_delimiter_token", " ")) or " " if phonemes else ""

    def _blank(self, rows: Mapping[str, int], padding: str | None) -> int:
        """The row of the blank: transformers' token for padding, which the configuration and the tokenizer name."""
        given = "pad_token_id" in self.config
        row = self.config.get("pad_token_id", 0)  # as in transformers
        if type(row) is not int or row < 0:
            raise FoldError(f"{self.folder / CONFIG}: pad_token_id is {row!r}: expected the row of CTC's blank")
        if not given and padding not in rows:
            told = f"gives no pad_token_id, and {VOCABULARY} has no {padding!r}"
            raise FoldError(f"{self.folder / CONFIG}: {told}: expected the row of CTC's blank")
        if padding is not None and padding in rows and rows[padding] != row:
            raise FoldError(
                f"{self.folder / CONFIG}: pad_token_id is {row}, but the row of {padding!r} in {VOCABULARY} is "
                f"{rows[padding]}: expected one row for CTC's blank"
            )
        return row

    def check_value(self, file: str, name: str, value: object, kind: object, least: int = 1) -> None:
        """Raises FoldError unless a value in a file is of a kind, as `fold.models.foundation.kinds` has them."""
        try:
            check_value(name, value, kind, least)
        except FoldError as error:
            raise FoldError(f"{self.folder / file}: {error}") from None

    def read(self, name: str, required: bool = True) -> dict[str, Any]:
        """The content of a file; empty if there is none and none is required."""
        file = self.folder / name
        if not file.exists():
            if required:
                raise FoldError(f"{file}: no such file; a source is a folder with {CONFIG} and {SAFETENSORS}")
            return {}
        try:
            check_is_no_pointer(file)
            values = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FoldError(f"{file}: not JSON ({error})") from None
        if not isinstance(values, dict):
            raise FoldError(f"{file}: expected a JSON object")
        return values


def _in_head(row: int | None, blank: int, size: float) -> int | None:
    """A row besides the blank; None for one beyond the head, of a token that was added after training."""
    return None if row is None or row == blank or row >= size else row


def _entries(*listed: object) -> list[object]:
    """What lists, or dictionaries by name, hold."""
    found: list[object] = []
    for entries in listed:
        found += entries.values() if isinstance(entries, Mapping) else entries if isinstance(entries, list) else []
    return found


def _content(token: object) -> str | None:
    """A token as the files write it: its text, or settings among which the text is."""
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) else None
