import io
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import webdataset
from members import decode_flac, read_member

from fold.data.corpora import Utterance
from fold.data.index import INDEX_FILE, Index, Split, read_index, write_index
from fold.data.shards import describe_shard, encode_flac, read_sidecar, sidecar_path, write_shard
from fold.errors import FoldError

SAMPLE_RATE = 8000


def make_utterances(count: int = 5) -> list[Utterance]:
    rng = np.random.default_rng(0)
    return [
        Utterance(
            f"test-{i:03d}",
            f"text {i} ü",
            f"speaker{i % 2}",
            rng.integers(-32768, 32768, 500 + 311 * i).astype(np.float32) / 32768,
            SAMPLE_RATE,
        )
        for i in range(count)
    ]


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "test-000000.tar"
    return path, write_shard(path, make_utterances(), SAMPLE_RATE)


def test_the_sidecar_leads_to_every_utterance(shard):
    path, _ = shard
    rows = read_sidecar(path)
    with path.open("rb") as file:
        for row, utterance in zip(rows, make_utterances(), strict=True):
            audio = decode_flac(read_member(file, int(row["audio_offset"]), int(row["audio_bytes"])))
            meta = json.loads(read_member(file, int(row["meta_offset"]), int(row["meta_bytes"])))
            # The source is 16 bit, so FLAC must return it to the last bit.
            np.testing.assert_array_equal(audio, utterance.samples)
            assert audio.dtype == np.float32
            assert row["num_samples"] == len(utterance.samples)
            assert (meta["id"], meta["text"], meta["speaker"]) == (utterance.id, utterance.text, utterance.speaker)
            assert meta["seconds"] == pytest.approx(len(utterance.samples) / SAMPLE_RATE, abs=1e-4)


def test_webdataset_reads_the_same_utterances(shard):
    path, _ = shard
    samples = list(webdataset.WebDataset(str(path), shardshuffle=False))
    for sample, utterance in zip(samples, make_utterances(), strict=True):
        assert sample["__key__"] == utterance.id
        assert json.loads(sample["json"])["text"] == utterance.text
        audio, sample_rate = soundfile.read(io.BytesIO(sample["flac"]), dtype="float32")
        assert sample_rate == SAMPLE_RATE
        np.testing.assert_array_equal(audio, utterance.samples)


def test_the_entry_describes_the_files(shard):
    path, entry = shard
    utterances = make_utterances()
    assert entry.file == path.name
    assert entry.utterances == len(utterances)
    assert entry.seconds == pytest.approx(sum(len(u.samples) for u in utterances) / SAMPLE_RATE, abs=1e-3)
    assert entry.bytes == path.stat().st_size
    assert describe_shard(path, SAMPLE_RATE) == entry


def test_bytes_depend_on_the_utterances_alone(shard, tmp_path, monkeypatch):
    path, entry = shard
    (tmp_path / "other").mkdir()
    monkeypatch.setattr("time.time", lambda: 1e9)
    monkeypatch.setattr("os.getuid", lambda: 4242)
    again = write_shard(tmp_path / "other" / path.name, make_utterances(), SAMPLE_RATE)
    assert again == entry
    assert write_shard(tmp_path / "other" / path.name, make_utterances(4), SAMPLE_RATE).sha256 != entry.sha256


def test_loud_samples_saturate_instead_of_wrapping():
    decoded = decode_flac(encode_flac(np.array([2.0, -2.0, 0.5], dtype=np.float32), SAMPLE_RATE))
    np.testing.assert_allclose(decoded, [1.0, -1.0, 0.5], atol=1e-4)


def test_an_interrupted_shard_leaves_nothing(tmp_path):
    def broken():
        yield from make_utterances()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "test-000000.tar", broken(), SAMPLE_RATE)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["a.b", "../a", "a/b", ""])
def test_ids_that_would_not_survive_a_webdataset_are_refused(name, tmp_path):
    utterance = Utterance(name, "text", "speaker", np.zeros(10, np.float32), SAMPLE_RATE)
    with pytest.raises(FoldError, match="utterance id"):
        write_shard(tmp_path / "test-000000.tar", [utterance], SAMPLE_RATE)


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_a_damaged_sidecar_is_named(shard, content):
    path, _ = shard
    if content is None:
        np.save(sidecar_path(path), np.zeros(3))
    else:
        sidecar_path(path).write_bytes(content)
    with pytest.raises(FoldError, match=r"test-000000.npy"):
        read_sidecar(path)


def test_pickled_arrays_are_never_loaded(shard):
    path, _ = shard
    np.save(sidecar_path(path), np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FoldError, match=r"test-000000.npy"):
        read_sidecar(path)


def test_the_index_survives_its_file(shard, tmp_path):
    path, entry = shard
    split = Split.of([entry, entry], np.tile(read_sidecar(path)["num_samples"] / SAMPLE_RATE, 2))
    corpus = {"class": "Commands", "settings": {"seed": 1}}
    index = Index(corpus, SAMPLE_RATE, {"kind": "char", "characters": ["a"]}, {"test": split})
    write_index(tmp_path, index)
    assert read_index(tmp_path) == index
    split = replace(split, durations={2: (3, 7.5), 10: (1, 10.5), 9: (1, 9.5), 100: (1, 100.25)})
    for other in (replace(index, splits={"test": split}), replace(index, units={"kind": "char", "characters": ["ü"]})):
        write_index(tmp_path, other)
        assert read_index(tmp_path) == other
    assert index.splits["test"].utterances == 2 * entry.utterances
    assert index.splits["test"].seconds == pytest.approx(2 * entry.seconds)


def test_durations_tell_what_a_limit_leaves(shard):
    path, _ = shard
    seconds = [len(utterance.samples) / SAMPLE_RATE for utterance in make_utterances(20)]
    split = Split.of([write_shard(path, make_utterances(20), SAMPLE_RATE)], np.array(seconds))
    for limit in (0, 1, 5):
        kept = [s for s in seconds if s < limit]
        utterances, total = split.usable(limit)
        assert utterances == len(kept)
        assert total == pytest.approx(sum(kept), abs=1e-2)
    assert split.usable(float("inf"))[0] == split.utterances == 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": 2}', "damaged"),
        ('{"format": 99}', "format 99, expected 3"),
    ],
)
def test_a_bad_index_is_named(content, message, tmp_path):
    (tmp_path / INDEX_FILE).write_text(content)
    with pytest.raises(FoldError, match=message):
        read_index(tmp_path)


def test_a_missing_index_says_what_to_do(tmp_path):
    with pytest.raises(FoldError, match="fold prepare"):
        read_index(tmp_path)
