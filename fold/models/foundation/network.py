"""The foldable speech foundation model: some layers of a wav2vec 2.0, HuBERT or WavLM, unfolded, under a CTC head."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import nn
from torchaudio.models import Wav2Vec2Model
from torchaudio.models.wav2vec2.wavlm_attention import WavLMSelfAttention

from fold.errors import FoldError
from fold.models.asr import Architecture, Recogniser
from fold.models.foundation.folding import Keep, fold_layers, layer_groups
from fold.models.foundation.layers import FoundationLayer, FoundationStem, RelativeBias, WaveformEncoder
from fold.models.foundation.masking import Mask, Masking
from fold.models.foundation.shape import Dropouts, Shape, bundle_shape, torchaudio_model
from fold.models.foundation.sources import Source, find_source
from fold.models.foundation.tokens import characters, load_head, units_of_head
from fold.text.units import Units
from fold.unfolding import Unfolding


@dataclass(frozen=True)
class Foundation(Architecture):
    """A wav2vec 2.0, HuBERT or WavLM of which some layers stay, to be unfolded.

    Args:
        source: Its pre-trained weights: a torchaudio bundle such as WAV2VEC2_BASE, or a Hugging Face directory; null:
            random weights of `shape`.
        shape: Of random weights, where there is no source: a bundle's name or a shape of your own.
        num_layers: Physical layers kept; null: all.
        keep: Which layers are kept (see `layer_groups`).
        keep_head: Whether a source's CTC head stays, and with it its vocabulary.
        dropouts: Shares dropped in training.
        masking: Of frames and channels in training; null switches it off.
        freeze_features: Whether the convolutions on the waveform stay as they are.
        checkpoint_activations: Less memory in training, more compute.
        vocabulary: Characters of the head that stays; taken from the source.

    Raises:
        FoldError: A source or shape cannot be used.
    """

    source: str | None = None
    shape: Shape | str | None = None
    num_layers: int | None = None
    keep: Keep = "even"
    keep_head: bool = True
    dropouts: Dropouts = Dropouts()
    masking: Masking | None = Masking()
    freeze_features: bool = True
    checkpoint_activations: bool = False
    vocabulary: tuple[str, ...] | None = None

    CHANGEABLE = ("source", "dropouts", "checkpoint_activations")

    def __post_init__(self) -> None:
        if self.source is not None and self.shape is not None:
            raise FoldError("model.network: give a source, which brings its shape, or a shape for random weights")
        if self.shape is None:
            source = self._source()
            self._set("shape", source.shape())
            tokens = source.tokens() if self.keep_head else None
            self._set("vocabulary", tokens and characters(tokens))
        elif isinstance(self.shape, str):
            self._set("shape", bundle_shape(self.shape))
        self._set("num_layers", self.num_layers or self.shape.num_layers)
        if not isinstance(self.keep, str):
            self._set("keep", tuple(self.keep))
        self._groups()

    @classmethod
    def from_plain(cls, settings: dict[str, Any]) -> Foundation:
        kinds = {"shape": Shape, "dropouts": Dropouts, "masking": Masking}
        known = {k: kinds[k](**v) if k in kinds and v is not None else v for k, v in settings.items()}
        network = cls(**{**known, "source": None})  # which may be gone: all that it brought is in the settings
        network._set("source", known["source"])
        return network

    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        shape = dataclasses.replace(self.shape, num_layers=self.num_layers)
        return self._assemble(torchaudio_model(shape, vocab_size, self.dropouts))

    def units(self, corpus: Units) -> Units:
        return corpus if self.vocabulary is None else units_of_head(self.vocabulary, corpus, self.source)

    def fetch(self) -> None:
        """Raises FoldError if the source cannot be had."""
        if self.source is not None:
            self._source().fetch()

    def load_pretrained(self, model: Recogniser, sample_rate: int) -> None:
        """Raises FoldError if the source cannot be had or does not fit."""
        if self.source is None:
            return
        source = self._source()
        if sample_rate != source.sample_rate:
            wanted = f"{source.sample_rate} Hz, not {sample_rate}; set --data.sample_rate={source.sample_rate}"
            raise FoldError(f"source {self.source}: takes audio at {wanted}")
        original, mask_embedding = source.model()
        head, tokens = original.aux, source.tokens()
        folded = self._assemble(original, fold=True)
        try:
            for part in ("stem", "unfolding", "final_norm"):
                getattr(model, part).load_state_dict(getattr(folded, part).state_dict())
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()
            raise FoldError(f"source {self.source}: has not the shape that was given: {reason}") from None
        if self.masking is not None and mask_embedding is not None:
            model.stem.mask.embedding.data.copy_(mask_embedding)
        if self.vocabulary is not None:
            load_head(model.ctc_head, head, tokens)

    def num_frames(self, num_samples: int, sample_rate: int) -> int:
        return max(0, self.shape.num_frames(num_samples))

    def _assemble(self, original: Wav2Vec2Model, fold: bool = False) -> Recogniser:
        """A recogniser of torchaudio's parts."""
        transformer, dim = original.encoder.transformer, self.shape.dim
        first = transformer.layers[0].attention
        relative = RelativeBias(first) if isinstance(first, WavLMSelfAttention) else None
        layers = nn.ModuleList(FoundationLayer(layer) for layer in transformer.layers)
        norm, final = transformer.layer_norm, nn.Identity()
        if self.shape.pre_norm:
            norm, final = final, norm
        mask = None if self.masking is None else Mask(self.masking, dim)
        return Recogniser(
            stem=FoundationStem(
                WaveformEncoder(original.feature_extractor, self.shape, self.freeze_features),
                original.encoder.feature_projection,
                mask,
                transformer.pos_conv_embed,
                norm,
                self.dropouts.hidden,
                relative,
            ),
            unfolding=Unfolding(fold_layers(layers, self._groups()) if fold else layers, self.checkpoint_activations),
            final_norm=nn.Sequential(final, nn.Dropout(self.dropouts.head)),
            ctc_head=original.aux,
        )

    def _groups(self) -> list[list[int]]:
        return layer_groups(self.keep, self.num_layers, self.shape.num_layers)

    def _source(self) -> Source:
        if self.source is None:
            raise FoldError("model.network: give a source of pre-trained weights, or a shape for random ones")
        return find_source(self.source)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # once, while the frozen instance is made
