"""What the loaders give: every utterance exactly once, whatever the ranks and workers, in an order that stays."""

import math
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tones import SAMPLE_RATE, Clicks, Cut, Tones

from fold.data import render as render_module
from fold.data.batching import Batch
from fold.data.datamodule import SpeechData
from fold.data.model_input import ModelInput
from fold.errors import FoldError
from fold.losses import FitsCTC
from fold.models import Architecture, Conformer, Foundation

CORPUS = Tones(train=61, dev=13, test=7)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven training shards, the last one small."""
    folder = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render_module, "UTTERANCES_PER_SHARD", 9)
        data(folder).prepare_data()
    assert len(data(folder).index.splits["train"].shards) == 7
    return folder


def data(shards: Path, rank: int = 0, world_size: int = 1, accumulate: int = 1, **settings: object) -> SpeechData:
    settings = {"batch_seconds": 8.0, "eval_batch_seconds": 8.0, "shuffle_window": 3, "prepare_workers": 1, **settings}
    module = SpeechData(CORPUS, SAMPLE_RATE, shards=str(shards), **settings)
    accumulate = module.accumulation(world_size) or accumulate
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    module.trainer = SimpleNamespace(
        global_rank=rank,
        world_size=world_size,
        accumulate_grad_batches=accumulate,
        strategy=strategy,
        state=SimpleNamespace(fn="fit"),
    )
    return module


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_every_utterance_comes_exactly_once(shards: Path, world_size: int, workers: int) -> None:
    ranks = [data(shards, rank, world_size, num_workers=workers) for rank in range(world_size)]
    for split, number in (("train", CORPUS.train), ("val", CORPUS.dev), ("test", CORPUS.test)):
        loaders = [getattr(rank, f"{split}_dataloader")() for rank in ranks]
        batches = [list(loader) for loader in loaders]
        ids = Counter(id for rank in batches for batch in rank for id in batch.ids)
        assert len(ids) == number and set(ids.values()) == {1}
        assert {len(rank) for rank in batches} == {len(loaders[0])}  # nothing to wait for, and a length that is true


@pytest.mark.parametrize(("world_size", "accumulate"), [(1, 3), (2, 2), (3, 1), (4, 1)])
def test_an_update_holds_its_seconds_however_many_devices_there_are(
    shards: Path, world_size: int, accumulate: int
) -> None:
    """24 s of audio, where a device holds 8 s: batches shrink until a whole number of them makes an update."""
    settings = {"update_seconds": 24.0, "shuffle_window": 7, "num_workers": 0}
    ranks = [data(shards, rank, world_size, **settings) for rank in range(world_size)]
    assert {rank.accumulation(world_size) for rank in ranks} == {accumulate}
    loaders = [rank.train_dataloader() for rank in ranks]
    alone = data(shards, **settings)
    steps = alone.steps_per_epoch()
    assert {len(loader) for loader in loaders} == {steps * accumulate}  # no update is smaller than the others

    def ids(batches: list[Batch], size: int) -> list[set[str]]:
        return [{id for b in batches[i : i + size] for id in b.ids} for i in range(0, len(batches), size)]

    together = [
        set.union(*of_ranks) for of_ranks in zip(*(ids(list(loader), accumulate) for loader in loaders), strict=True)
    ]
    assert together == ids(list(alone.train_dataloader()), 3)
    sizes = [batch.waveforms.numel() / SAMPLE_RATE for loader in loaders for batch in loader]
    assert max(sizes) <= 1.2 * 24 / (world_size * accumulate)


def test_an_exact_ratio_is_not_rounded_up(shards: Path) -> None:
    assert data(shards, update_seconds=0.3, batch_seconds=0.1).accumulation(1) == 3
    assert data(shards, update_seconds=2.1, batch_seconds=0.7).accumulation(3) == 1


@pytest.mark.parametrize(
    "setting", [{"update_seconds": 0.0}, {"batch_seconds": -1.0}, {"round_frames": 0}, {"update_seconds": math.nan}]
)
def test_a_size_that_cannot_be_is_refused(shards: Path, setting: dict[str, float]) -> None:
    with pytest.raises(FoldError, match=f"data.{next(iter(setting))} is"):
        data(shards, **setting)


@pytest.mark.parametrize("network", [Conformer(num_mels=40), Foundation(shape="WAV2VEC2_BASE")], ids=["40 ms", "20 ms"])
def test_batches_are_padded_to_whole_multiples_of_frames(shards: Path, network: Architecture) -> None:
    plain, rounded = (data(shards, num_workers=0, round_frames=number) for number in (1, 8))
    for module in (rounded, plain):
        module.serve(input_of(network, module))
    shapes: list[set[int]] = [set(), set()]
    for batch, padded in zip(plain.train_dataloader(), rounded.train_dataloader(), strict=True):
        before, after = batch.waveforms.shape[1], padded.waveforms.shape[1]
        assert network.num_frames(after, SAMPLE_RATE) % 8 == 0
        assert before <= after < before + 8 * 0.041 * SAMPLE_RATE
        assert torch.equal(padded.waveforms[:, :before], batch.waveforms) and not padded.waveforms[:, before:].any()
        assert torch.equal(padded.num_samples, batch.num_samples)
        for of_one, size in zip(shapes, (before, after), strict=True):
            of_one.add(size)
    assert len(shapes[1]) < len(shapes[0])


def test_the_order_does_not_depend_on_workers(shards: Path) -> None:
    orders = [[batch.ids for batch in data(shards, num_workers=n).train_dataloader()] for n in (0, 2)]
    assert orders[0] == orders[1]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_have_equal_shares_of_audio(shards: Path, world_size: int) -> None:
    plans = [data(shards, rank, world_size, num_workers=0).train_dataloader() for rank in range(world_size)]
    seconds = [sum(int(batch.num_samples.sum()) for batch in plan) / SAMPLE_RATE for plan in plans]
    assert max(seconds) < 1.15 * min(seconds)


def test_utterances_over_the_limit_are_dropped_and_told(shards: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = [id for batch in data(shards, num_workers=0).train_dataloader() for id in batch.ids]
    limited = [batch for batch in data(shards, num_workers=0, max_seconds=1.0).train_dataloader()]
    kept = [id for batch in limited for id in batch.ids]
    assert 0 < len(kept) < len(whole)
    assert f"{len(whole) - len(kept)} of {len(whole)} utterances dropped: over 1.0 s" in caplog.text
    assert all(int(batch.num_samples.max()) <= SAMPLE_RATE for batch in limited)


@pytest.mark.parametrize(("seconds", "max_seconds", "kept"), [(1.0, 1.0, 9), (1.5, 1.5, 9), (1.9, 1.5, 0)])
def test_the_limit_itself_is_not_over_it(tmp_path: Path, seconds: float, max_seconds: float, kept: int) -> None:
    corpus, places = Cut(train=9, dev=2, test=2, seconds=seconds), {"shards": str(tmp_path), "num_workers": 0}
    module = SpeechData(corpus, SAMPLE_RATE, **places, prepare_workers=1, max_seconds=max_seconds)
    module.prepare_data()
    if not kept:
        with pytest.raises(FoldError, match=r"every utterance is longer than 1\.5 s"):
            module.train_dataloader()
        return
    assert sum(len(batch.ids) for batch in module.train_dataloader()) == kept


def input_of(network: Architecture, module: SpeechData) -> ModelInput:
    num_frames = partial(network.num_frames, sample_rate=SAMPLE_RATE)
    return ModelInput(module.units, FitsCTC(network, SAMPLE_RATE), num_frames)


def test_an_utterance_too_short_for_a_frame_is_counted(tmp_path: Path) -> None:
    module = SpeechData(
        Clicks(train=9, dev=2, test=2), SAMPLE_RATE, shards=str(tmp_path), num_workers=0, prepare_workers=1
    )
    module.prepare_data()
    module.serve(input_of(Conformer(num_mels=40), module))
    [fault] = [fault for batch in module.train_dataloader() for fault in batch.faults]
    assert (fault.id, fault.reason) == ("train-0003", "transcript too long")
