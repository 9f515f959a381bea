"""Stopping by confidence: each utterance runs as deep as it needs, and no weights are added.

    python -m studies.stopping --ckpt_path CHECKPOINT [--shards FOLDER]

A ladder is a few depths that an utterance climbs until it stops: once two in a row agree in the transcript, or once the
model is sure. What it costs is counted in layer calls, where paths that begin alike run their common calls once. For
each fixed depth the policy that does best on dev at no more calls is evaluated on test.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path as File

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch.utils.data import DataLoader

from fold import checkpoint
from fold.data.batching import as_it_is
from fold.data.cache import ShardCache
from fold.data.location import Location
from fold.data.plans import EvalPlan
from fold.data.stream import ShardedSpeech
from fold.decoding.greedy import ctc_greedy
from fold.modules.masks import length_mask
from fold.paths import Path, PathSpace
from fold.unfolding import num_layer_calls
from studies.results_page import markdown

QUANTILES = np.linspace(0.05, 0.95, 19)  # of sureness on dev, to stop at


@dataclass(frozen=True)
class Said:
    """What a model makes of an utterance. words: of the reference; by depth: errors, text, and sureness, the mean over
    frames of the log-probability of the best unit."""

    words: int
    errors: Mapping[int, int]
    texts: Mapping[int, str]
    sureness: Mapping[int, float]


@dataclass(frozen=True)
class Policy:
    """Which depths are tried in turn, and when to stop: above a sureness, or for None once two in a row agree."""

    ladder: tuple[int, ...]
    sure: float | None

    def tried(self, said: Said) -> tuple[int, ...]:
        """The depths that an utterance runs, the last of which transcribes it."""
        for number, depth in enumerate(self.ladder, 1):
            tried = self.ladder[:number]
            if self.sure is not None:
                if said.sureness[depth] >= self.sure:
                    return tried
            elif number > 1 and said.texts[depth] == said.texts[tried[-2]]:
                return tried
        return self.ladder

    def __str__(self) -> str:
        rule = "two agree" if self.sure is None else f"sureness {self.sure:.3f}"
        return f"{' '.join(map(str, self.ladder))}, {rule}"


@dataclass(frozen=True)
class Outcome:
    """wer: in percent; calls: of layers, mean over utterances."""

    wer: float
    calls: float


def outcome(policy: Policy, said: Iterable[Said], space: PathSpace) -> Outcome:
    tried = [(one, policy.tried(one)) for one in said]
    errors, words = sum(one.errors[depths[-1]] for one, depths in tried), sum(one.words for one, _ in tried)
    return Outcome(100 * errors / words, float(np.mean([calls(space, depths) for _, depths in tried])))


@lru_cache
def calls(space: PathSpace, depths: tuple[int, ...]) -> int:
    """Layer calls of the canonical paths of some depths together."""
    return num_layer_calls([space.canonical(depth) for depth in depths])


def policies(depths: Sequence[int], said: Sequence[Said]) -> Iterator[Policy]:
    """Every ladder with every rule; said: on dev."""
    for size in range(1, len(depths) + 1):
        for ladder in combinations(depths, size):
            levels = np.quantile([one.sureness[depth] for one in said for depth in ladder], QUANTILES)
            yield from (Policy(ladder, level) for level in (*levels, None))


def hear(ckpt_path: str, shards: str | None, split: str) -> tuple[PathSpace, list[Said]]:
    """What a model makes of a split at every depth."""
    model, description = checkpoint.restore(checkpoint.read(ckpt_path), ckpt_path)
    location = Location.of(shards or description.shards, ShardCache(File("shards/cache"), 50 * 10**9))
    index = location.index()
    data = ShardedSpeech(location, index.splits[split], index.sample_rate, description.units)
    chosen = index.splits[split].shards_of(index.splits[split].subsets)
    plan = EvalPlan(data.lengths(), chosen, 120 * index.sample_rate)
    paths, units, found = [description.space.canonical(d) for d in description.space.depths], description.units, []
    for batch in DataLoader(data, sampler=plan, batch_size=None, collate_fn=as_it_is):
        with torch.inference_mode():
            outputs = model(batch.waveforms, batch.num_samples, paths)
        by_path: dict[Path, tuple[list[str], list[float]]] = {}
        for output in outputs:
            frames = length_mask(output.num_frames, output.ctc_log_probs.shape[1])
            sure = (output.ctc_log_probs.amax(-1) * frames).sum(1) / output.num_frames.clamp(min=1)
            texts = [units.decode(ids) for ids in ctc_greedy(output.ctc_log_probs, output.num_frames)]
            by_path[output.path] = texts, sure.tolist()
        for row, text in enumerate(batch.texts):
            texts = {path.depth: said[row] for path, (said, _) in by_path.items()}
            errors = {depth: Levenshtein.distance(text.split(), said.split()) for depth, said in texts.items()}
            sureness = {path.depth: sure[row] for path, (_, sure) in by_path.items()}
            found.append(Said(len(text.split()), errors, texts, sureness))
    return description.space, found


def table(space: PathSpace, dev: Sequence[Said], test: Sequence[Said]) -> str:
    """Each fixed depth beside the best policy on dev that costs no more there."""
    depths = list(space.depths)
    tried = {policy: outcome(policy, dev, space) for policy in policies(depths, dev)}
    rows = []
    for depth in depths:
        fixed = [outcome(Policy((depth,), None), said, space).wer for said in (dev, test)]
        affordable = [policy for policy, found in tried.items() if found.calls <= depth]
        best = min(affordable, key=lambda policy: (tried[policy].wer, tried[policy].calls))
        tested = outcome(best, test, space)
        cells = [*fixed, tried[best].wer, tested.wer]
        rows.append([str(depth), *(f"{wer:.2f}" for wer in cells), f"{tested.calls:.2f}", str(best)])
    headings = (
        "layer calls",
        "fixed: dev",
        "fixed: test",
        "stopping: dev",
        "stopping: test",
        "its calls on test",
        "how",
    )
    return markdown(headings, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_path", required=True, help="of a trained model")
    parser.add_argument("--shards", help="a prepared corpus; by default that of its training")
    options = parser.parse_args()
    space, dev = hear(options.ckpt_path, options.shards, "dev")
    _, test = hear(options.ckpt_path, options.shards, "test")
    print(table(space, dev, test))


if __name__ == "__main__":
    main()
