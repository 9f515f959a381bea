"""Decoding of a model's outputs: the search of a batch and of several paths against the search of each alone."""

import itertools
from dataclasses import dataclass
from pathlib import Path as FilePath

import pytest
import torch
from torch import Tensor, nn

from fold.decoding import decode
from fold.decoding.decode import Decoding, Trial, transcribe
from fold.decoding.ngram import write_arpa
from fold.errors import FoldError
from fold.models import Conformer, PathOutput, Recogniser
from fold.paths import Path, PathSpace
from fold.text.units import CharUnits, Units

UNITS, UNITS_WITH_SPACE = CharUnits("ab"), CharUnits(" ab")
LABELS = range(1, len(UNITS) - 1)  # between blank and <sos/eos>
RATE, DIM, FRAMES = 8000, 16, 5
PATH = PathSpace(2, 2).seed
SHAPE = {"num_heads": 2, "ffn_dim": 24, "kernel_size": 5, "subsampling_channels": 4, "num_mels": 16}


def make_model(decoder_layers: int = 2) -> Recogniser:
    """An untrained model that is sure of what it says, and says something else of every frame and prefix."""
    torch.manual_seed(0)
    architecture = Conformer(num_layers=2, dim=DIM, decoder_layers=decoder_layers, decoder_ffn_dim=24, **SHAPE)
    model = architecture.build(len(UNITS), RATE).eval()
    with torch.no_grad():
        for head in (model.ctc_head, *([model.decoder.output] if model.decoder else [])):
            head.weight.mul_(6)
    return model


@torch.no_grad()
def make_output(model: Recogniser, lengths: list[int], seed: int = 0, path: Path = PATH) -> PathOutput:
    """Of encoded noise."""
    encoded = 4 * torch.randn(len(lengths), max(lengths), DIM, generator=torch.Generator().manual_seed(seed))
    return PathOutput(path, encoded, torch.tensor(lengths), model.ctc_head(encoded).log_softmax(-1))


def alone(output: PathOutput, row: int) -> PathOutput:
    """One utterance, without padding."""
    frames = slice(int(output.num_frames[row]))
    part = (
        output.encoded[row : row + 1, frames],
        output.num_frames[row : row + 1],
        output.ctc_log_probs[row : row + 1, frames],
    )
    return PathOutput(output.path, *part)


@torch.no_grad()
def score(model: Recogniser, output: PathOutput, labels: tuple[int, ...], weight: float) -> float:
    """Of one utterance: by the CTC loss, and by teacher forcing without a cache."""
    eos, targets = len(UNITS) - 1, torch.tensor([labels], dtype=torch.long)
    sizes = output.num_frames, torch.tensor([len(labels)])
    ctc = -torch.nn.functional.ctc_loss(output.ctc_log_probs.transpose(0, 1).double(), targets, *sizes, reduction="sum")
    prefix = torch.tensor([[eos, *labels]])
    following = model.decode_prefixes(prefix, output.encoded, output.num_frames)[0]
    attention = sum(following[i, unit].item() for i, unit in enumerate([*labels, eos]))
    return weight * ctc.item() + (1 - weight) * attention if weight else attention


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_a_wide_beam_finds_the_best_of_all_sequences(weight: float) -> None:
    model = make_model()
    output = make_output(model, [FRAMES, 3, 4])
    [found] = Decoding("beam", beam_size=400, ctc_weight=weight)(model, [output], UNITS)
    for row, units in enumerate(found):
        frames = int(output.num_frames[row])
        everything = [labels for n in range(frames + 1) for labels in itertools.product(LABELS, repeat=n)]
        scores = {labels: score(model, alone(output, row), labels, weight) for labels in everything}
        assert tuple(units) == max(scores, key=scores.get)


@pytest.mark.parametrize("decoding", [Decoding(), Decoding("beam", 3), Decoding("beam", 3, ctc_weight=0.0)], ids=str)
def test_batches_and_paths_are_decoded_as_each_alone(decoding: Decoding) -> None:
    model = make_model()
    outputs = [make_output(model, [20, 0, 7, 31], seed) for seed in range(3)]
    found = decoding(model, outputs, UNITS)
    assert found == [[decoding(model, [alone(output, row)], UNITS)[0][0] for row in range(4)] for output in outputs]
    assert all(units[1] == [] for units in found)  # no frames
    assert len({tuple(units[3]) for units in found}) > 1


def test_a_search_that_does_not_fit_is_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, decoding = make_model(), Decoding("beam", 3)
    outputs = [make_output(model, [20, 12, 7], seed) for seed in range(2)]
    together, sizes = decoding(model, outputs, UNITS), []
    monkeypatch.setattr(decode, "SEARCHED_AT_ONCE", 4 * 20 * (len(UNITS) + 3 * DIM))
    search = Decoding._search

    def watched(self: Decoding, model: Recogniser, units: Units, encoded: Tensor, *rest: Tensor) -> list[list[int]]:
        sizes.append(len(encoded))
        return search(self, model, units, encoded, *rest)

    monkeypatch.setattr(Decoding, "_search", watched)
    assert decoding(model, outputs, UNITS) == together
    assert sizes == [4, 2]


def test_nothing_but_frameless_utterances() -> None:
    model = make_model()
    empty = PathOutput(PATH, torch.zeros(2, 0, DIM), torch.zeros(2, dtype=torch.long), torch.zeros(2, 0, len(UNITS)))
    assert Decoding("beam")(model, [empty], UNITS) == [[[], []]]


