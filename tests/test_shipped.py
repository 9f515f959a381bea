"""Files of settings build on one another, and those that come with fold go by their names."""

from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY

from fold import shipped
from fold.errors import FoldError

EXPERIMENTS = sorted((REPOSITORY / "experiments").glob("*.yaml"))


def write(folder: Path, **files: str) -> Path:
    """Writes NAME.yaml each; returns the last."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{name}.yaml"


def test_every_file_of_the_two_folders_goes_by_its_name() -> None:
    files = [file for folder in ("experiments", "data") for file in sorted((REPOSITORY / folder).glob("*.yaml"))]
    assert [file.resolve() for file in shipped.names().values()] == files  # so no two share a name
    assert shipped.find("conformer_fold").read_bytes() == (REPOSITORY / "experiments/conformer_fold.yaml").read_bytes()


def test_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("debug").mkdir()  # a folder of a shipped name does not stand in its way
    assert shipped.find("debug") == shipped.names()["debug"]
    Path("commands").write_text("data: {}")
    assert shipped.find("commands") == Path("commands")


@pytest.mark.parametrize(("name", "told"), [("conformer_fld", "did you mean conformer_fold?"), ("a/b.yaml", "no such")])
def test_unknown_names_are_refused(name: str, told: str) -> None:
    with pytest.raises(FoldError, match=told):
        shipped.find(name)


def test_what_a_file_says_replaces_what_its_base_says(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        first="model: {a: {class_path: A, init_args: {x: 1, y: 2}}, b: {class_path: B, init_args: {x: 1}}, l: [1, 2]}",
        second="base: first.yaml\nmodel: {a: {init_args: {x: 5}}, b: {class_path: C, init_args: {z: 3}}, n: null}",
        third="base: second.yaml\nmodel: {l: [3]}\ndata: {s: 1}",
    )
    assert shipped.read(file) == {
        "model": {
            "a": {"class_path": "A", "init_args": {"x": 5, "y": 2}},  # the same class
            "b": {"class_path": "C", "init_args": {"z": 3}},  # another
            "l": [3],
            "n": None,
        },
        "data": {"s": 1},
    }


@pytest.mark.parametrize("base", ["nowhere", "nowhere.yaml", "[debug]", "null"])
def test_a_missing_base_is_refused_in_one_line(base: str, tmp_path: Path) -> None:
    file = write(tmp_path, mine=f"base: {base}\nmodel: {{}}")
    with pytest.raises(FoldError, match=r"mine\.yaml: base '.*' is missing: expected") as caught:
        shipped.read(file)
    assert "\n" not in str(caught.value)


def test_a_circle_is_refused_in_one_line(tmp_path: Path) -> None:
    file = write(tmp_path, one="base: two.yaml", two="base: three.yaml", three="base: one.yaml")
    with pytest.raises(FoldError, match=r"leads back to itself \(three.yaml -> one.yaml -> two.yaml -> three.yaml\)"):
        shipped.read(file)


@pytest.mark.parametrize("text", ["a: [", "- list", "base: bad.yaml"])
def test_a_base_that_is_no_settings_is_named(text: str, tmp_path: Path) -> None:
    file = write(tmp_path, bad="just text", mine=text)
    with pytest.raises(FoldError, match=r"(mine|bad)\.yaml"):
        shipped.read(file)


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_an_experiment_says_only_what_differs_from_its_base(file: Path) -> None:
    """A base is the first setting of a file, and no line repeats what the base says."""
    own = yaml.safe_load(file.read_text())
    if "base" not in own:
        return
    assert next(iter(own)) == "base"
    base = shipped.read(shipped.names()[own.pop("base")])
    assert not repeated(base, own)


def repeated(base: dict, own: dict, name: str = "") -> list[str]:
    both = [key for key in own if key in base]
    inner = [
        found
        for key in both
        if isinstance(own[key], dict) and isinstance(base[key], dict)
        for found in repeated(base[key], own[key], f"{name}{key}.")
    ]
    return inner + [name + key for key in both if own[key] == base[key] and not isinstance(own[key], dict)]
