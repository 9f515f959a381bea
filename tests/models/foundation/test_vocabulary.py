"""What the rows of a head stand for: text and units are those of transformers' own tokenizers."""

import json
import random
from itertools import groupby
from pathlib import Path

import pytest
import transformers
from models.foundation.test_storage import edit, error_of

from fold.models.foundation.files import Files
from fold.models.foundation.tokens import Vocabulary, units_of_head
from fold.text.units import UNKNOWN_TEXT, CharUnits

Tokenizer = transformers.PreTrainedTokenizer
USUAL = ["<pad>", "<s>", "</s>", "<unk>", "|"]
KINDS: dict[str, tuple[list[str], dict[str, object], str]] = {  # tokens, settings, a text
    "usual": ([*USUAL, *"ETAO"], {}, "EAT A TOE"),
    "other names": (
        ["[BLANK]", "#", *"etao", "[UNK]"],
        {"unk_token": "[UNK]", "pad_token": "[BLANK]", "word_delimiter_token": "#", "bos_token": "^", "eos_token": "$"},
        "eat a toe",
    ),
    "the blank last": ([*"etao", "|", "[UNK]", "[PAD]"], {"unk_token": "[UNK]", "pad_token": "[PAD]"}, "eat a toe"),
    # Inside words: theirs loses the spaces beside tokens of several characters, where it reads text.
    "several characters": ([*USUAL, *"ctaeno", "ch", "tʃ", "an"], {}, "achee tcano etʃe"),
    "no delimiter": ([*USUAL[:-1], " ", *"etao"], {"word_delimiter_token": " "}, "eat a toe"),
    "the delimiter is a letter": ([*USUAL[:-1], "_", *"et|ao"], {"word_delimiter_token": "_"}, "ea|t a toe"),
}


def save(folder: Path, tokens: list[str], settings: dict[str, object], kind: type = transformers.Wav2Vec2CTCTokenizer):
    """A tokenizer and config.json beside it, as a fine-tuned model has them."""
    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: row for row, token in enumerate(tokens)}))
    tokenizer = kind(folder / "vocab.json", **settings)
    tokenizer.save_pretrained(folder)
    config = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "model_type": "wav2vec2"}
    (folder / "config.json").write_text(json.dumps(config))
    return tokenizer


def units_of(vocabulary: Vocabulary) -> CharUnits:
    return CharUnits(vocabulary.units, separator=vocabulary.separator)


def rows_of(vocabulary: Vocabulary, units: list[int]) -> list[int | None]:
    return [vocabulary.in_order[unit] for unit in units]


def check_reads_alike(vocabulary: Vocabulary, tokenizer: Tokenizer, text: str) -> None:
    """Text becomes the same rows, and rows the same text."""
    units = units_of(vocabulary)
    assert rows_of(vocabulary, units.encode(text)) == tokenizer(text).input_ids
    assert units.decode(units.encode(text)) == text
    check_says_alike(vocabulary, tokenizer)


def check_says_alike(vocabulary: Vocabulary, tokenizer: Tokenizer) -> None:
    """Whatever rows a head says, they become the same text."""
    units = units_of(vocabulary)
    draw = random.Random(0)
    said = [unit for unit, row in enumerate(vocabulary.in_order) if row is not None and unit != units.eos]
    for _ in range(20):
        frames = draw.choices(said, k=30)
        greedy = units.decode([unit for unit, _ in groupby(frames)])
        theirs = tokenizer.decode(rows_of(vocabulary, frames)).replace(tokenizer.unk_token or "", UNKNOWN_TEXT)
        assert greedy == theirs


@pytest.mark.parametrize("kind", KINDS)
def test_text_and_rows_are_those_of_the_tokenizer(kind: str, tmp_path: Path) -> None:
    tokens, settings, text = KINDS[kind]
    tokenizer = save(tmp_path, tokens, settings)
    vocabulary = Files(tmp_path).vocabulary(None)
    assert vocabulary.blank == tokenizer.pad_token_id
    assert vocabulary.unknown == tokenizer.unk_token_id
    check_reads_alike(vocabulary, tokenizer, text)


@pytest.mark.parametrize("listed", [True, False])
def test_roles_come_from_the_file_that_transformers_reads(listed: bool, tmp_path: Path) -> None:
    """Where files disagree: an older one counts only where the newer does not list the tokens themselves."""
    save(tmp_path, [*USUAL, "a", "[UNK]"], {"unk_token": "[UNK]"})
    if not listed:
        edit(tmp_path / "tokenizer_config.json", added_tokens_decoder=...)
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"unk_token": "<unk>"}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer.from_pretrained(tmp_path)
    vocabulary = Files(tmp_path).vocabulary(None)
    assert tokenizer.unk_token == ("[UNK]" if listed else "<unk>")
    assert vocabulary.unknown == tokenizer.unk_token_id


