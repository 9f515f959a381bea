"""Reading shards: what is good comes back as it was written, what is bad is named, and nothing else is lost."""

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from badspeech import BAD, FAULTS, RATE, SHARD, TEXTS, everything, reopened, speech, utterances, with_meta, write

from fold.data.faults import Fault, FaultCounts, FaultPolicy, enforce
from fold.data.plans import Reference
from fold.data.shards import sidecar_path, write_shard
from fold.errors import FoldError
from fold.text.unknown import Unknown


@pytest.mark.parametrize("kind", FAULTS)
def test_a_bad_utterance_is_named_and_the_others_come(kind: str, tmp_path: Path) -> None:
    change, reason = FAULTS[kind]
    batch = everything(write(tmp_path, change))
    assert batch.ids == ["u0", "u1", "u3", "u4"]
    [fault] = batch.faults
    assert (fault.reason, fault.shard) == (reason, SHARD)
    assert fault.id in ("row 2", "u2", "u0", "u9")
    assert "\n" not in str(fault)


def test_good_utterances_come_as_they_were_written(tmp_path: Path) -> None:
    write_shard(tmp_path / SHARD, utterances(), RATE)
    batch = everything(speech(tmp_path))
    assert batch.faults == []
    assert batch.texts == TEXTS
    for row, utterance in enumerate(utterances()):
        np.testing.assert_array_equal(batch.waveforms[row, : batch.num_samples[row]].numpy(), utterance.samples)


def test_a_model_that_hears_the_unknown_may_be_given_some(tmp_path: Path) -> None:
    data = write(tmp_path, with_meta(text="zwölf"))
    unknown = data.units.encode("zwölf").count(data.units.unk)
    assert 0 < unknown < 5
    for share, faults in ((unknown / 5, 0), (unknown / 5 - 0.01, 1)):
        data.unknown = Unknown(share, "keep_head=false would be right")
        batch = everything(data)
        assert len(batch.faults) == faults
        for fault in batch.faults:
            assert fault.reason == "unknown symbol" and "keep_head=false" in fault.detail


def test_evaluation_takes_any_transcript(tmp_path: Path) -> None:
    data = write(tmp_path, with_meta(text="zwölf und noch viel mehr, zu lang für so wenig"))
    data.fits = None
    assert len(everything(data).ids) == len(TEXTS)


@pytest.mark.parametrize(
    ("speeds", "planned", "played"),
    [([0.5, 0.8, 1.0, 2.0], 2.0, 1.0), ([0.5, 2.0], 2.0, 0.5), ([1.0, 2.0], 2.0, None), ([0.5, 1.0, 2.0], 1.0, 1.0)],
)
def test_what_does_not_fit_at_its_speed_is_played_slower(
    speeds: list[float], planned: float, played: float | None, tmp_path: Path
) -> None:
    data = write(tmp_path)
    original = everything(data).num_samples[BAD]
    lengths = {speed: math.ceil(original / speed) for speed in speeds}
    data.speeds = speeds
    data.fits = lambda units, num_samples: num_samples >= (0.9 if played else 1.1) * original
    batch = data[[Reference(0, BAD, planned)]]
    assert [fault.reason for fault in batch.faults] == ([] if played else ["transcript too long"])
    if played:
        assert abs(int(batch.num_samples[0]) - lengths[played]) <= 1


