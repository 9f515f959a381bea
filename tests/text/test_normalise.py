# ruff: noqa: RUF001
"""How transcripts are written."""

import random
import unicodedata

import pytest

from fold.errors import FoldError
from fold.text.normalise import UNKNOWN_TEXT, Normaliser, _stays

SPELLINGS = {
    "": [
        ("größe", "gro\u0308\u00dfe", "GRÖẞE", "Gro\u00adße".replace("o\u00ad", "ö"), "\ufeffgrö\u200bße", "gr\x00öße"),
        ("don't", "Don’t", "don`t", "DONʼT", "'don't'", "“don’t”,", "don＇t"),
        ("wasser fisch", "Waſſer Fiſch", "Wasser\u00a0ﬁsch", "wasser\t fisch!", "Wasser — Fisch"),
        ("well known", "well-known", "well‐known", "well – known"),
        ("istanbul", "İstanbul", "I\u0307stanbul"),
        ("4 c", "４ Ｃ", "④ c"),
        ("", "...", "\u0301", " ' "),
    ],
    "uz": [("o'zbek", "Oʻzbek", "o‛zbek", "o՚zbek", "o’zbek")],
    "haw": [("ʻokina hawaiʻi", "ʻOkina Hawaiʻi")],
    "ca": [("collega", "col·lega", "COL·LEGA", "col‧lega"), ("a b", "a·b")],
    "he": [("ג'ירפה", "ג׳ירפה"), ("צהל", "צה״ל", 'צה"ל'), ("אמר שלום", 'אמר "שלום"')],
    "fa": [("یک کتابی", "يك كتابي")],
    "tr": [
        ("ığdır ili", "IĞDIR İLİ", "Iğdır ili", "ığdır i̇li".replace("i̇", "İ"), "IG\u0306DIR I\u0307LI\u0307"),
        ("istanbul'da", "İstanbul’da", "İSTANBUL'DA"),
    ],
    "hi": [
        ("क\u093cलम 12", "\u0958लम १२।", "क\u093cलम\u200d १२"),
        ("वह घर गया", "वह घर गया।", "वह\u200c घर गया ॥"),
    ],
    "zh": [
        ("你好世界 abc", "你好，世界。ＡＢＣ".replace("。", "。 "), "你好、世界 ABC！"),
        ("一二三", "一·二…三", "「一二」，三？"),
    ],
    "ar": [
        ("كتاب 34", "كتـــاب ٣٤", "ﻛﺘﺎﺏ ۳۴", "كتاب، ٣٤؟"),
        ("السلام", "\u202bالسلام\u202c", "السـلام!"),
    ],
}


@pytest.mark.parametrize(
    ("language", "spellings"), [(code, spellings) for code, listed in SPELLINGS.items() for spellings in listed]
)
def test_what_is_spoken_alike_is_written_alike(language: str, spellings: tuple[str, ...]) -> None:
    normaliser = Normaliser(language)
    assert {normaliser(spelling) for spelling in spellings} == {spellings[0]}


def test_what_is_written_already_stays() -> None:
    for text in ("turn the lights off", "rock'n'roll", "a", ""):
        assert Normaliser()(text) == text


def test_turkish_words_that_differ_in_a_dot_stay_two() -> None:
    assert Normaliser("tr")("SIKI SİKİ") == "sıkı siki"
    assert Normaliser()("SIKI") == "siki"


def test_settings_keep_what_they_say() -> None:
    text = "“Wait”, said 3 ﬁne ſailors — don’t!"
    assert Normaliser()(text) == "wait said 3 fine sailors don't"
    assert Normaliser(case="keep")(text) == "Wait said 3 fine sailors don't"
    assert Normaliser(punctuation="keep")(text) == "“wait”, said 3 fine sailors — don't!"
    assert Normaliser(form="NFC")(text) == "wait said 3 ﬁne ſailors don't"
    for normaliser in (Normaliser("lt"), Normaliser("lt", case="keep")):
        assert normaliser("i\u0307\u0301") == "i\u0307\u0301"


