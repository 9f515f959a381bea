"""Small Hugging Face directories with random weights, written by transformers itself."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from torch import Tensor

from fold.models.foundation import Shape

TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUBC"]
LAYERS = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": len(TOKENS),
    "pad_token_id": 0,
    "attn_implementation": "eager",
}
SMALL = {
    **LAYERS,
    "conv_dim": [16, 16, 16],
    "conv_kernel": [10, 3, 2],
    "conv_stride": [5, 2, 2],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
WAVLM = {"num_buckets": 16, "max_bucket_distance": 40}
CONFORMER = {"conv_depthwise_kernel_size": 5, "max_source_positions": 400}
SHAPE = Shape(
    num_layers=4,
    dim=32,
    num_heads=4,
    ffn_dim=48,
    conv_channels=(16, 16),
    conv_kernels=(10, 8),
    conv_strides=(5, 8),
    position_kernel=8,
    position_groups=4,
)
FAMILIES = {
    "wav2vec2-base": ("Wav2Vec2", SMALL),
    "wav2vec2-large": ("Wav2Vec2", {**SMALL, **LARGE}),
    "mms": ("Wav2Vec2", {**SMALL, **LARGE, "adapter_attn_dim": 6}),
    "hubert-base": ("Hubert", SMALL),
    "hubert-large": ("Hubert", {**SMALL, **LARGE}),
    "distilhubert": ("Hubert", {**SMALL, "feat_proj_layer_norm": False}),
    "wavlm-base": ("WavLM", {**SMALL, **WAVLM}),
    "wavlm-large": ("WavLM", {**SMALL, **LARGE, **WAVLM}),
    "unispeech": ("UniSpeech", {**SMALL, **LARGE}),
    "unispeech-sat": ("UniSpeechSat", SMALL),
    "data2vec-audio": ("Data2VecAudio", {**SMALL, "num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 5}),
    "wav2vec2-conformer": ("Wav2Vec2Conformer", {**SMALL, **CONFORMER, **LARGE, "hidden_act": "swish"}),
    "wav2vec2-conformer-rotary": ("Wav2Vec2Conformer", {**SMALL, **CONFORMER, "position_embeddings_type": "rotary"}),
    "w2v-bert": ("Wav2Vec2Bert", {**LAYERS, **CONFORMER, "feature_projection_input_dim": 160}),
}
THEIRS = ["wav2vec2-base", "wav2vec2-large", "hubert-base", "wavlm-base", "wavlm-large"]  # for what concerns few


def leaks(model: transformers.PreTrainedModel) -> bool:
    """Whether transformers lets padding into its frames: through GroupNorm, or convolutions over frames."""
    config = model.config
    kinds = ("data2vec-audio", "wav2vec2-conformer")
    return getattr(config, "feat_extract_norm", "layer") == "group" or config.model_type in kinds


def random_model(family: str, head: str = "ForCTC", **changes: object) -> transformers.PreTrainedModel:
    """A model of `family` with random weights, all norms and biases among them."""
    kind, settings = FAMILIES[family]
    torch.manual_seed(1)
    config = getattr(transformers, f"{kind}Config")(**{**settings, **changes})
    model = getattr(transformers, kind + head)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for name, buffer in model.named_buffers():
            if "running_" in name:
                buffer.add_(0.3 * torch.rand_like(buffer))
    return model


def extractor(family: str) -> transformers.FeatureExtractionMixin:
    if family == "w2v-bert":
        return transformers.SeamlessM4TFeatureExtractor()
    large = FAMILIES[family][1].get("feat_extract_norm") == "layer"
    return transformers.Wav2Vec2FeatureExtractor(do_normalize=large, return_attention_mask=True)


def write(folder: Path, family: str, head: str = "ForCTC", **changes: object) -> transformers.PreTrainedModel:
    """Saves a random model of `family` in `folder`, as transformers 4 did: an extractor's file, a vocabulary."""
    model = random_model(family, head, **changes)
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: row for row, token in enumerate(TOKENS)}))
    extractor(family).save_pretrained(folder)
    return model


@torch.no_grad()
def heard(folder: Path, model: transformers.PreTrainedModel, utterances: Sequence[Tensor]) -> list[Tensor]:
    """What transformers says of utterances, (frames, rows) logits each: of a padded batch, unless padding matters to
    it, and always through the feature extractor of the folder."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    batches = [[utterance] for utterance in utterances] if leaks(model) else [utterances]
    logits = []
    for batch in batches:
        given = [utterance.numpy() for utterance in batch]
        inputs = extractor(given, sampling_rate=extractor.sampling_rate, padding=True, return_tensors="pt")
        rows = model(**inputs).logits
        frames = inputs["attention_mask"].sum(-1)
        if "input_values" in inputs:
            frames = model._get_feat_extract_output_lengths(frames)
        logits += [row[:length] for row, length in zip(rows, frames, strict=True)]
    return logits
