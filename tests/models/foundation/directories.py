"""Small Hugging Face directories with random weights, written by transformers itself."""

import json
from pathlib import Path

import torch
import transformers

from fold.models.foundation import Shape

TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUBC"]
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [16, 16, 16],
    "conv_kernel": [10, 3, 2],
    "conv_stride": [5, 2, 2],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": len(TOKENS),
    "pad_token_id": 0,
    "attn_implementation": "eager",
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
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
    "wav2vec2-base": ("Wav2Vec2", {}),
    "wav2vec2-large": ("Wav2Vec2", LARGE),
    "hubert-base": ("Hubert", {}),
    "hubert-large": ("Hubert", LARGE),
    "wavlm-base": ("WavLM", {"num_buckets": 16, "max_bucket_distance": 40}),
    "wavlm-large": ("WavLM", {**LARGE, "num_buckets": 16, "max_bucket_distance": 40}),
}


def write(folder: Path, family: str, head: str = "ForCTC", **changes: object) -> transformers.PreTrainedModel:
    """A model of `family` with random weights, all norms and biases among them, saved in `folder`."""
    kind, settings = FAMILIES[family]
    torch.manual_seed(1)
    config = getattr(transformers, f"{kind}Config")(**{**SMALL, **settings, **changes})
    model = getattr(transformers, kind + head)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: row for row, token in enumerate(TOKENS)}))
    large = settings.get("feat_extract_norm") == "layer"
    processor = transformers.Wav2Vec2FeatureExtractor(do_normalize=large, return_attention_mask=large)
    processor.save_pretrained(folder)
    return model
