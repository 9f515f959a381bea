"""A foundation model through the same commands as a Conformer: fit, resume, sweep, transcribe, export."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch
import transformers
from audio_files import speech
from conftest import Finished
from models.foundation.directories import write
from tones import SAMPLE_RATE

from fold import checkpoint

Command = Callable[..., Finished]


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory, tones_config: Path) -> Path:
    """An experiment that folds a random wav2vec 2.0 from 3 layers to 2 and unfolds it to 3 again."""
    folder = tmp_path_factory.mktemp("foundation")
    source = folder / "source"
    write(source, "wav2vec2-large")
    settings = json.loads((source / "preprocessor_config.json").read_text())
    (source / "preprocessor_config.json").write_text(json.dumps({**settings, "sampling_rate": SAMPLE_RATE}))
    data_and_trainer = tones_config.read_text().split("data:")[1].replace("batch_seconds: 20.0", "batch_seconds: 5.0")
    file = folder / "foundation.yaml"
    file.write_text(f"""
experiment: foundation
model:
  network:
    class_path: fold.models.Foundation
    init_args:
      source: {source}
      num_layers: 2
      masking: {{time_share: 0.2, time_span: 3, channel_share: 0.1, channel_span: 4}}
  max_repeats: 2
  max_depth: 3
  optimizer: {{class_path: torch.optim.AdamW, init_args: {{lr: 1.0e-3}}}}
  lr_scheduler:
    class_path: fold.training.schedules.TriStage
    init_args: {{total_steps: "${{trainer.max_steps}}"}}
data:{data_and_trainer}""")
    return file


FREEZE = ("--trainer.callbacks+=fold.training.callbacks.FreezeEncoder", "--trainer.callbacks.steps=1")


def weights(run: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(run / "checkpoints" / "last.ckpt")[0].state_dict()


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """Parts of the model that differ."""
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_through_every_command(experiment: Path, fold_command: Command, tmp_path: Path) -> None:
    one, two = tmp_path / "runs" / "one", tmp_path / "runs" / "two"
    common = ("fit", f"--config={experiment}", *FREEZE)
    fold_command(*common, "--trainer.max_steps=1", f"--run_dir={one}")
    fold_command(*common, f"--run_dir={two}")
    model, description = checkpoint.load(one / "checkpoints" / "last.ckpt")
    start = description.architecture.build(len(description.units), SAMPLE_RATE)
    description.architecture.load_pretrained(start, SAMPLE_RATE)
    assert changed(start.state_dict(), model.state_dict()) == {"ctc_head"}  # the rest is frozen for a step
    assert changed(weights(one), weights(two)) == {"ctc_head", "stem", "unfolding", "final_norm"}
    features = [name for name in weights(one) if "waveform_encoder" in name]
    assert features and all(torch.equal(weights(one)[name], weights(two)[name]) for name in features)

    last = two / "checkpoints" / "last.ckpt"
    assert "depth_sweep.csv" in {file.name for file in two.iterdir()}
    printed = fold_command("sweep", f"--ckpt_path={last}", "--split=dev").stdout
    assert "20 utterances" in printed
    soundfile.write(tmp_path / "a.wav", speech(5.0, SAMPLE_RATE), SAMPLE_RATE)
    done = fold_command("transcribe", f"--ckpt_path={last}", "--cutting.longest=2", tmp_path / "a.wav")
    assert done.stdout.startswith(str(tmp_path))
    fold_command("export", "--to=huggingface", f"--ckpt_path={last}", "--path=1-2-2")
    assert json.loads((two / "huggingface" / "config.json").read_text())["num_hidden_layers"] == 3


def test_two_processes_freeze_and_thaw(experiment: Path, fold_process: Command, tmp_path: Path) -> None:
    """Ranks wait for a gradient of each parameter, or of none."""
    freeze = (FREEZE[0], "--trainer.callbacks.steps=2")
    checkpoints = "--checkpoint.every_minutes=0"  # each update
    options = ("--trainer.devices=2", "--trainer.max_steps=3", checkpoints, "--run_dir=run")
    fold_process(tmp_path, "fit", f"--config={experiment}", *freeze, *options)
    folder = tmp_path / "run" / "checkpoints"
    frozen, description = checkpoint.load(folder / "last-1.ckpt")
    start = description.architecture.build(len(description.units), SAMPLE_RATE)
    description.architecture.load_pretrained(start, SAMPLE_RATE)
    assert changed(start.state_dict(), frozen.state_dict()) == {"ctc_head"}
    assert changed(frozen.state_dict(), weights(tmp_path / "run")) == {"ctc_head", "stem", "unfolding", "final_norm"}


def test_resumed_without_the_sources_weights(experiment: Path, fold_command: Command, tmp_path: Path) -> None:
    source = experiment.parent / "source" / "model.safetensors"
    whole, parts = tmp_path / "runs" / "whole", tmp_path / "runs" / "parts"
    common = (
        "fit",
        f"--config={experiment}",
        "--checkpoint.every_minutes=0",
        "--model.lr_scheduler.total_steps=3",
    )
    fold_command(*common, "--trainer.max_steps=3", f"--run_dir={whole}")
    fold_command(*common, "--trainer.max_steps=2", f"--run_dir={parts}")
    hidden = source.rename(source.with_suffix(".away"))
    try:
        resume = (f"--ckpt_path={parts / 'checkpoints' / 'last.ckpt'}", f"--run_dir={parts}")
        fold_command(*common, "--trainer.max_steps=3", *resume)
    finally:
        hidden.rename(source)
    assert not changed(weights(whole), weights(parts))


OTHER = "--data.corpus={class_path: tones.OtherTones}"  # which has an f: `TOKENS` have none


@pytest.fixture
def source(experiment: Path, tmp_path: Path) -> Path:
    """A copy of the experiment's source."""
    return Path(shutil.copytree(experiment.parent / "source", tmp_path / "source"))


