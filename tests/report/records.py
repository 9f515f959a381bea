"""Records of evaluations that never took place: errors are drawn at a rate that the caller sets."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fold.metrics import ErrorCounts
from fold.metrics.errors import count_errors
from fold.paths import PathSpace
from fold.report.record import Record, Training
from fold.report.sweep import SweepRow

VOCABULARY = [f"word{number}" for number in range(50)]


def references(utterances: int = 80, seed: int = 0) -> dict[str, str]:
    generator = random.Random(seed)
    return {
        f"utt-{i:03d}": " ".join(generator.choices(VOCABULARY, k=generator.randint(2, 9))) for i in range(utterances)
    }


def corrupted(text: str, rate: float, generator: random.Random) -> str:
    """Each word is replaced, dropped or doubled with probability `rate`."""
    words = []
    for word in text.split():
        fate = generator.choice(["replace", "drop", "double"]) if generator.random() < rate else "keep"
        words += {"keep": [word], "replace": ["wrong"], "drop": [], "double": [word, word]}[fate]
    return " ".join(words)


def make_record(
    rates: Mapping[int, float],
    num_layers: int = 2,
    name: str = "foldable",
    seed: int = 0,
    said: Mapping[str, str] | None = None,
    num_params: int = 1000,
    settings: Mapping[str, Any] | None = None,
    hours: float = 1.0,
    device: str = "x86_64 CPU, 1 threads",
    data: str = "0123456789abcdef",
) -> Record:
    """A record whose canonical path of each depth errs at the rate given for it."""
    said = said or references()
    space = PathSpace(num_layers, 2)
    generator = random.Random(f"{name} {seed}")
    rows, errors = [], {}
    for depth, rate in rates.items():
        path = str(space.canonical(depth))
        hypotheses = {id: corrupted(text, rate, generator) for id, text in said.items()}
        counts = sum((count_errors(said[id], text) for id, text in hypotheses.items()), ErrorCounts())
        rows.append(SweepRow.from_counts(depth, path, True, num_params, counts, "test", "greedy"))
        errors[path] = {id: text for id, text in hypotheses.items() if text != said[id]}
    return Record(
        name=name,
        corpus="made.Up",
        split="test",
        num_layers=num_layers,
        num_params=num_params,
        stored_bytes=4 * num_params,
        int8_bytes=num_params,
        rows=tuple(rows),
        references=said,
        errors=errors,
        real_time_factors={row.path: 0.01 * row.depth for row in rows},
        device=device,
        training=Training(updates=100, hours=hours, cpu_hours=hours, processes=1, device=device, data=data),
        settings={"seed_everything": seed, "model": {"num_layers": num_layers, "seed": seed}, **(settings or {})},
        date="2026-01-01",
        decoding={"method": "greedy"},
        macs={row.path: 1.5e8 * row.depth for row in rows},
    )


def make_record_of_subsets(rates: Mapping[str, Mapping[int, float]], **settings: Any) -> Record:
    """A record of several subsets, each with rates as `make_record` takes them."""
    parts = []
    for number, (subset, of_subset) in enumerate(rates.items()):
        said = {f"{subset}-{id}": text for id, text in references(60 + 20 * number, seed=number).items()}
        part = make_record(of_subset, said=said, **settings)
        parts.append(replace(part, rows=tuple(replace(row, subset=subset) for row in part.rows)))
    first = parts[0]
    return replace(
        first,
        rows=tuple(row for part in parts for row in part.rows),
        references={id: text for part in parts for id, text in part.references.items()},
        errors={path: {id: text for part in parts for id, text in part.errors[path].items()} for path in first.errors},
        utterances={subset: tuple(part.references) for subset, part in zip(rates, parts, strict=True)},
    )
