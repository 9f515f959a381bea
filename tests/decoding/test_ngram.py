"""N-gram models: what they give each word, against sums and values worked out by hand; and files that are none."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from fold.decoding.ngram import NGram, read_arpa, write_arpa
from fold.errors import FoldError

BIGRAMS = """
\\data\\
ngram 1=5
ngram 2=4

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.5
-0.7\t</s>
-0.4\tred\t-0.2
-0.9\tblue

\\2-grams:
-0.3\t<s> red
-0.6\tred blue
-0.8\tred </s>
-0.1\tblue </s>

\\end\\
"""
TEXTS = ["red blue red", "red blue", "blue", "", "blue green", "green green green red"]


def test_longer_histories_come_first_and_shorter_ones_stand_in(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text("made by somebody\n" + BIGRAMS)
    model = read_arpa(tmp_path / "lm.arpa")
    first = by_word(model, [])
    assert first["red"] == pytest.approx(-0.3)
    assert first["blue"] == pytest.approx(-0.5 - 0.9)  # backs off
    assert first["<s>"] == -math.inf
    second = by_word(model, ["red"])
    assert second["blue"] == pytest.approx(-0.6) and second["red"] == pytest.approx(-0.2 - 0.4)
    third = by_word(model, ["red", "blue"])
    assert third["</s>"] == pytest.approx(-0.1) and third["red"] == pytest.approx(-0.4)  # blue has no weight: 0


def test_a_packed_file_is_the_same_model(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa.gz").write_bytes(gzip.compress(BIGRAMS.encode()))
    assert by_word(read_arpa(tmp_path / "lm.arpa.gz"), [])["red"] == pytest.approx(-0.3)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_what_follows_any_history_sums_to_one(tmp_path: Path, order: int) -> None:
    assert write_arpa(tmp_path / "lm.arpa", TEXTS, order) == 12
    model = read_arpa(tmp_path / "lm.arpa")
    assert model.order == order and set(model.words) == {"<s>", "</s>", "red", "blue", "green"}
    for said in ([], ["red"], ["green", "green"], ["red", "blue", "red"], ["blue", "green", "red", "red"]):
        assert np.exp(model.after(history(model, said))).sum() == pytest.approx(1, abs=1e-5)


def test_kneser_ney_by_hand(tmp_path: Path) -> None:
    """Of the bigrams <s> a, a a, a b, b </s> (twice each but a a): one was seen once and three twice, so that the
    discount is 1 / (1 + 2 * 3). Before a there were 2 different words, before b and before the end 1."""
    write_arpa(tmp_path / "lm.arpa", ["a a b", "a b"], 2)
    model = read_arpa(tmp_path / "lm.arpa")
    of_words, discount = 0.5, 1 / 7  # 2 and 1 words were before one: counts of counts are 2 and 1, the discount 2 / 4
    alone = {"a": (2 - of_words) / 4, "b": (1 - of_words) / 4, "</s>": (1 - of_words) / 4}
    alone = {word: p + 3 * of_words / 4 / 3 for word, p in alone.items()}
    after_a = by_word(model, ["a"])
    left = discount * 2 / 3
    assert 10 ** after_a["b"] == pytest.approx((2 - discount) / 3 + left * alone["b"], abs=1e-6)
    assert 10 ** after_a["a"] == pytest.approx((1 - discount) / 3 + left * alone["a"], abs=1e-6)
    assert 10 ** after_a["</s>"] == pytest.approx(left * alone["</s>"], abs=1e-6)


def test_training_text_is_likelier_the_longer_the_histories(tmp_path: Path) -> None:
    likelihoods = []
    for order in (1, 2, 3):
        write_arpa(tmp_path / "lm.arpa", TEXTS, order)
        model, total = read_arpa(tmp_path / "lm.arpa"), 0.0
        for text in TEXTS:
            words = [*text.split(), "</s>"]
            total += sum(by_word(model, words[:place])[word] for place, word in enumerate(words))
        likelihoods.append(total)
    assert likelihoods == sorted(likelihoods)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"\x00\x01\xff binary", "no complete ARPA file"),
        (b"hello\n", "no complete ARPA file"),
        (BIGRAMS[: BIGRAMS.index("-0.1\tblue")].encode(), "ends too soon"),
        (BIGRAMS.replace("ngram 2=4", "ngram 2=5").encode(), "4 of 5 n-grams of order 2"),
        (BIGRAMS.replace("-0.6\tred", "-0.6\tpurple").encode(), "purple"),
        (BIGRAMS.replace("-0.4\tred", "-0.4\tred red red").encode(), "expected 1 words"),
        (BIGRAMS.replace("<s>", "start").encode(), "no <s>"),
        (BIGRAMS.replace("ngram 2=4", "ngram 2").encode(), "no complete ARPA file"),
    ],
)
def test_what_is_no_arpa_file_is_refused_in_a_line(tmp_path: Path, content: bytes, named: str) -> None:
    (tmp_path / "lm.arpa").write_bytes(content)
    with pytest.raises(FoldError, match=named) as error:
        read_arpa(tmp_path / "lm.arpa")
    assert "lm.arpa" in str(error.value) and "\n" not in str(error.value)


def test_missing_files_and_empty_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FoldError, match=r"lm\.arpa: cannot be read"):
        read_arpa(tmp_path / "lm.arpa")
    with pytest.raises(FoldError, match=r"lm\.arpa\.gz: cannot be read"):
        (tmp_path / "lm.arpa.gz").write_bytes(gzip.compress(BIGRAMS.encode())[:-20])
        read_arpa(tmp_path / "lm.arpa.gz")
    with pytest.raises(FoldError, match=r"lm\.arpa\.gz: cannot be read"):
        packed = bytearray(gzip.compress(BIGRAMS.encode()))
        packed[15:40] = bytes(25)
        (tmp_path / "lm.arpa.gz").write_bytes(packed)
        read_arpa(tmp_path / "lm.arpa.gz")
    with pytest.raises(FoldError, match="no words"):
        write_arpa(tmp_path / "lm.arpa", ["", " "], 3)
    assert not (tmp_path / "lm.arpa").exists()


def history(model: NGram, said: list[str]) -> tuple[int, ...]:
    found = model.start()
    for word in said:
        found = model.known((*found, model.words.index(word)))
    return found


def by_word(model: NGram, said: list[str]) -> dict[str, float]:
    """Of each word after some, log10 of its probability."""
    return dict(zip(model.words, model.after(history(model, said)) / math.log(10), strict=True))
