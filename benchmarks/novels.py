"""Sentences of novels, one a line, for the language model of docs/runs.md: the further text of `fold ngram`.

    python -m benchmarks.novels sentences.txt --books 1342-0.txt 1400-0.txt ... --unseen dev.tsv test.tsv

books: plain-text files of Project Gutenberg (UTF-8 or Latin-1); unseen: manifests of a corpus, with a column `text`,
whose transcripts are to be evaluated. Sentences are in lower case, of ASCII letters and apostrophes, 2 to 40 words.
Left out are those with a word that all books together have fewer than five times, those with a digit, and those that
share five words in a row, or all of a shorter transcript, with what is to be unseen.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

LENGTHS = range(2, 41)  # of a sentence, in words
RARE = 5  # a word is kept that occurs as often
ALIKE = 5  # words in a row that make a sentence one of the test's
START, END = r"\*\*\*\s*START OF.*?\*\*\*", r"\*\*\*\s*END OF"  # what Project Gutenberg puts around a book
STOPS = re.compile(r"[.?!;:()\"\u201c\u201d\u2014]|--")
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")

Words = tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--books", type=Path, nargs="+", required=True)
    parser.add_argument("--unseen", type=Path, nargs="+", required=True)
    options = parser.parse_args()
    found = [sentence for book in options.books for sentence in sentences(text_of(book))]
    kept = list(without(frequent(found), transcripts(options.unseen)))
    options.output.write_text("".join(" ".join(sentence) + "\n" for sentence in kept))
    words = sum(map(len, kept))
    print(
        f"{len(options.books)} books: {len(found):,} sentences, of which {len(kept):,} with {words:,} words were kept"
    )


def text_of(book: Path) -> str:
    """Of a file, without what Project Gutenberg says before and after."""
    content = book.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    start, end = re.search(START, text, re.DOTALL), re.search(END, text)
    return text[start.end() if start else 0 : end.start() if end else len(text)]


def sentences(text: str) -> Iterator[Words]:
    text = re.sub("[\u2018\u2019]", "'", text.lower())
    text = re.sub(r"\b(mr|mrs|dr|st)\.", r"\1", text)
    for paragraph in re.split(r"\n\s*\n", text.replace("\r", "")):
        for part in STOPS.split(paragraph.replace("\n", " ")):
            words = tuple(WORD.findall(part))
            if len(words) in LENGTHS and "".join(words).isascii() and not re.search(r"\d", part):
                yield words


def frequent(found: list[Words]) -> list[Words]:
    """The sentences of words that are not rare."""
    counts = Counter(word for sentence in found for word in sentence)
    return [sentence for sentence in found if all(counts[word] >= RARE for word in sentence)]


def transcripts(manifests: Iterable[Path]) -> Iterator[Words]:
    for manifest in manifests:
        with manifest.open(newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                yield tuple(row["text"].lower().split())


def without(found: Iterable[Words], unseen: Iterable[Words]) -> Iterator[Words]:
    """The sentences that share no `ALIKE` words in a row, and no shorter transcript, with what is to be unseen."""
    forbidden = {part for transcript in unseen for part in runs(transcript, min(ALIKE, len(transcript)))}
    lengths = sorted({len(part) for part in forbidden if part})
    for sentence in found:
        if not any(part in forbidden for length in lengths for part in runs(sentence, length)):
            yield sentence


def runs(words: Words, length: int) -> Iterator[Words]:
    """All that many words in a row."""
    return (words[start : start + length] for start in range(len(words) - length + 1))


if __name__ == "__main__":
    main()
