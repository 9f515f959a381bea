"""Hugging Face directories: what is read, what is refused, and what is written back."""

import dataclasses
import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
from conftest import Finished
from models.foundation.directories import FAMILIES, SHAPE, TOKENS, heard, leaks, write
from models.foundation.test_parity import CORPUS, folded, noise
from models.foundation.test_vocabulary import check_reads_alike, check_says_alike

from fold.checkpoint import KEY, PREFIX, Description, load
from fold.decoding.decode import Trial, transcribe
from fold.errors import FoldError
from fold.export.huggingface import unlike_theirs, write_directory
from fold.models import Foundation
from fold.models.foundation.families.data2vec import Data2VecShape
from fold.models.foundation.families.w2v_bert import BertShape
from fold.models.foundation.files import Files
from fold.models.foundation.shape import AnyShape
from fold.paths import PathSpace
from fold.text.units import CharUnits

BERT = BertShape(num_layers=2, dim=32, num_heads=4, ffn_dim=48, kernel_size=5)


def describe(network: Foundation, space: PathSpace) -> Description:
    return Description(network, space, network.units(CORPUS), 16000, shards="nowhere")


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_transcribes_alike(family: str, tmp_path: Path) -> None:
    """Its pipeline and its processor, on utterances of several lengths, loud and quiet."""
    write(tmp_path / "original", family)
    network = Foundation(source=str(tmp_path / "original"))
    model, description = folded(network), describe(network, PathSpace(3, 1))
    with torch.no_grad():
        model.ctc_head.bias[1] += 0.5
        model.ctc_head.bias[-1] = -30.0  # an end, which training never asks for, is written out there
    folder, path = tmp_path / "written", PathSpace(3, 1).seed
    write_directory(folder, model, description, path)
    waveforms, num_samples = noise(6001, 4161, 2873)  # of an even number of frames of 10 ms, which w2v-BERT pairs
    waveforms[1] *= 0.03
    [expected] = transcribe(model, description.units, waveforms, num_samples, [Trial(path)])
    assert len(set(expected)) == 3 and min(map(len, expected)) > 3

    utterances = [row[:length].numpy() for row, length in zip(waveforms, num_samples, strict=True)]
    theirs = transformers.AutoModelForCTC.from_pretrained(folder).eval()
    together = 1 if leaks(theirs) else len(utterances)
    pipeline = transformers.pipeline("automatic-speech-recognition", model=str(folder))
    assert [said["text"] for said in pipeline(list(utterances))] == expected
    said_together = [said["text"] for said in pipeline(list(utterances), batch_size=together)]
    # The pipeline also reads out what the head says of padding, which is blank once it is trained.
    assert all(said.startswith(text[:-1]) for said, text in zip(said_together, expected, strict=True))
    processor = transformers.AutoProcessor.from_pretrained(folder)
    texts = []
    for first in range(0, len(utterances), together):
        batch = utterances[first : first + together]
        inputs = processor(batch, sampling_rate=16000, padding=True, return_tensors="pt")
        assert "attention_mask" in inputs
        with torch.no_grad():
            rows = theirs(**inputs).logits.argmax(-1)
        mask = theirs._get_feature_vector_attention_mask(rows.shape[1], inputs["attention_mask"])
        texts += processor.batch_decode(rows.masked_fill(~mask.bool(), 0))
    assert texts == expected


LARGE_SHAPE = dataclasses.replace(SHAPE, conv_norm="layer", conv_bias=True, pre_norm=True, normalise=True)
OWN_SHAPES: dict[str, AnyShape] = {
    "large": LARGE_SHAPE,
    "small, normalised": dataclasses.replace(SHAPE, normalise=True),
    "adapters": dataclasses.replace(LARGE_SHAPE, family="hubert", adapter_dim=6),
    "no norm of features": dataclasses.replace(SHAPE, family="hubert", projection_norm=False),
    "wavlm": dataclasses.replace(LARGE_SHAPE, family="wavlm", num_buckets=16, max_distance=40),
    "w2v-BERT": BERT,
    "w2v-BERT at 8 kHz": dataclasses.replace(BERT, sample_rate=8000, num_mels=40, activation="relu"),
}


@pytest.mark.parametrize("name", OWN_SHAPES)
def test_a_shape_of_ones_own_is_heard_alike_there(name: str, tmp_path: Path) -> None:
    shape = OWN_SHAPES[name]
    rate = getattr(shape, "sample_rate", 16000)
    network = Foundation(shape=shape, masking=None)
    torch.manual_seed(1)
    model = network.build(len(CORPUS), rate).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    path = PathSpace(shape.num_layers, 1).seed
    description = Description(network, PathSpace(shape.num_layers, 1), CORPUS, rate, shards="nowhere")
    write_directory(tmp_path, model, description, path)
    assert unlike_theirs(description) == []
    theirs = transformers.AutoModelForCTC.from_pretrained(tmp_path).eval()
    for loudness in (1.0, 0.03, 0.01):
        waveforms, num_samples = noise(4161)
        waveforms *= loudness
        with torch.no_grad():
            [output] = model(waveforms, num_samples, [path])
        [logits] = heard(tmp_path, theirs, list(waveforms))
        assert (output.ctc_log_probs[0] - logits.log_softmax(-1)).abs().max() < 1e-5


