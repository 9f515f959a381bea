"""The foldable speech foundation model: some layers of a pre-trained network, unfolded, under a CTC head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from fold.errors import FoldError
from fold.models.asr import Architecture, Recogniser
from fold.models.foundation import weights
from fold.models.foundation.families import WritableShape, builder_of, shape_from_plain
from fold.models.foundation.families.family import MASK_EMBEDDING
from fold.models.foundation.folding import Keep, layer_groups
from fold.models.foundation.layers import FoundationStem
from fold.models.foundation.lighthubert import Subnet
from fold.models.foundation.masking import Mask, Masking
from fold.models.foundation.shape import AnyShape, Dropouts, settled
from fold.models.foundation.sources import Source, find_source
from fold.models.foundation.tokens import NEW_HEAD, Vocabulary, load_head, units_of_head
from fold.text.units import Units
from fold.text.unknown import ALL_KNOWN, Unknown
from fold.unfolding import Unfolding

MOST_UNKNOWN = 0.5  # of a transcript: what is unknown for the most part is in no language of the head


@dataclass(frozen=True)
class Foundation(Architecture):
    """A pre-trained speech model (wav2vec 2.0 and its relatives) of which some layers stay, to be unfolded.

    Args:
        source: Its pre-trained weights: a torchaudio bundle such as WAV2VEC2_BASE, a Hugging Face directory, the id of
            one in a hub, such as facebook/mms-1b-all, or a checkpoint of DPHuBERT or LightHuBERT; null: random weights
            of `shape`.
        shape: Of random weights, where there is no source: a shape of your own, or the source whose shape is taken.
        num_layers: Physical layers kept; null: all.
        keep: Which layers are kept (see `layer_groups`).
        keep_head: Whether a source's CTC head stays, and with it its vocabulary.
        language: Whose adapter and head are taken of a source with several (MMS), such as `eng`; null: its own.
        subnet: Which network is taken of a source that holds many (LightHuBERT); null: that of its authors.
        dropouts: Shares dropped in training.
        masking: Of frames and channels in training; null switches it off.
        freeze_features: Whether the convolutions on the waveform stay as they are.
        checkpoint_activations: Less memory in training, more compute.
        vocabulary: Characters of the head that stays; taken from the source.

    Raises:
        FoldError: A source or shape cannot be used.
    """

    source: str | None = None
    shape: WritableShape | str | None = None
    num_layers: int | None = None  # type: ignore[assignment]  # a number as soon as the instance is made
    keep: Keep = "even"
    keep_head: bool = True
    language: str | None = None
    subnet: Subnet | None = None
    dropouts: Dropouts = Dropouts()
    masking: Masking | None = Masking()
    freeze_features: bool = True
    checkpoint_activations: bool = False
    vocabulary: tuple[str, ...] | None = None

    CHANGEABLE = ("source", "dropouts", "checkpoint_activations")
    # None of which matters once layers have weights.
    OF_HEADS = ("keep", "keep_head", "language", "subnet", "vocabulary")

    def __post_init__(self) -> None:
        if self.source is not None and self.shape is not None:
            raise FoldError("model.network: give a source, which brings its shape, or a shape for random weights")
        trained_as = (Dropouts(), Masking())
        if self.shape is None:
            source = self._source()
            self._set("shape", source.shape())
            vocabulary = source.vocabulary() if self.keep_head else None
            self._set("vocabulary", vocabulary and vocabulary.units)
            trained_as = source.dropouts(), source.masking()
        elif isinstance(self.shape, str):
            self._set("shape", find_source(self.shape).shape())
        self._set("dropouts", self.dropouts.over(trained_as[0]))
        self._set("masking", self.masking and self.masking.over(trained_as[1]))
        self._set("num_layers", self.num_layers or self.original.num_layers)
        if not isinstance(self.keep, str):
            self._set("keep", tuple(self.keep))
        builder_of(self.original.family).kept(self.original, self._groups())

    @classmethod
    def from_plain(cls, settings: dict[str, Any]) -> Foundation:
        read = {"dropouts": _read(Dropouts), "masking": _read(Masking), "subnet": _read(Subnet)}
        kinds = {"shape": shape_from_plain, **read}
        known = {k: kinds[k](v) if k in kinds and v is not None else v for k, v in settings.items()}
        network = cls(**{**known, "source": None})  # which may be gone: all that it brought is in the settings
        network._set("source", known["source"])
        return network

    @property
    def original(self) -> AnyShape:
        """The shape of the pre-trained model, with all its layers."""
        assert self.shape is not None and not isinstance(self.shape, str)  # one took its place as this was made
        return self.shape

    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        builder = builder_of(self.original.family)
        if self.source is None:  # which has its own rate, and says so when it is loaded
            builder.check_rate(self.original, sample_rate)
        shape = builder.kept(self.original, self._groups())
        parts = builder.parts(shape, self.dropouts)
        head = nn.Linear(shape.dim, vocab_size)
        return Recogniser(
            stem=FoundationStem(
                parts.features,
                parts.projection,
                None if self.masking is None else Mask(self.masking, shape.dim),
                parts.positions,
                parts.norm,
                settled(self.dropouts.hidden),
                parts.relative,
                self.freeze_features,
            ),
            unfolding=Unfolding(parts.layers, self.checkpoint_activations),
            final_norm=nn.Sequential(parts.final_norm, nn.Dropout(settled(self.dropouts.head))),
            ctc_head=head,
        )

    def units(self, corpus: Units) -> Units:
        if self.vocabulary is None:
            return corpus
        return units_of_head(_of_head(self._source()), corpus, self.source)

    @property
    def unknown(self) -> Unknown:
        """A head that has an unknown unit goes on learning what it stands for."""
        if self.vocabulary is None or _of_head(self._source()).unknown is None:
            return ALL_KNOWN
        return Unknown(MOST_UNKNOWN, NEW_HEAD)

    def fetch(self) -> None:
        """Raises FoldError if the source cannot be had."""
        if self.source is None:
            return
        source = self._source()
        source.fetch()
        if self.masking is not None and source.names(MASK_EMBEDDING)[0] not in source.weights:
            print(
                f"source {self.source}: holds no vector for masked frames; it starts from random numbers in 0 to 1, as "
                "pre-training started (the Hugging Face directory of a model that torchaudio has holds its vector)"
            )

    def load_pretrained(self, model: Recogniser, sample_rate: int) -> None:
        """Raises FoldError if the source cannot be had or does not fit."""
        if self.source is None:
            return
        source = self._source()
        if sample_rate != source.sample_rate:
            wanted = f"{source.sample_rate} Hz, not {sample_rate}; set --data.sample_rate={source.sample_rate}"
            raise FoldError(f"source {self.source}: takes audio at {wanted}")
        weights.check_all_used(model, source.weights, source.names, self.original.num_layers, source.left_out)
        weights.load(model, source.weights, source.names, self._groups(), frozenset({MASK_EMBEDDING}))
        if self.vocabulary is not None:
            weight, bias = (source.weights.joined(source.names(f"ctc_head.{kind}")) for kind in ("weight", "bias"))
            for kind, tensor in (("weight", weight), ("bias", bias)):
                weights.check_is_weight(tensor, source.names(f"ctc_head.{kind}")[0], source.weights.where)
            load_head(model.ctc_head, weight, bias, _of_head(source), source.weights.where)

    def num_frames(self, num_samples: int, sample_rate: int) -> int:
        return max(0, self.original.num_frames(num_samples))

    def _groups(self) -> list[list[int]]:
        return layer_groups(self.keep, settled(self.num_layers), self.original.num_layers)

    def _source(self) -> Source:
        if self.source is None:
            raise FoldError("model.network: give a source of pre-trained weights, or a shape for random ones")
        return find_source(self.source, self.language, self.subnet)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # once, while the frozen instance is made


def _of_head(source: Source) -> Vocabulary:
    """The vocabulary of a source whose head stays."""
    vocabulary = source.vocabulary()
    assert vocabulary is not None  # else `Foundation` has none either
    return vocabulary


def _read(kind: type) -> Any:
    return lambda plain: kind(**plain)