def test_a_truncated_tar_loses_only_what_it_lost(tmp_path: Path) -> None:
    data = write(tmp_path)
    size = (tmp_path / SHARD).stat().st_size
    with (tmp_path / SHARD).open("r+b") as file:
        file.truncate(size // 2)
    batch = everything(data)
    assert 0 < len(batch.ids) < len(TEXTS)
    assert {fault.reason for fault in batch.faults} == {"truncated shard"}
    assert len(batch.ids) + len(batch.faults) == len(TEXTS)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    data = write(tmp_path)
    (tmp_path / SHARD).unlink()
    batch = everything(data)
    assert {fault.reason for fault in batch.faults} == {"unreadable shard"}
    assert batch.ids == []


@pytest.mark.parametrize("file", ["pipe:touch ran", "../train-000000.tar", "/etc/passwd", "|touch ran"])
def test_an_index_cannot_name_anything_but_its_shards(file: str, tmp_path: Path) -> None:
    data = write(tmp_path)
    [shard] = data.split.shards
    data.split = replace(data.split, shards=(replace(shard, file=file),))
    batch = everything(data)
    assert batch.ids == []
    assert {fault.reason for fault in batch.faults} == {"unreadable shard"}
    assert not list(tmp_path.glob("ran*"))


def test_a_damaged_sidecar_is_named(tmp_path: Path) -> None:
    data = write(tmp_path)
    content = bytearray(sidecar_path(tmp_path / SHARD).read_bytes())
    content[-20] ^= 1
    sidecar_path(tmp_path / SHARD).write_bytes(content)
    with pytest.raises(FoldError, match=r"train-000000.npy is damaged"):
        data.lengths()(0)  # ranks that planned without it would not plan alike
    batch = everything(data)
    assert batch.ids == [] and len(batch.faults) == len(TEXTS)
    assert {fault.reason for fault in batch.faults} == {"unreadable shard"}


def test_any_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    data = write(tmp_path)
    whole = (tmp_path / SHARD).read_bytes()
    good = everything(data)
    dice = random.Random(0)
    noticed = 0
    for _ in range(300):
        place = dice.randrange(len(whole))
        damaged = bytearray(whole)
        damaged[place] ^= 1 << dice.randrange(8)
        (tmp_path / SHARD).write_bytes(damaged)
        batch = everything(reopened(data))
        assert len(batch.ids) + len(batch.faults) == len(TEXTS)
        for row, id in enumerate(batch.ids):
            same = good.ids.index(id)
            assert batch.texts[row] == good.texts[same]
            n = int(good.num_samples[same])
            np.testing.assert_array_equal(batch.waveforms[row, :n].numpy(), good.waveforms[same, :n].numpy())
        noticed += len(batch.faults)
    assert noticed > 200


def test_a_changed_letter_of_a_transcript_is_noticed(tmp_path: Path) -> None:
    data = write(tmp_path)
    content = (tmp_path / SHARD).read_bytes()
    assert content.count(b'"text": "three"') == 1
    (tmp_path / SHARD).write_bytes(content.replace(b'"text": "three"', b'"text": "threw"'))
    [fault] = everything(data).faults
    assert (fault.reason, fault.id) == ("damaged metadata", "row 2")


@pytest.mark.parametrize("skipped", [0, 1, 2, 3])
def test_more_than_the_share_stops(skipped: int) -> None:
    faults = _some_faults()[:skipped]
    policy = FaultPolicy("skip", max_share=0.02)
    if skipped > 2:
        with pytest.raises(FoldError, match=r"3 of 100 utterances.*train-000000.tar, u2"):
            enforce(policy, faults, skipped, 100)
    else:
        enforce(policy, faults, skipped, 100)


def test_the_policy_raise_stops_at_the_first() -> None:
    with pytest.raises(FoldError, match=r"train-000000.tar, u0: clipped audio"):
        enforce(FaultPolicy("raise", max_share=math.inf), _some_faults(), 1, 100)


def test_faults_are_counted_by_reason_and_shard() -> None:
    counts = FaultCounts()
    counts.add(_some_faults())
    assert counts.by_reason() == {"clipped audio": 3}
    told = counts.summary("training")
    assert "3 training utterances" in told and "3 x clipped audio" in told and "\n" not in told
    assert "train-000000.tar" in told


def _some_faults() -> list[Fault]:
    return [Fault("clipped audio", SHARD, f"u{i}", "much") for i in range(3)]
