"""Subsets come apart in records, tables, figures and scalars, and add up to the whole."""

import dataclasses
import json
import re
from io import StringIO
from pathlib import Path

import pytest
from report.records import make_record, make_record_of_subsets
from rich.console import Console

from fold.errors import FoldError
from fold.metrics.errors import ErrorCounts, count_errors
from fold.report.archive import SUFFIX, read_archive
from fold.report.budget import Budget, choose
from fold.report.figure import Baseline, plot_sweep
from fold.report.record import read_record, record_of_sweep, write_record
from fold.report.sweep import SweepRow, read_sweep, write_sweep
from fold.report.table import sweep_table, to_markdown
from fold.training.callbacks.depth_sweep import scalars
from fold.training.wandb_run import by_depth_scalars

RATES = {"test-clean": {2: 0.2, 3: 0.1, 4: 0.05}, "test-other": {2: 0.5, 3: 0.4, 4: 0.3}}
RESULTS = Path(__file__).parents[2] / "studies" / "results"


def test_a_record_of_subsets_comes_back(tmp_path: Path) -> None:
    record = make_record_of_subsets(RATES)
    write_record(record, tmp_path / "depth_sweep.json")
    assert read_record(tmp_path / "depth_sweep.json") == record
    write_sweep(record.rows, tmp_path / "depth_sweep.csv")
    assert read_sweep(tmp_path / "depth_sweep.csv") == list(record.rows)
    assert record_of_sweep(tmp_path / "depth_sweep.csv").subsets == tuple(RATES)


def test_each_subset_is_what_was_said_of_it() -> None:
    record = make_record_of_subsets(RATES)
    assert record.subsets == tuple(RATES)
    for subset in RATES:
        part = record.of(subset)
        assert part.subsets == (subset,) and all(id.startswith(subset) for id in part.references)
        for row in part.canonical.values():
            pairs = [(part.references[id], text) for id, text in part.hypotheses(row.path).items()]
            counts = sum((count_errors(*pair) for pair in pairs), ErrorCounts())
            assert (row.wer, row.cer, row.sentences) == (counts.wer, counts.cer, counts.sentences)
    clean, other = (record.of(subset).canonical[4].wer for subset in RATES)
    assert clean < other


def test_subsets_add_up_to_the_pooled_whole() -> None:
    record = make_record_of_subsets(RATES)
    whole = record.pooled()
    assert whole.subsets == ("pooled",) and whole.references == record.references
    for depth, row in whole.canonical.items():
        parts = [record.of(subset).canonical[depth] for subset in RATES]
        for name in ("substitutions", "deletions", "insertions", "words", "sentences"):
            assert getattr(row, name) == sum(getattr(part, name) for part in parts)
        pairs = [(record.references[id], text) for id, text in whole.hypotheses(row.path).items()]
        counts = sum((count_errors(*pair) for pair in pairs), ErrorCounts())
        assert (row.wer, row.cer) == (counts.wer, counts.cer)
    alone = make_record({2: 0.1})
    assert alone.pooled() is alone
    with pytest.raises(FoldError, match="cannot be pooled without transcripts"):
        dataclasses.replace(record, references={}, errors={}, utterances={}).pooled()


def test_a_budget_chooses_one_depth_for_all_subsets() -> None:
    record = make_record_of_subsets({"a": {2: 0.0, 4: 0.05}, "b": {2: 0.5, 4: 0.1}})
    assert choose(record.of("a"), Budget(within=0)).depth == 2
    assert choose(record.pooled(), Budget(within=0)).depth == 4
    with pytest.raises(ValueError):
        choose(record, Budget(within=0))  # of which subset is not said


def test_a_record_of_before_there_were_subsets_is_one(tmp_path: Path) -> None:
    record = make_record({2: 0.3, 3: 0.2})
    write_record(record, tmp_path / "a.json")
    plain = json.loads((tmp_path / "a.json").read_text())
    del plain["utterances"]
    for row in plain["rows"]:
        del row["subset"], row["decoding"]
    (tmp_path / "a.json").write_text(json.dumps({**plain, "format": 1, "split": "dev"}))
    former = read_record(tmp_path / "a.json")
    assert (former.subsets, former.canonical.keys()) == (("dev",), record.canonical.keys())
    assert [row.wer for row in former.rows] == [row.wer for row in record.rows]


def test_every_kept_record_of_a_study_can_be_read() -> None:
    archives = [read_archive(file) for file in sorted(RESULTS.glob(f"*{SUFFIX}"))]
    kept = [archive.record(name) for archive in archives for name in archive.names("*/seed1")]
    assert len(kept) > 150
    for record in kept:
        assert record.subsets == (record.split,) and record.split in ("dev", "test")