def test_characters_that_the_head_lacks_are_trained_as_unknown(
    experiment: Path, source: Path, fold_command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    done = fold_command("fit", f"--config={experiment}", OTHER, f"--model.network.source={source}", "--run_dir=run")
    assert [r.message for r in caplog.records if "CTC head" in r.message] == [
        "the CTC head has no unit for 'f' of the corpus, but its unknown unit; "
        "--model.network.keep_head=false trains a CTC head of its own"
    ]
    assert "bad data" not in done.stdout + done.stderr
    units = checkpoint.load(Path("run/checkpoints/last.ckpt"))[1].units
    assert units.encode("a ef").count(units.unk) == 1


def test_words_for_a_head_of_phonemes_are_bad_data(experiment: Path, source: Path, fold_command: Command) -> None:
    """Their letters occur in its units, but none of them is one."""
    tokens = ["<pad>", "<s>", "</s>", "<unk>", *(f"{first}{then}" for first in "abcd" for then in "əʊʃ"), "ə", "ʊ"]
    (source / "vocab.json").write_text(json.dumps({token: row for row, token in enumerate(tokens)}))
    tokenizer = transformers.Wav2Vec2PhonemeCTCTokenizer(source / "vocab.json", do_phonemize=False)
    tokenizer.save_pretrained(source)
    done = fold_command("fit", f"--config={experiment}", f"--model.network.source={source}", check=False)
    assert done.status == 2 and "unknown symbol" in done.stderr and "Traceback" not in done.stderr
    assert "keep_head=false trains a CTC head of its own" in done.stderr


def test_a_missing_source_is_one_line(experiment: Path, fold_command: Command) -> None:
    done = fold_command("fit", f"--config={experiment}", "--model.network.source=gone", check=False)
    assert done.status == 2
    assert "source 'gone'" in done.stderr and "Traceback" not in done.stderr


def test_another_rate_is_one_line(experiment: Path, fold_command: Command) -> None:
    source = experiment.parent / "other"
    write(source, "wav2vec2-base")  # takes 16 kHz
    done = fold_command("fit", f"--config={experiment}", f"--model.network.source={source}", check=False)
    assert done.status == 2
    assert "set --data.sample_rate=16000" in done.stderr and "Traceback" not in done.stderr
