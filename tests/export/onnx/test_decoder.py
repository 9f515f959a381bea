"""The second file of a hybrid model: its attention decoder, which reads what the encoder's graph gives."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from export.onnx.exported import RATE, Exported, conformer, describe, export, noise

import fold_device
from fold.cli import main
from fold.paths import PathSpace

CLOSE = 3e-4  # log-probabilities
NUM_UNITS = 11


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    network = conformer(num_layers=1, decoder_layers=2, decoder_ffn_dim=64)
    return export(tmp_path_factory.mktemp("hybrid"), describe(network, PathSpace(1, 3)), "--storage=[fp32,int8]")


def session(exported: Exported, part: str, storage: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(exported.folder / exported.known[part][storage]["file"])


def heard(exported: Exported, storage: str, depth: int, prefixes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Log-probabilities of CTC and after each prefix, and num_frames, of two utterances."""
    waveforms, num_samples = noise(2 * RATE, 9000)
    fed = {"waveforms": waveforms.numpy(), "num_samples": num_samples.numpy(), "repeats": np.array([depth])}
    names = ["log_probs", "num_frames", "encoded"]
    log_probs, num_frames, encoded = session(exported, "models", storage).run(names, fed)
    fed = {"prefixes": prefixes, "encoded": encoded, "num_frames": num_frames}
    [following] = session(exported, "decoders", storage).run(["next_log_probs"], fed)
    return log_probs, following, num_frames


def prefixes(length: int) -> np.ndarray:
    """Of two utterances, each beginning with <sos/eos>, which is the last unit."""
    following = np.random.default_rng(length).integers(1, NUM_UNITS, (2, length - 1))
    return np.concatenate([np.full((2, 1), NUM_UNITS - 1), following], axis=1)


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("depth", [1, 3])
def test_what_follows_each_prefix_is_what_pytorch_says(hybrid: Exported, depth: int, length: int) -> None:
    given = prefixes(length)
    path = hybrid.description.space.canonical(depth)
    with torch.no_grad():
        right = hybrid.model(*noise(2 * RATE, 9000), [path], torch.from_numpy(given))
    log_probs, following, num_frames = heard(hybrid, "fp32", depth, given)
    assert num_frames.tolist() == right.num_frames.tolist()
    for row, expected, frames in zip(log_probs, right.ctc_log_probs[0], num_frames, strict=True):
        assert np.abs(row[:frames] - expected[:frames].numpy()).max() < CLOSE
    assert right.decoder_log_probs is not None
    assert np.abs(following - right.decoder_log_probs[0].numpy()).max() < CLOSE


def test_int8_of_both_files_is_near(hybrid: Exported) -> None:
    given = prefixes(5)
    (_, exact, _), (_, coarse, _) = (heard(hybrid, storage, 2, given) for storage in ("fp32", "int8"))
    assert 0 < np.abs(exact - coarse).max() < 0.3


def test_an_utterance_without_frames_has_numbers(hybrid: Exported) -> None:
    given = {"prefixes": prefixes(3)[:1], "encoded": np.ones((1, 4, 32), np.float32), "num_frames": np.array([0])}
    [following] = session(hybrid, "decoders", "fp32").run(["next_log_probs"], given)
    assert np.isfinite(following).all()


def test_each_weight_of_the_decoder_is_stored_once(hybrid: Exported) -> None:
    decoder = hybrid.model.decoder
    assert decoder is not None
    model = onnx.load(hybrid.folder / hybrid.known["decoders"]["fp32"]["file"])
    stored = sum(int(np.prod(weight.dims)) for weight in model.graph.initializer)
    assert 0 <= stored - sum(weight.numel() for weight in decoder.parameters()) < 500


def test_the_device_reads_the_encoder(hybrid: Exported) -> None:
    assert fold_device.load(hybrid.folder, "fp32").log_probs(np.zeros(RATE, np.float32), (1,)).shape[1] == NUM_UNITS


@pytest.mark.slow
def test_other_runtimes_get_no_more_than_they_know(hybrid: Exported, tmp_path: Path) -> None:
    checkpoint = hybrid.folder.parent / "checkpoints" / "last.ckpt"
    assert main(["export", "--to=onnx-asr", f"--ckpt_path={checkpoint}", f"--output={tmp_path}", "--storage=fp32"]) == 0
    outputs = onnx.load(tmp_path / "model.onnx", load_external_data=False).graph.output
    assert [value.name for value in outputs] == ["logprobs"]


def test_a_model_without_a_decoder_has_no_second_file(exported: Exported) -> None:
    assert "decoders" not in exported.known and not list(exported.folder.glob("decoder*"))
