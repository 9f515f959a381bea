"""What is installed works outside the clone: the wheel, and the clone itself where it is installed editable.

Python takes a folder called `fold`, such as a clone in the working directory, for a package without `__init__.py`. That
comes behind every real package on the path, but before what the import hooks of editable installs find; so here an
editable install puts the clone on the path (`package-dir` in pyproject.toml has setuptools do so).
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import REPOSITORY

import fold

pytestmark = pytest.mark.slow
LEFT_OUT = shutil.ignore_patterns(".*", "*.egg-info", "build", "runs", "shards", "__pycache__", "results", "tests")


def run(folder: Path, *command: object) -> str:
    done = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in a folder called `fold`: a build leaves files in its source."""
    return shutil.copytree(REPOSITORY, tmp_path_factory.mktemp("above") / "fold", symlinks=True, ignore=LEFT_OUT)


def environment(folder: Path) -> Path:
    """The python of a new virtual environment, which finds the dependencies, and no fold, where this one does."""
    run(folder, sys.executable, "-m", "venv", folder / "venv")
    [site] = (folder / "venv").glob("lib/python*/site-packages")
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(others))
    return folder / "venv" / "bin" / "python"


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(folder, sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={folder}", clone)
    [built] = folder.glob("*.whl")
    return built


def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    python = environment(tmp_path)
    run(tmp_path, python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    assert "venv" in run(tmp_path, python, "-c", "import fold; print(fold.__file__)")
    command = python.parent / "fold"
    assert run(tmp_path, command, "--version") == f"fold {fold.__version__}\n"
    sizes = {"hours": 0.02, "dev_utterances": 8, "test_utterances": 8}
    few = [f"--data.corpus.init_args.{name}={size}" for name, size in sizes.items()]
    run(tmp_path, command, "fit", "--config=debug", "--config=commands", *few, "--run_dir=run")
    loading = "import fold; model = fold.load('run/checkpoints/last.ckpt'); print(*model.depths)"
    assert run(tmp_path, python, "-c", loading) == "2 3 4\n"
    names = run(tmp_path, python, "-c", "from fold import shipped; print(*shipped.names())").split()
    assert names == [
        file.stem for kind in ("experiments", "data") for file in sorted((REPOSITORY / kind).glob("*.yaml"))
    ]


def test_a_clone_installed_editable_is_found_from_the_folder_above_it(clone: Path, tmp_path: Path) -> None:
    python = environment(tmp_path)
    run(tmp_path, python, "-m", "pip", "install", "--quiet", "--no-deps", "--editable", clone)
    for folder in (tmp_path, clone.parent, clone):
        found = run(folder, python, "-c", "import fold; print(fold.__version__, fold.__file__)")
        assert found.split() == [fold.__version__, str(clone / "fold" / "__init__.py")]
        assert run(folder, python, "-m", "fold", "--version") == f"fold {fold.__version__}\n"


def test_the_distribution_is_not_that_of_strangers() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["name"] == "fold-asr"
