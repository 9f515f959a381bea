"""`import fold`: what it offers, and that it says what the commands say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from audio_files import speech
from conftest import TINY_NETWORK, Finished

import fold
from fold.checkpoint import KEY, PREFIX, Description
from fold.decoding.decode import Decoding
from fold.models import Conformer
from fold.text.units import CharUnits

RATE = 8000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model's checkpoint."""
    torch.manual_seed(0)
    units = CharUnits(" abcdefgh")
    description = Description(Conformer(**TINY_NETWORK), fold.PathSpace(2), units, RATE, shards="nowhere")
    weights = {PREFIX + name: value for name, value in description.build().state_dict().items()}
    file = tmp_path_factory.mktemp("api") / "model.ckpt"
    torch.save({KEY: description.to_dict(), "state_dict": weights}, file)
    return file


@pytest.fixture(scope="module")
def model(file: Path) -> fold.Model:
    return fold.load(file, device="cpu")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("recordings")
    files = [folder / f"{number}.wav" for number in range(2)]
    for seed, file in enumerate(files):
        soundfile.write(file, speech(2.0, RATE, seed), RATE)
    return files


def test_what_is_offered_is_there() -> None:
    assert sorted(fold.__all__) == dir(fold)
    for name in fold.__all__:
        assert getattr(fold, name) is not None
    assert fold.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="no attribute 'loads'"):
        _ = fold.loads  # type: ignore[attr-defined]


def test_importing_fold_imports_nothing_heavy() -> None:
    code = "import sys, fold; fold.PathSpace, fold.FoldError; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "lightning", "numpy"} & set(loaded)


def test_a_model_knows_its_depths_and_paths(model: fold.Model) -> None:
    assert list(model.depths) == [2, 3, 4]
    assert model.paths == fold.PathSpace(2)
    assert model.sample_rate == RATE
    assert repr(model).startswith("Model(Conformer, 2 layers, depths 2 to 4, ")


def test_it_says_what_the_command_says(
    model: fold.Model, file: Path, recordings: list[Path], fold_command: Callable[..., Finished]
) -> None:
    for depth in model.depths:
        done = fold_command("transcribe", "--ckpt_path", file, "--depth", depth, "--device=cpu", *recordings)
        printed = [line.split("\t")[1] for line in done.stdout.splitlines()]
        assert model.transcribe(recordings, depth) == printed
        assert any(printed)
    assert model.transcribe(recordings[0]) == model.transcribe(recordings, 4)[0] == model.transcribe([recordings[0]])[0]


def test_samples_are_as_good_as_a_file(model: fold.Model, recordings: list[Path]) -> None:
    samples, _ = soundfile.read(recordings[0], dtype="float32")
    expected = model.transcribe(str(recordings[0]), path="1-2-2")
    assert model.transcribe(samples, path=fold.Path((0, 1, 1))) == expected
    assert model.transcribe(torch.from_numpy(samples), path="1-2-2") == expected
    assert isinstance(model.transcribe(torch.from_numpy(samples).bfloat16()), str)
    assert model.transcribe(np.zeros(0, np.float32)) == model.transcribe(np.zeros(3)) is not None


def test_samples_at_another_rate_are_resampled(model: fold.Model) -> None:
    sound = speech(2.0, 16_000)
    words = model.transcribe(sound, sample_rate=16_000, timestamps=True)
    assert words[-1].end <= 2.1
    assert model.transcribe(sound, sample_rate=16_000) != model.transcribe(sound)  # taken for 4 s at 8 kHz


def test_words_are_those_of_the_text(model: fold.Model, recordings: list[Path]) -> None:
    text, words = model.transcribe(recordings[0]), model.transcribe(recordings[0], timestamps=True)
    assert [word.text for word in words] == text.split()
    assert all(isinstance(word, fold.Word) and 0 <= word.start < word.end <= 2.1 for word in words)
    assert model.transcribe(recordings, timestamps=True)[0] == words


