"""Sources as hubs and people store them: shards, pointers of git-lfs, hub ids, files of settings, adapters."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import torch
import transformers
from models.foundation.directories import SMALL, TOKENS, heard, random_model, write
from models.foundation.test_parity import CORPUS, folded, log_probs, noise

from fold.errors import FoldError
from fold.models import Foundation
from fold.models.foundation import Dropouts, Masking
from fold.text.units import CharUnits

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def edit(file: Path, **changes: object) -> None:
    """Changes settings in a file; those that are `...` are taken out."""
    values = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({name: value for name, value in values.items() if value is not ...}))


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(FoldError) as raised:
        call()
    message = str(raised.value)
    assert "\n" not in message and len(message) < 450
    return message


def test_settings_where_transformers_5_keeps_them(tmp_path: Path) -> None:
    write(tmp_path, "wav2vec2-base")
    (tmp_path / "preprocessor_config.json").unlink()
    hearing = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, sampling_rate=8000)
    tokenizer = transformers.Wav2Vec2CTCTokenizer(tmp_path / "vocab.json")
    transformers.Wav2Vec2Processor(hearing, tokenizer).save_pretrained(tmp_path)
    assert (tmp_path / "processor_config.json").exists() and not (tmp_path / "preprocessor_config.json").exists()
    network = Foundation(source=str(tmp_path))
    assert network.shape.normalise
    assert "takes audio at 8000 Hz" in error_of(lambda: network.load_pretrained(network.build(18, 16000), 16000))


def test_what_the_extractor_does_where_its_file_does_not_say(tmp_path: Path) -> None:
    write(tmp_path, "wav2vec2-base")
    edit(tmp_path / "preprocessor_config.json", do_normalize=...)
    theirs = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    assert Foundation(source=str(tmp_path)).shape.normalise == theirs.do_normalize is True


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_weights_in_shards(kind: str, tmp_path: Path) -> None:
    original = write(tmp_path, "wav2vec2-large")
    expected = folded(Foundation(source=str(tmp_path))).state_dict()
    (tmp_path / "model.safetensors").unlink()
    original.save_pretrained(tmp_path, max_shard_size="20KB")
    index = tmp_path / "model.safetensors.index.json"
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 3 and index.exists()
    if kind == "bin":  # which transformers wrote until version 4
        for shard in shards:
            torch.save(safetensors.torch.load_file(shard), shard.with_suffix(".bin"))
            shard.unlink()
        listed = json.loads(index.read_text())
        listed["weight_map"] = {n: Path(s).with_suffix(".bin").name for n, s in listed["weight_map"].items()}
        (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(listed))
        index.unlink()
        shards = [shard.with_suffix(".bin") for shard in shards]
    got = folded(Foundation(source=str(tmp_path))).state_dict()
    assert all(torch.equal(got[name], expected[name]) for name in expected)
    shards[1].unlink()
    message = error_of(lambda: folded(Foundation(source=str(tmp_path))))
    assert f"lists {shards[1].name}, which is missing" in message and f"1 of {len(shards)} shards" in message


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.json", "config.json"])
def test_a_pointer_of_git_lfs_is_told_from_the_file(name: str, tmp_path: Path) -> None:
    write(tmp_path, "wav2vec2-base")
    (tmp_path / name).write_text(POINTER)
    message = error_of(lambda: folded(Foundation(source=str(tmp_path))))
    assert name in message and "git lfs pull" in message


def test_an_id_of_a_hub_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = error_of(lambda: Foundation(source="nobody/of-that-name"))
    assert "hf download nobody/of-that-name --local-dir FOLDER" in message and "source=FOLDER" in message


@pytest.mark.parametrize("head", ["ForCTC", "Model", "ForPreTraining"])
def test_an_id_of_a_hub_is_fetched(head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "hub", "wav2vec2-base", head)
    (tmp_path / "hub" / "pytorch_model.bin").write_bytes(b"the same again")
    cache = tmp_path / "cache"
    cache.mkdir()

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        for file in (tmp_path / "hub").iterdir():
            if any(file.match(pattern) for pattern in allow_patterns):
                shutil.copy(file, cache)
        return str(cache)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda name: [f.name for f in (tmp_path / "hub").iterdir()])
    network = Foundation(source="somebody/something")
    if head == "ForCTC":  # shape and vocabulary need small files alone
        assert network.vocabulary is not None and not (cache / "model.safetensors").exists()
    else:
        assert network.vocabulary is None
    network.fetch()
    assert {file.name for file in cache.iterdir()} >= {"model.safetensors"}
    assert not (cache / "pytorch_model.bin").exists()
    expected = folded(Foundation(source=str(tmp_path / "hub"))).state_dict()
    got = folded(network).state_dict()
    kept = [name for name in expected if head == "ForCTC" or not name.startswith("ctc_head")]  # another is random
    assert all(torch.equal(got[name], expected[name]) for name in kept)


def test_a_new_head_needs_no_vocabulary(tmp_path: Path) -> None:
    write(tmp_path, "wav2vec2-base")
    (tmp_path / "vocab.json").unlink()
    network = Foundation(source=str(tmp_path), keep_head=False)
    assert network.units(CORPUS) is CORPUS
    assert folded(network).ctc_head.out_features == len(CORPUS)


@pytest.mark.parametrize("architectures", [..., None, []])
def test_a_head_is_seen_without_the_name_of_its_class(architectures: object, tmp_path: Path) -> None:
    write(tmp_path / "ctc", "wav2vec2-base")
    write(tmp_path / "plain", "wav2vec2-base", "Model")
    for folder, expected in (("ctc", len(TOKENS) - 4), ("plain", None)):
        edit(tmp_path / folder / "config.json", architectures=architectures)
        vocabulary = Foundation(source=str(tmp_path / folder)).vocabulary
        assert (vocabulary and len(vocabulary)) == expected


def test_weights_of_a_part_that_cannot_be_folded_are_no_silent_loss(tmp_path: Path) -> None:
    write(tmp_path, "mms")
    edit(tmp_path / "config.json", adapter_attn_dim=None)
    message = error_of(lambda: folded(Foundation(source=str(tmp_path))))
    assert "does not fit the configuration: Unexpected" in message and "adapter_layer" in message


FINE_TUNED = [*"etaoni", "|", "[UNK]", "[PAD]"]


def write_fine_tuned(folder: Path, layout: str, *added: str) -> transformers.PreTrainedModel:
    """A model as most in hubs are fine-tuned: `<s>` and `</s>` were added to the tokenizer, and have no row in the
    head. layout: the file that lists them; added: further tokens."""
    original = write(folder, "wav2vec2-base", vocab_size=len(FINE_TUNED), pad_token_id=len(FINE_TUNED) - 1)
    (folder / "vocab.json").write_text(json.dumps({token: row for row, token in enumerate(FINE_TUNED)}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(folder / "vocab.json", unk_token="[UNK]", pad_token="[PAD]")
    tokenizer.add_tokens(list(added))
    tokenizer.save_pretrained(folder)
    late = {token: row for token, row in tokenizer.get_vocab().items() if token not in FINE_TUNED}
    assert min(late.values()) == len(FINE_TUNED) and late.keys() == {"<s>", "</s>", *added}
    if layout == "added_tokens.json":  # transformers 4, at first
        edit(folder / "tokenizer_config.json", added_tokens_decoder=...)
        (folder / layout).write_text(json.dumps(late))
    return original


@pytest.mark.parametrize("layout", ["added_tokens.json", "added_tokens_decoder"])
def test_tokens_added_after_training_have_no_row(layout: str, tmp_path: Path) -> None:
    original = write_fine_tuned(tmp_path, layout)
    network = Foundation(source=str(tmp_path))
    assert network.vocabulary == (*FINE_TUNED[:6], " ")
    waveforms, num_samples = noise(4001, 2713)
    utterances = [row[:length] for row, length in zip(waveforms, num_samples, strict=True)]
    order = [8, 7, *range(7)]
    model = folded(network)
    for ours, logits in zip(
        log_probs(model, waveforms, num_samples), heard(tmp_path, original, utterances), strict=True
    ):
        assert (ours[:, :-1] - logits[:, order].log_softmax(-1)).abs().max() < 1e-5
        assert ours[:, -1].max() < -20  # the end, which the head has no row for


def test_a_unit_or_blank_beyond_the_head_is_refused(tmp_path: Path) -> None:
    write_fine_tuned(tmp_path, "added_tokens_decoder", "ch")
    message = error_of(lambda: folded(Foundation(source=str(tmp_path))))
    assert "its CTC head has 9 rows, but its vocabulary names row 11" in message and "model.safetensors" in message


def test_a_delimiter_that_only_the_tokenizer_has_has_no_row(tmp_path: Path) -> None:
    """As in languages that set no words apart: transformers adds its delimiter to the tokens."""
    tokens = ["<pad>", "<s>", "</s>", "<unk>", *"etaoni"]
    original = write(tmp_path, "wav2vec2-large", vocab_size=len(tokens))
    (tmp_path / "vocab.json").write_text(json.dumps({token: row for row, token in enumerate(tokens)}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(tmp_path / "vocab.json")
    tokenizer.save_pretrained(tmp_path)
    assert tokenizer.get_vocab()["|"] == len(tokens)
    network = Foundation(source=str(tmp_path))
    assert network.vocabulary == tuple("etaoni")
    waveforms, num_samples = noise(4001)
    [ours] = log_probs(folded(network, CharUnits("eta")), waveforms, num_samples)
    [logits] = heard(tmp_path, original, [waveforms[0]])
    order = [0, 3, *range(4, 10), 2]
    assert (ours - logits[:, order].log_softmax(-1)).abs().max() < 1e-5


ADAPTER_FILES = {".safetensors": safetensors.torch.save_file, ".bin": torch.save}


@pytest.mark.parametrize("ending", ADAPTER_FILES)
def test_one_language_of_several(ending: str, tmp_path: Path) -> None:
    write(tmp_path, "mms")
    # More rows than config.json tells of, which is of another language: the last is the unknown token.
    french = ["<pad>", "<s>", "</s>", "|", *"eta", "é", "ç", *"bcdfghijklmno", "<unk>"]
    both = {"eng": {t: row for row, t in enumerate(TOKENS)}, "fra": {t: row for row, t in enumerate(french)}}
    (tmp_path / "vocab.json").write_text(json.dumps(both))
    transformers.Wav2Vec2CTCTokenizer(tmp_path / "vocab.json", target_lang="eng").save_pretrained(tmp_path)
    other = random_model("mms", vocab_size=len(french))
    with torch.no_grad():
        for weight in other.parameters():
            weight.mul_(1.1)
    adapter = {name: weight.detach() for name, weight in other._get_adapters().items()}
    ADAPTER_FILES[ending](adapter, tmp_path / f"adapter.fra{ending}")

    waveforms, num_samples = noise(4001, 2713)
    utterances = [row[:length] for row, length in zip(waveforms, num_samples, strict=True)]
    for language, listed in (("eng", TOKENS), ("fra", french), (None, TOKENS)):
        network = Foundation(source=str(tmp_path), language=language)
        text = [row for row, token in enumerate(listed) if token not in ("<pad>", "<unk>", "<s>", "</s>")]
        order = [listed.index("<pad>"), listed.index("<unk>"), *text, listed.index("</s>")]
        settings = {"target_lang": language} if language == "fra" else {}
        theirs = transformers.Wav2Vec2ForCTC.from_pretrained(tmp_path, ignore_mismatched_sizes=True, **settings).eval()
        got = log_probs(folded(network), waveforms, num_samples)
        for ours, logits in zip(got, heard(tmp_path, theirs, utterances), strict=True):
            assert (ours - logits[:, order].log_softmax(-1)).abs().max() < 1e-5
    assert Foundation(source=str(tmp_path), language="fra").vocabulary == (" ", *"eta", "é", "ç", *french[9:-1])
    message = error_of(lambda: Foundation(source=str(tmp_path), language="deu"))
    assert "no language 'deu'; --model.network.language takes eng, fra" in message
    message = error_of(lambda: folded(Foundation(source=str(tmp_path), language="deu", keep_head=False)))
    assert "holds no adapter.deu.safetensors; languages: fra" in message


def test_a_nested_vocabulary_without_a_default_language_asks_for_one(tmp_path: Path) -> None:
    write(tmp_path, "wav2vec2-base")
    rows = {token: row for row, token in enumerate(TOKENS)}
    (tmp_path / "vocab.json").write_text(json.dumps({"eng": rows, "fra": rows}))
    message = error_of(lambda: Foundation(source=str(tmp_path)))
    assert "vocab.json: has several languages; --model.network.language takes eng, fra" in message
    (tmp_path / "vocab.json").write_text(json.dumps({"eng": rows}))
    assert len(Foundation(source=str(tmp_path)).vocabulary) == len(TOKENS) - 4
    (tmp_path / "vocab.json").write_text(json.dumps({**rows, "[eng]": rows}))
    assert "vocab.json" in error_of(lambda: Foundation(source=str(tmp_path)))


def test_dropout_and_masking_are_the_sources_unless_given(tmp_path: Path) -> None:
    drops = {"hidden_dropout": 0.21, "attention_dropout": 0.22, "activation_dropout": 0.23}
    drops |= {"feat_proj_dropout": 0.24, "final_dropout": 0.25}
    masks = {"mask_time_prob": 0.31, "mask_time_length": 7, "mask_feature_prob": 0.32, "mask_feature_length": 9}
    write(tmp_path, "wav2vec2-base", **drops, **masks)
    network = Foundation(source=str(tmp_path))
    assert network.dropouts == Dropouts(0.21, 0.22, 0.23, 0.24, 0.25, 0.1)
    assert network.masking == Masking(0.31, 7, 0.32, 9)
    other = Foundation(source=str(tmp_path), dropouts=Dropouts(hidden=0.0), masking=Masking(time_share=0.5))
    assert other.dropouts == Dropouts(0.0, 0.22, 0.23, 0.24, 0.25, 0.1)
    assert other.masking == Masking(0.5, 7, 0.32, 9)
    model = folded(other)
    assert model.unfolding.layers[0].block.attention.dropout == 0.22 and model.final_norm[1].p == 0.25
    edit(tmp_path / "config.json", apply_spec_augment=False)
    assert Foundation(source=str(tmp_path)).masking.time_share == 0.0


def test_a_source_without_a_vector_for_masked_frames_says_so(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write(tmp_path, "wav2vec2-base", mask_time_prob=0.0)  # for which transformers makes none
    Foundation(source=str(tmp_path)).fetch()
    assert "holds no vector for masked frames; it starts from random numbers" in capsys.readouterr().out
    write(tmp_path, "wav2vec2-base")
    Foundation(source=str(tmp_path)).fetch()
    Foundation(source=str(tmp_path), masking=None).fetch()
    assert capsys.readouterr().out == ""


PEAK = """
import sys, threading, time
from fold.models import Foundation
from fold.text.units import CharUnits
network = Foundation(source=sys.argv[1])
def anonymous():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("RssAnon")) * 1024
most, ended = [0], threading.Event()
def watch():
    while not ended.is_set():
        most[0] = max(most[0], anonymous())
        time.sleep(0.001)
start = anonymous()
threading.Thread(target=watch).start()
model = network.build(len(network.units(CharUnits("eta "))), 16000)
network.load_pretrained(model, 16000)
ended.set()
print(most[0] - start)
"""


def test_loading_takes_little_more_memory_than_the_model(tmp_path: Path) -> None:
    """What several processes cannot share; the pages of the file they can."""
    wide = {"hidden_size": 512, "intermediate_size": 4096, "num_hidden_layers": 2, "num_conv_pos_embedding_groups": 16}
    write(tmp_path, "wav2vec2-large", **{**SMALL, **wide})
    size = (tmp_path / "model.safetensors").stat().st_size
    assert size > 40e6
    done = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1.3 * size
