"""A language model of words that scores units: only words of the model are spelled, the likelier first."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fold.decoding.ngram import BEGIN, END, UNKNOWN, History, NGram, read_arpa
from fold.errors import FoldError
from fold.text.units import CharUnits, Units

log = logging.getLogger(__name__)

SPACE = " "
ENDS = -1  # stands behind the last unit of a spelling
CACHED = 1 << 25  # log probabilities kept of histories, 256 MB


class Lexicon:
    """The words of an n-gram model in units, sorted, so that those which begin alike are neighbours.

    Raises FoldError if the units are not characters with a space among them, or spell none of the words.
    """

    def __init__(self, ngram: NGram, units: Units, name: str = "language model") -> None:
        if not isinstance(units, CharUnits) or SPACE not in units.characters:
            raise FoldError(
                f"{name}: a language model of words needs units that are characters, and a space among them"
            )
        self.ngram, self.num_units, self.end = ngram, len(units), units.eos
        [self.space] = units.encode(SPACE)
        words = [word for word in ngram.words if word.lower() not in (BEGIN, END, UNKNOWN)]
        spelled, left_out = _spelled(ngram, words, units)
        if not spelled:
            raise FoldError(f"{name}: the model can write none of its {len(words)} words")
        if left_out:
            told = f"{name}: the model cannot write {len(left_out)} of its {len(words)} words, such as '{left_out[0]}'"
            log.warning(f"{told}, and never finds them")
        spellings = sorted(spelled)
        self.words = np.array([spelled[spelling] for spelling in spellings])
        longest = max(map(len, spellings))
        self.spellings = np.array([[*of, *[ENDS] * (longest + 1 - len(of))] for of in spellings])
        self._end_of_text = ngram.words.index(END)
        self.after = lru_cache(maxsize=max(16, CACHED // len(spellings)))(self._after)

    def _after(self, history: History) -> tuple[np.ndarray, float]:
        """Log probabilities after a history: of each word, in the order of the spellings, and of the end."""
        log_probs = self.ngram.after(history)
        return log_probs[self.words], float(log_probs[self._end_of_text])

    def branches(self, first: int, last: int, position: int) -> tuple[np.ndarray, np.ndarray]:
        """The units that words `first` to `last - 1` have at a position, and the first word of each."""
        column = self.spellings[first:last, position]
        starts = np.concatenate([[0], np.flatnonzero(np.diff(column)) + 1])
        return column[starts], first + starts


def _spelled(ngram: NGram, words: list[str], units: CharUnits) -> tuple[dict[tuple[int, ...], int], list[str]]:
    """Each spelling, and the word that has it: the likeliest, if several are written alike. Then the words without."""
    alone, indices = ngram.after(()), {word: index for index, word in enumerate(ngram.words)}
    found: dict[tuple[int, ...], int] = {}
    left_out = []
    for word in words:
        index, written = indices[word], units.written(word)
        spelling = tuple(units.encode(written))
        if not spelling or units.unk in spelling or SPACE in written:
            left_out.append(word)
        elif spelling not in found or alone[index] > alone[found[spelling]]:
            found[spelling] = index
    return found, left_out


@lru_cache(maxsize=4)
def _lexicon(file: str, changed: int, units: Units) -> Lexicon:
    """changed: when; a file that was written anew is another."""
    return Lexicon(read_arpa(file), units, f"language model {file}")


def lexicon_of(file: str, units: Units) -> Lexicon:
    """The words of an ARPA file in units, read once. Raises FoldError as `read_arpa` and `Lexicon` do."""
    changed = os.stat(file).st_mtime_ns if os.path.isfile(file) else 0
    return _lexicon(file, changed, units)


@dataclass(frozen=True)
class Partial:
    """A hypothesis, whose last word is not yet complete.

    Attributes:
        so_far: log probability of its whole words.
        history: of the word being spelled.
        first, last: the words `first` to `last - 1` of the lexicon begin as what of it is spelled.
        position: how many units of it that is.
    """

    so_far: float
    history: History
    first: int
    last: int
    position: int


@dataclass(frozen=True)
class LexiconState:
    """Hypotheses of a batch; None for one that is no spelling. scores: (batch, hyps, units) float64, the log
    probability of the whole words and of the likeliest word that goes on with a unit."""

    hyps: list[list[Partial | None]]
    scores: Tensor


class LexiconScorer:
    """Scores the extensions of hypotheses of a batch of utterances.

    Since an unfinished word counts as the likeliest that begins so, log probabilities only fall as it grows.

    Args:
        lexicon: the words.
        batch: utterances.
        device: of the scores.
    """

    def __init__(self, lexicon: Lexicon, batch: int, device: torch.device) -> None:
        self.lexicon, self.batch, self.device = lexicon, batch, device
        self._ahead: dict[tuple[History, int, int], np.ndarray] = {}

    def start(self) -> LexiconState:
        """One hypothesis an utterance, without units."""
        none = Partial(0.0, self.lexicon.ngram.start(), 0, len(self.lexicon.words), 0)
        state = self._state([[none] for _ in range(self.batch)])
        state.scores[..., self.lexicon.end] = self.lexicon.after(none.history)[1]  # nothing was said
        return state

    def extend(self, state: LexiconState, parents: Tensor, units: Tensor) -> LexiconState:
        """Hypothesis `parents[b, i]` of utterance b extended by `units[b, i]`, both (batch, new_hyps)."""
        return self._state(
            [
                [self._extended(hyps[parent], unit) for parent, unit in zip(*chosen, strict=True)]
                for hyps, *chosen in zip(state.hyps, parents.tolist(), units.tolist(), strict=True)
            ]
        )

    def _extended(self, hyp: Partial | None, unit: int) -> Partial | None:
        if hyp is None:
            return None
        lexicon = self.lexicon
        wanted = ENDS if unit == lexicon.space else unit
        units, starts = lexicon.branches(hyp.first, hyp.last, hyp.position)
        place = int(np.searchsorted(units, wanted))
        if place == len(units) or units[place] != wanted:
            return None
        first = int(starts[place])
        if wanted == ENDS:
            history = lexicon.ngram.known((*hyp.history, int(lexicon.words[first])))
            so_far = hyp.so_far + float(lexicon.after(hyp.history)[0][first])
            return Partial(so_far, history, 0, len(lexicon.words), 0)
        last = int(starts[place + 1]) if place + 1 < len(starts) else hyp.last
        return Partial(hyp.so_far, hyp.history, first, last, hyp.position + 1)

    def _state(self, hyps: list[list[Partial | None]]) -> LexiconState:
        scores = np.full((len(hyps), len(hyps[0]), self.lexicon.num_units), -np.inf)
        for of, row in zip(hyps, scores, strict=True):
            for hyp, found in zip(of, row, strict=True):
                if hyp is not None:
                    found[:] = hyp.so_far + self._next(hyp)
        return LexiconState(hyps, torch.from_numpy(scores).to(self.device))

    def _next(self, hyp: Partial) -> np.ndarray:
        """Log probability of what may follow a hypothesis, beyond its whole words: (units,)."""
        key = hyp.history, hyp.first, hyp.position
        if key not in self._ahead:
            self._ahead[key] = self._looked_ahead(hyp)
        return self._ahead[key]

    def _looked_ahead(self, hyp: Partial) -> np.ndarray:
        lexicon = self.lexicon
        found = np.full(lexicon.num_units, -np.inf)
        log_probs, _ = lexicon.after(hyp.history)
        units, starts = lexicon.branches(hyp.first, hyp.last, hyp.position)
        best = np.maximum.reduceat(log_probs[hyp.first : hyp.last], starts - hyp.first)
        spells = units != ENDS
        found[units[spells]] = best[spells]
        if not spells.all():
            word = starts[~spells][0]
            said = lexicon.ngram.known((*hyp.history, int(lexicon.words[word])))
            found[lexicon.space] = log_probs[word]
            found[lexicon.end] = log_probs[word] + lexicon.after(said)[1]
        return found
