"""The pages of results are made of records only, and the study goes on where it was interrupted."""

import re
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import pytest
from report.records import make_record

from fold.report.archive import keep
from fold.report.record import write_record
from studies import compression, default, foundation, results, results_page, runs

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    Path("README.md"),
    results_page.PAGE,
    *(page.relative_to(ROOT) for page in sorted((ROOT / results_page.TABLES).glob("*.md"))),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "studies" / "results")
    for page in PAGES:
        text = (ROOT / page).read_text()
        emptied = re.sub(r"(<!-- ([\w ]+) -->).*?(<!-- end of \2 -->)", r"\1\n\3", text, flags=re.S)
        (tmp_path / page).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / page).write_text(emptied)


def finish(*finished: runs.Run, rate: float = 0.1) -> None:
    """Leaves records as if the runs had been trained."""
    of_archives = defaultdict(dict)
    for run in finished:
        depth = next((int(o.split("=")[1]) for o in run.options if "num_layers" in o), None)
        rates = {depth: rate} if depth else dict.fromkeys(results.DEPTHS, rate)
        record = make_record(rates, num_layers=depth or 4, name=run.experiment, seed=run.seed)
        for split in ("dev", "test", "beyond"):
            of_archives[run.archive(split)][run.key] = record
    for archive, records in of_archives.items():
        keep(archive, records)


def pages(monkeypatch: pytest.MonkeyPatch) -> str:
    """All of them, one after the other."""
    monkeypatch.setattr(sys, "argv", ["results", "--page-only"])
    results.main()
    return "".join(page.read_text() for page in PAGES)


def test_the_rate_with_the_lowest_dev_error_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    best = {
        "fsdd": ("fold lr 0.006", "physical 4 lr 0.003", "physical 6 lr 0.0015", "physical 8 lr 0.00075"),
        "commands": ("fold lr 0.006", "physical 4 lr 0.003", "physical 6 lr 0.003", "physical 8 lr 0.0015"),
    }
    for rate in (0.05, 0.3):
        finish(*(run for run in results.searches() if (run.name in best[run.corpus]) == (rate < 0.1)), rate=rate)
    assert results.fold_rate() == 0.006
    rates = {corpus: [results.physical_rate(corpus, depth) for depth in range(4, 9)] for corpus in best}
    assert rates["fsdd"] == [0.003, 0.0015, 0.0015, 0.00075, 0.00075]
    assert rates["commands"] == [0.003, 0.003, 0.003, 0.0015, 0.0015]
    assert "| fold lr 0.006 |" in pages(monkeypatch)
    assert all("lr=0.006" in " ".join(run.options) for run in results.varied("B", "fsdd")["no KL"])


