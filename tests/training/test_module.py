"""The LightningModule with the options that the default experiment leaves alone."""

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import soundfile
import torch
from conftest import Finished
from tones import SAMPLE_RATE, Tones

from fold import checkpoint
from fold.data.datamodule import SpeechData
from fold.decoding.decode import Decoding, Trial, transcribe
from fold.evaluation.sweep import one_spaced
from fold.models import Conformer, Recogniser
from fold.modules.decoder import AttentionDecoder
from fold.paths import Path as LayerPath
from fold.report.record import read_record
from fold.sampling import DepthFirst, Growth, StepPaths
from fold.text.units import Units
from fold.training.module import STATISTICS_BATCHES, FoldableASR

Command = Callable[..., Finished]


def make_module(**settings: object) -> FoldableASR:
    optimizer, schedule = torch.optim.AdamW, torch.optim.lr_scheduler.ConstantLR
    return FoldableASR(Conformer(num_layers=3), optimizer, schedule, **settings)


def test_paths_of_a_step_are_the_ends_and_the_draw_of_that_step() -> None:
    module = make_module(sampler=DepthFirst(num_paths=2), random_seed=7)
    paths = module.training_paths(step=5, progress=1.0)
    assert (paths.deepest, paths.seed) == (module.space.deepest, module.space.seed)
    again = make_module(sampler=DepthFirst(num_paths=2), random_seed=7)  # of another rank, or resumed
    assert again.training_paths(step=5, progress=1.0) == paths
    assert {module.training_paths(step, 1.0).sampled for step in range(20)} != {paths.sampled}
    other = make_module(sampler=DepthFirst(num_paths=2), random_seed=8)
    assert [other.training_paths(s, 1.0) for s in range(9)] != [module.training_paths(s, 1.0) for s in range(9)]


def test_a_model_that_does_not_unfold_trains_one_path() -> None:
    module = make_module(max_repeats=1)
    assert module.training_paths(step=0, progress=1.0) == StepPaths(module.space.seed)


def test_deeper_paths_join_while_training_goes_on() -> None:
    module = make_module(sampler=DepthFirst(growth=Growth(0.5, 1.0)))
    assert module.training_paths(step=5, progress=0.5) == StepPaths(module.space.seed)
    paths = module.training_paths(step=5, progress=0.7)
    assert paths.seed == module.space.seed
    [sampled] = paths.sampled
    assert paths.seed.depth < sampled.depth <= paths.deepest.depth < module.space.deepest.depth


def test_a_new_run_fetches_pretrained_weights_and_a_resumed_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    monkeypatch.setattr(Conformer, "fetch", lambda network: fetched.append(network))
    module = make_module()
    module.prepare_data()
    module.from_checkpoint = True
    module.prepare_data()
    assert fetched == [module.network]


JOINT = Decoding("beam", beam_size=3, ctc_weight=0.1)


@pytest.fixture(scope="module")
def hybrid(tones_config: Path, fold_once: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a hybrid model with global normalisation, after two steps; its test decoding is joint."""
    folder = tmp_path_factory.mktemp("hybrid")
    fold_once(
        folder,
        "fit",
        f"--config={tones_config}",
        "--model.network.decoder_layers=1",
        "--model.network.decoder_ffn_dim=32",
        "--model.network.normalisation=global",
        "--model.network.checkpoint_activations=true",
        f"--model.test_decoding={json.dumps(asdict(JOINT))}",
        "--trainer.callbacks+=fold.training.callbacks.GradientNorms",
        "--trainer.callbacks.every_n_steps=1",
        "--trainer.log_every_n_steps=1",
        "--run_dir=hybrid",
    )
    return folder / "hybrid"


def tones_data(shards: Path) -> SpeechData:
    return SpeechData(Tones(), SAMPLE_RATE, shards=str(shards), batch_seconds=20.0, num_workers=0)


@torch.no_grad()
def said(model: Recogniser, units: Units, data: SpeechData, trial: Trial) -> dict[str, str]:
    """Transcripts of the test set by utterance id."""
    found: dict[str, str] = {}
    for batch in data.test_dataloader():
        [texts] = transcribe(model, units, batch.waveforms, batch.num_samples, [trial])
        found.update(zip(batch.ids, texts, strict=False))  # a batch may be padded with empty rows
    return found


def test_the_test_of_a_hybrid_model_is_joint_on_canonical_paths_and_greedy_on_all(
    hybrid: Path, fold_command: Command, tones_shards: Path
) -> None:
    record = read_record(hybrid / "depth_sweep.json")
    paths = ["1-2", "1-1-2", "1-2-2", "1-1-2-2"]
    assert sorted((row.path, row.decoding) for row in record.rows) == sorted(
        [(path, "greedy") for path in paths] + [(row.path, str(JOINT)) for row in record.canonical.values()]
    )
    assert record.decoding == asdict(JOINT)

    last = hybrid / "checkpoints" / "last.ckpt"
    (model, description), data = checkpoint.load(last), tones_data(tones_shards)
    ways = [JOINT, Decoding(), replace(JOINT, ctc_weight=1.0)]
    for row in record.canonical.values():
        joint, *without_decoder = (
            said(model, description.units, data, Trial(LayerPath.parse(row.path), way)) for way in ways
        )
        assert record.hypotheses(row.path) == {id: one_spaced(text) for id, text in joint.items()}
        assert joint not in without_decoder

    again = fold_command("sweep", f"--ckpt_path={last}", "--output=again").stdout
    assert read_record("again/depth_sweep.json").rows == record.rows
    assert f"canonical path, {JOINT}; mean and range: all paths, greedy" in " ".join(again.split())
    fold_command("sweep", f"--ckpt_path={last}", "--output=greedy", "--decoding.method=greedy", "--depths=[2]")
    assert [row.decoding for row in read_record("greedy/depth_sweep.json").rows] == ["greedy"]


def test_validation_is_greedy_while_predictions_and_transcripts_are_decoded_as_the_test(
    hybrid: Path, tones_config: Path, fold_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []
    start = AttentionDecoder.start
    monkeypatch.setattr(AttentionDecoder, "start", lambda *given: (searches.append(1), start(*given))[1])
    last = hybrid / "checkpoints" / "last.ckpt"
    options = [f"--config={hybrid / 'config.yaml'}", f"--ckpt_path={last}", "--run_dir=other"]
    fold_command("validate", *options)
    assert not searches
    fold_command("predict", *options)
    assert searches
    searches.clear()
    spoken = Tones().render(Tones().recipes("test", None)[0], None)
    soundfile.write("a.wav", spoken.samples, SAMPLE_RATE)
    fold_command("transcribe", "--ckpt_path", last, "a.wav")
    assert searches


def test_global_statistics_are_those_of_the_first_batches(hybrid: Path, tones_shards: Path) -> None:
    model, _ = checkpoint.load(hybrid / "checkpoints" / "last.ckpt")
    batches = list(tones_data(tones_shards).train_dataloader())
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
