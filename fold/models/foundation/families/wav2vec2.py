"""wav2vec 2.0 and the networks that are one with it but for their names: HuBERT (DistilHuBERT among them), UniSpeech
and UniSpeech-SAT; wav2vec 2.0 also with the adapters of MMS. Layers: torchaudio's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn
from torchaudio.models import Wav2Vec2Model, wav2vec2_model

from fold.models.foundation.families.family import MASK_EMBEDDING, Family, Parts
from fold.models.foundation.layers import Adapter, ConvolutionalPositions, FoundationLayer, WaveformEncoder
from fold.models.foundation.shape import EPSILON, Dropouts, Shape

FIELDS = {
    "num_layers": "num_hidden_layers",
    "dim": "hidden_size",
    "num_heads": "num_attention_heads",
    "ffn_dim": "intermediate_size",
    "conv_channels": "conv_dim",
    "conv_kernels": "conv_kernel",
    "conv_strides": "conv_stride",
    "conv_bias": "conv_bias",
    "conv_norm": "feat_extract_norm",
    "position_kernel": "num_conv_pos_embeddings",
    "position_groups": "num_conv_pos_embedding_groups",
}
PARTS_OF = {
    "stem.waveform_encoder.": "feature_extractor.",
    "stem.projection.": "feature_projection.",
    "stem.positions.": "encoder.pos_conv_embed.",
    "stem.norm.": "encoder.layer_norm.",
    "final_norm.0.": "encoder.layer_norm.",
    MASK_EMBEDDING: "masked_spec_embed",
    "ctc_head.": "lm_head.",
}


class WaveFamily(Family):
    """What all families have in common that hear the waveform."""

    shape_type: ClassVar[type[Shape]] = Shape
    fields = FIELDS
    only = {"feat_extract_activation": "gelu", "layer_norm_eps": 1e-5, "add_adapter": False}
    parts_of = PARTS_OF

    def shape(self, config: Mapping[str, Any], extractor: Mapping[str, Any] | None) -> Shape:
        self.check(config)
        self.check_hears(extractor)
        given = self.given(config)
        # Without a file that says it: base models, with GroupNorm, were trained on waveforms as they are.
        layer = given.get("conv_norm", self.shape_type.conv_norm) == "layer"
        normalise = layer if extractor is None else extractor.get("do_normalize", True)
        return self.shape_type(family=config["model_type"], normalise=normalise, epsilon=EPSILON, **given)

    def extractor(self, shape: Shape, sample_rate: int) -> dict[str, Any]:
        """Attention masks whatever the kind: in training here no frame attends to padding."""
        return {
            "feature_extractor_type": self.hears,
            "feature_size": 1,
            "sampling_rate": sample_rate,
            "padding_value": 0.0,
            "do_normalize": shape.normalise,
            "return_attention_mask": True,
        }

    def unlike_theirs(self, shape: Shape) -> str:
        if not shape.normalise or shape.epsilon == EPSILON:
            return ""
        return (
            f"waveforms are normalised with {shape.epsilon:g} added to their variance, but transformers adds "
            f"{EPSILON:g}: the quieter the audio, the more log-probabilities differ"
        )

    def config(self, shape: Shape) -> dict[str, Any]:
        return {**super().config(shape), "num_feat_extract_layers": len(shape.conv_channels)}


class Wav2Vec2(WaveFamily):
    """wav2vec 2.0, HuBERT, UniSpeech, UniSpeech-SAT."""

    fields = {**FIELDS, "pre_norm": "do_stable_layer_norm"}
    only = {**WaveFamily.only, "hidden_act": "gelu", "conv_pos_batch_norm": False}

    def given(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Also what transformers reads of some of these models, and ignores of others."""
        given = super().given(config)
        some = {"projection_norm": "feat_proj_layer_norm"} if self.kind == "Hubert" else {}
        if given.get("pre_norm"):
            some["adapter_dim"] = "adapter_attn_dim"
        own = {field: name for field, name in some.items() if config.get(name) is not None}
        return given | self.read(config, own)

    def config(self, shape: Shape) -> dict[str, Any]:
        adapter = {} if shape.adapter_dim is None else {"adapter_attn_dim": shape.adapter_dim}
        norm = {"feat_proj_layer_norm": shape.projection_norm} if self.kind == "Hubert" else {}
        return super().config(shape) | adapter | norm

    def layer_names(self, ours: str) -> tuple[str, ...]:
        return (ours.removeprefix("block.").replace("adapter.", "adapter_layer.", 1),)

    def parts(self, shape: Shape, dropouts: Dropouts) -> Parts:
        return torchaudio_parts(wav2vec2_model(**torchaudio_settings(shape, dropouts)), shape)


def torchaudio_settings(shape: Shape, dropouts: Dropouts) -> dict[str, Any]:
    """The arguments of torchaudio's functions that build these networks."""
    return {
        "extractor_mode": f"{shape.conv_norm}_norm",
        "extractor_conv_layer_config": list(
            zip(shape.conv_channels, shape.conv_kernels, shape.conv_strides, strict=True)
        ),
        "extractor_conv_bias": shape.conv_bias,
        "encoder_embed_dim": shape.dim,
        "encoder_projection_dropout": dropouts.features,
        "encoder_pos_conv_kernel": shape.position_kernel,
        "encoder_pos_conv_groups": shape.position_groups,
        "encoder_num_layers": shape.num_layers,
        "encoder_num_heads": shape.num_heads,
        "encoder_attention_dropout": dropouts.attention,
        "encoder_ff_interm_features": shape.ffn_dim,
        "encoder_ff_interm_dropout": dropouts.ffn,
        "encoder_dropout": dropouts.hidden,
        "encoder_layer_norm_first": shape.pre_norm,
        "encoder_layer_drop": 0.0,
        "aux_num_out": None,
    }


def torchaudio_parts(model: Wav2Vec2Model, shape: Shape) -> Parts:
    """The parts of a network of torchaudio."""
    transformer, projection = model.encoder.transformer, model.encoder.feature_projection
    if not shape.projection_norm:
        projection.layer_norm = nn.Identity()
    adapters = [
        None if shape.adapter_dim is None else Adapter(shape.dim, shape.adapter_dim) for _ in transformer.layers
    ]
    norms = (nn.Identity(), transformer.layer_norm) if shape.pre_norm else (transformer.layer_norm, nn.Identity())
    return Parts(
        features=WaveformEncoder(model.feature_extractor, shape),
        projection=projection,
        positions=ConvolutionalPositions(transformer.pos_conv_embed),
        norm=norms[0],
        relative=None,
        layers=[FoundationLayer(layer, adapter) for layer, adapter in zip(transformer.layers, adapters, strict=True)],
        final_norm=norms[1],
    )
