"""Every shipped experiment trains: at toy width, but in its own precision, with its own optimizer, accumulation,
callbacks, schedule, objective and decoding."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from conftest import Finished, place
from test_experiments import EXPERIMENTS

from fold import shipped
from fold.checkpoint import CONFIG, Description
from fold.export.huggingface import write_directory
from fold.models import Foundation
from fold.models.foundation import Shape
from fold.paths import PathSpace
from fold.report.record import read_record
from fold.text.units import CharUnits

Command = Callable[..., Finished]
BATCH_SECONDS = 4.0
MOST_BATCHES = 2  # of an update: each costs a second
SLOW = (  # sweeps over 24 to 48 layers, and what smaller experiments or those that build on it do, too
    "mms_fold",
    "w2v_bert_fold",
    "hubert_large_fold",
    "conformer_fold_librispeech960",
    "distilhubert",
    "lighthubert",
    "unispeech_fold",
    "wav2vec2_conformer_fold",
    "conformer_physical_librispeech100",
    "conformer_physical_librispeech960",
)
# Not narrower: with 16 channels a depthwise convolution in bf16 never ends on some processors (oneDNN 3.12).
CONFORMER = {"dim": 32, "num_heads": 2, "ffn_dim": 16, "subsampling_channels": 4, "decoder_ffn_dim": 16}
TINY = {
    "dim": 16,
    "num_heads": 2,
    "ffn_dim": 16,
    "conv_channels": (8,) * 7,
    "position_kernel": 16,
    "position_groups": 2,
}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny wav2vec 2.0 with as many layers as the base model, in the place of the public weights."""
    folder = tmp_path_factory.mktemp("pretrained")
    units = CharUnits("abcd ' ")
    description = Description(Foundation(shape=Shape(num_layers=12, **TINY)), PathSpace(12, 1), units, 16000, "nowhere")
    write_directory(folder, description.build(), description, PathSpace(12, 1).seed)
    return folder


def smaller(settings: dict, pretrained: Path) -> list[str]:
    """Overrides of shape alone: of layers, vocabulary and batches."""
    network, data = settings["model"]["network"], settings["data"]
    kept = network["init_args"]
    if network["class_path"] == "fold.models.Conformer":
        shape = [f"--model.network.{name}={value}" for name, value in CONFORMER.items()]
    elif kept.get("source", "").startswith("WAV2VEC2"):
        shape = [f"--model.network.source={pretrained}"]
    elif kept.get("source", "").startswith("HUBERT"):  # a head of its own is new
        layers = settings["model"]["max_depth"]
        listed = {name: list(value) if isinstance(value, tuple) else value for name, value in TINY.items()}
        fresh = yaml.safe_dump({"family": "hubert", "num_layers": layers, **listed}, default_flow_style=True)
        shape = ["--model.network.source=null", f"--model.network.shape={fresh}"]
    else:
        shape = []  # small as it is
    if data.get("units", {}).get("kind") == "sentencepiece":
        shape.append("--data.units.vocab_size=10")
    if "update_seconds" in data:
        shape.append(f"--data.update_seconds={batches(data) * BATCH_SECONDS}")
    return [*shape, f"--data.batch_seconds={BATCH_SECONDS}"]


def batches(data: dict) -> float:
    """Of an update; the experiments' up to 32 are no other code than two."""
    return min(data.get("update_seconds", data["batch_seconds"]) / data["batch_seconds"], MOST_BATCHES)


def shown(experiment: Path) -> object:
    """A sweep over many layers takes half a minute; of compressed models and of transformers' layers one is enough."""
    marks = [pytest.mark.slow] if experiment.stem in SLOW else []
    return pytest.param(experiment, marks=marks, id=experiment.stem)


@pytest.mark.parametrize("experiment", [shown(file) for file in EXPERIMENTS])
def test_every_experiment_trains(
    experiment: Path,
    pretrained: Path,
    small_foundations: Path,
    downloaded: Path,
    tmp_path_factory: pytest.TempPathFactory,
    fold_command: Command,
    tmp_path: Path,
) -> None:
    place(small_foundations)
    Path("pretrained").symlink_to(downloaded)
    settings = shipped.read(experiment)
    fold_command(
        "fit",
        f"--config={experiment}",
        "--data.corpus={class_path: tones.Tones, init_args: {train: 24, dev: 4, test: 4}}",
        f"--data.shards={tmp_path_factory.getbasetemp() / 'shards-of-experiments'}",
        "--data.num_workers=0",
        "--data.prepare_workers=1",
        *smaller(settings, pretrained),
        "--trainer.max_steps=2",
        "--trainer.val_check_interval=2",
        "--trainer.accelerator=cpu",
        "--trainer.devices=1",
        "--trainer.enable_progress_bar=false",
        "--run_dir=run",
    )
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 2 and (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()
    trained, data = yaml.safe_load(last[CONFIG])["trainer"], settings["data"]
    assert trained["precision"] == settings["trainer"].get("precision", trained["precision"])
    assert last["SpeechData"]["accumulate"] == math.ceil(batches(data))
    moments = last["optimizer_states"][0]["state"].values()
    assert moments and all(int(state["step"]) == 2 for state in moments)
    means = [state["momentum_buffer" if "momentum_buffer" in state else "exp_avg"] for state in moments]
    assert all(mean.isfinite().all() and mean.any() for mean in means)
    assert all(value.isfinite().all() for value in last["state_dict"].values() if value.is_floating_point())
    record = read_record(tmp_path / "run" / "depth_sweep.json")
    assert {row.depth for row in record.rows} and record.rows[0].sentences == 4
    macs = [record.macs[row.path] for row in record.canonical.values()]
    assert macs == sorted(set(macs)) and macs[0] > 0