def test_phonemes_stand_apart_in_text(tmp_path: Path) -> None:
    settings = {"do_phonemize": False}
    tokens = [*USUAL[:-1], *"hələʊ", "oʊ", "tʃ", "eʊ"]
    tokens = list(dict.fromkeys(tokens))
    tokenizer = save(tmp_path, tokens, settings, transformers.Wav2Vec2PhonemeCTCTokenizer)
    vocabulary = Files(tmp_path).vocabulary(None)
    assert vocabulary.separator == " " and {"oʊ", "tʃ", "eʊ"} <= set(vocabulary.units)
    check_reads_alike(vocabulary, tokenizer, "h ə l oʊ tʃ eʊ")
    assert units_of_head(vocabulary, CharUnits("həloʊ "), "there").separator == " "


def test_files_of_transformers_4(tmp_path: Path) -> None:
    """Roles in special_tokens_map.json, as text or with settings; tokens added later in a file of their own."""
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 1, "b": 2, "|": 0, "[UNK]": 3, "[PAD]": 4}))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<s>": 5, "</s>": 6}))
    (tmp_path / "special_tokens_map.json").write_text(
        json.dumps({"bos_token": "<s>", "eos_token": "</s>", "unk_token": {"content": "[UNK]"}, "pad_token": "[PAD]"})
    )
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 7, "pad_token_id": 4}))
    assert Files(tmp_path).vocabulary(None) == Vocabulary((" ", "a", "b"), (0, 1, 2), blank=4, unknown=3, end=6)


@pytest.mark.parametrize(
    ("row", "named"), [(None, "pad_token_id is None"), (3, "pad_token_id is 3, but the row of '<pad>'")]
)
def test_which_row_is_the_blank_is_no_guess(row: int | None, named: str, tmp_path: Path) -> None:
    save(tmp_path, [*USUAL, *"ab"], {})
    edit(tmp_path / "config.json", pad_token_id=row)
    message = error_of(lambda: Files(tmp_path).vocabulary(None))
    assert named in message and "config.json" in message and "blank" in message


VOCABULARY = Vocabulary((" ", *"ETA", "TH"), (4, 5, 6, 7, 8), blank=0, unknown=3, end=2)


def test_letters_take_the_case_of_the_corpus_and_strangers_are_unknown() -> None:
    units = units_of_head(VOCABULARY, CharUnits("eta!ž "), "there")
    assert units.characters == [" ", "e", "t", "a", "th"]
    assert units.encode("the!") == [6, 3, units.unk]
    assert units_of_head(VOCABULARY, CharUnits("ETA "), "there").characters == [" ", "E", "T", "A", "TH"]


def test_a_letter_that_another_case_makes_longer_stays_as_it_is(tmp_path: Path) -> None:
    tokenizer = save(tmp_path, [*USUAL, *"meßrs"], {})
    vocabulary = Files(tmp_path).vocabulary(None)
    units = units_of_head(vocabulary, CharUnits("MESR "), "there")
    assert rows_of(vocabulary, units.encode("MESSER")) == tokenizer("messer").input_ids
    assert units.characters == [" ", "M", "E", "ß", "R", "S"]


def test_letters_that_are_one_in_the_case_of_the_corpus_are_refused(tmp_path: Path) -> None:
    save(tmp_path, [*USUAL, *"ασςο"], {})
    vocabulary = Files(tmp_path).vocabulary(None)
    assert units_of_head(vocabulary, CharUnits("ασςο "), "there").characters == [" ", *"ασςο"]
    message = error_of(lambda: units_of_head(vocabulary, CharUnits("ΑΣΟ "), "there"))
    assert "source there: its CTC head has several units that are all 'Σ'" in message and "keep_head=false" in message


def test_a_head_of_phonemes_is_refused_where_nothing_sets_units_apart(tmp_path: Path) -> None:
    tokens = [*USUAL[:-1], *"hələʊ"]
    save(tmp_path, list(dict.fromkeys(tokens)), {"do_phonemize": False}, transformers.Wav2Vec2PhonemeCTCTokenizer)
    vocabulary = Files(tmp_path).vocabulary(None)
    message = error_of(lambda: units_of_head(vocabulary, CharUnits("hel"), "there"))
    assert "source there: its CTC head has units with ' ' between them" in message and "keep_head=false" in message


@pytest.mark.parametrize(
    ("vocabulary", "corpus", "named"),
    [
        (VOCABULARY, "eT", "mixed case"),
        (VOCABULARY, "дом ", "no unit for 'дмо'"),
        (Vocabulary((" ", *"ETA"), (1, 2, 3, 4), blank=0), "eta!ž ", "no unit for '!ž'"),
    ],
)
def test_a_head_that_would_hear_nothing_is_refused(vocabulary: Vocabulary, corpus: str, named: str) -> None:
    message = error_of(lambda: units_of_head(vocabulary, CharUnits(corpus), "there"))
    assert named in message and "keep_head=false" in message
