"""Checks the significance tests on simulated systems, and against NIST's sc_stats where it is installed (sctk).

    python -m studies.significance

Prints how often systems that err alike are found to differ at p = 0.05, how often a real difference is found, how often
the bootstrap's interval covers the truth, and in how many cases MAPSSWE equals NIST's.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fold.metrics.significance import Triple, bootstrap, mapsswe, word_errors

LARGE, SMALL = 2000, 20  # words: with few, alignments are ambiguous and sclite, which weighs edits, takes others
LEVEL = 0.05
TRIALS = 2000


def main() -> None:
    generator = random.Random(1)
    for utterances in (30, 100, 300):
        false = share_found(0.15, 0.15, utterances, TRIALS, generator)
        found = share_found(0.15, 0.12, utterances, TRIALS // 4, generator)
        print(
            f"{utterances:4} utterances: alike, p < {LEVEL}: {100 * false:.1f} %; 15 against 12 %: {100 * found:.0f} %"
        )
    print(f"95 % interval of the bootstrap covers the truth: {100 * coverage(500, 100, generator):.1f} %")
    if not shutil.which("sctk"):
        print("NIST's sctk is not installed: not compared")
        return
    for vocabulary in (LARGE, SMALL):
        equal = sum(equals_nist(simulated(*rates(generator), 150, generator, vocabulary)) for _ in range(40))
        print(f"MAPSSWE equals sc_stats, {vocabulary} words: {equal} of 40 cases")


def rates(generator: random.Random) -> tuple[float, float]:
    return generator.uniform(0.02, 0.3), generator.uniform(0.02, 0.3)


def simulated(
    rate_a: float, rate_b: float, utterances: int, generator: random.Random, vocabulary: int = LARGE
) -> list[Triple]:
    """Two systems that meet hard utterances together, but err on each word by themselves."""
    words = [f"w{number}" for number in range(vocabulary)]
    triples = []
    for _ in range(utterances):
        reference = generator.choices(words, k=generator.randint(3, 12))
        hardness = generator.uniform(0.2, 1.8)
        a, b = (heard(reference, rate * hardness, generator, words) for rate in (rate_a, rate_b))
        triples.append((" ".join(reference), a, b))
    return triples


def heard(reference: Sequence[str], rate: float, generator: random.Random, words: Sequence[str]) -> str:
    found: list[str] = []
    for word in reference:
        fate = generator.choice(["other", "nothing", "both"]) if generator.random() < rate else "right"
        other = generator.choice(words)
        found += {"right": [word], "other": [other], "nothing": [], "both": [word, other]}[fate]
    return " ".join(found)


def share_found(rate_a: float, rate_b: float, utterances: int, trials: int, generator: random.Random) -> float:
    """Share of simulated pairs of systems that MAPSSWE finds to differ."""
    bar = tqdm(range(trials), desc="MAPSSWE", leave=False, disable=None)
    return sum(mapsswe(simulated(rate_a, rate_b, utterances, generator)).p < LEVEL for _ in bar) / trials


def coverage(trials: int, utterances: int, generator: random.Random) -> float:
    """Share of test sets, drawn from a large one, whose 95 % interval holds the difference on the large one."""
    references, a, b = zip(*simulated(0.2, 0.15, 5000, generator), strict=True)
    errors = [np.array([word_errors(references, said)]) for said in (a, b)]
    words = np.array([len(reference.split()) for reference in references])
    truth, covered = 100 * (errors[0] - errors[1]).sum() / words.sum(), 0
    for trial in tqdm(range(trials), desc="bootstrap", leave=False, disable=None):
        chosen = generator.choices(range(len(words)), k=utterances)
        found = bootstrap(*(of_one[:, chosen] for of_one in errors), words[chosen], resamples=1000, seed=trial)
        covered += found.low <= truth <= found.high
    return covered / trials


def equals_nist(triples: Sequence[Triple]) -> bool:
    ours, theirs = mapsswe(triples), nist(triples)
    values = (ours.segments, ours.mean, ours.deviation, ours.z)
    return all(abs(a - b) < 6e-4 for a, b in zip(values, theirs, strict=True))  # it prints three decimals


def nist(triples: Sequence[Triple]) -> tuple[float, ...]:
    """Segments, mean, deviation and z of sc_stats (SCTK), from alignments of sclite."""
    with tempfile.TemporaryDirectory() as folder:
        for name, texts in zip(("ref", "a", "b"), zip(*triples, strict=True), strict=True):
            lines = [f"{text} (speaker_{index:04d})\n" for index, text in enumerate(texts)]
            (Path(folder) / f"{name}.trn").write_text("".join(lines))
        aligned = "".join(_run(folder, f"sclite -r ref.trn trn -h {s}.trn trn -i rm -o sgml stdout") for s in "ab")
        printed = _run(folder, "sc_stats -p -t mapsswe -v -n -", aligned)
    numbers = re.search(r"# segs: (\d+)\).*mean: (\S+)\) \(std dev: (\S+)\) \(Z Stat: (\S+)\)", printed)
    return tuple(map(float, numbers.groups()))


def _run(folder: str, command: str, given: str = "") -> str:
    done = subprocess.run(
        ["sctk", *command.split()], cwd=folder, input=given, capture_output=True, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    main()