def test_a_sweep_of_before_there_were_subsets_is_read(tmp_path: Path) -> None:
    record = make_record({2: 0.3, 3: 0.2})
    write_sweep(record.rows, tmp_path / "a.csv")
    lines = [line.rsplit(",", 2)[0] for line in (tmp_path / "a.csv").read_text().split()]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    assert read_sweep(tmp_path / "a.csv") == [dataclasses.replace(row, subset="", decoding="") for row in record.rows]


BROKEN = {
    "not shared out over its subsets test-clean, test-other": lambda plain: plain["utterances"].pop("test-other"),
    "not evaluated along the same paths": lambda plain: plain["rows"].pop(),
    "are not those that its errors": lambda plain: plain["utterances"].update(
        {"test-clean": plain["utterances"]["test-other"], "test-other": plain["utterances"]["test-clean"]}
    ),
    "no canonical path": lambda plain: [row.update(canonical=False) for row in plain["rows"][3:]],
    "path 1-2 are missing": lambda plain: plain["errors"].pop("1-2"),
}


@pytest.mark.parametrize("named", BROKEN)
def test_what_is_wrong_with_subsets_is_named(named: str, tmp_path: Path) -> None:
    file = tmp_path / "depth_sweep.json"
    write_record(make_record_of_subsets(RATES), file)
    plain = json.loads(file.read_text())
    BROKEN[named](plain)
    file.write_text(json.dumps(plain))
    with pytest.raises(FoldError, match=rf"depth_sweep\.json.*{named}"):
        read_record(file)


def shown(rows: tuple[SweepRow, ...]) -> list[list[str]]:
    """Titles and cells of the tables on a terminal of 80 columns."""
    console = Console(file=StringIO(), width=80)
    console.print(sweep_table(rows, "sweep"))
    lines = [line for line in console.file.getvalue().splitlines() if re.search(r"│ +\d|sweep", line)]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_there_is_a_table_a_subset() -> None:
    record = make_record_of_subsets(RATES, num_params=28_689_312)
    parts = {subset: record.of(subset) for subset in RATES}
    assert shown(record.rows) == [
        cells for subset, part in parts.items() for cells in ([f"sweep, {subset}"], *shown(part.rows)[1:])
    ]
    assert [cells[-1] for cells in shown(record.rows)[1:4]] == ["28,689,312"] * 3  # nothing is cut off
    markdown = [f"{subset}:\n\n{to_markdown(part.rows)}" for subset, part in parts.items()]
    assert to_markdown(record.rows) == "\n".join(markdown) and markdown[0] != markdown[1]
    assert shown(parts["test-clean"].rows)[0] == ["sweep"]  # as ever


def test_the_figure_has_a_panel_a_subset() -> None:
    record = make_record_of_subsets(RATES)
    baselines = [Baseline(4, 9.0, subset="test-other"), Baseline(2, 8.0)]
    figure = plot_sweep(record.rows, None, "sweep", baselines)
    for axes, subset in zip(figure.axes, RATES, strict=True):
        assert axes.get_title(loc="left") == f"sweep, {subset}"
        assert axes.lines[0].get_xydata().tolist() == [[r.depth, r.wer] for r in record.of(subset).rows]
        [dots] = [artist for artist in axes.collections if artist.get_label() == "trained individually"]
        assert len(dots.get_offsets()) == (2 if subset == "test-other" else 1)
    [alone] = plot_sweep(record.of("test-clean").rows, None, "sweep").axes
    assert alone.get_title(loc="left") == "sweep"


def test_scalars_are_named_by_subset_where_there_are_several() -> None:
    record = make_record_of_subsets(RATES)
    assert scalars("val", record.rows) == {f"val/{r.subset}/wer/depth_0{r.depth}": r.wer for r in record.rows}
    points = by_depth_scalars(record)
    assert [point["by_depth/depth"] for point in points] == [2, 3, 4]
    for point in points:
        rows = {subset: record.of(subset).canonical[point["by_depth/depth"]] for subset in RATES}
        assert {subset: point[f"by_depth/{subset}/wer"] for subset in RATES} == {s: r.wer for s, r in rows.items()}
        assert "by_depth/wer" not in point and point["by_depth/real_time_factor"] > 0
    alone = record.of("test-clean")
    assert scalars("val", alone.rows) == {f"val/wer/depth_0{r.depth}": r.wer for r in alone.rows}
    assert by_depth_scalars(alone)[0]["by_depth/wer"] == alone.rows[0].wer
