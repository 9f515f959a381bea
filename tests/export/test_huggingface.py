"""Hugging Face directories: what is read, what is refused, and what is written back."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
from conftest import Finished
from models.foundation.directories import FAMILIES, TOKENS, write
from models.foundation.test_parity import CORPUS, folded, noise

from fold.checkpoint import KEY, PREFIX, Description, load
from fold.errors import FoldError
from fold.export.huggingface import write_directory
from fold.models import Foundation
from fold.paths import Path as LayerPath
from fold.paths import PathSpace


def describe(network: Foundation, space: PathSpace) -> Description:
    return Description(network, space, network.units(CORPUS), 16000, shards="nowhere")


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_written_at_any_depth_and_read_by_transformers(family: str, tmp_path: Path) -> None:
    write(tmp_path / "original", family)
    network = Foundation(source=str(tmp_path / "original"), num_layers=2)
    model, space = folded(network), PathSpace(2, max_repeats=2)
    waveforms, num_samples = noise(4001)
    given = torch.nn.functional.layer_norm(waveforms, waveforms.shape) if network.shape.normalise else waveforms
    for path in (space.seed, LayerPath((0, 0, 1)), space.deepest):
        folder = tmp_path / str(path)
        write_directory(folder, model, describe(network, space), path)
        theirs = getattr(transformers, FAMILIES[family][0] + "ForCTC").from_pretrained(folder).eval()
        assert theirs.config.num_hidden_layers == path.depth
        expected = model(waveforms, num_samples, [path])[0].ctc_log_probs
        got = theirs(given, attention_mask=torch.ones_like(waveforms, dtype=torch.long)).logits.log_softmax(-1)
        assert (got - expected).abs().max() < 1e-5
        again = folded(Foundation(source=str(folder)))
        unfolded = again(waveforms, num_samples, [PathSpace(path.depth).seed])[0].ctc_log_probs
        assert (unfolded - expected).abs().max() < 1e-6


def test_transformers_processor_decodes_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "original", "wav2vec2-large")
    network = Foundation(source=str(tmp_path / "original"))
    description = describe(network, PathSpace(3, 1))
    write_directory(tmp_path / "written", folded(network), description, PathSpace(3, 1).seed)
    processor = transformers.Wav2Vec2Processor.from_pretrained(tmp_path / "written")
    units = description.units
    spoken = [unit for unit in units.encode("eat the tent") for _ in range(2)]
    separated = [row for unit in units.encode("eat the tent") for row in (unit, units.blank)]
    assert processor.tokenizer.decode(separated) == "eat the tent"
    assert processor.tokenizer.decode(spoken) == "eat the tent"
    waveform = torch.randn(2000).numpy()
    values = processor(waveform, sampling_rate=16000, return_tensors="pt").input_values
    assert abs(values.mean()) < 1e-5 and abs(values.std() - 1) < 1e-2


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
    "impossible shape": (lambda d: edit(d / "config.json", num_attention_heads=5), "multiple of num_heads (5)"),
    "no vocabulary": (lambda d: (d / "vocab.json").unlink(), "vocab.json: no such file"),
    "no weights": (lambda d: (d / "model.safetensors").unlink(), "holds neither model.safetensors nor"),
    "truncated weights": (
        lambda d: (d / "model.safetensors").write_bytes((d / "model.safetensors").read_bytes()[:-100]),
        "model.safetensors: cannot be read as weights",
    ),
    "garbage for weights": (lambda d: (d / "model.safetensors").write_bytes(b"x" * 999), "cannot be read as weights"),
    "other weights": (lambda d: edit(d / "config.json", hidden_size=64), "does not fit config.json: size mismatch"),
    "too few weights": (lambda d: edit(d / "config.json", num_hidden_layers=4), "does not fit config.json: Missing"),
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
