"""The LightningModule with the options that the default experiment leaves alone."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Finished
from tones import SAMPLE_RATE, Tones

from fold import checkpoint
from fold.data.datamodule import SpeechData
from fold.models import Conformer
from fold.paths import Growth
from fold.training.module import STATISTICS_BATCHES, FoldableASR

Command = Callable[..., Finished]


def make_module(**settings: object) -> FoldableASR:
    optimizer, schedule = torch.optim.AdamW, torch.optim.lr_scheduler.ConstantLR
    return FoldableASR(Conformer(num_layers=3), optimizer, schedule, **settings)


def test_paths_of_a_step_are_the_ends_and_the_draw_of_that_step() -> None:
    module = make_module(num_sampled_paths=2, seed=7)
    deepest, seed, *sampled = module.training_paths(step=5, progress=1.0)
    assert (deepest, seed) == (module.space.deepest, module.space.seed)
    assert sampled == module.space.draw(2, seed=7, step=5)
    assert {tuple(module.training_paths(step, 1.0)[2:]) for step in range(20)} != {tuple(sampled)}


def test_a_model_that_does_not_unfold_trains_one_path() -> None:
    module = make_module(max_repeats=1)
    assert module.training_paths(step=0, progress=1.0) == [module.space.seed]


def test_deeper_paths_join_while_training_goes_on() -> None:
    module = make_module(growth=Growth(0.5, 1.0))
    assert module.training_paths(step=5, progress=0.5) == [module.space.seed]
    deepest, seed, sampled = module.training_paths(step=5, progress=0.7)
    assert seed == module.space.seed
    assert seed.depth < sampled.depth <= deepest.depth < module.space.deepest.depth


def test_a_new_run_fetches_pretrained_weights_and_a_resumed_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    monkeypatch.setattr(Conformer, "fetch", lambda network: fetched.append(network))
    module = make_module()
    module.prepare_data()
    module.from_checkpoint = True
    module.prepare_data()
    assert fetched == [module.network]


@pytest.fixture
def hybrid(tones_config: Path, fold_command: Command, tmp_path: Path) -> Path:
    """The run of a hybrid model with global normalisation, after two steps."""
    fold_command(
        "fit",
        f"--config={tones_config}",
        "--model.network.decoder_layers=1",
        "--model.network.decoder_ffn_dim=32",
        "--model.network.normalisation=global",
        "--model.network.checkpoint_activations=true",
        "--trainer.callbacks+=fold.training.callbacks.GradientNorms",
        "--trainer.callbacks.every_n_steps=1",
        "--trainer.log_every_n_steps=1",
        "--run_dir=hybrid",
    )
    return tmp_path / "hybrid"


def test_hybrid_model_trains_and_is_decoded_by_beam_search(
    hybrid: Path, fold_command: Command, tones_shards: Path
) -> None:
    last = hybrid / "checkpoints" / "last.ckpt"
    decoding = ["--decoding.method=beam", "--decoding.beam_size=2", "--decoding.ctc_weight=0.5"]
    printed = fold_command("sweep", f"--ckpt_path={last}", "--depths=[2]", "--split=dev", *decoding).stdout
    assert "20 utterances" in printed

    model, _ = checkpoint.load(last)
    data = SpeechData(Tones(), SAMPLE_RATE, shards=str(tones_shards), batch_seconds=20.0, num_workers=0)
    batches = list(data.train_dataloader())
    assert len(batches) <= STATISTICS_BATCHES  # the statistics are those of the whole epoch
    frontend = Conformer(num_mels=40, normalisation="global").build(4, SAMPLE_RATE).stem.frontend
    frontend.fit_statistics((batch.waveforms, batch.num_samples) for batch in batches)
    torch.testing.assert_close(model.stem.frontend.mean, frontend.mean, rtol=1e-4, atol=1e-4)


def test_gradient_norms_are_logged_on_request(hybrid: Path) -> None:
    with (hybrid / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for layer in ("grad_norm/layer_01", "grad_norm/layer_02"):
        assert all(float(row[layer]) > 0 for row in rows if row[layer])
        assert any(row[layer] for row in rows)
