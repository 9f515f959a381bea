"""Corpora in the layouts of others, by their shipped settings: prepared, what was said at its place, and trained."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_files import encoded, speech, with_data_size
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
    options = [f"--config={tones_config}", f"--config={REPOSITORY}/data/{layout.split()[0]}.yaml"]
    options += [f"--data.root={tmp_path}/corpus", f"--data.sample_rate={SAMPLE_RATE}", f"--data.shards={tmp_path}/out"]
    done = fold_command("fit", *options, "--data.prepare_workers=1")
    assert "WER" in done.stdout
    [folder] = (file.parent for file in (tmp_path / "out").glob("*/index.json"))
    for split in SPLITS:
        found, wanted = everything(folder, split), said(split)
        assert sorted(text for text, _ in found.values()) == sorted(utterance.text for utterance in wanted)
        if layout not in ("common_voice", "voxpopuli"):  # MP3 and Vorbis are not the same to the sample
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
    [flaw] = read_segment(file, third.start, third.seconds + 9).flaws
    assert "is wanted, but it ends at" in flaw.reason
    assert flaw.lost == pytest.approx(1 - len(rest.samples) / SAMPLE_RATE / (third.seconds + 9), abs=1e-3)
    with pytest.raises(FoldError, match="is wanted, but it ends at"):
        read_segment(file, 99.0, None)


def test_channels_that_cancel_each_other_are_told_of_a_segment(tmp_path: Path) -> None:
    left = said("train")[0].samples
    soundfile.write(tmp_path / "talk.wav", np.stack([left, -0.9 * left], axis=1), SAMPLE_RATE)
    assert [
        "channels cancel each other" in flaw.reason for flaw in read_segment(tmp_path / "talk.wav", 0, 0.2).flaws
    ] == [True]
    assert not read_segment(tmp_path / "talk.wav", 0, 0.2, "left").flaws


@pytest.mark.parametrize(("size", "there"), [(0, 1.5), (0xFFFFFFFF, 1.5), (round(1.5 * SAMPLE_RATE), 0.75)])
@pytest.mark.parametrize("seconds", [0.5, None])
def test_a_segment_is_not_read_as_a_header_tells(
    size: int, there: float, seconds: float | None, tmp_path: Path
) -> None:
    """Of a WAV file of 1.5 s from a pipe, and of one that tells of 0.75 s."""
    sound = speech(1.5, SAMPLE_RATE)
    (tmp_path / "talk.wav").write_bytes(with_data_size(encoded("wav", sound, SAMPLE_RATE), size))
    part = read_segment(tmp_path / "talk.wav", 0.5, seconds)
    wanted = sound[SAMPLE_RATE // 2 : round(min(there, 0.5 + (seconds or 9)) * SAMPLE_RATE)]
    np.testing.assert_allclose(part.samples, wanted, atol=1e-3)
    assert max((flaw.lost for flaw in part.flaws), default=0) == pytest.approx(1 - there / 1.5, abs=0.01)


def test_seconds_alone_are_the_first_of_a_recording(tmp_path: Path) -> None:
    """As in NeMo's lists, where an offset may be left out."""
    soundfile.write(tmp_path / "talk.wav", speech(3.0, SAMPLE_RATE), SAMPLE_RATE)
    rows = ["audio\ttext\tseconds", "talk.wav\tyes\t1.5", "./talk.wav\tno\t3.05", ".//talk.wav\tso\t4"]
    (tmp_path / "a.tsv").write_text("\n".join(rows))
    corpus = Manifest(train="a.tsv")
    recipes = {recipe.text: recipe for recipe in corpus.recipes("train", tmp_path)}
    heard = {text: corpus.render(recipes[text], tmp_path) for text in ("yes", "no")}
    assert {text: len(found.samples) / SAMPLE_RATE for text, found in heard.items()} == {"yes": 1.5, "no": 3.0}
    with pytest.raises(FoldError, match=r"a segment from 0.00 s to 4.00 s is wanted, but it ends at 3.00 s; mend it"):
        corpus.render(recipes["so"], tmp_path)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"start": "0.5", "end": "1.25"}, (0.5, 0.75)),
        ({"start": "0.5", "end": "1.25", "seconds": "0.76"}, (0.5, 0.75)),
        ({"end": "1.25"}, (0.0, 1.25)),
        ({"start": "0.5", "end": ""}, (0.5, 2.5)),
        (
            {"start": "0.5", "end": "1.25", "seconds": "1"},
            "a.tsv:2: a segment from 0.5 s to 1.25 s does not last 1.0 s",
        ),
        ({"start": "0.5", "end": "0.25"}, "a.tsv:2: a segment cannot start at 0.5 s and last -0.25 s"),
        ({"start": "0.5", "end": "soon"}, "a.tsv:2: start '0.5', end 'soon': expected numbers"),
        ({"start": "0.5", "end": "nan"}, "a.tsv:2: a segment cannot start at 0.5 s and last nan s"),
    ],
)
def test_a_part_may_be_told_by_its_end(times: dict[str, str], expected: object, tmp_path: Path) -> None:
    """As in the lists of VoxPopuli; without it the rest of the recording was read."""
    sound = speech(3.0, SAMPLE_RATE)
    soundfile.write(tmp_path / "talk.wav", sound, SAMPLE_RATE)
    (tmp_path / "a.tsv").write_text(
        "\t".join(["audio", "text", *times]) + "\n" + "\t".join(["talk.wav", "yes", *times.values()])
    )
    corpus = Manifest(train="a.tsv")
    if isinstance(expected, str):
        with pytest.raises(FoldError) as caught:
            corpus.recipes("train", tmp_path)
        assert expected in str(caught.value)
        return
    [recipe] = corpus.recipes("train", tmp_path)
    first, number = (round(seconds * SAMPLE_RATE) for seconds in expected)
    np.testing.assert_allclose(corpus.render(recipe, tmp_path).samples, sound[first : first + number], atol=1e-3)


