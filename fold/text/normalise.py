"""How transcripts are written: one form for what is trained on, for references and for what a model says.

Two spellings that look alike, or that are spoken alike, would else become two units, or a word error.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from itertools import groupby
from typing import Any, Literal

from fold.errors import FoldError

UNKNOWN_TEXT = "⁇"
"""How an `<unk>` reads in decoded text; it occurs in no transcript, so it counts as an error."""

APOSTROPHES = "’‘ʼ`´ʹ′ʽ＇ʻ‛՚׳"  # noqa: RUF001
OKINA = "ʻ"  # noqa: RUF001  # a consonant of Polynesian languages, also where a word begins
POLYNESIAN = {"haw", "sm", "to", "ty"}
PERSIAN = str.maketrans("يىك", "ییک")  # letters that Arabic keyboards have for those of Persian
WITHIN = re.compile('(?<=[lL])[·‧∙⋅](?=[lL])|(?<=[א-ת])[״"”](?=[א-ת])')  # of Catalan, of Hebrew
TAG = re.compile(r"<[^<>]*>|\[[^][]*\]|\([^()]*\)|＜[^＜＞]*＞|［[^［］]*］|（[^（）]*）")  # noqa: RUF001
UNSEEN = (  # of other kinds than the format characters, but no more to be seen; and the stretching of Arabic words
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0\u0640"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
    + "".join(map(chr, range(0xE0100, 0xE01F0)))
)
MARK = "\n"  # stands for a punctuation mark until it is known what was beside it
IDEOGRAPHS = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
PLAIN = re.compile(r"[a-z]+(?:'[a-z]+)*(?: [a-z]+(?:'[a-z]+)*)*")
DOTLESS = {"tr", "az"}  # languages in which I and i are two letters
VALUES = {
    "form": ("NFKC", "NFC"),
    "case": ("lower", "keep"),
    "punctuation": ("drop", "keep"),
    "digits": ("keep", "refuse"),
    "tags": ("keep", "drop", "refuse"),
}
KEEPS_DOT = "lt"  # writes a dot over i below an accent


@dataclass(frozen=True)
class Normaliser:
    """How transcripts are written before they become units, and references and hypotheses before they are compared.

    Spaces become one, apostrophes ', digits of all scripts 0 to 9; what cannot be seen (zero-width characters, byte
    order marks, soft hyphens, controls) is dropped.

    Args:
        language: Code of the language, such as `de`; `tr` and `az` have a case of their own for i.
        form: Unicode form. NFKC also writes out ligatures, the long s, and wide and presentation forms, but no symbols
            (™, ℃), raised characters and fractions; NFC only joins letters and their accents.
        case: `lower`, or `keep` what is capital.
        punctuation: `drop` punctuation and symbols (an apostrophe within a word stays), or `keep` them.
        digits: `keep` digits, or `refuse` a corpus whose transcripts have some: they are not how words are spoken.
        tags: Of what stands in brackets (`<unk>`, `[noise]`, `(laughs)`) `keep` the words, `drop` all, or `refuse` it.

    Raises:
        FoldError: The language is no code, or another setting has none of its values.
    """

    language: str = ""
    form: Literal["NFKC", "NFC"] = "NFKC"
    case: Literal["lower", "keep"] = "lower"
    punctuation: Literal["drop", "keep"] = "drop"
    digits: Literal["keep", "refuse"] = "keep"
    tags: Literal["keep", "drop", "refuse"] = "keep"

    def __post_init__(self) -> None:
        # Settings come from files too, where one may be left empty.
        if not isinstance(self.language, str) or not re.fullmatch(r"([a-z]{2,3})?", self.language):
            raise FoldError(f"text.language is '{self.language}'; expected a code of two or three letters, such as tr")
        for name, values in VALUES.items():
            if getattr(self, name) not in values:
                raise FoldError(f"text.{name} is '{getattr(self, name)}'; expected {' or '.join(values)}")

    def __call__(self, text: str) -> str:
        """Return what a person wrote, as it is to be written. Doing so again changes nothing."""
        text = text.replace(UNKNOWN_TEXT, "?")
        while self.tags == "drop" and (without := TAG.sub(" ", text)) != text:
            text = without
        return self.hypothesis(text)

    def hypothesis(self, text: str) -> str:
        """Return what a model said, as it is to be written: as what a person wrote, but an unknown unit stays."""
        if plain := self._plain(text):
            return plain
        while (again := self._once(text)) != text:
            text = again
        return text

    def drops(self, character: str) -> bool:
        """Return whether a character leaves no trace. A space does."""
        if character not in self._dropped:
            self._dropped[character] = not character.isspace() and self(f"x{character}x") in ("xx", "x x")
        return self._dropped[character]

    def dropped(self, text: str) -> Counter[str]:
        """Return the characters of a text that leave no trace, and how often they occur."""
        if self._plain(text):
            return Counter()
        return Counter({character: text.count(character) for character in set(text) if self.drops(character)})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: `tags` only where it is set, as prepared folders are named by these values."""
        values = asdict(self)
        return values if self.tags != "keep" else {name: value for name, value in values.items() if name != "tags"}

    def _plain(self, text: str) -> str | None:
        """A text of which it can be seen at a glance how it is written; None for any other."""
        if self.case == "keep" or self.language in DOTLESS:
            return None
        lowered = text.lower()
        return lowered if text.isascii() and PLAIN.fullmatch(lowered) else None

    def _once(self, text: str) -> str:
        text = self._cased(self._formed(text.translate(self._seen)))
        if self.language == "fa":
            text = text.translate(PERSIAN)
        if self.punctuation == "drop":
            text = WITHIN.sub("", text)
        text = text.translate(self._written)
        text = re.sub(f"(?<=[{IDEOGRAPHS}]){MARK}+(?=[{IDEOGRAPHS}])", "", text)
        if self.punctuation == "drop":
            text = re.sub(r"'+", "'", re.sub(r"(?<!\S)'+|'+(?!\S)", "", text))
        words = (word if word.isascii() else _without_stray_accents(word) for word in text.split())
        return self._formed(" ".join(word for word in words if word))

    def _formed(self, text: str) -> str:
        if text.isascii():
            return text
        return "".join(
            part if stays else unicodedata.normalize(self.form, part)
            for stays, part in ((stays, "".join(run)) for stays, run in groupby(text, _stays))
        )

    def _cased(self, text: str) -> str:
        if self.case == "keep":
            return text
        if self.language in DOTLESS:
            return text.replace("İ", "i").replace("I", "ı").lower()  # noqa: RUF001
        return text.lower() if self.language == KEEPS_DOT else text.lower().replace("i\u0307", "i")

    @cached_property
    def _dropped(self) -> dict[str, bool]:
        return {}

    @cached_property
    def _seen(self) -> _Table:
        table = _Table(_seen)
        if self.language in POLYNESIAN:
            table[ord(OKINA)] = OKINA
        return table

    @cached_property
    def _written(self) -> _Table:
        return _Table(_without_marks if self.punctuation == "drop" else _with_marks)


