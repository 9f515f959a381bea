"""Beam search against the enumeration of everything it could have found."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.nn.functional import ctc_loss
from torch.nn.utils.rnn import pad_sequence

from fold.decoding import Hypothesis, Scorer, beam_search
from fold.decoding.ctc_prefix import CTCPrefixScorer, PrefixState

UNITS, EOS = 4, 3  # blank, two labels, eos
LABELS = (1, 2)
Labels = tuple[int, ...]


def random_ctc(num_frames: int, seed: int = 0, scale: float = 1.5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(num_frames, UNITS, generator=generator)).log_softmax(-1)


def collapse(alignment: Labels, blank: int = 0) -> Labels:
    return tuple(unit for unit, _ in itertools.groupby(alignment) if unit != blank)


def probability(alignment: Labels, probs: list[list[float]]) -> float:
    """Of the units of an alignment in the first frames of an utterance."""
    return math.prod(frame[unit] for frame, unit in zip(probs, alignment, strict=False))


def enumerate_ctc(log_probs: Tensor) -> dict[Labels, float]:
    """Log probability of every label sequence: the sum over all alignments without eos."""
    probs = log_probs.double().exp().tolist()
    totals: dict[Labels, float] = defaultdict(float)
    for alignment in itertools.product((0, *LABELS), repeat=len(probs)):
        totals[collapse(alignment)] += probability(alignment, probs)
    return {labels: math.log(total) for labels, total in totals.items() if total > 0}


def enumerate_prefixes(log_probs: Tensor) -> dict[Labels, float]:
    """Log prefix probabilities: all alignments of the frames up to the one where the prefix is complete."""
    probs = log_probs.double().exp().tolist()
    totals: dict[Labels, float] = defaultdict(float)
    for num_frames in range(1, len(probs) + 1):
        for alignment in itertools.product((0, *LABELS), repeat=num_frames):
            if collapse(alignment) != collapse(alignment[:-1]):
                totals[collapse(alignment)] += probability(alignment, probs)
    return {labels: math.log(total) for labels, total in totals.items()}


def random_decoder(seed: int = 0) -> Callable[[Tensor], Tensor]:
    """An autoregressive model whose every history has its own random distribution."""

    def score_next(tokens: Tensor) -> Tensor:
        assert (tokens[:, 0] == EOS).all()
        rows = []
        for history in tokens.tolist():
            generator = torch.Generator().manual_seed(hash((seed, *history)) % 2**31)
            rows.append(torch.randn(UNITS, generator=generator).log_softmax(-1))
        return torch.stack(rows)

    return score_next


@dataclass(frozen=True)
class History:
    """tokens: (batch, hyps, length), the start symbol included."""

    tokens: Tensor
    scores: Tensor


class Autoregressive:
    """Scores by functions of the whole history, one per utterance."""

    def __init__(self, functions: Sequence[Callable[[Tensor], Tensor]]) -> None:
        self.functions = functions

    def start(self) -> History:
        return self._state(torch.full((len(self.functions), 1, 1), EOS), torch.zeros(len(self.functions), 1))

    def extend(self, state: History, parents: Tensor, units: Tensor) -> History:
        rows = torch.arange(len(self.functions))[:, None]
        tokens = torch.cat([state.tokens[rows, parents], units[..., None]], dim=-1)
        return self._state(tokens, state.scores[rows, parents, units])

    def _state(self, tokens: Tensor, so_far: Tensor) -> History:
        following = [score_next(rows) for score_next, rows in zip(self.functions, tokens, strict=True)]
        return History(tokens, so_far[..., None].double() + torch.stack(following).double())


def ctc_scorer(log_probs: Sequence[Tensor], blank: int = 0, eos: int = EOS) -> CTCPrefixScorer:
    """Of utterances of any length. Padding is what must not matter."""
    num_frames = torch.tensor([len(utterance) for utterance in log_probs])
    return CTCPrefixScorer(pad_sequence(list(log_probs), True, padding_value=-0.5), num_frames, eos, blank)


def search(
    log_probs: Tensor | None,
    score_next: Callable[[Tensor], Tensor] | None,
    weight: float,
    max_length: int | None = None,
    **settings: float,
) -> list[Hypothesis]:
    """Of one utterance. weight: of CTC."""
    scorers: list[tuple[float, Scorer]] = []
    if log_probs is not None:
        scorers.append((weight, ctc_scorer([log_probs])))
    if score_next is not None:
        scorers.append((1 - weight, Autoregressive([score_next])))
    limit = len(log_probs) if max_length is None else max_length
    [found] = beam_search(scorers, [limit], sos_eos=EOS, **settings)
    return found


def score_attention(score_next: Callable[[Tensor], Tensor], labels: Labels) -> float:
    tokens = [EOS, *labels, EOS]
    return sum(score_next(torch.tensor([tokens[:i]]))[0, tokens[i]].item() for i in range(1, len(tokens)))


def all_labels(max_length: int) -> list[Labels]:
    return [labels for n in range(max_length + 1) for labels in itertools.product(LABELS, repeat=n)]


def assert_ranked_as(found: list, expected: dict[Labels, float]) -> None:
    ranking = sorted(expected, key=lambda labels: -expected[labels])
    assert [hypothesis.tokens for hypothesis in found] == ranking
    scores = [hypothesis.score for hypothesis in found]
    assert scores == pytest.approx([expected[labels] for labels in ranking], abs=1e-5)


@pytest.mark.parametrize("num_frames", [1, 4, 6])
@pytest.mark.parametrize("seed", range(3))
def test_ctc_alone_equals_enumeration(num_frames: int, seed: int) -> None:
    log_probs = random_ctc(num_frames, seed)
    found = search(log_probs, None, 1.0, beam_size=500)
    assert_ranked_as(found, enumerate_ctc(log_probs))


@pytest.mark.parametrize("seed", range(3))
def test_attention_alone_equals_enumeration(seed: int) -> None:
    score_next = random_decoder(seed)
    found = search(None, score_next, 0.0, max_length=4, beam_size=500)
    assert_ranked_as(found, {labels: score_attention(score_next, labels) for labels in all_labels(4)})


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("bonus", [-0.7, 0.0, 1.3])
def test_joint_equals_enumeration(weight: float, bonus: float) -> None:
    log_probs, score_next = random_ctc(5), random_decoder()
    found = search(log_probs, score_next, weight, beam_size=500, length_bonus=bonus)
    expected = {
        labels: weight * ctc + (1 - weight) * score_attention(score_next, labels) + bonus * len(labels)
        for labels, ctc in enumerate_ctc(log_probs).items()
    }
    assert_ranked_as(found, expected)


@pytest.mark.parametrize(
    ("ending", "bonus", "best"),
    [
        # Two endings fill the beam while a more probable, longer sequence is still alive.
        ((0.3, 0.2, 0.99), 0.0, (1, 1)),
        # The bonus lifts a sequence that is behind both endings when the beam is full of them.
        ((0.94, 0.94, 0.01, 0.01, 0.01, 0.01, 0.99), 1.0, (1,) * 6),
    ],
)
def test_the_search_goes_on_while_the_best_may_be_beaten(ending: tuple[float, ...], bonus: float, best: Labels) -> None:
    def score_next(tokens: Tensor) -> Tensor:
        p = ending[tokens.shape[1] - 1]
        return torch.tensor([1e-9, 1 - p, 1e-9, p]).log().expand(len(tokens), -1)

    found = search(None, score_next, 0.0, max_length=len(best), beam_size=2, length_bonus=bonus)
    assert found[0].tokens == best
    assert len(found) == 2


def test_the_search_ends_soon_after_a_sure_ending() -> None:
    lengths = []

    def score_next(tokens: Tensor) -> Tensor:
        lengths.append(tokens.shape[1])
        p = 0.999 if tokens.shape[1] > 3 else 0.001
        return torch.tensor([1e-9, 0.9 * (1 - p), 0.1 * (1 - p), p]).log().expand(len(tokens), -1)

    found = search(None, score_next, 0.0, max_length=100, beam_size=4)
    assert found[0].tokens == (1, 1, 1)
    assert max(lengths) < 8


def test_max_length_bounds_the_sequences() -> None:
    score_next = random_decoder()
    found = search(random_ctc(6), score_next, 0.5, max_length=2, beam_size=500)
    assert {hypothesis.tokens for hypothesis in found} == set(all_labels(2))


def test_a_narrow_beam_never_beats_a_wide_one_and_keeps_its_size() -> None:
    for seed in range(10):
        narrow = search(random_ctc(6, seed), random_decoder(seed), 0.3, beam_size=2)
        wide = search(random_ctc(6, seed), random_decoder(seed), 0.3, beam_size=500)
        assert 1 <= len(narrow) <= 2
        assert narrow[0].score <= wide[0].score + 1e-9


@pytest.mark.parametrize("num_frames", [0, 1])
def test_next_to_no_frames(num_frames: int) -> None:
    found = search(random_ctc(num_frames), None, 1.0, beam_size=10)
    assert {hypothesis.tokens for hypothesis in found} == set(all_labels(num_frames))


def follow(scorer: CTCPrefixScorer, labels: Sequence[int]) -> PrefixState:
    """The state of one prefix, the same of each utterance."""
    state = scorer.start()
    for unit in labels:
        units = torch.full_like(state.last, unit)
        state = scorer.extend(state, torch.zeros_like(units), units)
    return state


def test_prefix_scores_equal_enumeration() -> None:
    log_probs = random_ctc(5)
    expected = enumerate_prefixes(log_probs)
    scorer = ctc_scorer([log_probs])
    prefixes, state = [()], scorer.start()
    for _ in range(5):
        grown = [(i, unit) for i in range(len(prefixes)) for unit in LABELS]
        for i, unit in grown:
            score = state.scores[0, i, unit].item()
            assert score == pytest.approx(expected.get((*prefixes[i], unit), -math.inf), abs=1e-5)
        assert state.scores[..., 0].isneginf().all()
        parents, units = torch.tensor(grown).T[:, None]
        prefixes, state = [(*prefixes[i], unit) for i, unit in grown], scorer.extend(state, parents, units)


@pytest.mark.parametrize("blank", [0, 29])
def test_the_eos_score_of_a_long_sequence_equals_ctc_loss(blank: int) -> None:
    """Peaked posteriors over 1,500 frames, where running products reach e^-30000, and a batch padded to them."""
    generator = torch.Generator().manual_seed(1)
    long, short = ((8 * torch.randn(frames, 31, generator=generator)).log_softmax(-1) for frames in (1500, 300))
    labels = torch.randint(1, 29, (60,), generator=generator)
    labels[10:13] = 7  # repeats, which need blanks between them
    state = follow(ctc_scorer([long, short], blank, eos=30), labels.tolist())
    for row, log_probs in enumerate((long, short)):
        lengths = torch.tensor([len(log_probs)]), torch.tensor([60])
        loss = ctc_loss(log_probs.double()[:, None], labels[None], *lengths, blank=blank, reduction="sum")
        assert state.scores[row, 0, 30].item() == pytest.approx(-loss.item(), rel=1e-9)


def test_impossible_units_are_not_found_and_do_no_harm() -> None:
    log_probs = random_ctc(5)
    log_probs[:, 2] = -torch.inf
    log_probs[1] = torch.tensor([-torch.inf, 0.0, -torch.inf, -torch.inf])
    found = search(log_probs, None, 1.0, beam_size=500)
    assert_ranked_as([h for h in found if h.score > -1000], enumerate_ctc(log_probs))


@pytest.mark.parametrize("weight", [0.3, 0.8])
@pytest.mark.parametrize("beam_size", [1, 3, 50])
def test_an_utterance_is_searched_in_a_batch_as_alone(weight: float, beam_size: int) -> None:
    """Utterances of different length end at different lengths, of which the others know nothing."""
    lengths = [6, 0, 2, 9, 4]
    log_probs = [random_ctc(frames, seed) for seed, frames in enumerate(lengths)]
    decoders = [random_decoder(seed) for seed in range(len(lengths))]
    scorers = [(weight, ctc_scorer(log_probs)), (1 - weight, Autoregressive(decoders))]
    together = beam_search(scorers, lengths, beam_size=beam_size, sos_eos=EOS)
    for found, utterance, decoder in zip(together, log_probs, decoders, strict=True):
        alone = search(utterance, decoder, weight, beam_size=beam_size)
        assert [hypothesis.tokens for hypothesis in found] == [hypothesis.tokens for hypothesis in alone]
        scores = [hypothesis.score for hypothesis in alone]
        assert [hypothesis.score for hypothesis in found] == pytest.approx(scores, abs=1e-9)


def test_what_has_no_finite_score_is_not_found_and_harms_no_other() -> None:
    def nonsense(tokens: Tensor) -> Tensor:
        return torch.full((len(tokens), UNITS), math.nan)

    decoder = random_decoder()
    scorers = [(1.0, Autoregressive([nonsense, decoder]))]
    found = beam_search(scorers, [4, 4], beam_size=5, sos_eos=EOS)
    assert found == [[], search(None, decoder, 0.0, max_length=4, beam_size=5)]


def test_a_hypothesis_without_finite_scores_takes_no_other_place() -> None:
    def score_next(tokens: Tensor) -> Tensor:
        following = torch.tensor([1e-9, 0.8, 0.15, 0.05]).log().expand(len(tokens), -1)
        return following.masked_fill((tokens == 2).any(dim=1, keepdim=True), math.nan)

    found = search(None, score_next, 0.0, max_length=4, beam_size=3)
    assert {hypothesis.tokens for hypothesis in found} == {(), (1,), (1, 1)}


def test_the_host_waits_once_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    transfers = []

    def watch(name: str) -> None:
        original = getattr(Tensor, name)

        def watched(tensor: Tensor, *arguments: object) -> object:
            transfers.append(name)
            return original(tensor, *arguments)

        monkeypatch.setattr(Tensor, name, watched)

    for name in ("tolist", "item", "cpu", "nonzero", "__bool__", "__int__", "__float__"):
        watch(name)
    utterances = [random_ctc(6, seed) for seed in range(3)]
    found = beam_search([(1.0, ctc_scorer(utterances))], [6, 6, 6], beam_size=500, sos_eos=EOS)
    assert max(len(hypothesis.tokens) for hypothesis in found[0]) == 6
    assert transfers == ["tolist"] * 7  # six labels and the end