@pytest.mark.parametrize(
    ("times", "advice"),
    [
        ({"start": 0.5, "duration": 0.75}, "{seconds: duration}"),
        ({"offset": 0.5, "duration": 0.75}, "{start: offset, seconds: duration}"),
        ({"offset": 0.5, "end": 1.25}, "{start: offset}"),
        ({"duration": 3.0}, None),
        ({"start_time": 0.5, "end_time": 1.25}, "{start: start_time, end: end_time}"),
        ({"begin": 0.5, "stop": 1.25}, "{start: begin, end: stop}"),
        ({"start": 0.5, "end_time": 1.25}, "{end: end_time}"),
        ({"start": 0.5, "end": 1.25, "duration": 0.75}, None),
    ],
)
@pytest.mark.parametrize("kind", ["tsv", "jsonl"])
def test_parts_in_columns_of_other_names_are_not_passed_over(
    kind: str, times: dict[str, float], advice: str | None, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "talk.wav", speech(3.0, SAMPLE_RATE), SAMPLE_RATE)
    row = {"audio": "talk.wav", "text": "yes", **times}
    table = "\n".join("\t".join(map(str, fields)) for fields in (row, row.values()))
    (tmp_path / f"a.{kind}").write_text(table if kind == "tsv" else json.dumps(row))
    corpus = Manifest(train=f"a.{kind}")
    if advice is None:
        assert len(corpus.recipes("train", tmp_path)) == 1
        return
    with pytest.raises(FoldError, match="would not be read") as caught:
        corpus.recipes("train", tmp_path)
    assert f"a.{kind}:" in str(caught.value) and f'--data.corpus.columns="{advice}"' in str(caught.value)


