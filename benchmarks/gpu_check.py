"""All that should be looked at on a GPU, in ten minutes: does it work, how fast is it, what holds it up.

    python -m benchmarks.gpu_check                                 on the GPU, at the size of the experiments
    python -m benchmarks.gpu_check --rehearse --output DIRECTORY   the same on the CPU, tiny: figures mean nothing

Writes one JSON and one Markdown file, named after the device.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.__main__ import TINY, machine
from benchmarks.gpu_speed import growing_batches, joint_steps, profile, waits, wav2vec2_peer
from benchmarks.peer import peer
from benchmarks.report import Row, Section
from benchmarks.workload import Workload
from fold import shipped

REPOSITORY = Path(__file__).parent.parent
RESULTS = REPOSITORY / "benchmarks" / "results" / "gpu"
PAPER = Workload(dim=256, ffn_dim=2048, kernel_size=31, num_layers=6, vocab_size=2000, batch_size=16, seconds=16.0)
GPU_EXPERIMENTS = sorted(
    file.stem
    for file in (REPOSITORY / "experiments").glob("*.yaml")
    if shipped.read(file)["trainer"].get("accelerator") == "gpu" and "source: pretrained/" not in file.read_text()
)  # but for those whose shape has to be downloaded
TOY = {  # of the rehearsal: an experiment and what makes it small
    "conformer_fold_librispeech100": [
        "--model.network.dim=32",
        "--model.network.ffn_dim=16",
        "--model.network.decoder_ffn_dim=16",
        "--model.network.decoder_layers=1",
        "--data.units.vocab_size=100",
        "--data.corpus.train=24",
        "--data.corpus.seconds=3",
        "--data.batch_seconds=10",
        "--data.update_seconds=20",
        "--trainer.accelerator=cpu",
    ]
}


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    options = argparse.ArgumentParser("python -m benchmarks.gpu_check", description=__doc__.split("\n", 1)[0])
    options.add_argument("--rehearse", action="store_true", help="tiny, on the CPU: does the check itself run?")
    options.add_argument("--output", type=Path, default=RESULTS, help="folder of the two files; default: %(default)s")
    settings = options.parse_args(arguments)
    if not settings.rehearse and not torch.cuda.is_available():
        options.error("there is no usable GPU here; --rehearse runs the check itself on the CPU")
    device = torch.device("cpu" if settings.rehearse else "cuda")
    work = TINY if settings.rehearse else PAPER
    console, sections, started = Console(), {}, time.perf_counter()
    console.print(machine(device), highlight=False)
    for name, measure in checks(work, device, settings.rehearse).items():
        sections[name] = attempt(name, measure)
        sections[name].print(console)
    minutes = (time.perf_counter() - started) / 60
    write(settings.output, machine(device), sections, minutes)
    console.print(f"\n{minutes:.1f} minutes; results in {settings.output}", highlight=False)


def checks(work: Workload, device: torch.device, rehearse: bool) -> dict[str, Callable[[], Section]]:
    """What is done, in this order: whether it works first."""
    rounds = 1 if rehearse else 8
    names = dict(TOY) if rehearse else {name: [] for name in GPU_EXPERIMENTS}
    return {
        "tests": lambda: tests(rehearse),
        "experiments": lambda: experiments(names),
        "waits": lambda: waits(work, device),
        "joint": lambda: joint_steps(work, device, rounds, compiled=not rehearse),
        "batches": lambda: growing_batches(work, device, [3.0, 6.0] if rehearse else [62.5, 125, 250, 500, 1000]),
        "conformer": lambda: peer(work, device, rounds),
        "wav2vec2": lambda: wav2vec2_peer(device, rounds, tiny=rehearse),
        "profile": lambda: profile(work, device),
    }


def attempt(name: str, measure: Callable[[], Section]) -> Section:
    """A section, or one that tells why there is none: the other checks go on."""
    try:
        return measure()
    except Exception as error:
        return Section(f"{name}: FAILED", notes=[f"{type(error).__name__}: {error}"])


def tests(rehearse: bool) -> Section:
    """The tests marked `gpu` (in a rehearsal only collected: they run with all others)."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "gpu",
        *(["--collect-only"] if rehearse else []),
        "tests/gpu",
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr.strip()[-300:]
    return Section("Tests marked gpu", notes=[last, *failed])


def experiments(names: dict[str, list[str]]) -> Section:
    """Two updates of each experiment as it is shipped, on random weights and noise. names: with further options."""
    section = Section("Two updates of each experiment, as shipped, random weights")
    with tempfile.TemporaryDirectory() as folder:
        for name, options in names.items():
            section.notes.append(two_updates(name, options, Path(folder), section.rows))
    return section


def two_updates(name: str, options: list[str], folder: Path, rows: list[Row]) -> str:
    """Trains in a process of its own; adds rows of speed and memory. Returns what is to be told."""
    file = REPOSITORY / "experiments" / f"{name}.yaml"
    command = [
        *(sys.executable, "-m", "fold", "fit", f"--config={file}", f"--run_dir={folder / name}"),
        *("--data.corpus=benchmarks.noise.Noise", f"--data.shards={folder / 'shards'}", "--trainer.devices=1"),
        *("--trainer.max_steps=2", "--trainer.log_every_n_steps=1", "--trainer.enable_progress_bar=false"),
        *without_source(file),
        *options,
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        return f"{name}: FAILED: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}"
    with (folder / name / "metrics.csv").open() as stream:
        logged = [row for row in csv.DictReader(stream) if row.get("train/audio_per_second")]
    rows.append(Row(name, [float(row["train/audio_per_second"]) for row in logged], "s/s"))
    rows.append(Row(f"{name}, memory", [float(logged[-1]["train/peak_memory_gb"])], "GB"))
    return f"{name}: trained, saved, swept"


def without_source(file: Path) -> list[str]:
    """Options that give a foundation experiment random weights of its source's shape."""
    network = shipped.read(file)["model"]["network"]["init_args"]
    if "source" not in network:
        return []
    return ["--model.network.source=null", f"--model.network.shape={network['source']}"]


def write(folder: Path, device: str, sections: dict[str, Section], minutes: float) -> None:
    """The results as JSON and Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "-".join(device.split(",")[0].split())
    plain = {"machine": device, "minutes": minutes, "checks": {key: s.to_dict() for key, s in sections.items()}}
    (folder / f"{name}.json").write_text(json.dumps(plain, indent=2) + "\n")
    texts = [f"# {device}\n", *(section.to_markdown() for section in sections.values())]
    (folder / f"{name}.md").write_text("\n".join(texts))


if __name__ == "__main__":
    main()
