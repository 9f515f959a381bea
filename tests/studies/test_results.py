"""The page of results is made of records alone, and the study goes on where it was interrupted."""

import re
import sys
from pathlib import Path
from statistics import fmean

import pytest
from report.records import make_record

from fold.report.record import read_record, write_record
from studies import foundation, results, runs

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "studies" / "results")
    for page in (results.PAGE, results.CLAIM):
        text = (ROOT / page).read_text()
        emptied = re.sub(r"(<!-- ([\w ]+) -->).*?(<!-- end of \2 -->)", r"\1\n\3", text, flags=re.S)
        (tmp_path / page).parent.mkdir(exist_ok=True)
        (tmp_path / page).write_text(emptied)


def finish(run: runs.Run, rate: float = 0.1) -> None:
    """Leaves records as if the run had been trained."""
    depth = next((int(o.split("=")[1]) for o in run.options if "num_layers" in o), None)
    rates = {depth: rate} if depth else dict.fromkeys(results.DEPTHS, rate)
    record = make_record(rates, num_layers=depth or 4, name=run.experiment, seed=run.seed)
    for split in ("dev", "test", "beyond"):
        write_record(record, run.file(split))


def page(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "argv", ["results", "--page-only"])
    results.main()
    return Path("RESULTS.md").read_text()


def test_the_rate_with_the_lowest_dev_error_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    best = {
        "fsdd": ("fold lr 0.006", "physical 4 lr 0.003", "physical 6 lr 0.0015", "physical 8 lr 0.00075"),
        "commands": ("fold lr 0.006", "physical 4 lr 0.003", "physical 6 lr 0.003", "physical 8 lr 0.0015"),
    }
    for run in results.searches():
        finish(run, rate=0.05 if run.name in best[run.corpus] else 0.3)
    assert results.fold_rate() == 0.006
    rates = {corpus: [results.physical_rate(corpus, depth) for depth in range(4, 9)] for corpus in best}
    assert rates["fsdd"] == [0.003, 0.0015, 0.0015, 0.00075, 0.00075]
    assert rates["commands"] == [0.003, 0.003, 0.003, 0.0015, 0.0015]
    assert "| fold lr 0.006 |" in page(monkeypatch)
    assert all("lr=0.006" in " ".join(run.options) for run in results.varied("B", "fsdd")["no KL"])


def test_the_page_shows_what_is_finished_and_only_that(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "| system |" not in page(monkeypatch)
    for run in results.searches():
        finish(run)
    for run in results.claim("fsdd"):
        finish(run)
    shown = page(monkeypatch)
    assert "| physical 5 lr 0.00075 |" in shown and "![WER against executed depth](studies/results/A-fsdd.png)" in shown
    assert "| **1-2-3-4** | 4 |" in shown
    assert "\n- difference:" in shown and "\n- RTF" not in shown and "\n- hours" not in shown  # no such columns here
    assert "| no KL |" not in shown
    finish(results.varied("B", "fsdd")["no KL"][0], rate=0.3)
    start, changed = (find_row(page(monkeypatch), name) for name in ("full KL", "no KL"))
    start_wers, (changed_wer,) = ([float(wer) for wer in row[1].split(" / ")] for row in (start, changed))
    assert float(changed[3].split()[0]) == pytest.approx(changed_wer - fmean(start_wers), abs=0.1)  # of rounded WERs
    low, high = (float(end) for end in re.search(r"\[(.+), (.+)\]", changed[3]).groups())
    assert 0 < low < changed_wer - fmean(start_wers) < high


def test_the_claim_holds_the_foldable_model_against_its_counterparts(monkeypatch: pytest.MonkeyPatch) -> None:
    for run in results.searches():
        finish(run, rate=0.5)  # so that the rates that part A takes remain the best
    for corpus in results.UPDATES:
        for run in results.claim(corpus):
            finish(run, rate=0.1 if run.experiment == "conformer_fold" else 0.3)
    page(monkeypatch)
    fold, alone, difference, *_ = find_row(results.CLAIM.read_text().split("<!-- A -->")[1], "7")
    ours, theirs = (float(cell.split()[0]) for cell in (fold, alone))
    assert ours < theirs and float(difference.split()[0]) == pytest.approx(ours - theirs, abs=0.02)
    for heading in ("fsdd: foldable", "commands: foldable"):
        assert heading in results.CLAIM.read_text()


def test_a_part_without_a_place_is_not_lost_in_silence(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("<!-- A -->\n<!-- end of A -->\n")
    with pytest.raises(SystemExit, match="'B'"):
        results.update_page(tmp_path / "page.md", {"A": "a", "B": "b"})


def find_row(page: str, name: str) -> list[str]:
    """Cells after the name."""
    return next(line for line in page.splitlines() if line.startswith(f"| {name} |")).split(" | ")[1:]


def test_what_is_finished_is_not_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []
    monkeypatch.setattr(runs.Run, "train", lambda run, places: (trained.append(run), finish(run)))
    waiting = results.searches()
    finish(waiting[0])
    runs.train_all(waiting, {"fsdd": [], "commands": []}, jobs=1)
    assert trained == waiting[1:]
    everything = list(dict.fromkeys(results.everything()))
    assert len({run.label for run in everything}) == len(everything)


def test_one_failed_run_ends_the_study_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run: runs.Run, places: object) -> None:
        sys.exit(f"fold fit: {run.name} did not learn")

    monkeypatch.setattr(runs.Run, "train", fail)
    with pytest.raises(SystemExit, match="did not learn"):
        runs.train_all(results.searches(), {"fsdd": [], "commands": []}, jobs=1)


def test_a_kept_record_names_no_place_of_this_machine(tmp_path: Path) -> None:
    data = {"shards": "/home/someone/shards", "root": "/home/someone", "cache": "/home", "batch_seconds": 25}
    record = make_record({2: 0.1}, settings={"data": data})
    write_record(record, tmp_path / "a.json")
    runs.keep(tmp_path / "a.json", tmp_path / "kept" / "b.json")
    kept = read_record(tmp_path / "kept" / "b.json")
    assert kept.settings["data"] == {"batch_seconds": 25}
    assert (kept.rows, kept.errors) == (record.rows, record.errors)


def test_the_foundation_study_fills_its_part_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["foundation", "--page-only"])
    rates = {"full": {6: 0.1}, "compact": {4: 0.2}, "fold": dict.fromkeys((4, 5, 6), 0.1)}
    for run in foundation.TABLES["foundation commands"].runs():
        record = make_record(rates[run.name], num_layers=4, name=run.experiment, seed=run.seed)
        write_record(record, run.file("dev"))
        write_record(record, run.file("test"))
    foundation.main()
    shown = Path("RESULTS.md").read_text()
    assert "| compact |" in shown and "Counterparts: full." in shown
    assert "| fold_first |" not in shown and "foundation-fsdd.png" not in shown
    assert "--random_seed=SEED" in shown