def test_a_part_in_a_later_line_of_json_is_not_passed_over(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "talk.wav", speech(3.0, SAMPLE_RATE), SAMPLE_RATE)
    rows = [{"audio": "talk.wav", "text": "yes"}, {"audio": "talk.wav", "text": "yes", "offset": 1.0, "duration": 1.0}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(FoldError, match=r"a.jsonl:2: offset and duration would not be read"):
        Manifest(train="a.jsonl").recipes("train", tmp_path)


@pytest.mark.parametrize("times", [(), ("0.5", "1.5")])
def test_one_sound_does_not_have_two_texts(times: tuple[str, ...], tmp_path: Path) -> None:
    """Parts whose times are in columns that nobody named, as ids tell."""
    soundfile.write(tmp_path / "talk.wav", speech(3.0, SAMPLE_RATE), SAMPLE_RATE)
    header = "\t".join(["audio", "text", "id", *("start", "end")[: len(times)]])
    rows = [
        "\t".join([audio, text, id, *times]) for audio, text, id in (("talk.wav", "a", "1"), ("./talk.wav", "b", "2"))
    ]
    (tmp_path / "a.tsv").write_text("\n".join([header, *rows]))
    with pytest.raises(FoldError, match=r"a.tsv:3: ./talk.wav is that of line 2 already, with another text; if"):
        Manifest(train="a.tsv").recipes("train", tmp_path)
    (tmp_path / "a.tsv").write_text("\n".join([header, *rows]).replace("\tb\t", "\ta\t"))
    assert len(Manifest(train="a.tsv").recipes("train", tmp_path)) == 2


def test_segment_time_marks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two = np.stack([speech(3.0, SAMPLE_RATE, seed) for seed in (1, 2)], axis=1)
    soundfile.write(tmp_path / "call.wav", two, SAMPLE_RATE)
    lines = [
        ";; of both sides",
        "call A ann 0.0 1.0 <o,f0,male> it 's {NOISE} the(2) first",
        "call B bob 0.0 1.0 the second",
        "call A ann 1.0 2.0 <o,f0,male> ignore_time_segment_in_scoring",
        "call A ann 2.0 2.5 a <unk>",
        "call A ann 2.5 3.0",
    ]
    (tmp_path / "a.stm").write_text("\n".join(lines))
    manifest = Manifest(train="a.stm", audio_suffix=".wav")
    heard = {recipe.text: manifest.render(recipe, tmp_path).samples for recipe in manifest.recipes("train", tmp_path)}
    assert list(sorted(heard)) == ["it's the first", "the second"]
    for channel, samples in enumerate(heard[text] for text in sorted(heard)):
        np.testing.assert_allclose(samples, two[:SAMPLE_RATE, channel], atol=1e-4)
    assert capsys.readouterr().out.count("a.stm: 3 segments without words") == 1
    (tmp_path / "a.stm").write_text("call A ann 0.0")
    with pytest.raises(FoldError, match=r"a.stm:1: expected 'FILE CHANNEL SPEAKER START END TEXT'"):
        manifest.recipes("train", tmp_path)


def test_names_without_a_suffix(tmp_path: Path) -> None:
    for name in ("one.wav", "a/two.wav", "b/two.wav"):
        write_audio(tmp_path / name, speech(1.0, SAMPLE_RATE))
    several = "several recordings are called two.wav: a/two.wav and b/two.wav"
    for name, told in (("one", ""), ("one.wav", ""), ("a/two", ""), ("two", several)):
        (tmp_path / "a.tsv").write_text(f"audio\ttext\n{name}\tyes\n")
        if told:
            with pytest.raises(FoldError, match=rf"a.tsv:2: {told}"):
                Manifest(train="a.tsv", audio_suffix=".wav").recipes("train", tmp_path)
        else:
            assert len(Manifest(train="a.tsv", audio_suffix=".wav").recipes("train", tmp_path)) == 1
    with pytest.raises(FoldError, match=r"a.tsv:2: there is no recording .*/two.flac"):
        Manifest(train="a.tsv", audio_suffix=".flac").recipes("train", tmp_path)


KALDI = {"wav.scp": "r1 one.wav\n", "text": "u1 yes\n", "segments": "u1 r1 0.1 0.2\n"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"wav.scp": "r1 sph2pipe -f wav one.sph |\n"}, r"wav.scp:1: a command, not a file"),
        ({"text": ""}, r"segments:1: 'u1' has no line in .*text"),
        ({"text": "u1 yes\nu2 no\n"}, r"text:2: 'u2' has no line in .*segments"),
        ({"utt2spk": "u2 ann\n"}, r"text:1: 'u1' has no line in .*utt2spk"),
        ({"segments": "u1 r2 0.1 0.2\n"}, r"segments:1: the recording 'r2' has no line in .*wav.scp"),
        ({"segments": "u1 r1 now then\n"}, r"segments:1: expected 'UTTERANCE RECORDING START END'"),
        ({"segments": "u1 r1 0.1\n"}, r"segments:1: expected 'UTTERANCE RECORDING START END'"),
        ({"segments": "u1 r1 0.3 0.2\n"}, r"text:1: a segment cannot start at 0.3 s and last -0.1"),
        ({"wav.scp": "r1 one.wav\nr1 two.wav\n"}, r"wav.scp:2: 'r1' has a line already, .*wav.scp:1"),
        ({"wav.scp": "r1 none.wav\n"}, r"text:1: there is no recording .*none.wav"),
        ({"text": "u1\n"}, r"text:1: empty text"),
        (
            {"wav.scp": "r1 one.wav\nr2 ./one.wav\n"},
            r"wav.scp:1: 'r1' shares its file with another recording; expected",
        ),
        (
            {"wav.scp": "r1 one.wav\nr2 one.wav\n", "reco2file_and_channel": "r1 one A\nr2 one C\n"},
            r"reco2file_and_channel:2: 'r2' shares its file with another recording; expected a line 'r2 FILE CHANNEL'",
        ),
    ],
)
def test_what_is_wrong_in_a_folder_of_kaldi_is_named(changed: dict[str, str], told: str, tmp_path: Path) -> None:
    write_audio(tmp_path / "one.wav", said("train")[0].samples)
    for name, content in (KALDI | changed).items():
        (tmp_path / name).write_text(content)
    with pytest.raises(FoldError, match=told) as caught:
        Manifest(train=".").recipes("train", tmp_path)
    assert "\n" not in str(caught.value)


