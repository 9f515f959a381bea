"""Tones in LibriSpeech's directory layout, with two subsets in dev and in test."""

import dataclasses
from pathlib import Path

import soundfile
from tones import SAMPLE_RATE, Tones

from fold.data.corpora import LibriSpeech

SIZES = {"train-clean-100": 40, "train-other-500": 20, "dev-clean": 6, "dev-other": 4, "test-clean": 9, "test-other": 5}
CORPUS = LibriSpeech(
    train=["train-clean-100", "train-other-500"], dev=["dev-clean", "dev-other"], test=["test-clean", "test-other"]
)


def write_folders(root: Path) -> Path:
    """Each subset has two chapters; what is said in those called other does not match their sound."""
    for seed, (subset, size) in enumerate(SIZES.items()):
        tones = Tones(test=size, random_seed=seed)
        for number, recipe in enumerate(tones.recipes("test", None)):
            chapter = root / subset / f"{seed}{number % 2}" / "1"
            chapter.mkdir(parents=True, exist_ok=True)
            name = f"{seed}{number % 2}-1-{number:04d}"
            samples = tones.render(dataclasses.replace(recipe, id=name), None).samples
            soundfile.write(chapter / f"{name}.flac", samples, SAMPLE_RATE)
            said = "d d d d d d" if "other" in subset else recipe.text
            with (chapter / f"{seed}{number % 2}-1.trans.txt").open("a") as transcripts:
                transcripts.write(f"{name} {said.upper()}\n")
    return root