def test_the_search_runs_under_autocast() -> None:
    """In bf16 the keys are rounded, but CTC keeps its float64, of which prefixes of peaked posteriors are made."""
    model, output = make_model(), make_output(make_model(), [400, 300])
    ctc, joint = Decoding("beam", 3, ctc_weight=1.0), Decoding("beam", 3)
    exact = ctc(model, [output], UNITS)
    with torch.autocast("cpu", torch.bfloat16):
        assert ctc(model, [output], UNITS) == exact
        assert all(joint(model, [output], UNITS)[0])


def speech(seconds: float = 0.6) -> tuple[Tensor, Tensor]:
    waveforms = torch.randn(2, int(seconds * RATE), generator=torch.Generator().manual_seed(3)) / 8
    return waveforms, torch.tensor([waveforms.shape[1], waveforms.shape[1] // 2])


def test_each_trial_is_decoded_in_its_own_way() -> None:
    model, space = make_model(), PathSpace(2, 2)
    ways = [Decoding(), Decoding("beam", 2), Decoding("beam", 4, 0.0)]
    trials = [Trial(path, way) for way in ways for path in (space.deepest, space.seed)]
    found = transcribe(model, UNITS, *speech(), trials)
    for trial, texts in zip(trials, found, strict=True):
        assert transcribe(model, UNITS, *speech(), [trial]) == [texts]
    assert len({tuple(texts) for texts in found}) >= len(ways)


class Certain(nn.Module):
    """A decoder that knows the text. Its cache is the number of tokens so far."""

    @dataclass(frozen=True)
    class Cache:
        length: int = 0

        def follow(self, parents: Tensor) -> "Certain.Cache":
            return self

    def __init__(self, text: str) -> None:
        super().__init__()
        self.units = [*UNITS.encode(text), len(UNITS) - 1]

    def start(self, memory: Tensor, mask: Tensor) -> Cache:
        return self.Cache()

    def step(self, tokens: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        unit = self.units[min(cache.length, len(self.units) - 1)]
        return 50 * torch.eye(len(UNITS))[unit].expand(*tokens.shape, -1), self.Cache(cache.length + 1)


def test_the_attention_decoder_decides_where_ctc_is_unsure() -> None:
    model, log_probs = make_model(), torch.full((1, 8, len(UNITS)), -3.0)
    log_probs[..., 0], log_probs[0, [2, 5], UNITS.encode("a")] = 0.0, 1.0  # CTC would rather hear "aa"
    model.decoder = Certain("ab")
    output = PathOutput(PATH, torch.zeros(1, 8, DIM), torch.tensor([8]), log_probs.log_softmax(-1))
    said = {"aa": [Decoding(), Decoding("beam", ctc_weight=1.0)], "ab": [Decoding("beam"), Decoding("beam", 1, 0.0)]}
    for text, decodings in said.items():
        assert [UNITS.decode(decoding(model, [output], UNITS)[0][0]) for decoding in decodings] == [text, text]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"ctc_weight": 1.5}, "ctc_weight is 1.5"),
        ({"ctc_weight": -0.1}, "ctc_weight is -0.1"),
        ({"ctc_weight": float("nan")}, "ctc_weight is nan"),
        ({"beam_size": 0}, "beam_size is 0"),
    ],
)
def test_bad_settings_are_named_in_one_line(settings: dict, named: str) -> None:
    with pytest.raises(FoldError, match=named) as error:
        Decoding("beam", **settings)
    assert "\n" not in str(error.value)


def test_a_language_model_decides_between_words_that_sound_alike(tmp_path: FilePath) -> None:
    """CTC hears both nearly as well; the file knows one of them, or one of them after the other."""
    model, log_probs = make_model(decoder_layers=0), torch.full((1, 3, len(UNITS_WITH_SPACE)), -30.0)
    [a, space, b] = UNITS_WITH_SPACE.encode("a b")
    log_probs[0, [0, 1, 2], [a, space, a]] = -0.6
    log_probs[0, 2, b] = -0.8
    output = PathOutput(PATH, torch.zeros(1, 3, DIM), torch.tensor([3]), log_probs)
    said = {}
    for name, texts in {"alike": ["a a", "a b"], "after": ["a b", "a b", "b a"], "only": ["a"]}.items():
        write_arpa(tmp_path / name, texts, 2)
        decoding = Decoding("beam", ctc_weight=1.0, lm=str(tmp_path / name))
        decoding.check(model, UNITS_WITH_SPACE)
        [[ids]] = decoding(model, [output], UNITS_WITH_SPACE)
        said[name] = UNITS_WITH_SPACE.decode(ids)
    assert said == {"alike": "a a", "after": "a b", "only": "a a"}


def test_a_language_model_that_cannot_be_used_is_refused_before_any_search(tmp_path: FilePath) -> None:
    model = make_model(decoder_layers=0)
    with pytest.raises(FoldError, match=r"greedy uses no language model, expected method=beam"):
        Decoding(lm="lm.arpa")
    for weight in (-1.0, float("inf"), float("nan")):
        with pytest.raises(FoldError, match=f"lm_weight is {weight}"):
            Decoding("beam", lm="lm.arpa", lm_weight=weight)
    with pytest.raises(FoldError, match=r"lm\.arpa: cannot be read \(No such file"):
        Decoding("beam", ctc_weight=1.0, lm=str(tmp_path / "lm.arpa")).check(model, UNITS_WITH_SPACE)


def test_a_decoder_is_asked_for_only_by_what_needs_one() -> None:
    model = make_model(decoder_layers=0)
    with pytest.raises(FoldError, match=r"ctc_weight is 0\.3: this model has no attention decoder"):
        Decoding("beam").check(model, UNITS)
    for decoding in (Decoding(), Decoding("beam", ctc_weight=1.0)):
        decoding.check(model, UNITS)
        assert decoding(model, [make_output(model, [9])], UNITS)
