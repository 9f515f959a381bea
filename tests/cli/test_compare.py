"""`fold compare` as a user runs it, and its page in a browser."""

import base64
import csv
import io
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from conftest import Finished
from report.records import make_record, make_record_of_subsets, references

from benchmarks.browser import CHROMIUM
from fold.report.record import Record, read_record, write_record
from fold.report.style import PALETTE
from fold.report.sweep import write_sweep

Command = Callable[..., Finished]
MEASURE = """<script>addEventListener("load", () => { document.title = [
  document.documentElement.scrollWidth <= innerWidth, document.querySelectorAll("#systems tbody tr").length,
  [...document.querySelectorAll("figure svg")].filter(s => s.getBoundingClientRect().height > 100).length,
  document.querySelectorAll("#pairs tbody tr").length, document.querySelectorAll(".heard mark").length > 5,
  getComputedStyle(document.body).backgroundColor.match(/\\d+/g).join(".")].join() })
</script>"""


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Run folders: a foldable model with two seeds, and two individually trained ones."""
    made = {f"fold-{seed}": make_record({2: 0.3, 3: 0.2, 4: 0.1}, seed=seed, num_params=1234) for seed in (1, 2)}
    made |= {f"physical-{n}": make_record({n: 0.1}, num_layers=n, name="physical", num_params=700 * n) for n in (2, 4)}
    for name, record in made.items():
        write_record(record, tmp_path / name / "depth_sweep.json")
    return [tmp_path / name for name in made]


def test_compare_writes_tables_figures_and_a_page(runs: list[Path], fold_command: Command, tmp_path: Path) -> None:
    done = fold_command("compare", *runs, "--output", tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *(f"table.{kind}" for kind in ("csv", "md", "tex")),
        *(f"wer_by_{axis}.{kind}" for axis in ("depth", "parameters", "macs") for kind in ("png", "svg")),
        "significance.csv",
        "report.html",
    }
    with (tmp_path / "out" / "table.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["system"], row["run"], row["depth"]) for row in rows[:6]] == [
        ("foldable", run, depth) for depth in "234" for run in "12"
    ]
    assert {row["verdict"] for row in rows if row["depth"] == "2" and row["counterpart"]} == {"worse"}
    assert {row["depth"]: float(row["macs_per_second"]) for row in rows} == {d: 1.5e8 * int(d) for d in "234"}
    assert "1,234 parameters" in done.stdout and "0.3 to 0.6 GMACs per s" in done.stdout
    assert "one run of 1.00 h for 3 depths; 2 individually" in done.stdout
    assert re.search(r"depth  2  WER \d+\.\d\d ± \d+\.\d\d .* worse", done.stdout)
    assert max(map(len, done.stdout.splitlines())) <= 80 + len(str(tmp_path))
    latex = (tmp_path / "out" / "table.tex").read_text()
    assert len({line.count("&") for line in latex.splitlines() if line.endswith(r"\\")}) == 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!#)|@import|url\((?!#)', page)  # nothing is fetched
    assert page.index("significantly worse at depth 2") < page.index("<svg") < page.index('<table id="systems"')
    told = " ".join(done.stdout.split())
    assert told.index("n.s.: neither") < told.index("significantly worse at depth 2") < told.index("comparison: ")


def test_labels_and_a_reference_can_be_given(runs: list[Path], fold_command: Command) -> None:
    named = [f"{label}={run}" for label, run in zip(("ours", "ours", "two", "four"), runs, strict=True)]
    done = fold_command("compare", *named, "--against=four", "--margin=5")
    assert re.search(r"\nours\n.*\n.*\n.*depth  2 .* worse\n", done.stdout)
    assert "\ntwo\n" in done.stdout and "Counterparts: four." in done.stdout


def test_a_run_named_twice_counts_once(runs: list[Path], fold_command: Command, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(runs[0].name)
    done = fold_command("compare", *runs, tmp_path / "latest", runs[1])
    assert re.search(r"\nfoldable\n.* 2 runs\n", done.stdout)


def test_a_sweep_without_transcripts_is_compared_without_tests(
    runs: list[Path], fold_command: Command, tmp_path: Path
) -> None:
    write_sweep(make_record({2: 0.1}).rows, tmp_path / "old" / "depth_sweep.csv")
    done = fold_command("compare", *runs, tmp_path / "old")
    assert "\nold\n" in done.stdout


SUBSETS = ("test-clean", "test-other")


@pytest.fixture
def runs_of_subsets(tmp_path: Path) -> dict[str, Path]:
    """Of two systems: on one subset they err alike, on the other one is better."""
    made = {
        "ours": make_record_of_subsets({"test-clean": {2: 0.2, 4: 0.2}, "test-other": {2: 0.1, 4: 0.1}}),
        "theirs": make_record_of_subsets({"test-clean": {4: 0.2}, "test-other": {4: 0.4}}, num_layers=4, name="other"),
    }
    for name, record in made.items():
        write_record(record, tmp_path / name / "depth_sweep.json")
    return {name: tmp_path / name for name in made}


def wers(file: Path) -> dict[tuple[str, str], float]:
    with file.open() as stream:
        return {(row["system"], row["depth"]): float(row["wer"]) for row in csv.DictReader(stream)}


def test_each_subset_is_compared_by_itself(
    runs_of_subsets: dict[str, Path], fold_command: Command, tmp_path: Path
) -> None:
    named = [f"{label}={run}" for label, run in runs_of_subsets.items()]
    done = fold_command("compare", *named, "--output", tmp_path / "out", "--margin=5")
    assert {file.name for file in (tmp_path / "out").iterdir()} == set(SUBSETS)
    records = {label: read_record(run / "depth_sweep.json") for label, run in runs_of_subsets.items()}
    for subset in SUBSETS:
        assert wers(tmp_path / "out" / subset / "table.csv") == {
            (label, str(depth)): pytest.approx(row.wer)
            for label, record in records.items()
            for depth, row in record.of(subset).canonical.items()
        }
        assert f"Systems by depth, {subset}" in (tmp_path / "out" / subset / "report.html").read_text()
    clean, other = done.stdout.split("Systems by depth, ")[1:]
    assert "better" in other and "better" not in clean.split("Verdict at")[0]


def test_subsets_are_pooled_if_asked(runs_of_subsets: dict[str, Path], fold_command: Command, tmp_path: Path) -> None:
    """So that they compare with what was evaluated before there were subsets."""
    whole = read_record(runs_of_subsets["ours"] / "depth_sweep.json").pooled()
    former = replace(whole, name="former", rows=tuple(replace(row, subset="test") for row in whole.rows))
    write_record(former, tmp_path / "former" / "depth_sweep.json")
    runs = [*(f"{label}={run}" for label, run in runs_of_subsets.items()), tmp_path / "former"]
    refused = fold_command("compare", *runs, check=False)
    assert refused.status == 2 and "different subsets: test-clean, test-other against test; --pooled" in refused.stderr
    fold_command("compare", *runs, "--pooled=true", "--output", tmp_path / "out")
    found = wers(tmp_path / "out" / "table.csv")
    assert found["ours", "2"] == found["former", "2"] == pytest.approx(whole.canonical[2].wer)


def test_a_subset_that_one_run_lacks_is_left_out_aloud(
    runs_of_subsets: dict[str, Path], fold_command: Command, tmp_path: Path
) -> None:
    write_record(read_record(runs_of_subsets["ours"] / "depth_sweep.json").of("test-clean"), tmp_path / "a.json")
    done = fold_command("compare", f"a={tmp_path / 'a.json'}", f"b={runs_of_subsets['theirs']}", "--output=out")
    assert "left out: test-other (not every run was evaluated on it)" in done.stdout
    assert (tmp_path / "out" / "test-clean" / "report.html").exists()


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("nowhere", "nowhere: no run folder"),
        ("empty", "holds no depth_sweep.json"),
        ("other", "different test sets"),
        ("--against=nobody", "nobody: no such system; there are foldable"),
    ],
)
def test_what_cannot_be_compared(
    argument: str, named: str, runs: list[Path], fold_command: Command, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    write_record(make_record({2: 0.1}, said=references(9)), tmp_path / "other" / "depth_sweep.json")
    done = fold_command("compare", *runs, argument, check=False)
    assert (done.status, len(done.stderr.splitlines())) == (2, 1)
    assert named in done.stderr


def test_labels_may_hold_anything(runs: list[Path], fold_command: Command, tmp_path: Path) -> None:
    labels = ["_ours $x_1^2 (50%)", r"a|b \\{c} ~#&", "two <b>$"]
    named = [f"{label}={run}" for label, run in zip(labels, runs[1:], strict=True)]
    fold_command("compare", *named, "--output", tmp_path / "out", f"--against={labels[1]}", "--title=$\\frac$")
    with (tmp_path / "out" / "table.csv").open() as stream:
        assert {row["system"] for row in csv.DictReader(stream)} == set(labels)
    markdown = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in markdown}) == 1
    latex = (tmp_path / "out" / "table.tex").read_text()
    assert r"\_ours \$x\_1\textasciicircum{}2 (50\%)" in latex and r"two $<$b$>$\$" in latex
    drawn = (tmp_path / "out" / "wer_by_parameters.svg").read_text()
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<b>$" not in page and "two &lt;b&gt;$" in page and "<path" in drawn


def with_spread(record: Record, device: str = "x86_64 CPU, 1 threads") -> Record:
    spread = {path: (0.9 * factor, 1.2 * factor) for path, factor in record.real_time_factors.items()}
    return replace(record, real_time_spread=spread, device=device)


def test_times_are_shown_with_their_spread_where_they_were_taken_in_turns(
    fold_command: Command, tmp_path: Path
) -> None:
    """Depths of one system always are; systems, each evaluated by itself, never."""
    records = {"one": make_record({2: 0.3, 4: 0.1}), "other": make_record({2: 0.3, 4: 0.1}, name="other")}
    records |= {name: with_spread(record) for name, record in records.items()}
    for name, record in records.items():
        write_record(record, tmp_path / name / "depth_sweep.json")
    done = fold_command("compare", tmp_path / "one", "--output", tmp_path / "alone")
    assert "RTF: real-time factor on x86_64 CPU, 1 threads" in done.stdout
    assert "0.0200 [0.0180, 0.0240]" in (tmp_path / "alone" / "table.md").read_text()
    assert (tmp_path / "alone" / "wer_by_real_time_factor.png").exists()
    done = fold_command("compare", tmp_path / "one", tmp_path / "other", "--output", tmp_path / "both")
    assert "each system was timed by itself" in " ".join(done.stdout.split())
    assert not (tmp_path / "both" / "wer_by_real_time_factor.png").exists()
    assert "RTF" not in (tmp_path / "both" / "table.md").read_text().splitlines()[0]


def test_hours_of_several_machines_are_not_compared(runs: list[Path], fold_command: Command, tmp_path: Path) -> None:
    elsewhere = make_record({3: 0.1}, num_layers=3, name="physical", device="NVIDIA H100")
    write_record(elsewhere, tmp_path / "elsewhere" / "depth_sweep.json")
    done = fold_command("compare", *runs, tmp_path / "elsewhere", "--output", tmp_path / "out")
    assert "one run of" not in done.stdout
    assert "so hours are not comparable" in " ".join(done.stdout.split())


def test_hours_of_rivals_of_one_depth_are_not_summed(runs: list[Path], fold_command: Command, tmp_path: Path) -> None:
    """They are not one for each depth, which is what a foldable model stands for."""
    assert "one run of" in fold_command("compare", *runs, "--output", tmp_path / "out").stdout
    write_record(make_record({4: 0.2}, num_layers=4, name="narrow"), tmp_path / "narrow" / "depth_sweep.json")
    done = fold_command("compare", *runs, tmp_path / "narrow", "--output", tmp_path / "more")
    assert "one run of" not in done.stdout


def test_runs_are_timed_in_turns_and_their_utterances_can_be_heard(
    tones_config: Path, fold_command: Command, tmp_path: Path
) -> None:
    fold_command("fit", f"--config={tones_config}", "--run_dir=run", "--sweep.paths_per_depth=0")
    both = ["one=run", "other=run/checkpoints/last.ckpt"]
    done = fold_command("compare", *both, "--time=true")
    assert "measured in turns" in " ".join(done.stdout.split())
    out = tmp_path / "comparison"
    headings, _, *rows = ([cell.strip() for cell in line.split("|")] for line in (out / "table.md").open())
    times = [cells[headings.index("RTF")] for cells in rows]
    assert len(times) == 6 and all(float(time.split()[0]) > 0 for time in times)
    assert (out / "wer_by_real_time_factor.svg").exists()
    page = (out / "report.html").read_text()
    recordings = [base64.b64decode(found) for found in re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', page)]
    assert len(recordings) == page.count('class="example"') > 0
    samples, rate = soundfile.read(io.BytesIO(recordings[0]))
    assert rate == 8000 and 0.1 < abs(samples).max() < 1
    done = fold_command("compare", *both, "--time=true", "--shards=elsewhere", check=False)
    assert done.status == 2 and "no recording of the test set at 8000 Hz is found" in done.stderr
    done = fold_command("compare", "run/depth_sweep.json", "--time=true", check=False)
    assert done.status == 2 and "has no checkpoint to time; give a run folder" in done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome to show the page in")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (500, True)])
def test_the_page_fits_a_browser(
    width: int, dark: bool, runs: list[Path], fold_command: Command, tmp_path: Path
) -> None:
    fold_command("compare", *runs, "--output", tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    (tmp_path / "measured.html").write_text(page.replace("</body>", MEASURE + "</body>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/browser"]
    options.append(f"--blink-settings=preferredColorScheme={0 if dark else 1}")
    done = subprocess.run(
        [CHROMIUM, *options, f"--window-size={width},900", "--dump-dom", f"file://{tmp_path}/measured.html"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    title = re.search("<title>(.*?)</title>", done.stdout)
    ground = ".".join(
        str(int(getattr(PALETTE["paper"], "dark" if dark else "light")[i : i + 2], 16)) for i in (1, 3, 5)
    )
    assert title and title[1] == f"true,5,3,{5 * 4 // 2},true,{ground}", done.stdout[:300] + done.stderr[-300:]