@pytest.mark.parametrize(
    ("text", "written", "with_marks", "dropped"),
    [
        ("10²", "10", "10²", "²"),
        ("3½ m²", "3 m", "3½ m²", "½²"),
        ("Marke™", "marke", "marke™", "™"),
        ("№5", "5", "№5", "№"),
        ("20℃", "20", "20℃", "℃"),
        ("tʰa xʷ", "tʰa xʷ", "tʰa xʷ", ""),  # letters of their own, of phonemes
        ("1ª", "1ª", "1ª", ""),
        ("①Ⅳ", "1iv", "1iv", ""),
        ("＋Ａ", "a", "+a", "＋"),
    ],
)
def test_nothing_comes_in_that_nobody_wrote(text: str, written: str, with_marks: str, dropped: str) -> None:
    normaliser, keeper = Normaliser(), Normaliser(punctuation="keep")
    assert normaliser(text) == written
    assert set(normaliser.dropped(text)) == set(dropped)
    assert keeper(text) == with_marks and not keeper.dropped(text)


@pytest.mark.parametrize(
    "settings", [{}, {"language": "tr"}, {"form": "NFC"}, {"punctuation": "keep"}, {"case": "keep"}, {"tags": "drop"}]
)
def test_writing_again_changes_nothing_and_leaves_nothing_unseen(settings: dict[str, str]) -> None:
    normaliser, dice = Normaliser(**settings), random.Random(0)
    ranges = [(0, 0x250), (0x300, 0x370), (0x370, 0x700), (0x900, 0x980), (0x1E00, 0x2100), (0x2000, 0x2070)]
    ranges += [
        (0x3000, 0x3200),
        (0x4E00, 0x4F00),
        (0xAC00, 0xAD00),
        (0xF900, 0x10000),
        (0x1F000, 0x1FA00),
        (0, 0x110000),
    ]
    for _ in range(3000):
        text = "".join(chr(dice.randrange(*dice.choice(ranges))) for _ in range(dice.randrange(1, 12)))
        written = normaliser(text)
        assert normaliser(written) == written, ascii(text)
        plain = "".join(" " if _stays(character) else character for character in written)
        assert unicodedata.is_normalized(settings.get("form", "NFKC"), plain)
        assert written == " ".join(written.split())
        assert not any(unicodedata.category(c)[0] in "C" for c in written), ascii(text)
        written.encode()


def test_what_stands_in_brackets_is_kept_or_dropped() -> None:
    text = "one <UNK> [NOISE] (laughs (loud)) ［音］ two < 3"
    assert Normaliser()(text) == "one unk noise laughs loud 音 two 3"
    assert Normaliser(tags="drop")(text) == "one two 3"
    assert "tags" not in Normaliser("tr").to_dict()  # which names prepared folders
    for tags in ("drop", "refuse"):
        assert Normaliser(**Normaliser(tags=tags).to_dict()) == Normaliser(tags=tags)


def test_an_unknown_unit_stays_in_what_a_model_said_only() -> None:
    for normaliser in (Normaliser(), Normaliser(punctuation="keep", form="NFC")):
        assert normaliser.hypothesis(f"zw{UNKNOWN_TEXT}lf {UNKNOWN_TEXT} a") == f"zw{UNKNOWN_TEXT}lf {UNKNOWN_TEXT} a"
        assert UNKNOWN_TEXT not in normaliser(f"zw{UNKNOWN_TEXT}lf")


def test_what_is_dropped_is_counted() -> None:
    text = "Ja, ja\u200b — „gut“, don’t | 5 €"
    assert Normaliser().dropped(text) == {",": 2, "\u200b": 1, "—": 1, "„": 1, "“": 1, "|": 1, "€": 1}
    assert Normaliser(punctuation="keep").dropped(text) == {"\u200b": 1}
    assert not Normaliser().dropped("turn the lights off")


def test_a_language_is_a_code() -> None:
    with pytest.raises(FoldError, match=r"text.language is 'Turkish'; expected a code of two or three letters"):
        Normaliser("Turkish")


@pytest.mark.parametrize("name", ["language", "form", "case", "punctuation", "digits", "tags"])
def test_a_setting_left_empty_is_named(name: str) -> None:
    with pytest.raises(FoldError, match=f"text.{name} is 'None'; expected "):
        Normaliser(**{name: None})
