# ruff: noqa: RUF001
import json

import pytest

from fold.errors import FoldError
from fold.text.normalise import UNKNOWN_TEXT, Normaliser
from fold.text.units import CharUnits, SentencePieceUnits, UnitsConfig, train_units, units_from_dict

TEXTS = [
    f"{verb} the {room} light to {number}"
    for verb in ("turn", "dim", "set")
    for room in ("kitchen", "bedroom", "garden", "office")
    for number in ("one", "two", "three", "four")
]


@pytest.fixture(params=["char", "sentencepiece"])
def units(request):
    vocab_size = {"char": None, "sentencepiece": 28}[request.param]
    return train_units(UnitsConfig(request.param, vocab_size), TEXTS)


def test_text_survives_encoding_and_decoding(units):
    for text in TEXTS:
        assert units.decode(units.encode(text)) == text


def test_encoding_uses_no_special_unit_and_stays_in_range(units):
    used = {i for text in TEXTS for i in units.encode(text)}
    assert used.isdisjoint({units.blank, units.unk, units.eos})
    assert used <= set(range(len(units)))


def test_special_units_have_their_places_and_blank_and_eos_are_silent(units):
    assert (units.blank, units.unk, units.eos) == (0, 1, len(units) - 1)
    ids = units.encode("dim the garden light")
    assert units.decode([units.blank, *ids, units.blank, units.eos]) == "dim the garden light"


def test_unseen_characters_become_unk_and_stay_visible(units):
    ids = units.encode("dim ж")
    assert units.unk in ids
    assert UNKNOWN_TEXT in units.decode(ids)


def test_units_survive_json(units):
    again = units_from_dict(json.loads(json.dumps(units.to_dict())))
    assert type(again) is type(units)
    assert len(again) == len(units)
    assert [again.encode(text) for text in TEXTS] == [units.encode(text) for text in TEXTS]


def test_training_is_deterministic(units):
    kind = units.to_dict()["kind"]
    vocab_size = None if kind == "char" else len(units)
    assert train_units(UnitsConfig(kind, vocab_size), TEXTS).to_dict() == units.to_dict()


def test_char_inventory_does_not_depend_on_the_order_of_texts():
    assert CharUnits.train(TEXTS[::-1]).to_dict() == CharUnits.train(TEXTS).to_dict()
    assert len(CharUnits.train(["ab", "b c"])) == 3 + len(" abc")


def test_sentencepiece_has_exactly_the_wanted_size_up_to_the_limit_it_states():
    with pytest.raises(FoldError, match=r"1000 is too large .* at most \d+$") as error:
        SentencePieceUnits.train(TEXTS, 1000)
    most = int(str(error.value).rsplit(" ", 1)[-1])
    assert len(SentencePieceUnits.train(TEXTS, most)) == most
    with pytest.raises(FoldError, match=f"at most {most}"):
        SentencePieceUnits.train(TEXTS, most + 1)


def test_sentencepiece_states_the_least_size():
    with pytest.raises(FoldError, match=r"8 is too small .*; at least \d+$") as error:
        SentencePieceUnits.train(TEXTS, 8)
    least = int(str(error.value).rsplit(" ", 1)[-1])
    assert len(SentencePieceUnits.train(TEXTS, least)) == least


@pytest.mark.parametrize("config", [UnitsConfig("char", 30), UnitsConfig("sentencepiece")])
def test_a_contradicting_configuration_is_refused(config):
    with pytest.raises(FoldError, match="vocab_size"):
        train_units(config, TEXTS)


@pytest.mark.parametrize("values", [{}, {"kind": "phone"}, {"kind": "char"}])
def test_unknown_descriptions_are_refused(values):
    with pytest.raises(FoldError, match="kind"):
        units_from_dict(values)


def test_units_of_several_characters_are_read_longest_first():
    units = CharUnits([" ", "t", "h", "e", "th", "the"])
    assert units.encode("thethet h") == [7, 7, 3, 2, 4]
    assert units.encode("x th") == [units.unk, 2, 6]
    assert units.decode(units.encode("th e")) == "th e"


def test_a_separator_stands_between_units_alone():
    units = units_from_dict(json.loads(json.dumps(CharUnits(["t", "tʃ", "eʊ"], separator=" ").to_dict())))
    assert units.encode("tʃ eʊ t") == [3, 4, 2]
    assert units.decode([3, 0, 4, 1]) == f"tʃ eʊ {UNKNOWN_TEXT}"


def test_one_space_stands_between_words_and_none_around_a_text():
    units = CharUnits(" ab", Normaliser())
    assert units.decode([2, 3, 2, 2, 4, 2]) == "a b"


def test_sentencepiece_learns_from_a_transcript_of_any_length():
    long = " ".join(["zebra"] * 900)  # 5,399 bytes: the z occurs nowhere else
    units = SentencePieceUnits.train([*TEXTS, long], 30)
    assert units.decode(units.encode("zebra")) == "zebra"
    assert SentencePieceUnits.train(TEXTS, 28).model == SentencePieceUnits.train([*TEXTS, ""], 28).model


@pytest.mark.parametrize("config", [UnitsConfig(), UnitsConfig("sentencepiece", 28)])
def test_units_know_how_their_transcripts_were_written(config):
    units = train_units(config, TEXTS, Normaliser("tr"))
    again = units_from_dict(json.loads(json.dumps(units.to_dict())))
    assert again.normaliser == Normaliser("tr")
    assert again.written("İSTANBUL’DA!") == "istanbul'da"
    assert again.decode(again.encode("dim ж")) == f"dim {UNKNOWN_TEXT}"
    assert units_from_dict(train_units(config, TEXTS).to_dict()).written("As it IS!") == "As it IS!"  # of before


def test_what_a_model_said_is_written_as_what_people_wrote():
    units = CharUnits("|a'’b ", Normaliser())
    assert units.decode(units.encode("’a|b a’b 'a'")) == "a b a'b a"


def test_text_may_hold_what_stands_for_a_space_elsewhere():
    for text in ("a|b", "a▁b", "a<unk>b", "a\u2047b"):
        assert "|" not in Normaliser()(text) and "▁" not in Normaliser()(text)
        units = train_units(UnitsConfig(), [Normaliser()(text)], Normaliser())
        assert units.decode(units.encode(units.written(text))) == units.written(text)


@pytest.mark.parametrize(
    ("units", "between"),
    [
        (CharUnits(" ab"), " "),
        (CharUnits("你好"), ""),
        (CharUnits("กขค"), ""),
        (CharUnits(["t", "tʃ"], separator="-"), "-"),
    ],
)
def test_texts_that_follow_one_another_are_one(units: CharUnits, between: str) -> None:
    first, second = (units.characters[index] for index in (-1, -2))
    assert units.joined([first, "", second]) == f"{first}{between}{second}"
    assert units.unk not in units.encode(units.joined([first, second]))


def test_words_that_were_only_ever_said_alone_do_not_run_together() -> None:
    assert CharUnits.train(["yes", "no"]).joined(["yes", "", "no"]) == "yes no"
