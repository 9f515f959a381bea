"""Evaluations come back from an archive as they went in, and `fold compare` reads them there."""

import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Finished
from report.records import make_record, make_record_of_subsets, references

from fold.errors import FoldError
from fold.report.archive import keep, read_archive, split_path
from fold.report.record import Record, write_record


@pytest.fixture
def records() -> dict[str, Record]:
    rates = {2: 0.3, 3: 0.2}
    return {f"study/folded/seed{seed}": make_record(rates, seed=seed) for seed in (1, 2)} | {
        "study/other": make_record({2: 0.3}, name="other")
    }


def test_evaluations_come_back_whichever_way_they_were_added(tmp_path: Path, records: dict[str, Record]) -> None:
    keep(tmp_path / "new" / "at_once.jsonl.xz", records)
    for name, record in reversed(records.items()):
        keep(tmp_path / "one_by_one.jsonl.xz", {name: record})
    for file in (tmp_path / "new" / "at_once.jsonl.xz", tmp_path / "one_by_one.jsonl.xz"):
        archive = read_archive(file)
        assert {name: archive.record(name) for name in archive.names()} == records
    assert (tmp_path / "new" / "at_once.jsonl.xz").read_bytes() == (tmp_path / "one_by_one.jsonl.xz").read_bytes()
    again = make_record({2: 0.5}, seed=3)
    keep(tmp_path / "one_by_one.jsonl.xz", {"study/other": again})
    assert read_archive(tmp_path / "one_by_one.jsonl.xz").record("study/other") == again


def test_subsets_come_back(tmp_path: Path) -> None:
    record = make_record_of_subsets({"clean": {2: 0.1, 3: 0.1}, "noisy": {2: 0.4, 3: 0.3}})
    keep(tmp_path / "a.jsonl.xz", {"a": record})
    assert read_archive(tmp_path / "a.jsonl.xz").record("a") == record


def test_what_was_said_stands_once(tmp_path: Path, records: dict[str, Record]) -> None:
    keep(tmp_path / "a.jsonl.xz", records)
    lines = lzma.decompress((tmp_path / "a.jsonl.xz").read_bytes()).decode().splitlines()
    text = next(iter(references().values()))
    assert [json.dumps(text) in line for line in lines] == [True, False, False, False]


def test_another_test_set_is_refused(tmp_path: Path, records: dict[str, Record]) -> None:
    keep(tmp_path / "a.jsonl.xz", records)
    before = (tmp_path / "a.jsonl.xz").read_bytes()
    with pytest.raises(FoldError, match=r"new was evaluated on another test set than .*a\.jsonl\.xz"):
        keep(tmp_path / "a.jsonl.xz", {"new": make_record({2: 0.1}, said=references(81))})
    assert (tmp_path / "a.jsonl.xz").read_bytes() == before


def changed_reference(lines: list[bytes]) -> list[bytes]:
    head = json.loads(lines[0])
    head["references"]["utt-000"] = "something else"
    return [json.dumps(head).encode() + b"\n", *lines[1:]]


DAMAGED = {
    "is no archive": lambda data: data[: len(data) // 2],
    "no archive": lambda data: b"{}",
    "or is damaged": lambda data: lzma.compress(b"[]\n"),
    "version 9": lambda data: lzma.compress(b'{"fold-evaluations": 9}\n'),
    "not those that were written": lambda data: lzma.compress(
        b"".join(changed_reference(lzma.decompress(data).splitlines(keepends=True)))
    ),
}


@pytest.mark.parametrize("named", DAMAGED)
def test_what_is_no_archive_is_refused_in_one_line(named: str, tmp_path: Path, records: dict[str, Record]) -> None:
    file = tmp_path / "a.jsonl.xz"
    keep(file, records)
    file.write_bytes(DAMAGED[named](file.read_bytes()))
    with pytest.raises(FoldError, match=named) as raised:
        read_archive(file)
    assert "\n" not in str(raised.value) and str(file) in str(raised.value)


def test_missing_archives_and_names_are_refused(tmp_path: Path, records: dict[str, Record]) -> None:
    with pytest.raises(FoldError, match=r"cannot read the evaluations .*a\.jsonl\.xz: No such file"):
        read_archive(tmp_path / "a.jsonl.xz")
    keep(tmp_path / "a.jsonl.xz", records)
    with pytest.raises(FoldError, match=r"no evaluation is called folded; there are study/folded/seed1"):
        read_archive(tmp_path / "a.jsonl.xz").names("folded")


def test_a_path_may_lead_into_an_archive() -> None:
    assert split_path(Path("x/a.jsonl.xz")) == (Path("x/a.jsonl.xz"), "*")
    assert split_path(Path("x/a.jsonl.xz/study/fold/*")) == (Path("x/a.jsonl.xz"), "study/fold/*")
    assert split_path(Path("x/depth_sweep.json")) is None


def test_compare_reads_archives(
    tmp_path: Path, records: dict[str, Record], fold_command: Callable[..., Finished]
) -> None:
    """The table is that of the same evaluations in files of their own."""
    keep(tmp_path / "a.jsonl.xz", records)
    for name, record in records.items():
        write_record(record, tmp_path / f"{name.replace('/', '-')}.json")
    fold_command("compare", "a.jsonl.xz/study/folded/*", "else=a.jsonl.xz/study/other", "--output=from_archive")
    files = [f"study-folded-seed{seed}.json" for seed in (1, 2)]
    fold_command("compare", *files, "else=study-other.json", "--output=from_files")
    tables = [(tmp_path / folder / "table.csv").read_text() for folder in ("from_archive", "from_files")]
    assert tables[0] == tables[1] and "else" in tables[0]
    done = fold_command("compare", "a.jsonl.xz/nothing", check=False)
    assert done.status == 2 and "no evaluation is called nothing" in done.stderr.splitlines()[-1]
