import sys
from pathlib import Path

import pytest

from benchmarks import novels

BOOK = """The Project Gutenberg eBook of Nothing, by Nobody

*** START OF THIS PROJECT GUTENBERG EBOOK NOTHING ***

Mr. Gray said: \u201cit isn\u2019t
so bad,\u201d and went. They left in 1912. The caf\u00e9 is shut. Soon

after that, a cat came -- at night.

*** END OF THIS PROJECT GUTENBERG EBOOK NOTHING ***
License of the whole.
"""


def test_sentences_end_where_the_text_pauses(tmp_path: Path) -> None:
    file = tmp_path / "book.txt"
    file.write_text(BOOK, encoding="utf-8")
    found = novels.sentences(novels.text_of(file))
    wanted = ["mr gray said", "it isn't so bad", "and went", "after that a cat came", "at night"]
    assert [" ".join(sentence) for sentence in found] == wanted


def test_sentences_with_rare_words_are_left_out() -> None:
    often = [("a", "cat")] * 5
    assert novels.frequent([*often, ("a", "dog"), ("cat", "a")]) == [*often, ("cat", "a")]


@pytest.mark.parametrize(
    ("unseen", "kept"),
    [
        ("nothing like it was said", True),
        ("yes a cat came to me", True),  # four words in a row
        ("and a cat came to my house", False),
        ("my door", False),
        ("", True),
    ],
)
def test_what_is_to_be_unseen_is_left_out(unseen: str, kept: bool) -> None:
    sentence = ("after", "that", "a", "cat", "came", "to", "my", "door", "at", "night")
    assert list(novels.without([sentence], [tuple(unseen.split())])) == [sentence] * kept


def test_a_file_of_sentences_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "latin.txt").write_bytes(
        ("The caf\xe9 is shut. The door is open. The window is.\n\n" * 5).encode("latin-1")
    )
    (tmp_path / "dev.tsv").write_text("audio\ttext\na.wav\tTHE DOOR IS OPEN\n")
    made = tmp_path / "sentences.txt"
    arguments = ["novels", str(made), "--books", str(tmp_path / "latin.txt"), "--unseen", str(tmp_path / "dev.tsv")]
    monkeypatch.setattr(sys, "argv", arguments)
    novels.main()
    assert made.read_text() == "the window is\n" * 5