@pytest.mark.parametrize("level", [0.0, 1e-4, 0.1])
def test_silence_and_noise_have_no_words(model: fold.Model, level: float) -> None:
    samples = level * np.random.default_rng(2).standard_normal(5 * RATE)
    assert model.transcribe(samples) == ""
    assert model.transcribe(samples, timestamps=True) == []


def test_long_recordings_are_recognised_an_utterance_at_a_time(model: fold.Model, recordings: list[Path]) -> None:
    first, second = (soundfile.read(file, dtype="float32")[0] for file in recordings)
    pause = 1e-4 * np.random.default_rng(3).standard_normal(RATE).astype(np.float32)
    joined = np.concatenate([first, pause, second])
    begun = len(first) + len(pause)
    pieces = list(model.cutting(joined, RATE))
    assert [piece.start < begun - RATE / 2 for piece in pieces] == [True, False]
    assert model.transcribe(joined) == " ".join(model.transcribe(p.samples) for p in pieces)
    words = model.transcribe(joined, timestamps=True)
    assert " ".join(word.text for word in words) == model.transcribe(joined)
    later = [word for word in words if word.start >= pieces[1].start / RATE]
    assert [word.text for word in later] == model.transcribe(pieces[1].samples).split()


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        (np.zeros((2, 100)), r"shape \(2, 100\): expected one channel"),
        (np.zeros(100, np.int16), "audio of int16: expected floating-point samples"),
        (np.array([0.0, np.nan]), "NaN or infinite"),
        ("missing.wav", "missing.wav: no such file"),
    ],
    ids=["stereo", "int16", "nan", "missing"],
)
def test_audio_that_cannot_be_used_is_refused(model: fold.Model, audio: np.ndarray | str, said: str) -> None:
    with pytest.raises(fold.FoldError, match=said) as caught:
        model.transcribe(audio)
    assert len(str(caught.value).splitlines()) == 1


def test_a_sample_rate_that_cannot_be_is_refused(model: fold.Model) -> None:
    with pytest.raises(fold.FoldError, match="a sample rate of 0 Hz"):
        model.transcribe(np.zeros(100, np.float32), sample_rate=0)
    assert model.transcribe(np.zeros(0, np.float32), sample_rate=16_000) == model.transcribe(np.zeros(0, np.float32))


def test_a_decoding_that_the_model_cannot_do_is_refused_when_it_is_loaded(file: Path) -> None:
    with pytest.raises(fold.FoldError, match="this model has no attention decoder"):
        fold.load(file, decoding=Decoding("beam"))
    assert fold.load(file, decoding=Decoding("beam", ctc_weight=1.0)).decoding.method == "beam"


def test_a_path_is_a_plain_module_with_the_models_weights(model: fold.Model, recordings: list[Path]) -> None:
    waveforms = torch.stack([torch.from_numpy(soundfile.read(file, dtype="float32")[0]) for file in recordings])
    num_samples = torch.tensor([waveforms.shape[1], 9000])
    module = model.at(depth=3)
    log_probs, num_frames = module(waveforms, num_samples)
    [expected] = model.recogniser(waveforms, num_samples, [model.paths.canonical(3)])
    assert torch.equal(log_probs, expected.ctc_log_probs)
    assert torch.equal(num_frames, expected.num_frames)
    own = {parameter.data_ptr() for parameter in module.parameters()}
    assert own <= {parameter.data_ptr() for parameter in model.recogniser.parameters()}
    assert not torch.equal(model.at()(waveforms, num_samples)[0], log_probs)
    with pytest.raises(fold.FoldError, match="depth 9"):
        model.at(9)


def test_a_path_can_be_traced_and_exported(model: fold.Model) -> None:
    module, waveforms, num_samples = model.at(depth=4), torch.randn(2, 8000), torch.tensor([8000, 6000])
    expected = module(waveforms, num_samples)
    traced = torch.jit.trace(module, (waveforms, num_samples))
    exported = torch.export.export(module, (waveforms, num_samples)).module()
    for found in (traced(waveforms, num_samples), exported(waveforms, num_samples)):
        torch.testing.assert_close(found, expected)
