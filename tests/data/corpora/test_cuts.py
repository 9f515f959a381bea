"""Cuts of lhotse: which file and which of its channels they mean, as the library itself reads them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from audio_files import speech
from conftest import REPOSITORY

from fold.data.corpora import Manifest
from fold.errors import FoldError

RATE = 8000
TWO = np.stack([speech(3.0, RATE, seed) for seed in (1, 2)], axis=1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two people talk: in a recording of two channels, and in two recordings."""
    soundfile.write(tmp_path / "both.wav", TWO, RATE)
    for name, one in zip(("ann.wav", "ben.wav"), TWO.T, strict=True):
        soundfile.write(tmp_path / name, one, RATE)
    monkeypatch.chdir(tmp_path)  # where lhotse looks for relative paths
    return tmp_path


def corpus(**settings: Any) -> Manifest:
    shipped = yaml.safe_load((REPOSITORY / "data" / "lhotse.yaml").read_text())["data"]["corpus"]["init_args"]
    return Manifest(**{**shipped, "train": "cuts.jsonl.gz", **settings})


def test_a_cut_is_heard_as_lhotse_hears_it(folder: Path) -> None:
    """Of either channel, from either kind of recording, also one that is only resampled when it is loaded."""
    lhotse = pytest.importorskip("lhotse", reason="needs the library lhotse: pip install lhotse")
    sources = [lhotse.audio.AudioSource("file", [number], name) for number, name in enumerate(("ann.wav", "ben.wav"))]
    recordings = [
        lhotse.Recording.from_file("both.wav"),
        lhotse.Recording("apart", sources, sampling_rate=RATE, num_samples=len(TWO), duration=3.0),
    ]
    cuts = []
    for recording in recordings:
        for channel, (start, seconds) in enumerate([(0.5, 1.0), (1.25, 0.75)]):
            said = lhotse.SupervisionSegment(f"{recording.id}{channel}", recording.id, 0, seconds, channel, text="yes")
            cut = lhotse.MonoCut(said.id, start, seconds, channel, [said], recording=recording)
            cuts += [cut, cut.resample(16000).with_id(f"{said.id}-resampled")]
    lhotse.CutSet.from_cuts(cuts).to_file("cuts.jsonl.gz")
    expected = {cut.id: cut.load_audio()[0] for cut in cuts if "resampled" not in cut.id}
    heard = {recipe.id: corpus().render(recipe, folder).samples for recipe in corpus().recipes("train", folder)}
    assert len(heard) == 8 and len(expected) == 4
    for id, samples in expected.items():
        np.testing.assert_array_equal(heard[id], samples)
        np.testing.assert_array_equal(heard[f"{id}-resampled"], samples)  # preparing a corpus resamples


def test_what_a_cut_holds_only_in_part_is_refused(folder: Path) -> None:
    """As windows and truncated cuts have it: all windows had the whole text."""
    lhotse = pytest.importorskip("lhotse", reason="needs the library lhotse: pip install lhotse")
    recording = lhotse.Recording.from_file("both.wav")
    said = [
        lhotse.SupervisionSegment("two", "both", 1.9, 0.9, text="two"),
        lhotse.SupervisionSegment("one", "both", 0.5, 1.0, text="one"),
    ]
    whole = lhotse.MonoCut("whole", 0, 3.0, 0, said, recording=recording)
    apart = lhotse.SupervisionSegment("one", "both", 0.5, 1.0, 1, text="one")
    cuts = lhotse.CutSet.from_cuts
    wrong = {
        r"the supervision 'one' is from 0.50 s to 1.50 s of a cut of 1.00 s": cuts([whole]).cut_into_windows(1.0),
        r"the supervision 'two' is from -0.10 s to 0.80 s": cuts([whole.truncate(offset=2.0)]),
        r"the supervision 'one' has no text": cuts(
            [lhotse.MonoCut("a", 0, 3.0, 0, [lhotse.SupervisionSegment("one", "both", 0, 1)], recording=recording)]
        ),
        r"the cut has no supervisions, so no text": cuts([lhotse.MonoCut("a", 0, 3.0, 0, [], recording=recording)]),
        r"a MixedCut, whose audio is made when it is loaded": cuts([whole.pad(4.0)]),
        r"supervisions of different channels overlap at 0.60 s": cuts(
            [
                lhotse.MultiCut(
                    "a",
                    0,
                    3.0,
                    [0, 1],
                    [apart, lhotse.SupervisionSegment("x", "both", 0.6, 1.0, 0, text="x")],
                    recording=recording,
                )
            ]
        ),
    }
    for told, listed in wrong.items():
        listed.to_file("cuts.jsonl.gz")
        with pytest.raises(FoldError, match=told) as caught:
            corpus().recipes("train", folder)
        assert "\n" not in str(caught.value)
    for listed, texts in ((cuts([whole]), ["one two"]), (cuts([whole]).trim_to_supervisions(), ["one", "two"])):
        listed.to_file("cuts.jsonl.gz")
        assert sorted(recipe.text for recipe in corpus().recipes("train", folder)) == texts


BOTH = {"type": "file", "channels": [0, 1], "source": "both.wav"}
ANN, BEN = ({"type": "file", "channels": [n], "source": name} for n, name in ((3, "ann.wav"), (4, "ben.wav")))


