"""Files that are damaged, incomplete or of another model: one line each; what is only unusual loads."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
from models.foundation.directories import extractor, heard, random_model, write
from models.foundation.test_parity import folded, log_probs, noise
from models.foundation.test_storage import edit, error_of
from models.foundation.test_vocabulary import USUAL, check_reads_alike, save

from fold.models import Foundation
from fold.models.foundation import Dropouts, Masking, Shape
from fold.models.foundation.families.w2v_bert import BertShape
from fold.models.foundation.files import Files

Rows = dict[str, object]
NORMAL: Rows = {token: row for row, token in enumerate([*USUAL, *"abc"])}
DAMAGED: dict[str, tuple[Rows, str]] = {
    "below 0": ({"c": -1}, "the row of 'c' is -1: expected a whole number, 0 or more"),
    "twice": ({"c": 5}, "'a' and 'c' are both row 5"),
    "a fraction": ({"c": 6.7}, "the row of 'c' is 6.7"),
    "a truth": ({"c": True}, "the row of 'c' is True"),
    "text": ({"c": "7"}, "the row of 'c' is '7'"),
    "a list": ({"c": [7]}, "the row of 'c' is [7]"),
}


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("file", ["vocab.json", "added_tokens.json"])
def test_each_token_has_a_row_of_its_own(kind: str, file: str, tmp_path: Path) -> None:
    changed, named = DAMAGED[kind]
    (tmp_path / "config.json").write_text(json.dumps({"pad_token_id": 0}))
    (tmp_path / "vocab.json").write_text(json.dumps({**NORMAL, **(changed if file == "vocab.json" else {})}))
    if file == "added_tokens.json":
        if kind == "twice":
            changed, named = {"d": 9, "e": 9}, "'d' and 'e' are both row 9"
        (tmp_path / file).write_text(json.dumps(changed))
    message = error_of(lambda: Files(tmp_path).vocabulary(None))
    assert f"{file}: {named}" in message


def test_a_row_beyond_the_vocabulary_is_beyond_the_head(tmp_path: Path) -> None:
    write(tmp_path, "wav2vec2-base")
    edit(tmp_path / "vocab.json", C=40)
    assert "its CTC head has 19 rows, but its vocabulary names row 40" in error_of(
        lambda: folded(Foundation(source=str(tmp_path)))
    )


def test_rows_of_the_vocabulary_come_before_those_added_for_another(tmp_path: Path) -> None:
    """As after `set_target_lang`: tokens of the first language are listed as added on rows that the other has."""
    french, english = [*USUAL, *"eta", "é"], [*USUAL, *"eta", "th"]
    both = {"eng": {t: r for r, t in enumerate(english)}, "fra": {t: r for r, t in enumerate(french)}}
    (tmp_path / "vocab.json").write_text(json.dumps(both))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(tmp_path / "vocab.json", target_lang="eng")
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"pad_token_id": 0, "vocab_size": 9}))
    tokenizer.set_target_lang("fra")
    vocabulary = Files(tmp_path).vocabulary("fra")
    assert vocabulary.units == (" ", *"eta", "é")
    check_reads_alike(vocabulary, tokenizer, "té a")
    assert Files(tmp_path).vocabulary("eng").units == (" ", *"eta", "th")


def test_a_delimiter_that_is_listed_as_a_space_too(tmp_path: Path) -> None:
    save(tmp_path, [*USUAL, *"ab"], {})
    edit(tmp_path / "vocab.json", **{" ": 4})
    assert Files(tmp_path).vocabulary(None).units == (" ", "a", "b")


def test_the_blank_is_no_guess_without_files_of_the_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "|": 2, "[UNK]": 3, "[PAD]": 4}))
    (tmp_path / "config.json").write_text("{}")
    message = error_of(lambda: Files(tmp_path).vocabulary(None))
    assert "config.json: gives no pad_token_id, and vocab.json has no '<pad>'" in message
    edit(tmp_path / "config.json", pad_token_id=True)
    assert "pad_token_id is True: expected the row of CTC's blank" in error_of(lambda: Files(tmp_path).vocabulary(None))
    edit(tmp_path / "config.json", pad_token_id=4)
    assert Files(tmp_path).vocabulary(None).blank == 4
    (tmp_path / "vocab.json").write_text(json.dumps(NORMAL))
    edit(tmp_path / "config.json", pad_token_id=...)
    assert Files(tmp_path).vocabulary(None).blank == 0  # transformers' own, by its usual name


@pytest.mark.parametrize("name", ["additional_special_tokens", "extra_special_tokens"])
@pytest.mark.parametrize(
    "listed", [["<noise>"], [{"__type": "AddedToken", "content": "<noise>"}], {"noise_token": "<noise>"}]
)
def test_further_special_tokens_are_no_text(name: str, listed: object, tmp_path: Path) -> None:
    save(tmp_path, [*USUAL, *"ab", "<noise>"], {})
    edit(tmp_path / "tokenizer_config.json", added_tokens_decoder=..., **{name: listed})
    tokenizer = transformers.Wav2Vec2CTCTokenizer.from_pretrained(tmp_path)
    special = {*tokenizer.all_special_tokens, *tokenizer.extra_special_tokens}
    assert name == "additional_special_tokens" or "<noise>" in special
    assert Files(tmp_path).vocabulary(None).units == (" ", "a", "b")


Damage = Callable[[Path], object]


def config(**changes: object) -> Damage:
    """Other values in config.json."""
    return lambda directory: edit(directory / "config.json", **changes)


QUERIES = "wav2vec2.encoder.layers.1.attention.q_proj.weight"


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Damage:
    """Other weights in model.safetensors."""

    def damage(directory: Path) -> None:
        file = directory / "model.safetensors"
        held = safetensors.torch.load_file(file)
        change(held)
        safetensors.torch.save_file(held, file, metadata={"format": "pt"})

    return damage


FAULTS: dict[str, tuple[str, Damage, str]] = {
    "no features": (
        "wav2vec2-base",
        config(hidden_size=0),
        "config.json: hidden_size is 0: expected a whole number, 1 or more",
    ),
    "no heads": (
        "wavlm-base",
        config(num_attention_heads=0),
        "config.json: num_attention_heads is 0",
    ),
    "no heads of a w2v-BERT": (
        "w2v-bert",
        config(num_attention_heads=0),
        "config.json: num_attention_heads is 0",
    ),
    "layers as text": (
        "data2vec-audio",
        config(num_hidden_layers="3"),
        "config.json: num_hidden_layers is '3'",
    ),
    "one number for several": (
        "hubert-base",
        config(conv_dim=16),
        "config.json: conv_dim is 16: expected a list, each a whole number, 1 or more",
    ),
    "another norm": (
        "hubert-base",
        config(feat_extract_norm="batch"),
        "feat_extract_norm is 'batch': expected 'group' or 'layer'",
    ),
    "an adapter of text": (
        "mms",
        config(adapter_attn_dim="6"),
        "adapter_attn_dim is '6': expected a whole number, 1 or more or null",
    ),
    "another kind of bias": (
        "wav2vec2-large",
        config(conv_bias="no"),
        "conv_bias is 'no': expected true or false",
    ),
    "normalised or not": (
        "wav2vec2-base",
        lambda d: edit(d / "preprocessor_config.json", do_normalize="no"),
        "preprocessor_config.json: do_normalize is 'no': expected true or false",
    ),
    "no rate": (
        "wav2vec2-base",
        lambda d: edit(d / "preprocessor_config.json", sampling_rate=None),
        "preprocessor_config.json: sampling_rate is None",
    ),
    "no dropout": (
        "wav2vec2-base",
        config(hidden_dropout="0.1"),
        "config.json: hidden_dropout is '0.1': expected a number, 0 or more",
    ),
    "no span": (
        "wav2vec2-base",
        config(mask_time_length=0),
        "config.json: mask_time_length is 0: expected a whole number, 1 or more",
    ),
    "ears of another model": (
        "w2v-bert",
        lambda d: extractor("wav2vec2-base").save_pretrained(d),
        "through a SeamlessM4TFeatureExtractor, but the feature extractor beside it is a Wav2Vec2FeatureExtractor",
    ),
    "mels for a waveform": (
        "wav2vec2-base",
        lambda d: extractor("w2v-bert").save_pretrained(d),
        "hears through a Wav2Vec2FeatureExtractor",
    ),
    "an activation that nobody has": (
        "wav2vec2-conformer",
        config(hidden_act="gelo"),
        "config.json: activation (hidden_act) is 'gelo': expected one of gelu, ",
    ),
    "the same of mels": ("w2v-bert", config(hidden_act="gelo"), "config.json: activation (hidden_act) is 'gelo'"),
    "odd pairs": (
        "wav2vec2-conformer-rotary",
        config(hidden_size=36, num_attention_heads=4),
        "config.json: dim is 36: with rotary positions each of 4 heads needs an even share of it",
    ),
    "all is dropped": ("wav2vec2-base", config(hidden_dropout=1.5), "dropouts.hidden is 1.5: expected a share"),
    "more is masked than there is": (
        "wav2vec2-base",
        config(mask_time_prob=2.5),
        "config.json: model.network.masking.time_share is 2.5: expected a share, 0 to 1",
    ),
    "a space of nothing": (
        "wav2vec2-base",
        lambda d: (d / "tokenizer_config.json").write_text(json.dumps({"replace_word_delimiter_char": None})),
        "tokenizer_config.json: replace_word_delimiter_char is None: expected a name",
    ),
    "a folder for a file": (
        "wav2vec2-base",
        lambda d: [(d / "model.safetensors").unlink(), (d / "model.safetensors").mkdir()],
        "model.safetensors: cannot be read as weights",
    ),
    "a folder for settings": (
        "wav2vec2-base",
        lambda d: [(d / "vocab.json").unlink(), (d / "vocab.json").mkdir()],
        "vocab.json: not JSON",
    ),
    "a narrow head": (
        "wav2vec2-base",
        weights(lambda held: held.update({"lm_head.weight": held["lm_head.weight"][:, :5].clone()})),
        "its CTC head has weights [19, 5] and biases [19]: expected [rows, 32] and [rows]",
    ),
    "a short bias": (
        "wav2vec2-base",
        weights(lambda held: held.update({"lm_head.bias": held["lm_head.bias"][:5].clone()})),
        "its CTC head has weights [19, 32] and biases [5]",
    ),
    "a quantised layer": (
        "wav2vec2-base",
        weights(lambda held: held.update({QUERIES: held[QUERIES].mul(100).to(torch.int8)})),
        "q_proj.weight is int8: quantised weights are not read",
    ),
    "a quantised head": (
        "wav2vec2-base",
        weights(lambda held: held.update({"lm_head.weight": held["lm_head.weight"].to(torch.float8_e4m3fn)})),
        "lm_head.weight is float8_e4m3fn: quantised weights are not read",
    ),
    "no number": (
        "wav2vec2-base",
        weights(lambda held: held[QUERIES][0].fill_(float("nan"))),
        "q_proj.weight holds NaN or infinity",
    ),
    "infinity": (
        "wav2vec2-base",
        weights(lambda held: held["lm_head.bias"][3:4].fill_(float("inf"))),
        "lm_head.bias holds NaN or infinity",
    ),
    "BatchNorm in the positions": (
        "hubert-base",
        config(conv_pos_batch_norm=True),
        "config.json: conv_pos_batch_norm is True; only False can be folded",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_files_that_do_not_describe_a_model_are_one_line(fault: str, tmp_path: Path) -> None:
    family, damage, named = FAULTS[fault]
    write(tmp_path, family)
    damage(tmp_path)
    message = error_of(lambda: folded(Foundation(source=str(tmp_path))))
    assert named in message and str(tmp_path) in message


def test_settings_of_a_model_of_its_own_are_checked_alike() -> None:
    assert "masking.time_span is 0: expected a number, 1 or more" in error_of(lambda: Masking(time_span=0))
    assert "dropouts.ffn is -0.1: expected a share" in error_of(lambda: Dropouts(ffn=-0.1))
    heard_at_16 = Foundation(shape=BertShape(num_layers=1, dim=32, num_heads=4, ffn_dim=48, kernel_size=5))
    message = error_of(lambda: heard_at_16.build(5, 8000))
    assert "shape.sample_rate is 16000, but the audio has 8000 Hz" in message
    unheard = Foundation(shape=BertShape(num_layers=1, dim=32, num_heads=4, activation="gelo"))
    assert "is 'gelo': expected one of" in error_of(lambda: unheard.build(5, 16000))


def test_a_shape_without_heads_or_features_is_one_line() -> None:
    assert "num_heads (0)" in error_of(lambda: Shape(num_heads=0))
    assert "dim is 0" in error_of(lambda: Shape(dim=0))


def test_a_language_of_a_source_that_has_one_is_refused() -> None:
    message = error_of(lambda: Foundation(source="WAV2VEC2_ASR_BASE_100H", language="fra"))
    assert "source WAV2VEC2_ASR_BASE_100H: has one language" in message and "network.language" in message


@pytest.mark.parametrize("head", ["ForXVector", "ForSequenceClassification", "ForAudioFrameClassification"])
@pytest.mark.parametrize("stored", ["whole", "shards"])
def test_other_heads_are_left_out(head: str, stored: str, tmp_path: Path) -> None:
    """Also that of an x-vector, which goes by the name of the convolutions on the waveform."""
    original = write(tmp_path, "wav2vec2-base", head)
    if stored == "shards":
        (tmp_path / "model.safetensors").unlink()
        original.save_pretrained(tmp_path, max_shard_size="20KB")
    network = Foundation(source=str(tmp_path))
    assert network.vocabulary is None
    model = folded(network)
    reference = random_model("wav2vec2-base")  # with the CTC head that the folded model got
    reference.wav2vec2 = original.wav2vec2
    with torch.no_grad():
        reference.lm_head = model.ctc_head
    waveforms, num_samples = noise(4001)
    [expected] = heard(tmp_path, reference, [waveforms[0]])
    [got] = log_probs(model, waveforms, num_samples)
    assert (got - expected.log_softmax(-1)).abs().max() < 1e-5
