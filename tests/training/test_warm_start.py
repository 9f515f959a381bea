"""A run that starts from the weights of another: what fits is taken, what differs is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from conftest import TINY_NETWORK, Finished
from hostile import HostileServer

from fold.checkpoint import Description, load
from fold.errors import FoldError
from fold.models import Conformer, Recogniser
from fold.models.layers import EBranchformerLayers
from fold.paths import PathSpace
from fold.text.units import CharUnits, SentencePieceUnits, Units
from fold.training.warm_start import WarmStart, take, unit_dimensions

Command = Callable[..., Finished]
NETWORK = Conformer(**TINY_NETWORK)
KEPT_RATE = [  # no update changes a weight
    "--model.optimizer.lr=0",
    "--model.lr_scheduler={class_path: torch.optim.lr_scheduler.ConstantLR, init_args: {factor: 1.0}}",
]


def model_of(units: Units, network: Conformer = NETWORK) -> tuple[Recogniser, Description]:
    description = Description(network, PathSpace(2, 2), units, 8000, shards="nowhere")
    return description.build(), description


def started(
    before: Units, now: Units, networks: Sequence[Conformer] = (NETWORK, NETWORK)
) -> tuple[Recogniser, Recogniser, Recogniser, list[str]]:
    """A model, a fresh one before and after it started from the first, and the parts that stayed new."""
    source, held = model_of(before, networks[0])
    fresh, description = model_of(now, networks[1])
    model, _ = model_of(now, networks[1])
    model.load_state_dict(fresh.state_dict())
    _, new = take(model, description, source.state_dict(), held)
    return source, fresh, model, new


def same(a: Recogniser, b: Recogniser, part: str) -> bool:
    pairs = [(a.state_dict()[name], b.state_dict()[name]) for name in a.state_dict() if name.split(".")[0] == part]
    return bool(pairs) and all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("decoder_layers", [0, 1])
def test_rows_follow_their_units(decoder_layers: int) -> None:
    """Units that both have keep their rows, wherever they stand now; new ones keep what they were born with."""
    network = replace(NETWORK, decoder_layers=decoder_layers, decoder_ffn_dim=16)
    before, now = CharUnits(" abd"), CharUnits(" bcd'")
    source, fresh, model, new = started(before, now, (network, network))
    assert not new
    assert all(same(source, model, part) for part in ("stem", "unfolding", "final_norm"))
    _, description = model_of(now, network)
    dimensions = unit_dimensions(description)
    assert {name.split(".")[0] for name in dimensions} == {"ctc_head", *(["decoder"] if decoder_layers else [])}
    states = [each.state_dict() for each in (source, fresh, model)]
    for name, dim in dimensions.items():
        theirs, born, ours = (state[name].movedim(dim, 0) for state in states)
        for index, symbol in enumerate(now.symbols):
            known = symbol in before.symbols
            assert torch.equal(ours[index], theirs[before.symbols.index(symbol)] if known else born[index])


def test_pieces_are_known_by_their_text() -> None:
    texts = ["turn the light on", "turn the radio off", "dim the light", "the light is on"]
    before, now = (SentencePieceUnits.train(texts[:n], size) for n, size in ((3, 20), (4, 22)))
    source, fresh, model, _ = started(before, now)
    shared = [symbol for symbol in now.symbols if symbol in before.symbols]
    assert 3 < len(shared) < len(now)
    for index, symbol in enumerate(now.symbols):
        row = source.ctc_head.weight[before.symbols.index(symbol)] if symbol in shared else fresh.ctc_head.weight[index]
        assert torch.equal(model.ctc_head.weight[index], row)


@pytest.mark.parametrize(("before", "now"), [(0, 1), (1, 0), (2, 1), (1, 2)])
def test_another_decoder_starts_anew(before: int, now: int) -> None:
    networks = [replace(NETWORK, decoder_layers=layers, decoder_ffn_dim=16) for layers in (before, now)]
    source, fresh, model, new = started(CharUnits("ab"), CharUnits("ab"), networks)
    assert new == (["decoder"] if now else [])
    assert same(source, model, "ctc_head") and same(source, model, "unfolding")
    assert not now or same(fresh, model, "decoder")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tones_config: Path, fold_once: Callable[..., None]) -> Path:
    """The folder `runs` with a run on four tones."""
    folder = tmp_path_factory.mktemp("warm")
    fold_once(folder, "fit", f"--config={tones_config}")
    return folder / "runs"


@pytest.fixture
def first(trained: Path, tmp_path: Path) -> Path:
    """A copy of its last checkpoint."""
    copy = tmp_path / "runs" / "tones"
    shutil.copytree(trained / "tones", copy, symlinks=True)
    return copy / "latest" / "checkpoints" / "last.ckpt"


def told(done: Finished) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith("starts from")]


def test_a_checkpoint_is_found_by_its_run(first: Path, tmp_path: Path) -> None:
    """And its name does not change its meaning with the next run."""
    for folder in (first, first.parent, first.parents[1], first.parents[2]):
        found = WarmStart.of(str(folder), tmp_path).source
        assert found == str(first.resolve()) and "latest" not in found


@pytest.mark.parametrize("remote", [False, True])
def test_a_run_starts_from_a_folder_or_a_url(
    remote: bool, first: Path, fold_command: Command, tones_config: Path
) -> None:
    with HostileServer(first.parents[1]) as server:
        source, kept = str(first.parents[1]), str(first.resolve())
        if remote:
            source = kept = f"{server.url}/checkpoints/last.ckpt"
        options = [f"--config={tones_config}", "--run_dir=second", "--trainer.max_steps=1", f"--init_from={source}"]
        done = fold_command("fit", *options, *KEPT_RATE)
    assert told(done) == [f"starts from {kept}: stem, unfolding, final_norm, ctc_head taken; the same units"]
    assert yaml.safe_load(Path("second/config.yaml").read_text())["init_from"] == kept
    before, after = (load(file)[0].state_dict() for file in (first, "second/checkpoints/last.ckpt"))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_run_that_goes_on_does_not_read_its_start_again(
    first: Path, fold_command: Command, tones_config: Path
) -> None:
    rates = "--model.learning_rates={ctc_head: 10}"
    schedule = f"--model.lr_scheduler={{class_path: fold.training.schedules.TriStage, init_args: {SHAPE}}}"
    options = [f"--config={tones_config}", "--run_dir=second", f"--init_from={first}", rates, schedule]
    fold_command("fit", *options, "--trainer.max_steps=2")
    start, end = (load(file)[0].state_dict() for file in (first, "second/checkpoints/last.ckpt"))
    moved = {name: (start[name] - end[name]).abs().max() for name in ("ctc_head.weight", "final_norm.weight")}
    assert moved["ctc_head.weight"] > 3 * moved["final_norm.weight"] > 0
    kept, source = yaml.safe_load(Path("second/config.yaml").read_text()), first.resolve()
    assert kept["init_from"] == str(source)
    shutil.rmtree(source.parent)
    done = fold_command("fit", *options, "--trainer.max_steps=3", "--ckpt_path=last")
    assert not told(done) and "resumed with trainer.max_steps: 2 -> 3" in done.stdout
    assert "resumed with init_from" not in done.stdout
    assert yaml.safe_load(Path("second/config.yaml").read_text())["init_from"] == str(source)


SHAPE = "{total_steps: 4, warmup: 0.0, hold: 1.0}"


def test_new_units_are_told(first: Path, fold_command: Command, tones_config: Path) -> None:
    corpus = "--data.corpus={class_path: tones.OtherTones}"
    done = fold_command("fit", f"--config={tones_config}", "--run_dir=second", corpus, f"--init_from={first}")
    assert told(done)[0].endswith("ctc_head taken; units: 7 kept, 2 new ('e', 'f'), 1 left out")


@pytest.mark.parametrize(
    ("network", "line"),
    [
        (replace(NETWORK, num_layers=3), r"another model \(there -> here: model.network.num_layers: 2 -> 3\)"),
        (replace(NETWORK, dim=64, num_heads=4), r"model.network.dim: 32 -> 64, model.network.num_heads: 2 -> 4"),
        (
            replace(NETWORK, layer=EBranchformerLayers()),
            r"model.network.layer.*: ConformerLayers -> EBranchformerLayers",
        ),
    ],
)
def test_another_model_is_refused_by_name(network: Conformer, line: str, first: Path, tmp_path: Path) -> None:
    with pytest.raises(FoldError, match=line):
        WarmStart(str(first), tmp_path).check(network)


def test_another_rate_is_refused(first: Path, tmp_path: Path) -> None:
    model, description = model_of(CharUnits("ab"))
    with pytest.raises(FoldError, match=r"takes audio at 8000 Hz, not 16000; set --data.sample_rate=8000"):
        WarmStart(str(first), tmp_path).load(model, replace(description, sample_rate=16000))


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("nowhere.ckpt", "init_from: no such file nowhere.ckpt; expected a checkpoint of `fold fit`"),
        ("empty", r"empty holds no checkpoint \(last.ckpt\)"),
        ("text.ckpt", "text.ckpt: cannot be read, truncated or no checkpoint"),
        ("other.ckpt", "init_from .*other.ckpt: holds no model of `fold fit`"),
        ("ftp://host/a.ckpt", "'ftp://host/a.ckpt' is refused: expected http://HOST/PATH"),
        ("http://127.0.0.1:9/a.ckpt", "cannot download http://127.0.0.1:9/a.ckpt"),
    ],
)
def test_what_is_no_checkpoint_is_refused(
    source: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fold.data.download.BACKOFF_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("text.ckpt").write_text("no checkpoint")
    torch.save({"fold": {"format": 1}, "state_dict": {}}, "other.ckpt")
    with pytest.raises(FoldError, match=line) as refused:
        start = WarmStart.of(source, tmp_path)
        start.fetch()
        start.check(NETWORK)
    assert "\n" not in str(refused.value)


def test_a_refusal_is_one_line(first: Path, fold_command: Command, tones_config: Path) -> None:
    deeper = "--model.network.init_args.num_layers=3"
    done = fold_command("fit", f"--config={tones_config}", f"--init_from={first}", deeper, check=False)
    assert done.status == 2 and len(done.stderr.strip().splitlines()) == 1
    assert "model.network.num_layers: 2 -> 3" in done.stderr


def test_only_training_starts(first: Path, fold_command: Command, tones_config: Path) -> None:
    options = [f"--config={tones_config}", f"--init_from={first}"]
    done = fold_command("test", *options, check=False)
    assert "`fold test` trains nothing: give --ckpt_path" in done.stderr
    done = fold_command("test", *options, f"--ckpt_path={first}/checkpoints/last.ckpt", check=False)
    assert "`fold test` trains nothing: init_from would do nothing" in done.stderr
