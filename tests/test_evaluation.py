"""Which paths a sweep runs, and that it counts what each path alone would."""

import random

import pytest
import torch

from fold.data.batching import Batch, Example, collate
from fold.decoding import ctc_greedy
from fold.decoding.decode import Decoding, Trial
from fold.evaluation.sweep import Transcripts, make_record, sweep, sweep_paths, sweep_rows, sweep_trials
from fold.metrics import ErrorCounts
from fold.metrics.errors import count_errors
from fold.models import Conformer, Recogniser
from fold.paths import Path, PathSpace
from fold.report.sweep import summarise
from fold.text.units import CharUnits

RATE = 8000
UNITS = CharUnits(" abc")
SPACE = PathSpace(2, 2)
SUBSETS = ("even", "odd")


@pytest.mark.parametrize("space", [PathSpace(6, 2), PathSpace(3, (1, 4, 2)), PathSpace(1, 1)], ids=str)
@pytest.mark.parametrize("paths_per_depth", [0, 3, 100])
def test_sweep_holds_distinct_paths_the_canonical_one_first(space: PathSpace, paths_per_depth: int) -> None:
    paths = sweep_paths(space, space.depths, paths_per_depth)
    assert len(paths) == len(set(paths))
    assert list(dict.fromkeys(path.depth for path in paths)) == list(space.depths)
    for depth in space.depths:
        group = [path for path in paths if path.depth == depth]
        assert group[0] == space.canonical(depth)
        assert len(group) == min(paths_per_depth + 1, space.count(depth))
        assert set(group) <= set(space.paths(depth))


def test_sweep_paths_depend_on_seed_and_depth_alone() -> None:
    space = PathSpace(6, 2)
    paths = sweep_paths(space, space.depths, 4)
    random.seed(5)
    assert sweep_paths(space, space.depths, 4) == paths
    assert sweep_paths(space, [9], 4) == [path for path in paths if path.depth == 9]
    assert sweep_paths(space, space.depths, 4, seed=1) != paths


def make_model() -> Recogniser:
    """An untrained model whose every frame says something else."""
    torch.manual_seed(0)
    architecture = Conformer(
        num_layers=2,
        dim=16,
        num_heads=2,
        ffn_dim=24,
        kernel_size=5,
        subsampling_channels=4,
        decoder_layers=0,
        num_mels=16,
    )
    model = architecture.build(len(UNITS), RATE).eval()
    with torch.no_grad():
        model.ctc_head.weight.mul_(30)
    return model


def make_batches() -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    texts = ["ab", "a b c", "", "cab", "bb a", "c"]
    examples = [
        Example(
            str(i),
            text,
            torch.randn(3000 + 500 * i, generator=generator) / 8,
            torch.tensor(UNITS.encode(text)),
            SUBSETS[i % 2],
        )
        for i, text in enumerate(texts)
    ]
    return [collate(examples[:3]), collate(examples[3:])]


def alone(model: Recogniser, batch: Batch, path: Path, subset: str) -> ErrorCounts:
    with torch.no_grad():
        [output] = model(batch.waveforms, batch.num_samples, [path])
    hypotheses = [UNITS.decode(ids) for ids in ctc_greedy(output.ctc_log_probs, output.num_frames)]
    mine = [i for i, found in enumerate(batch.subsets) if found == subset]
    return sum((count_errors(batch.texts[i], hypotheses[i]) for i in mine), ErrorCounts())


def test_sweep_counts_what_each_path_alone_would() -> None:
    model, batches, paths = make_model(), make_batches(), sweep_paths(SPACE, SPACE.depths, 5)
    steps = list(sweep(model, UNITS, batches, list(map(Trial, paths)), torch.device("cpu"), SUBSETS))
    for subset in SUBSETS:
        first, second = ([alone(model, batch, path, subset) for path in paths] for batch in batches)
        together = [one + other for one, other in zip(first, second, strict=True)]
        assert [step[subset] for step in steps] == [first, together]
        assert len({counts.char_errors for counts in together}) > 1  # the paths do differ
    assert steps[-1]["even"] != steps[-1]["odd"]


def test_a_search_is_of_canonical_paths_alone_and_stands_apart_from_what_is_averaged() -> None:
    model, batches, search = make_model(), make_batches(), Decoding("beam", beam_size=2, ctc_weight=1.0)
    greedy, both = (sweep_trials(SPACE, SPACE.depths, 5, decoding) for decoding in (Decoding(), search))
    canonical = [SPACE.canonical(depth) for depth in SPACE.depths]
    assert both == [*greedy, *(Trial(path, search) for path in canonical)]

    records = []
    for trials, decoding in ((greedy, Decoding()), (both, search)):
        said = Transcripts(SPACE, trials)
        *_, counts = sweep(model, UNITS, batches, trials, torch.device("cpu"), SUBSETS, said)
        rows = sweep_rows(SPACE, trials, counts, num_params=123)
        known = {
            "macs": {},
            "name": "x",
            "corpus": "y",
            "split": "test",
            "training": None,
            "settings": {},
            "decoding": decoding,
        }
        records.append(make_record(model, rows, said, {}, **known).pooled())
    plain, joint = records
    for before, after in zip(summarise(plain.rows), summarise(joint.rows), strict=True):
        assert (after.mean, after.best, after.num_paths) == (before.mean, before.best, before.num_paths)
        assert (before.canonical.decoding, after.canonical.decoding) == ("greedy", "beam 2 ctc 1")
        assert after.canonical == joint.canonical[after.depth]
        errors = [
            count_errors(text, joint.hypotheses(after.canonical.path)[id]) for id, text in joint.references.items()
        ]
        assert sum(e.word_errors for e in errors) / sum(e.words for e in errors) * 100 == after.canonical.wer
    assert joint.errors != plain.errors  # the search does find something else


def test_rows_name_their_paths() -> None:
    paths = sweep_paths(SPACE, SPACE.depths, 5)
    counts = [ErrorCounts(substitutions=i, words=10, chars=20, sentences=3) for i in range(2 * len(paths))]
    by_subset = {"even": counts[: len(paths)], "odd": counts[len(paths) :]}
    rows = sweep_rows(SPACE, list(map(Trial, paths)), by_subset, num_params=123)
    assert [row.subset for row in rows] == ["even"] * len(paths) + ["odd"] * len(paths)
    assert [Path.parse(row.path) for row in rows] == 2 * paths
    assert [row.depth for row in rows] == [path.depth for path in 2 * paths]
    assert [row.wer for row in rows] == [10.0 * i for i in range(2 * len(paths))]
    assert {row.path for row in rows if row.canonical} == {str(SPACE.canonical(depth)) for depth in SPACE.depths}
    assert {row.num_params for row in rows} == {123}
