"""The core is plain PyTorch: it neither waits for Lightning nor needs W&B."""

import subprocess
import sys

CORE = (
    "fold.paths, fold.unfolding, fold.models, fold.losses, fold.decoding.decode, fold.metrics, fold.report.figure, "
    "fold.evaluation, fold.checkpoint, fold.cli, fold.cli.transcribe, fold.cli.sweep"
)


def test_core_imports_neither_lightning_nor_wandb() -> None:
    code = f"import sys, {CORE}; print([name for name in ('lightning', 'wandb') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
