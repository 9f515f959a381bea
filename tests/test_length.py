"""Recordings longer than what a model was trained on are recognised as well as single sentences, at every depth;
silence and noise hold no words."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Finished
from jiwer import wer
from tones import SAMPLE_RATE, Tones

import fold

RATIO = 1.3
ONE_WORD_IN_A_HUNDRED = 0.01  # more, where single sentences are without a fault
TRAINING = {
    "model.optimizer.init_args.lr": 8.0e-3,
    "model.lr_scheduler.init_args.max_lr": 8.0e-3,
    "trainer.max_steps": 300,
    "trainer.val_check_interval": 300,
    "trainer.check_val_every_n_epoch": "null",
}


@pytest.fixture
def model(tones_config: Path, fold_command: Callable[..., Finished], tmp_path: Path) -> fold.Model:
    """Trained until it makes hardly a mistake, on two to five words at a time."""
    settings = [f"--{name}={value}" for name, value in TRAINING.items()]
    fold_command("fit", f"--config={tones_config}", *settings, "--run_dir=run")
    return fold.load(tmp_path / "run" / "checkpoints" / "last.ckpt")


def recordings(together: int) -> list[tuple[str, np.ndarray]]:
    """All test sentences, so many of them in a recording, with pauses between them; their words and samples."""
    random, corpus = np.random.default_rng(together), Tones()
    said = [corpus.render(recipe, None) for recipe in corpus.recipes("test", None)]
    made = []
    for first in range(0, len(said), together):
        parts = []
        for utterance in said[first : first + together]:
            pause = random.normal(scale=1e-4, size=random.integers(0.3 * SAMPLE_RATE, SAMPLE_RATE))
            parts += [pause, utterance.samples * random.uniform(0.3, 1.0)]
        text = " ".join(utterance.text for utterance in said[first : first + together])
        made.append((text, np.concatenate(parts).astype(np.float32)))
    return made


@pytest.mark.slow
def test_length_costs_nothing_and_silence_has_no_words(model: fold.Model) -> None:
    for depth in model.depths:
        rates = {}
        for together in (1, 2, 4, 10):
            texts, samples = zip(*recordings(together), strict=True)
            rates[together] = wer(
                list(texts), [model.transcribe(one, depth, sample_rate=SAMPLE_RATE) for one in samples]
            )
        assert rates[1] < 0.1
        assert max(rates.values()) <= RATIO * rates[1] + ONE_WORD_IN_A_HUNDRED, (depth, rates)
        for level in (0.0, 1e-4, 1e-3, 1e-2):
            noise = np.random.default_rng(0).normal(scale=level, size=5 * SAMPLE_RATE).astype(np.float32)
            assert model.transcribe(noise, depth, sample_rate=SAMPLE_RATE) == "", (depth, level)
