"""What studies have in common: the foundation model that they start from."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import REPOSITORY, Finished

from fold.models import Foundation
from studies import depth, folding, foundation, methods, results, runs

TINY = "{num_layers: 2, dim: 16, num_heads: 2, ffn_dim: 24, position_kernel: 4, position_groups: 2}"


def test_every_corpus_of_a_study_has_its_place() -> None:
    places = runs.places_of(runs.parser_of(None).parse_args(["--root=digits", "--shards=elsewhere"]))
    for corpus in {*results.UPDATES, *depth.RECIPES, methods.CORPUS, *foundation.CORPORA, folding.CORPUS}:
        assert "--data.shards=elsewhere" in places[corpus]
    assert [corpus for corpus, options in places.items() if "--data.root=digits" in options] == ["fsdd"]


def test_a_longer_test_is_kept_apart() -> None:
    """An archive holds evaluations on one test set, and refuses those on others."""
    run = depth.run("foldable", "commands", 1, 8e-3)
    other = runs.Run("a", "b", "conformer_fold", "commands")
    assert run.archive("test") != other.archive("test")
    assert run.archive("dev") == other.archive("dev")


def test_a_foundation_model_is_trained_once_and_left_as_others_publish_theirs(
    fold_command: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []
    monkeypatch.setattr(runs, "fold", lambda *arguments: commands.append(fold_command(*arguments)))
    source = tmp_path / "pretrained" / "huggingface"
    arguments = [
        f"--config={REPOSITORY}/experiments/wav2vec2_small_full.yaml",
        f"--model.network.shape={TINY}",
        "--data.corpus={class_path: tones.Tones, init_args: {train: 24, dev: 4, test: 4}}",
        "--data.batch_seconds=4",
        "--data.update_seconds=4",
        "--data.num_workers=0",
        "--data.prepare_workers=1",
        "--trainer.devices=1",
        "--trainer.max_steps=1",
        "--trainer.val_check_interval=1",
    ]
    for _ in range(2):
        runs.pretrain(source, arguments, ["--data.shards=shards"])
    assert len(commands) == 2  # trained and exported, once
    network = Foundation(source=str(source))
    assert (network.num_layers, network.original.family) == (2, "wav2vec2")
    assert network.vocabulary is not None