UNTOLD: dict[str, tuple[AnyShape, str]] = {
    "projection norm": (dataclasses.replace(SHAPE, projection_norm=False), "projection_norm is False"),
    "adapters": (dataclasses.replace(LARGE_SHAPE, family="wavlm", adapter_dim=6), "adapter_dim is 6"),
    "norms": (Data2VecShape(num_layers=1, dim=32, num_heads=4, position_groups=4, pre_norm=True), "pre_norm is True"),
}


@pytest.mark.parametrize("kind", UNTOLD)
def test_what_transformers_would_ignore_is_not_written(kind: str, tmp_path: Path) -> None:
    shape, named = UNTOLD[kind]
    network = Foundation(shape=shape, masking=None)
    space = PathSpace(shape.num_layers, 1)
    description = Description(network, space, CORPUS, 16000, shards="nowhere")
    with pytest.raises(FoldError, match=rf"export: {named}, but transformers' \w+ only knows"):
        write_directory(tmp_path / "out", network.build(len(CORPUS), 16000), description, space.seed)
    assert not (tmp_path / "out").exists()


def test_what_transformers_does_otherwise_is_told() -> None:
    network = Foundation(shape=dataclasses.replace(LARGE_SHAPE, epsilon=1e-5))
    units = CharUnits(["t", "tʃ"], separator="-")
    told = unlike_theirs(Description(network, PathSpace(4, 1), units, 16000, shards="nowhere"))
    assert len(told) == 2
    assert "normalised with 1e-05" in told[0] and "1e-07" in told[0]
    assert "spaces between them, not '-'" in told[1]


@pytest.mark.parametrize(
    ("characters", "text"),
    [
        (" ab|", "a|b ba|"),
        (["a", "b", "tʃ", " "], "atʃa b"),
        (" aé⁇<", "a< é"),
        ("ab", "abba"),
        (["<pad>", "</s>", "<</s>>", "<unk>", "⁇", " ", "a"], "a <pad>⁇ </s>"),  # of a head that has others for these
    ],
)
def test_any_vocabulary_survives(characters: Sequence[str], text: str, tmp_path: Path) -> None:
    units = CharUnits(characters)
    network = Foundation(shape=SHAPE)
    description = Description(network, PathSpace(4, 1), units, 16000, shards="nowhere")
    write_directory(tmp_path, network.build(len(units), 16000), description, PathSpace(4, 1).seed)
    tokenizer = transformers.AutoProcessor.from_pretrained(tmp_path).tokenizer
    # transformers 5 reads a space as the delimiter it knows, whatever the settings say, and loses it beside long tokens
    if "|" in characters or "<pad>" in characters:
        check_says_alike(Files(tmp_path).vocabulary(None), tokenizer)
    else:
        check_reads_alike(Files(tmp_path).vocabulary(None), tokenizer, text)
    if " " in characters:
        separated = [row for unit in units.encode(f" {text} ") for row in (unit, units.blank)]
        assert tokenizer.decode(separated) == units.decode(units.encode(f" {text} ")) == text
    assert Foundation(source=str(tmp_path)).vocabulary == tuple(characters)


