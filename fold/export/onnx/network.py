"""What is exported: the recogniser with its depth as an input, from sound or from features to log-probabilities."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fold.errors import FoldError
from fold.export.onnx.frontend import GivenFeatures, TabledFbank
from fold.export.onnx.parts import rewrite
from fold.models.asr import Recogniser, StemOutput
from fold.models.conformer import ConformerStem
from fold.unfolding import Unfolding

CTC = ("log_probs", "num_frames")
HYBRID = (*CTC, "encoded")


class ElasticRecogniser(nn.Module):
    """A recogniser whose layers run as often as its last input says.

    stem: as of a `Recogniser`; model: the recogniser, of whose heads only the CTC head is used; outputs: what it gives,
    of `HYBRID`.
    """

    def __init__(self, stem: nn.Module, model: Recogniser, outputs: Sequence[str]) -> None:
        super().__init__()
        self.stem = stem
        self.outputs = tuple(outputs)
        self.layers = model.unfolding.layers
        self.final_norm = model.final_norm
        self.ctc_head = model.ctc_head

    def forward(self, sound: Tensor, lengths: Tensor, repeats: Tensor) -> tuple[Tensor, ...]:
        """sound: (batch, samples), or what the stem takes; lengths: (batch,); repeats: of each layer, (num_layers,).

        Returns, of these, what was asked for: log-probabilities of CTC (batch, frames, units), num_frames (batch,), and
        what they are of, encoded frames (batch, frames, dim).
        """
        stem = self.stem(sound, lengths)
        x = stem.x
        for layer, times in zip(self.layers, repeats, strict=True):
            x = repeated(layer, times, x, *stem.row_args, *stem.shared_args)
        encoded = self.final_norm(x)
        log_probs = self.ctc_head(encoded).log_softmax(-1)
        known = {"log_probs": log_probs, "num_frames": stem.num_frames, "encoded": encoded}
        return tuple(known[name] for name in self.outputs)


def repeated(layer: nn.Module, times: Tensor, x: Tensor, *args: object) -> Tensor:
    """x after `times` runs of the layer: a loop whose body is in the graph once."""

    def pending(run: Tensor, x: Tensor) -> Tensor:
        return run < times

    def run_once(run: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return run + 1, layer(x, *args)

    _, x = torch.while_loop(pending, run_once, (torch.zeros_like(times), x))
    return x


class FeaturesStem(nn.Module):
    """A Conformer's stem that is handed filterbanks: normalises and subsamples them.

    stem: the Conformer's.
    """

    def __init__(self, stem: ConformerStem) -> None:
        super().__init__()
        self.stem = stem

    def forward(self, features: Tensor, num_frames: Tensor) -> StemOutput:
        """features: (batch, frames, num_mels); num_frames: (batch,)."""
        missing = self.stem.subsampling.MIN_FRAMES - features.shape[1]
        output: StemOutput = self.stem(nn.functional.pad(features, (0, 0, 0, max(0, missing))), num_frames)
        return output


def from_waveforms(model: Recogniser, outputs: Sequence[str] = CTC) -> ElasticRecogniser:
    """The exported form that takes waveforms (batch, samples) and num_samples (batch,)."""
    model = rewrite(model)
    if isinstance(model.stem, ConformerStem):
        model.stem.frontend.add_module("fbank", TabledFbank(model.stem.frontend.fbank))
    return _elastic(model.stem, model, outputs)


def from_features(model: Recogniser, outputs: Sequence[str] = CTC) -> ElasticRecogniser:
    """The exported form that takes filterbanks (batch, frames, num_mels) and their number (batch,).

    Raises FoldError if the model hears waveforms.
    """
    if not isinstance(model.stem, ConformerStem):
        raise FoldError("input is features: this model has no filterbanks, it hears waveforms")
    stem = FeaturesStem(_with_fbank(model.stem, GivenFeatures(model.stem.frontend.fbank)))
    return _elastic(stem, model, outputs)


def _with_fbank(stem: ConformerStem, fbank: nn.Module) -> ConformerStem:
    stem = copy.deepcopy(stem)
    stem.frontend.add_module("fbank", fbank)
    return stem


def _elastic(stem: nn.Module, model: Recogniser, outputs: Sequence[str]) -> ElasticRecogniser:
    if type(model.unfolding).layer_at is not Unfolding.layer_at:
        kind = type(model.unfolding).__name__
        raise FoldError(f"export: {kind} gives repeats of a layer something of their own, which no loop can express")
    return ElasticRecogniser(stem, model, outputs).eval()
