"""Words of a language model in units: a wide beam against the best of all sentences, and what a model cannot spell."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import ctc_loss

from fold.decoding.beam import beam_search
from fold.decoding.ctc_prefix import CTCPrefixScorer
from fold.decoding.lexicon import Lexicon, LexiconScorer, lexicon_of
from fold.decoding.ngram import NGram, read_arpa, write_arpa
from fold.errors import FoldError
from fold.text.normalise import Normaliser
from fold.text.units import CharUnits, SentencePieceUnits

TEXTS = ["a ab", "ab", "ab b a", "b ba", "ba a", "a", "b abb"]
UNITS = CharUnits(" ab")
END = len(UNITS) - 1


def model_of(tmp_path: Path, texts: list[str] = TEXTS, order: int = 3) -> NGram:
    write_arpa(tmp_path / "lm.arpa", texts, order)
    return read_arpa(tmp_path / "lm.arpa")


def log_prob(model: NGram, sentence: tuple[str, ...]) -> float:
    total, history = 0.0, model.start()
    for word in (*sentence, "</s>"):
        index = model.words.index(word)
        total, history = total + model.after(history)[index], model.known((*history, index))
    return total


@pytest.mark.parametrize("weight", [0.0, 0.6, 1.5])
def test_a_wide_beam_finds_the_best_of_all_sentences(tmp_path: Path, weight: float) -> None:
    """With CTC as `ctc_loss` has it, and the language model word by word."""
    model, frames = model_of(tmp_path), torch.tensor([7, 4, 6])
    log_probs = (2 * torch.randn(3, 7, len(UNITS), generator=torch.Generator().manual_seed(1))).log_softmax(-1)
    scorers = [
        (1.0, CTCPrefixScorer(log_probs, frames, END)),
        (weight, LexiconScorer(Lexicon(model, UNITS), 3, log_probs.device)),
    ]
    found = beam_search(scorers, frames.tolist(), beam_size=500, sos_eos=END)
    words = [word for word in model.words if word not in ("<s>", "</s>")]
    sentences = [said for number in range(5) for said in itertools.product(words, repeat=number)]
    for row, hypotheses in enumerate(found):
        scores = {}
        for said in sentences:
            labels = UNITS.encode(" ".join(said))
            if len(labels) <= frames[row]:
                of_row = log_probs[row, : frames[row], None].double(), torch.tensor([labels], dtype=torch.long)
                loss = ctc_loss(*of_row, frames[row : row + 1], torch.tensor([len(labels)]), reduction="sum")
                scores[" ".join(said)] = weight * log_prob(model, said) - loss.item()
        best = max(scores, key=scores.get)
        assert UNITS.decode(hypotheses[0].tokens) == best
        assert hypotheses[0].score == pytest.approx(scores[best], abs=1e-6)


def test_log_probabilities_only_fall_and_end_as_those_of_the_words(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    scorer = LexiconScorer(Lexicon(model, UNITS), 1, torch.device("cpu"))
    state, so_far = scorer.start(), 0.0
    for unit in UNITS.encode("b abb a"):
        score = state.scores[0, 0, unit].item()
        assert np.isfinite(score) and score <= so_far + 1e-9
        state, so_far = scorer.extend(state, torch.zeros(1, 1, dtype=torch.long), torch.tensor([[unit]])), score
    assert state.scores[0, 0, END].item() == pytest.approx(log_prob(model, ("b", "abb", "a")))


def test_what_spells_no_word_is_ruled_out(tmp_path: Path) -> None:
    scorer = LexiconScorer(Lexicon(model_of(tmp_path), UNITS), 1, torch.device("cpu"))
    zero = torch.zeros(1, 1, dtype=torch.long)
    for text in ("bb", "a  ", "aa", " a", "abba"):
        state = scorer.start()
        for unit in UNITS.encode(text):
            state = scorer.extend(state, zero, torch.tensor([[unit]]))
        assert torch.isinf(state.scores).all(), text
    after_a_space = scorer.extend(scorer.start(), zero, torch.tensor([UNITS.encode("a")]))
    after_a_space = scorer.extend(after_a_space, zero, torch.tensor([UNITS.encode(" ")]))
    assert torch.isinf(after_a_space.scores[0, 0, END])


def test_words_are_spelled_as_the_model_writes_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Capitals of the file are read as the units have them; words with other characters are left out, and told."""
    units = CharUnits(" ab", Normaliser())
    lexicon = Lexicon(model_of(tmp_path, ["AB b", "Ab ab", "xy a", "B!"]), units)
    assert [units.decode([unit for unit in row if unit >= 0]) for row in lexicon.spellings.tolist()] == ["a", "ab", "b"]
    alone = lexicon.ngram.after(())
    alike = [alone[lexicon.ngram.words.index(word)] for word in ("AB", "Ab", "ab")]
    assert alone[lexicon.words[1]] == max(alike)
    assert "cannot write 1 of its 7 words, such as 'xy', and never finds them" in caplog.text


def test_the_unknown_word_of_a_file_is_never_said(tmp_path: Path) -> None:
    """However it is written: as a word it would be read as 'unk'."""
    model_of(tmp_path, ["ab <UNK> b", "<unk> ab"])
    lexicon = Lexicon(read_arpa(tmp_path / "lm.arpa"), CharUnits(" abknu", Normaliser()))
    assert len(lexicon.words) == 2


def test_units_that_cannot_spell_are_refused_in_a_line(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    pieces = SentencePieceUnits.train(["ab ba ab", "b a ab ba"], 8)
    for units in (pieces, CharUnits("ab")):
        with pytest.raises(FoldError, match="needs units that are characters, and a space"):
            Lexicon(model, units)
    with pytest.raises(FoldError, match="none of its 5 words"):
        Lexicon(model, CharUnits(" xy"))


def test_a_file_is_read_anew_only_where_it_changed(tmp_path: Path) -> None:
    model_of(tmp_path)
    file = str(tmp_path / "lm.arpa")
    first = lexicon_of(file, UNITS)
    assert lexicon_of(file, UNITS) is first
    write_arpa(Path(file), ["b"], 1)
    assert len(lexicon_of(file, UNITS).words) == 1
