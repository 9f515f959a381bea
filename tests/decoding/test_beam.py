"""Beam search against the enumeration of everything it could have found."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from fold.decoding import beam_search
from fold.decoding.ctc_prefix import CTCPrefixScorer
from fold.errors import FoldError

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
    found = beam_search(log_probs, None, ctc_weight=1.0, beam_size=500, sos_eos=EOS)
    assert_ranked_as(found, enumerate_ctc(log_probs))


@pytest.mark.parametrize("seed", range(3))
def test_attention_alone_equals_enumeration(seed: int) -> None:
    score_next = random_decoder(seed)
    found = beam_search(None, score_next, ctc_weight=0.0, beam_size=500, sos_eos=EOS, max_length=4)
    assert_ranked_as(found, {labels: score_attention(score_next, labels) for labels in all_labels(4)})


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("bonus", [-0.7, 0.0, 1.3])
def test_joint_equals_enumeration(weight: float, bonus: float) -> None:
    log_probs, score_next = random_ctc(5), random_decoder()
    found = beam_search(log_probs, score_next, ctc_weight=weight, beam_size=500, sos_eos=EOS, length_bonus=bonus)
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

    settings = {"sos_eos": EOS, "max_length": len(best), "length_bonus": bonus}
    found = beam_search(None, score_next, ctc_weight=0.0, beam_size=2, **settings)
    assert found[0].tokens == best
    assert len(found) == 2


def test_the_search_ends_soon_after_a_sure_ending() -> None:
    lengths = []

    def score_next(tokens: Tensor) -> Tensor:
        lengths.append(tokens.shape[1])
        p = 0.999 if tokens.shape[1] > 3 else 0.001
        return torch.tensor([1e-9, 0.9 * (1 - p), 0.1 * (1 - p), p]).log().expand(len(tokens), -1)

    found = beam_search(None, score_next, ctc_weight=0.0, beam_size=4, sos_eos=EOS, max_length=100)
    assert found[0].tokens == (1, 1, 1)
    assert max(lengths) < 8


def test_max_length_bounds_the_sequences() -> None:
    score_next = random_decoder()
    found = beam_search(random_ctc(6), score_next, ctc_weight=0.5, beam_size=500, sos_eos=EOS, max_length=2)
    assert {hypothesis.tokens for hypothesis in found} == set(all_labels(2))


def test_a_scorer_of_weight_zero_is_never_asked() -> None:
    def refuse(tokens: Tensor) -> Tensor:
        raise AssertionError("the decoder ran")

    log_probs, score_next = random_ctc(4), random_decoder()
    ctc_alone = beam_search(log_probs, refuse, ctc_weight=1.0, beam_size=3, sos_eos=EOS)
    assert ctc_alone == beam_search(log_probs, None, ctc_weight=1.0, beam_size=3, sos_eos=EOS)
    nonsense = torch.full_like(log_probs, -torch.inf)
    attention_alone = beam_search(nonsense, score_next, ctc_weight=0.0, beam_size=3, sos_eos=EOS)
    assert attention_alone == beam_search(None, score_next, ctc_weight=0.0, beam_size=3, sos_eos=EOS, max_length=4)


def test_a_narrow_beam_never_beats_a_wide_one_and_keeps_its_size() -> None:
    for seed in range(10):
        settings = {"ctc_weight": 0.3, "sos_eos": EOS}
        narrow = beam_search(random_ctc(6, seed), random_decoder(seed), beam_size=2, **settings)
        wide = beam_search(random_ctc(6, seed), random_decoder(seed), beam_size=500, **settings)
        assert 1 <= len(narrow) <= 2
        assert narrow[0].score <= wide[0].score + 1e-9


@pytest.mark.parametrize("num_frames", [0, 1])
def test_next_to_no_frames(num_frames: int) -> None:
    found = beam_search(random_ctc(num_frames), None, ctc_weight=1.0, beam_size=10, sos_eos=EOS)
    assert {hypothesis.tokens for hypothesis in found} == set(all_labels(num_frames))


def test_prefix_scores_equal_enumeration() -> None:
    log_probs = random_ctc(5)
    expected = enumerate_prefixes(log_probs)
    scorer = CTCPrefixScorer(log_probs, EOS)
    prefixes, state = [()], scorer.start()
    for _ in range(5):
        grown = [(i, unit) for i in range(len(prefixes)) for unit in LABELS]
        for i, unit in grown:
            score = state.scores[i, unit].item()
            assert score == pytest.approx(expected.get((*prefixes[i], unit), -math.inf), abs=1e-5)
        assert state.scores[:, 0].isneginf().all()
        parents, units = torch.tensor(grown).unbind(1)
        prefixes, state = [(*prefixes[i], unit) for i, unit in grown], scorer.extend(state, parents, units)


@pytest.mark.parametrize("blank", [0, 29])
def test_the_eos_score_of_a_long_sequence_equals_ctc_loss(blank: int) -> None:
    """Peaked posteriors over 1,500 frames, where running products reach e^-30000."""
    generator = torch.Generator().manual_seed(1)
    log_probs = (8 * torch.randn(1500, 31, generator=generator)).log_softmax(-1)
    labels = torch.randint(1, 29, (60,), generator=generator)
    labels[10:13] = 7  # repeats, which need blanks between them
    scorer = CTCPrefixScorer(log_probs, eos=30, blank=blank)
    state = scorer.start()
    for unit in labels:
        state = scorer.extend(state, torch.tensor([0]), unit[None])
    lengths = torch.tensor([1500]), torch.tensor([60])
    loss = ctc_loss(log_probs.double()[:, None], labels[None], *lengths, blank=blank, reduction="sum")
    assert state.scores[0, 30].item() == pytest.approx(-loss.item(), rel=1e-9)


def test_impossible_units_are_not_found_and_do_no_harm() -> None:
    log_probs = random_ctc(5)
    log_probs[:, 2] = -torch.inf
    log_probs[1] = torch.tensor([-torch.inf, 0.0, -torch.inf, -torch.inf])
    found = beam_search(log_probs, None, ctc_weight=1.0, beam_size=500, sos_eos=EOS)
    assert_ranked_as([h for h in found if h.score > -1000], enumerate_ctc(log_probs))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"ctc_weight": 1.5}, "ctc_weight"),
        ({"ctc_weight": -0.1}, "ctc_weight"),
        ({"ctc_weight": float("nan")}, "ctc_weight"),
        ({"ctc_weight": 0.5, "ctc_log_probs": None}, "CTC log probabilities"),
        ({"ctc_weight": 0.5, "score_next": None}, "attention decoder"),
        ({"beam_size": 0}, "beam_size"),
        ({"ctc_weight": 0.0, "ctc_log_probs": None}, "max_length"),
    ],
)
def test_bad_settings_are_named_in_one_line(arguments: dict, named: str) -> None:
    good = {"ctc_log_probs": random_ctc(3), "score_next": random_decoder(), "ctc_weight": 0.5, "beam_size": 2}
    with pytest.raises(FoldError, match=named) as error:
        beam_search(**(good | arguments), sos_eos=EOS)
    assert "\n" not in str(error.value)
