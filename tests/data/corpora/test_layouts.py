"""Corpora in the layouts of others, by their shipped settings: prepared, what was said at its place, and trained."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, Finished
from foreign_corpora import LAYOUTS, said, write_audio
from tones import SAMPLE_RATE

from fold.data.cache import ShardCache
from fold.data.corpora import SPLITS, Manifest
from fold.data.corpora.segments import read_segment
from fold.data.index import read_index
from fold.data.location import Location
from fold.data.plans import Reference
from fold.data.stream import ShardedSpeech
from fold.errors import FoldError
from fold.text.units import units_from_dict


def everything(folder: Path, split: str) -> dict[str, tuple[str, np.ndarray]]:
    """Text and samples of a prepared split by id."""
    index = read_index(folder)
    location = Location.of(str(folder), ShardCache(folder, 0))
    speech = ShardedSpeech(location, index.splits[split], index.sample_rate, units_from_dict(index.units))
    places = [Reference(n, row) for n, s in enumerate(speech.split.shards) for row in range(s.utterances)]
    read = [speech.read(place) for place in places]
    return {example.id: (example.text, example.waveform.numpy()) for example in read}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_corpus_is_trained_from_as_it_is(
    layout: str, tmp_path: Path, tones_config: Path, fold_command: Callable[..., Finished]
) -> None:
    LAYOUTS[layout](tmp_path / "corpus")
    options = [f"--config={tones_config}", f"--config={REPOSITORY}/data/{layout}.yaml"]
    options += [f"--data.root={tmp_path}/corpus", f"--data.sample_rate={SAMPLE_RATE}", f"--data.shards={tmp_path}/out"]
    done = fold_command("fit", *options, "--data.prepare_workers=1")
    assert "WER" in done.stdout
    [folder] = (file.parent for file in (tmp_path / "out").glob("*/index.json"))
    for split in SPLITS:
        found, wanted = everything(folder, split), said(split)
        assert sorted(text for text, _ in found.values()) == sorted(utterance.text for utterance in wanted)
        if layout != "common_voice":  # MP3 is not the same to the sample
            by_text = {utterance.text: [] for utterance in wanted}
            for text, samples in found.values():
                by_text[text].append(samples)
            for utterance in wanted:
                assert any(close(samples, utterance.samples) for samples in by_text[utterance.text])


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the samples are the same, but for a few at the ends, which lists round, and a shift as large."""
    n = min(len(a), len(b)) - 16
    return abs(len(a) - len(b)) < 9 and any(
        np.abs(a[8 : 8 + n] - b[8 + shift : 8 + shift + n]).max() < 1e-3 for shift in range(-4, 5)
    )


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_segment_is_the_same_whether_it_is_sought_or_cut_out(suffix: str, tmp_path: Path) -> None:
    utterances = said("train")[:4]
    samples = np.concatenate([utterance.samples for utterance in utterances])
    file = write_audio(tmp_path / f"talk.{suffix}", samples)
    third = utterances[2]
    read = read_segment(file, third.start, third.seconds)
    assert (read.sample_rate, len(read.samples)) == (SAMPLE_RATE, len(third.samples))
    quiet = 0.02 if suffix in ("wav", "flac") else 0.2
    assert np.abs(read.samples - third.samples).max() < quiet
    rest = read_segment(file, third.start, None)
    assert len(rest.samples) == pytest.approx(len(third.samples) + len(utterances[3].samples), abs=2400)
    with pytest.raises(FoldError, match=r"a segment from .* is wanted, but it ends at"):
        read_segment(file, third.start, third.seconds + 9)
    with pytest.raises(FoldError, match="is wanted, but it ends at"):
        read_segment(file, 99.0, None)


KALDI = {"wav.scp": "r1 one.wav\n", "text": "u1 yes\n", "segments": "u1 r1 0.1 0.2\n"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"wav.scp": "r1 sph2pipe -f wav one.sph |\n"}, r"wav.scp:1: a command, not a file"),
        ({"text": ""}, r"segments:1: 'u1' has no line in .*text"),
        ({"text": "u1 yes\nu2 no\n"}, r"text:2: 'u2' has no line in .*segments"),
        ({"segments": "u1 r2 0.1 0.2\n"}, r"segments:1: the recording 'r2' has no line in .*wav.scp"),
        ({"segments": "u1 r1 now then\n"}, r"segments:1: expected 'UTTERANCE RECORDING START END'"),
        ({"segments": "u1 r1 0.1\n"}, r"segments:1: expected 'UTTERANCE RECORDING START END'"),
        ({"segments": "u1 r1 0.3 0.2\n"}, r"text:1: a segment cannot start at 0.3 s and last -0.1"),
        ({"wav.scp": "r1 one.wav\nr1 two.wav\n"}, r"wav.scp:2: 'r1' has a line already, .*wav.scp:1"),
        ({"wav.scp": "r1 none.wav\n"}, r"text:1: there is no recording .*none.wav"),
        ({"text": "u1\n"}, r"text:1: empty text"),
    ],
)
def test_what_is_wrong_in_a_folder_of_kaldi_is_named(changed: dict[str, str], told: str, tmp_path: Path) -> None:
    write_audio(tmp_path / "one.wav", said("train")[0].samples)
    for name, content in (KALDI | changed).items():
        (tmp_path / name).write_text(content)
    with pytest.raises(FoldError, match=told) as caught:
        Manifest(train=".").recipes("train", tmp_path)
    assert "\n" not in str(caught.value)


def test_kaldi_without_segments(tmp_path: Path) -> None:
    write_audio(tmp_path / "one.wav", said("train")[0].samples)
    (tmp_path / "wav.scp").write_text("u1\tone.wav\n")
    (tmp_path / "text").write_text("u1  yes no\n")
    [recipe] = Manifest(train=".").recipes("train", tmp_path)
    assert (recipe.id, recipe.text, recipe.speaker) == ("u1", "yes no", "unknown")
    assert len(Manifest().render(recipe, tmp_path).samples) == len(said("train")[0].samples)


@pytest.mark.parametrize(
    ("name", "content", "columns", "told"),
    [
        ("a.csv", 'file,said\none.wav,"yes, no"\n', {"audio": "file", "text": "said"}, None),
        (
            "a.json",
            '{"a": {"b": ["one.wav"]}, "t": [{"s": "yes,"}, {"s": "no"}]}',
            {"audio": "a.b.0", "text": "t.*.s"},
            None,
        ),
        ("a.csv", "file,said\none.wav\n", {"audio": "file", "text": "said"}, "a.csv:2: 1 columns between commas"),
        (
            "a.tsv",
            "file\tsaid\n",
            {"audio": "path", "text": "said"},
            "a.tsv:1: no column 'path'; there are: file, said",
        ),
        ("a.json", '{"a": 1}', {"audio": "a.b", "text": "a"}, "a.json:1: no key 'a.b'; there are: a"),
        ("a.tsv", "", {"sound": "path"}, "columns: there is no 'sound'; expected some of audio, text"),
        ("a.jsonl.gz", "no gzip", {}, "a.jsonl.gz: cannot be unpacked"),
    ],
)
def test_columns_have_any_names(
    name: str, content: str, columns: dict[str, str], told: str | None, tmp_path: Path
) -> None:
    write_audio(tmp_path / "one.wav", said("train")[0].samples)
    (tmp_path / name).write_text(content)
    corpus = Manifest(train=name, columns=columns)
    if told is None:
        assert [recipe.text for recipe in corpus.recipes("train", tmp_path)] == ["yes, no"]
        return
    with pytest.raises(FoldError) as caught:
        corpus.recipes("train", tmp_path)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