class _Table(dict[int, str]):
    """What `str.translate` writes for a character, found out when it first occurs."""

    def __init__(self, write: Callable[[str], str]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, code: int) -> str:
        self[code] = self._write(chr(code))
        return self[code]


def tags_of(text: str) -> list[str]:
    """Return what stands in brackets in a transcript, brackets included: signs for sounds, or remarks."""
    return TAG.findall(text)


@cache
def _stays(character: str) -> bool:
    """Whether a character is not written out, as NFKC would: the sign of an unknown unit would become two question
    marks, and of symbols, of raised and lowered characters and of fractions (™ № ℃ ² ½ ʰ) would come others that nobody
    wrote."""
    kind, tag = unicodedata.category(character), unicodedata.decomposition(character).partition(">")[0]
    is_other = kind[0] == "S" or tag in ("<super", "<sub", "<fraction")
    written_out = unicodedata.normalize("NFKC", character)
    return character == UNKNOWN_TEXT or (is_other and any(map(str.isalnum, written_out)))


def _seen(character: str) -> str:
    """What is to be seen of a character."""
    if character in APOSTROPHES:
        return "'"
    if character.isspace() or character == "▁":  # SentencePiece's sign for a space
        return " "
    return "" if character in UNSEEN or unicodedata.category(character)[0] == "C" else character


def _with_marks(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)


def _without_marks(character: str) -> str:
    if character in ("'", UNKNOWN_TEXT):
        return character
    kind = unicodedata.category(character)
    return MARK if kind[0] in "PS" or (kind == "No" and _stays(character)) else _with_marks(character)


def _without_stray_accents(word: str) -> str:
    """Without combining marks that have nothing to stand on."""
    start = next((i for i, character in enumerate(word) if unicodedata.category(character)[0] != "M"), len(word))
    return word[start:]
