"""What a comparison comes to, in words."""

from report.records import make_record

from fold.report.compare.conclusion import conclusion
from fold.report.compare.systems import System, group
from fold.report.compare.table import rows

MARGIN = 5.0


def told(systems: list[System], against: System | None = None) -> list[str]:
    return conclusion(systems, rows(systems, against, MARGIN))


def test_a_foldable_system_beside_those_trained_for_one_depth() -> None:
    runs = [make_record({2: 0.4, 4: 0.1})]
    runs += [make_record({n: 0.1}, num_layers=n, name="physical", num_params=1000 * n) for n in (2, 4)]
    lowest, unfolding, verdicts, stored, cost = told(group(runs, ["ours", "two", "four"]))
    best = min(runs, key=lambda run: min(row.wer for row in run.rows))
    assert f"{min(row.wer for row in best.rows):.2f} % (" in lowest
    first, last = (runs[0].canonical[depth].wer for depth in (2, 4))
    assert f"{first:.2f} % WER at depth 2, {last:.2f} % at depth 4" in unfolding
    assert f"{100 * (1 - last / first):.0f} % fewer word errors" in unfolding
    assert verdicts == "ours beside the system trained only for that depth: significantly worse at depth 2, " + (
        "equivalent at depth 4."
    )
    assert stored.endswith("together 6,000, of which that is 17 %.")
    assert "one run of 1.00 h" in cost


def test_a_system_by_itself_and_one_that_unfolding_does_not_help() -> None:
    [line] = told(group([make_record({2: 0.1, 3: 0.4})], ["ours"]))
    assert "no fewer word errors" in line
    assert told(group([make_record({2: 0.1})], ["ours"])) == []


def test_systems_beside_a_given_one() -> None:
    systems = group([make_record({2: 0.4}), make_record({2: 0.1}, name="other")], ["a", "b"])
    assert told(systems, systems[1])[1:] == ["a beside b: significantly worse at depth 2."]