def test_the_page_shows_what_is_finished_and_only_that(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "| system |" not in pages(monkeypatch)
    finish(*results.searches())
    finish(*results.claim("fsdd"))
    shown = pages(monkeypatch)
    assert "| physical 5 lr 0.00075 |" in shown and "![WER against executed depth](A-fsdd.png)" in shown
    assert "| **1-2-3-4** | 4 |" in shown
    assert "\n- difference:" in shown and "\n- RTF" not in shown and "\n- hours" not in shown  # no such columns here
    assert "| no KL |" not in shown
    finish(results.varied("B", "fsdd")["no KL"][0], rate=0.3)
    pages(monkeypatch)
    shown = (results_page.TABLES / "parts-of-the-method.md").read_text()
    start, changed = (find_row(shown, name) for name in ("full KL", "no KL"))
    start_wers, (changed_wer,) = ([float(wer) for wer in row[1].split(" / ")] for row in (start, changed))
    assert float(changed[3].split()[0]) == pytest.approx(changed_wer - fmean(start_wers), abs=0.1)  # of rounded WERs
    low, high = (float(end) for end in re.search(r"\[(.+), (.+)\]", changed[3]).groups())
    assert 0 < low < changed_wer - fmean(start_wers) < high


def test_the_claim_holds_the_foldable_model_against_its_counterparts(monkeypatch: pytest.MonkeyPatch) -> None:
    finish(*results.searches(), rate=0.5)  # so that the rates that part A takes remain the best
    claimed = [run for corpus in results.UPDATES for run in results.claim(corpus)]
    for rate in (0.1, 0.3):
        finish(*(run for run in claimed if (run.experiment == "conformer_fold") == (rate < 0.2)), rate=rate)
    pages(monkeypatch)
    shown = results_page.PAGE.read_text()
    fold, alone, difference, *_ = find_row(shown.split("<!-- A -->")[1], "7")
    ours, theirs = (float(cell.split()[0]) for cell in (fold, alone))
    assert ours < theirs and float(difference.split()[0]) == pytest.approx(ours - theirs, abs=0.02)
    for heading in ("fsdd: foldable", "commands: foldable"):
        assert heading in shown


def test_a_part_without_a_place_is_not_lost_in_silence(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("<!-- A -->\n<!-- end of A -->\n")
    with pytest.raises(SystemExit, match="'B'"):
        results_page.update_pages({tmp_path / "page.md": {"A": "a", "B": "b"}})


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
    run = results.searches()[0]
    run.keep("dev", tmp_path / "a.json")
    assert not run.finished
    run.keep("test", tmp_path / "a.json")
    kept = run.record("dev")
    assert run.finished and kept.settings["data"] == {"batch_seconds": 25}
    assert (kept.rows, kept.errors) == (record.rows, record.errors)


def test_the_foundation_study_fills_its_page_and_its_table_of_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["foundation", "--page-only"])
    finish_foundation("foundation commands")
    foundation.main()
    shown = (results_page.TABLES / "foundation.md").read_text()
    assert "| compact |" in shown and "Counterparts: full." in shown
    assert "| fold_first |" not in shown and "foundation-fsdd.png" not in shown
    assert "depth 6 |" not in results_page.PAGE.read_text()
    finish_foundation("foundation longer")
    finish_foundation("foundation fsdd")
    foundation.main()
    found = find_row(results_page.PAGE.read_text(), "fold, depth 6")
    assert len(found) == 3 and all(re.match(r"\d+\.\d\d ± \d", cell) for cell in found)


def finish_foundation(table: str) -> None:
    rates = {"full": {6: 0.1}, "compact": {4: 0.2}, "fold": dict.fromkeys((4, 5, 6), 0.1)}
    for run in foundation.COMPARED[table].runs():
        record = make_record(rates[run.name.removesuffix("_longer")], num_layers=4, name=run.experiment, seed=run.seed)
        for split in ("dev", "test"):
            keep(run.archive(split), {run.key: record})


def test_runs_from_two_foundation_models_are_never_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose foundation model was trained anew is trained anew; elsewhere its records are refused."""
    monkeypatch.setattr(sys, "argv", ["compression", "--page-only"])
    page = results_page.TABLES / "compression.md"
    full, compact, *_ = compression.runs()
    before = full.folder
    foundation_model(b"one")
    finish_from_source(full, 6)
    assert full.finished and full.folder != before
    compression.main()
    assert "| full |" in page.read_text()
    foundation_model(b"another")
    assert not full.finished
    finish_from_source(compact, 4)
    compression.main()
    assert "| compact |" in page.read_text() and "| full |" not in page.read_text()
    shutil.rmtree(compression.SOURCE)
    with pytest.raises(SystemExit, match=r"compression/full/seed1: 7692c3ad; .*different pre-trained weights"):
        compression.main()
    assert "| full |" not in page.read_text()


def foundation_model(weights: bytes) -> None:
    compression.SOURCE.mkdir(parents=True, exist_ok=True)
    (compression.SOURCE / "model.safetensors").write_bytes(weights)


def finish_from_source(run: runs.Run, depth: int) -> None:
    write_record(make_record({depth: 0.1}, num_layers=depth, settings={"data": {}}), Path("record.json"))
    for split in ("dev", "test"):
        run.keep(split, Path("record.json"))


def test_readme_and_table_have_the_mean_of_the_default_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["default", "--page-only"])
    default.main()
    assert "| 4 (the seed) |" not in Path("README.md").read_text()
    for run, rate in zip(default.runs(), (0.1, 0.2, 0.3), strict=True):
        finish(run, rate=rate)
    default.main()
    each, readme = (results_page.TABLES / "default-model.md").read_text(), Path("README.md").read_text()
    wers = [float(find_row(each, str(run.seed))[0]) for run in default.runs()]
    assert len(set(wers)) == 3
    for cell in (find_row(each, "mean ± deviation")[0], find_row(readme, "4 (the seed)")[0]):
        assert float(cell.split(" ± ")[0]) == pytest.approx(fmean(wers), abs=0.01)


def test_commands_are_printed_on_demand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = {page: page.read_text() for page in PAGES}
    for study, name in ((foundation, "fold_*"), (results, "physical 4*")):
        monkeypatch.setattr(sys, "argv", ["study", "--commands", name])
        with pytest.raises(SystemExit) as ended:
            study.main()
        assert not ended.value.code
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.startswith("# ")][:3] == [
        "# fold_first, commands: SEED 1",
        "# fold_mean, commands: SEED 1",
        "# fold_longer, commands: SEED 1, 2, 3",
    ]
    lines = [line for line in printed if not line.startswith("# ")]
    assert all(line.startswith("python -m studies.variants fit --config=experiments/") for line in lines)
    assert all(line.endswith(" --random_seed=SEED") for line in lines) and "num_layers=4" in lines[-1]
    assert before == {page: page.read_text() for page in PAGES}
