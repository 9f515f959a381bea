"""Records come back as they were, and what is none is refused."""

import dataclasses
import json
from pathlib import Path

import pytest
from report.records import make_record, references

from fold.errors import FoldError
from fold.metrics.errors import count_errors
from fold.report.record import read_record, record_of_sweep, triples, write_record
from fold.report.sweep import write_sweep


def test_a_record_comes_back(tmp_path: Path) -> None:
    record = make_record({2: 0.3, 3: 0.2, 4: 0.1})
    write_record(record, tmp_path / "new" / "depth_sweep.json")
    assert read_record(tmp_path / "new" / "depth_sweep.json") == record
    unknown = dataclasses.replace(record, training=None)
    write_record(unknown, tmp_path / "depth_sweep.json")
    assert read_record(tmp_path / "depth_sweep.json") == unknown


def test_hypotheses_give_the_errors_of_the_row() -> None:
    record = make_record({2: 0.3, 4: 0.1})
    for row in record.rows:
        hypotheses = record.hypotheses(row.path)
        assert list(hypotheses) == list(record.references)
        errors = sum(count_errors(text, hypotheses[id]).word_errors for id, text in record.references.items())
        assert errors == row.substitutions + row.deletions + row.insertions
    assert [depth for depth in record.canonical] == [2, 4]


def test_triples_pair_the_same_utterance() -> None:
    a, b = make_record({2: 0.3, 3: 0.3}), make_record({4: 0.3}, name="other")
    found = triples(a, "1-2", b, "1-1-2-2")
    assert [reference for reference, _, _ in found] == [a.references[id] for id in sorted(a.references)]
    assert [said for _, said, _ in found] == [a.hypotheses("1-2")[id] for id in sorted(a.references)]
    with pytest.raises(FoldError, match=r"different test sets; made\.Up test of 80 utterances against .* of 81"):
        triples(a, "1-2", make_record({2: 0.1}, said=references(81)), "1-2")
    changed = make_record({2: 0.1}, said={**a.references, "utt-003": "something else"})
    with pytest.raises(FoldError, match="first utterance that differs is 'utt-003'"):
        triples(a, "1-2", changed, "1-2")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 9}', '{"format": 1, "name": "x"}', '{"format": 1, "rows": [{"depth": 1}]}', "\xff"],
)
def test_what_is_no_record_is_refused_in_one_line(content: str, tmp_path: Path) -> None:
    file = tmp_path / "depth_sweep.json"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(FoldError, match=r"depth_sweep\.json") as raised:
        read_record(file)
    assert "\n" not in str(raised.value)


def test_a_record_with_an_unknown_field_is_refused(tmp_path: Path) -> None:
    write_record(make_record({2: 0.1}), tmp_path / "a.json")
    plain = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps({**plain, "more": 1}))
    with pytest.raises(FoldError, match="more"):
        read_record(tmp_path / "a.json")


BROKEN = {
    "rows.0.wer": lambda plain: plain["rows"][0].update(wer="low"),
    "training.hours": lambda plain: plain["training"].pop("hours"),
    "references.utt-000": lambda plain: plain["references"].update({"utt-000": 3}),
    "no canonical path": lambda plain: plain.update(rows=[]),
    "path 1-2 are missing": lambda plain: plain["errors"].pop("1-2"),
    "are of other utterances": lambda plain: plain["errors"]["1-2"].update(nobody="x"),
    "path 1-2 are not those": lambda plain: plain["errors"]["1-2"].popitem(),
    "path 1-2-2 are not those": lambda plain: plain["rows"][1].update(sentences=79),
}


@pytest.mark.parametrize("named", BROKEN)
def test_what_is_wrong_in_a_record_is_named(named: str, tmp_path: Path) -> None:
    file = tmp_path / "depth_sweep.json"
    write_record(make_record({2: 0.1, 3: 0.1}), file)
    plain = json.loads(file.read_text())
    BROKEN[named](plain)
    file.write_text(json.dumps(plain))
    with pytest.raises(FoldError, match=rf"depth_sweep\.json.*{named}"):
        read_record(file)


def test_a_sweep_alone_is_a_record_without_transcripts(tmp_path: Path) -> None:
    record = make_record({2: 0.3, 4: 0.1})
    file = tmp_path / "run" / "depth_sweep.csv"
    write_sweep(record.rows, file)
    alone = record_of_sweep(file)
    assert (alone.name, alone.rows, alone.num_layers, alone.num_params) == ("run", record.rows, 2, 1000)
    assert not alone.references
    write_sweep([], file)
    with pytest.raises(FoldError, match="no path was evaluated"):
        record_of_sweep(file)