def test_phonemes_survive(tmp_path: Path) -> None:
    units = CharUnits(["t", "tʃ", "eʊ"], separator=" ")
    network = Foundation(shape=SHAPE)
    description = Description(network, PathSpace(4, 1), units, 16000, shards="nowhere")
    write_directory(tmp_path, network.build(len(units), 16000), description, PathSpace(4, 1).seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    check_reads_alike(Files(tmp_path).vocabulary(None), tokenizer, "tʃ eʊ t")


@pytest.mark.parametrize("head", ["Model", "ForPreTraining"])
def test_models_without_a_ctc_head(head: str, tmp_path: Path) -> None:
    write(tmp_path, "wav2vec2-base", head)
    network = Foundation(source=str(tmp_path), num_layers=2)
    assert network.vocabulary is None and network.units(CORPUS) is CORPUS
    model = folded(network)
    assert model.ctc_head.out_features == len(CORPUS)
    kept = safetensors.torch.load_file(tmp_path / "model.safetensors")
    [embedding] = [weight for name, weight in kept.items() if name.endswith("masked_spec_embed")]
    assert torch.equal(model.stem.mask.embedding, embedding)


@pytest.mark.parametrize("weight_norm", ["new", "old"])
def test_pickled_weights_are_read_without_executing_them(weight_norm: str, tmp_path: Path) -> None:
    write(tmp_path, "hubert-base")
    expected = folded(Foundation(source=str(tmp_path))).state_dict()
    weights = safetensors.torch.load_file(tmp_path / "model.safetensors")
    if weight_norm == "old":  # as transformers wrote them for years
        for new, old in (
            ("parametrizations.weight.original0", "weight_g"),
            ("parametrizations.weight.original1", "weight_v"),
        ):
            weights = {name.replace(new, old): weight for name, weight in weights.items()}
    (tmp_path / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    got = folded(Foundation(source=str(tmp_path))).state_dict()
    assert all(torch.equal(got[name], expected[name]) for name in expected)

    class Hostile:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "executed",)

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"lm_head.weight": Hostile()}))
    with pytest.raises(FoldError, match=r"pytorch_model.bin: cannot be read as weights"):
        folded(Foundation(source=str(tmp_path)))
    assert not (tmp_path / "executed").exists()


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda d: (d / "config.json").unlink(), "config.json: no such file"),
    "config is no JSON": (lambda d: (d / "config.json").write_text("{"), "config.json: not JSON"),
    "config is a list": (lambda d: (d / "config.json").write_text("[]"), "config.json: expected a JSON object"),
    "another architecture": (lambda d: edit(d / "config.json", model_type="bert"), "model_type is 'bert'"),
    "another activation": (lambda d: edit(d / "config.json", hidden_act="relu"), "hidden_act is 'relu'"),
    "convolutional adapters": (lambda d: edit(d / "config.json", add_adapter=True), "add_adapter is True; only False"),
    "impossible shape": (lambda d: edit(d / "config.json", num_attention_heads=5), "multiple of num_heads (5)"),
    "no vocabulary": (lambda d: (d / "vocab.json").unlink(), "vocab.json: no such file"),
    "no weights": (lambda d: (d / "model.safetensors").unlink(), "holds neither model.safetensors nor"),
    "truncated weights": (
        lambda d: (d / "model.safetensors").write_bytes((d / "model.safetensors").read_bytes()[:-100]),
        "model.safetensors: cannot be read as weights",
    ),
    "garbage for weights": (lambda d: (d / "model.safetensors").write_bytes(b"x" * 999), "cannot be read as weights"),
    "other weights": (
        lambda d: edit(d / "config.json", hidden_size=64),
        "does not fit the configuration: size mismatch",
    ),
    "too few weights": (
        lambda d: edit(d / "config.json", num_hidden_layers=4),
        "does not fit the configuration: Missing",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("family", ["wav2vec2-base", "wavlm-large"])
def test_a_bad_source_is_one_clear_line(fault: str, family: str, tmp_path: Path) -> None:
    write(tmp_path, family)
    damage, named = FAULTS[fault]
    damage(tmp_path)
    with pytest.raises(FoldError) as raised:
        folded(Foundation(source=str(tmp_path)))
    message = str(raised.value)
    assert named in message and str(tmp_path) in message and "\n" not in message and len(message) < 400


def test_without_a_connection_the_message_tells_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("torchaudio.pipelines._wav2vec2.utils.load_state_dict_from_url", unreachable)
    with pytest.raises(FoldError, match=r"source WAV2VEC2_ASR_BASE_100H: not downloaded \(Name or .*checkpoints"):
        network = Foundation(source="WAV2VEC2_ASR_BASE_100H", num_layers=1)
        with torch.device("meta"):
            model = network.build(32, 16000)
        network.load_pretrained(model, 16000)


def test_a_checkpoint_needs_its_source_no_longer(tmp_path: Path, fold_command: Callable[..., Finished]) -> None:
    write(tmp_path / "original", "wav2vec2-large")
    network = Foundation(source=str(tmp_path / "original"), num_layers=2)
    description, model = describe(network, PathSpace(2)), folded(network)
    weights = {PREFIX + name: weight for name, weight in model.state_dict().items()}
    file = tmp_path / "checkpoints" / "model.ckpt"
    file.parent.mkdir()
    torch.save({KEY: description.to_dict(), "state_dict": weights}, file)
    for leftover in (tmp_path / "original").iterdir():
        leftover.unlink()
    again, held = load(file)
    assert held.architecture == network and held.units.characters == [" ", *"etaonihsrdlubc"]
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))
    done = fold_command("export", "--to=huggingface", "--ckpt_path", file, "--depth", 3)
    assert "depth 3" in done.stdout
    assert Foundation(source=str(tmp_path / "huggingface")).num_layers == 3
    assert json.loads((tmp_path / "huggingface" / "vocab.json").read_text())["<pad>"] == 0
    assert len(json.loads((tmp_path / "huggingface" / "vocab.json").read_text())) == len(TOKENS) - 1