def written(folder: Path, sources: Any, channel: Any, **recording: Any) -> str:
    """A list of one cut, and its name."""
    cut = {"id": "c", "start": 0.5, "duration": 1.0, "supervisions": [{"text": "YES"}], "channel": channel}
    (folder / "cuts.jsonl").write_text(json.dumps({**cut, "recording": {"sources": sources, **recording}}))
    return "cuts.jsonl"


@pytest.mark.parametrize(
    ("sources", "channel", "of_corpus", "expected"),
    [
        ([BOTH], 1, "mix", TWO[:, 1]),
        ([BOTH], 1, 2, TWO[:, 1]),
        ([BOTH], [1], "mix", TWO[:, 1]),
        ([BOTH], [0, 1], "mix", TWO.mean(1)),
        ([BOTH], None, "mix", TWO.mean(1)),
        ([BOTH], [0, 1], "right", TWO[:, 1]),
        ([{**BOTH, "channels": [7, 5]}], 5, "mix", TWO[:, 1]),
        ([ANN, BEN], 4, "mix", TWO[:, 1]),
    ],
)
def test_the_channel_of_a_cut_is_read(
    sources: Any, channel: Any, of_corpus: Any, expected: np.ndarray, folder: Path
) -> None:
    manifest = corpus(train=written(folder, sources, channel), channel=of_corpus)
    [recipe] = manifest.recipes("train", folder)
    heard = manifest.render(recipe, folder).samples
    np.testing.assert_allclose(heard, expected[RATE // 2 : RATE // 2 + RATE], atol=1e-4)


@pytest.mark.parametrize(
    ("sources", "channel", "more", "told"),
    [
        ([BOTH], 2, {}, "channel is 2, but the recording has 0, 1"),
        ([BOTH], [], {}, "channel is [], but the recording has 0, 1"),
        ([], 0, {}, "channel is 0, but the recording has none"),
        ([ANN, BEN], [3, 4], {}, "channels 3, 4 are in 2 files; give each a cut of its own"),
        (
            [{**BOTH, "channels": [0, 1, 2]}],
            [0, 2],
            {},
            "channels 0, 2 of 0, 1, 2 are asked for; one or all can be read",
        ),
        ([{**BOTH, "type": "command"}], 0, {}, "the audio is no file but a command: save it as one"),
        ([BOTH], 0, {"transforms": [{"name": "Speed"}]}, "not that of its file, but changed by Speed: save it"),
        ([{"source": "both.wav"}], 0, {}, "no recording as lhotse writes it"),
        ("both.wav", 0, {}, "no recording as lhotse writes it"),
    ],
)
def test_a_cut_that_cannot_be_read_as_it_is_meant_is_refused(
    sources: Any, channel: Any, more: dict, told: str, folder: Path
) -> None:
    with pytest.raises(FoldError) as caught:
        corpus(train=written(folder, sources, channel, **more)).recipes("train", folder)
    assert str(caught.value).startswith(f"{folder}/cuts.jsonl:1: ") and told in str(caught.value)


def test_a_list_may_tell_the_channel(folder: Path) -> None:
    """Where `columns` names that column; two channels of a recording are two utterances."""
    rows = "audio\ttext\tside\nboth.wav\tyes\t1\nboth.wav\tno\tright\nboth.wav\tboth\tmix\nboth.wav\tall\t\n"
    (folder / "a.tsv").write_text(rows)
    manifest = Manifest(train="a.tsv", columns={"channel": "side"})
    heard = {recipe.text: manifest.render(recipe, folder).samples for recipe in manifest.recipes("train", folder)}
    for text, expected in {"yes": TWO[:, 0], "no": TWO[:, 1], "both": TWO.mean(1), "all": TWO.mean(1)}.items():
        np.testing.assert_allclose(heard[text], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("told", "of_corpus", "message"),
    [
        ("0", "mix", "a.tsv:2: channel is '0': expected a number from 1, left, right or mix"),
        ("A", "mix", "a.tsv:2: channel is 'A': expected a number from 1, left, right or mix"),
        ("2", "left", "a.tsv:2: channel is 2, but data.corpus.channel is left: leave one of them out"),
        ("mix", 1, "a.tsv:2: channel is mix, but data.corpus.channel is 1: leave one of them out"),
    ],
)
def test_a_channel_that_is_none_or_contradicts_the_corpus_is_refused(
    told: str, of_corpus: Any, message: str, folder: Path
) -> None:
    (folder / "a.tsv").write_text(f"audio\ttext\tchannel\nboth.wav\tyes\t{told}\n")
    with pytest.raises(FoldError) as caught:
        Manifest(train="a.tsv", columns={"channel": "channel"}, channel=of_corpus).recipes("train", folder)
    assert message in str(caught.value)


def test_a_column_that_happens_to_be_called_channel_is_ignored(folder: Path) -> None:
    (folder / "a.tsv").write_text("audio\ttext\tchannel\nboth.wav\tyes\tphone\n")
    [recipe] = Manifest(train="a.tsv").recipes("train", folder)
    np.testing.assert_allclose(Manifest().render(recipe, folder).samples, TWO.mean(1), atol=1e-4)
