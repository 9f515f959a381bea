"""The core is plain PyTorch: it neither waits for Lightning nor needs W&B. Rooms import one way, never in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import fold

CORE = (
    "fold.paths, fold.unfolding, fold.models, fold.losses, fold.terms, fold.objective, fold.sampling, "
    "fold.decoding.decode, fold.metrics, fold.report.figure, fold.evaluation.checkpoint, fold.checkpoint, fold.api, "
    "fold.cli, fold.cli.transcribe, fold.cli.sweep"
)
PACKAGE = Path(fold.__file__).parent


def test_core_imports_neither_lightning_nor_wandb() -> None:
    code = f"import sys, {CORE}; print([name for name in ('lightning', 'wandb') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def statements(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs when a module is imported; what is for type checkers alone does not."""
    for node in nodes:
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield node
            if isinstance(node, ast.If | ast.Try | ast.With):
                yield from statements(node.body)


def imported(file: Path) -> Iterator[str]:
    """Modules of fold that a file imports, and what it takes from them, by their dotted names."""
    for node in statements(ast.parse(file.read_text()).body):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "fold":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "fold")


def graph(length: int | None) -> dict[str, set[str]]:
    """Which module imports which, or with a length of 2 which room (a file or folder of fold) which."""
    files = {
        ".".join(("fold", *file.relative_to(PACKAGE).with_suffix("").parts)): file for file in PACKAGE.rglob("*.py")
    }
    modules = {name.removesuffix(".__init__"): file for name, file in files.items()}

    def shortened(name: str) -> str:
        name = name if name in modules else name.rpartition(".")[0]
        return ".".join(name.split(".")[:length])

    found: dict[str, set[str]] = {}
    for name, file in modules.items():
        others = {shortened(other) for other in imported(file)} - {shortened(name), "fold"}
        found.setdefault(shortened(name), set()).update(others)
    return found


def test_no_modules_and_no_rooms_import_each_other_in_a_circle() -> None:
    modules, rooms = graph(None), graph(2)
    assert "fold.paths" in modules["fold.unfolding"] and "fold.models" in rooms["fold.training"]
    for edges in (modules, rooms):
        TopologicalSorter(edges).prepare()  # raises CycleError, which names the circle