def test_recordings_of_kaldi_may_be_channels_of_a_file(tmp_path: Path) -> None:
    """As in telephone corpora; where a recording has a file of its own, that is all of it."""
    two = np.stack([speech(2.0, SAMPLE_RATE, seed) for seed in (1, 2)], axis=1)
    soundfile.write(tmp_path / "call.wav", two, SAMPLE_RATE)
    write_audio(tmp_path / "other.wav", two[:, 1])
    ids = {"call-A": ("call.wav", 0), "call-B": ("call.wav", 1), "other-B": ("other.wav", 1)}
    (tmp_path / "wav.scp").write_text("".join(f"{id} {file}\n" for id, (file, _) in ids.items()))
    (tmp_path / "text").write_text("".join(f"{id} in {id}\n" for id in ids))
    (tmp_path / "reco2file_and_channel").write_text("".join(f"{id} {id[:-2]} {id[-1]}\n" for id in ids))
    manifest = Manifest(train=".")
    heard = {recipe.id: manifest.render(recipe, tmp_path).samples for recipe in manifest.recipes("train", tmp_path)}
    for id, (_, channel) in ids.items():
        np.testing.assert_allclose(heard[id], two[:, channel], atol=1e-4)


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
        ("a.tsv", "audio\ttext\ttext\none.wav\tyes\tno\n", {}, "a.tsv:1: 2 columns are called 'text'"),
        ("a.csv", 'audio,text\none.wav,"yes\ntwo.wav,no\n', {}, "a.csv:3: no CSV (unexpected end of data)"),
        ("a.csv", 'audio,text\none.wav,"yes\ntwo.wav,"no\n', {}, "a.csv:3: no CSV (',' expected after '\"')"),
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
