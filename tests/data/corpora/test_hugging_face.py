"""Datasets of Hugging Face's library, as it writes them: what is read is what was said, and what is wrong is named."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import soundfile
from foreign_corpora import datasets, said
from pyarrow import parquet
from tones import SAMPLE_RATE

from fold.data.corpora.hugging_face import HuggingFace
from fold.errors import FoldError

library = pytest.importorskip("datasets", reason="needs the library datasets: pip install datasets")


def as_arrow(splits: Any, root: Path) -> None:
    splits.save_to_disk(root, num_shards={name: 2 for name in splits})


def as_parquet(splits: Any, root: Path) -> None:
    """Groups of three rows in two files a split, as in a repository of the hub."""
    (root / "data").mkdir(parents=True)
    for name, split in splits.items():
        for number in range(2):
            split.shard(2, number).to_parquet(root / "data" / f"{name}-{number:05d}-of-00002.parquet", batch_size=3)


def as_folders(splits: Any, root: Path) -> None:
    """As the hub converts datasets to Parquet."""
    for name, split in splits.items():
        (root / name).mkdir(parents=True)
        split.to_parquet(root / name / "0000.parquet")


@pytest.mark.parametrize("write", [as_arrow, as_parquet, as_folders])
def test_what_is_read_is_what_was_said(write: Callable[[Any, Path], None], tmp_path: Path) -> None:
    write(datasets(tmp_path / "files"), tmp_path / "set")
    corpus = HuggingFace(columns={"speaker": "speaker_id"})
    root = corpus.locate(tmp_path / "set", tmp_path)
    ids = set()
    for split in ("train", "dev", "test"):
        recipes, expected = corpus.recipes(split, root), {u.text: [] for u in said(split)}
        for utterance in said(split):
            expected[utterance.text].append(utterance.samples)
        assert len(recipes) == len(said(split))
        for recipe in recipes:
            utterance = corpus.render(recipe, root)
            assert utterance.sample_rate == SAMPLE_RATE and utterance.speaker in ("0", "1", "2")
            places = [
                place
                for place, samples in enumerate(expected[recipe.text])
                if len(samples) == len(utterance.samples) and np.abs(samples - utterance.samples).max() < 1e-4
            ]
            expected[recipe.text].pop(places[0])
            ids.add(recipe.id)
        assert not any(expected.values())  # each is there once
    assert len(ids) == sum(len(said(split)) for split in ("train", "dev", "test"))


def flac(seconds: float = 0.5) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * 8000)), 8000, format="FLAC")
    return stream.getvalue()


def small(root: Path, audio: object = None, **columns: list) -> Path:
    """A dataset of two rows in each split; columns: of the training split."""
    values = {"audio": [{"bytes": flac(), "path": "a.flac"}] * 2, "text": ["yes", "no"]}
    plain = library.Dataset.from_dict(values)
    train = library.Dataset.from_dict({"audio": audio or values["audio"], **columns})
    library.DatasetDict({"train": train, "validation": plain, "test": plain}).save_to_disk(root)
    return root


def test_columns_and_splits_have_any_names(tmp_path: Path) -> None:
    audio = [{"bytes": flac(), "path": None}] * 2
    root = small(tmp_path / "set", audio, text=["1", "2"], translation=[{"en": "yes"}, {"en": "no"}], key=["x", "ü y"])
    corpus = HuggingFace(columns={"text": "translation.en", "id": "key"}, test={"one": "train", "two": "train"})
    rows = {row.text: row for row in corpus.recipes("train", root)}
    assert rows["yes"].id == "x" and rows["no"].id.startswith("_y-") and rows["no"].speaker == "unknown"
    assert len(corpus.render(rows["no"], root).samples) == 4000
    assert {name: len(rows) for name, rows in corpus.subsets("test", root).items()} == {"one": 2, "two": 2}
    with pytest.raises(FoldError, match="the split 'train' is given twice; what is trained on is no test"):
        corpus.locate(root, tmp_path)


def test_splits_whose_files_begin_alike_are_kept_apart(tmp_path: Path) -> None:
    rows = library.Dataset.from_dict({"audio": [{"bytes": flac(), "path": "a.flac"}], "text": ["yes"]})
    for name in ("train", "train-dev", "test"):
        rows.to_parquet(tmp_path / "set" / f"{name}-00000-of-00001.parquet")
    told = r"train-dev-00000-of-00001.parquet is in the splits 'train' and 'train-dev'; what is trained on is no test"
    with pytest.raises(FoldError, match=told):
        HuggingFace(dev="train-dev").locate(tmp_path / "set", tmp_path)


def test_audio_beside_the_dataset_is_read(tmp_path: Path) -> None:
    root = small(tmp_path / "set", [{"bytes": None, "path": "clips/a.flac"}] * 2, text=["yes", "no"])
    (root / "clips").mkdir()
    (root / "clips" / "a.flac").write_bytes(flac(0.25))
    corpus = HuggingFace()
    assert len(corpus.render(corpus.recipes("train", root)[0], root).samples) == 2000


@pytest.mark.parametrize(
    ("columns", "settings", "told"),
    [
        ({"text": ["yes", " "]}, {}, r"train/data-00000-of-00001.arrow, row 1: empty text"),
        ({"text": [1, 2]}, {}, r"row 0: text is 1, expected text"),
        ({"text": ["yes", None]}, {}, r"row 1: empty text"),
        ({"sentence": ["yes", "no"]}, {}, r"no column 'text'; there are: audio, sentence; see data.corpus.columns"),
        ({"text": ["yes", "no"]}, {"columns": {"words": "text"}}, r"columns: there is no 'words'"),
        ({"text": ["yes", "no"], "id": ["a", "a"]}, {}, r"row 1: the id 'a' is that of row 0 of train/"),
        ({"text": ["yes", "no"]}, {"dev": "dev"}, r"no split 'dev'; it holds test, train, validation. Expected a data"),
    ],
)
def test_what_is_wrong_is_named(columns: dict[str, list], settings: dict, told: str, tmp_path: Path) -> None:
    root, corpus = small(tmp_path / "set", **columns), HuggingFace(**settings)
    with pytest.raises(FoldError, match=told) as caught:
        corpus.locate(root, tmp_path)
        corpus.recipes("train", root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("audio", "told"),
    [
        ([{"bytes": b"no audio", "path": None}], r"row 0: not audio that libsndfile reads"),
        ([{"bytes": None, "path": None}], r"row 0: the audio is missing"),
        ([{"bytes": None, "path": "missing.flac"}], r"missing.flac: no such file"),
        ([[0.1, 0.2]], r"row 0: no audio as the feature Audio of datasets writes it"),
        (["a.flac"], r"row 0: no audio as the feature Audio of datasets writes it"),
    ],
)
def test_audio_that_cannot_be_used_is_named(audio: list, told: str, tmp_path: Path) -> None:
    root, corpus = small(tmp_path / "set", audio, text=["yes"]), HuggingFace()
    [recipe] = corpus.recipes("train", root)
    with pytest.raises(FoldError, match=told):
        corpus.render(recipe, root)


@pytest.mark.parametrize("write", [as_arrow, as_folders])
def test_a_damaged_file_is_named(write: Callable[[Any, Path], None], tmp_path: Path) -> None:
    write(datasets(tmp_path / "files"), tmp_path / "set")
    file = sorted((tmp_path / "set" / "train").glob("*.[ap]*r*"))[0]
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(FoldError, match=rf"{file.name}: damaged, or no file of a dataset") as caught:
        HuggingFace().recipes("train", tmp_path / "set")
    assert "\n" not in str(caught.value)


def test_what_map_keeps_and_what_was_there_before_is_no_data(tmp_path: Path) -> None:
    root = tmp_path / "set"
    rows = library.Dataset.from_dict({"audio": [{"bytes": flac(), "path": None}] * 4, "text": list("abcd")})
    for number in (4, 2):
        splits = {name: rows for name in ("train", "validation", "test")}
        library.DatasetDict(splits).save_to_disk(root, num_shards=dict.fromkeys(splits, number))
    library.load_from_disk(str(root))["train"].map(lambda row: {"text": row["text"] * 2})
    assert len(list((root / "train").glob("cache-*.arrow"))) == 1
    (root / "train" / "data-00003-of-00004.arrow").write_bytes(flac())
    assert sorted(row.text for row in HuggingFace().recipes("train", root)) == list("abcd")
    (root / "train" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(FoldError, match=r"state.json: the file data-00001-of-00002.arrow, which it names, is missing"):
        HuggingFace().recipes("train", root)
    (root / "train" / "state.json").write_text("{}")
    with pytest.raises(FoldError, match=r"state.json: damaged, or not of `datasets`: it names no files"):
        HuggingFace().recipes("train", root)


@pytest.mark.parametrize(
    ("names", "is_whole"),
    [
        (["data/train-00000-of-00002"], False),
        (["data/train-00000-of-00002", "data/train-00001-of-00002"], True),
        (["data/train-00000-of-00002", "data/train-00001-of-00002", "data/train-00000-of-00001"], False),
        (["data/train-00000-of-00001", "train"], False),
        (["data/train-00000-of-00001", "train-00000-of-00001"], False),
        (["data/train-00000-of-00001-0a1b2c3d4e5f6071"], True),
        (["data/train-00000-of-00001-0a1b2c3d4e5f6071", "data/train-00000-of-00001-ffffc3d4e5f60718"], False),
        (["train/0000", "train/0001"], True),
        (["train/0000", "train/0002"], False),
    ],
)
def test_a_split_is_all_of_its_files_and_no_others(names: list[str], is_whole: bool, tmp_path: Path) -> None:
    rows = library.Dataset.from_dict({"audio": [{"bytes": flac(), "path": "a.flac"}], "text": ["yes"]})
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        rows.to_parquet(tmp_path / f"{name}.parquet")
    if is_whole:
        assert len(HuggingFace().recipes("train", tmp_path)) == len(names)
        return
    with pytest.raises(FoldError, match=r"the split 'train' has the files .*train.*; expected those of one version"):
        HuggingFace().recipes("train", tmp_path)


@pytest.mark.parametrize(
    ("times", "is_part"),
    [
        ({"start": 1.0, "end": 2.0}, True),
        ({"begin_time": 10.0, "end_time": 13.0}, False),  # cut out before, as in AMI and GigaSpeech
        ({"start": 10000, "end": 13000}, False),
        ({"offset": 1.0, "duration": 1.5}, True),
        ({"offset": 0, "duration": 24000}, False),
        ({"duration": 1.0}, False),  # of anything
        ({"start": "soon", "end": "later"}, False),
    ],
)
def test_a_part_of_an_audio_is_not_taken_for_all_of_it(times: dict, is_part: bool, tmp_path: Path) -> None:
    columns = {name: [value] for name, value in times.items()}
    root = small(tmp_path / "set", [{"bytes": flac(3.0), "path": None}], text=["yes"], **columns)
    [recipe] = HuggingFace().recipes("train", root)
    if not is_part:
        assert len(HuggingFace().render(recipe, root).samples) == 24000
        return
    told = "arrow, row 0: its audio lasts 3.00 s, but a part of 1.* is told of, by its columns; parts of recordings are"
    with pytest.raises(FoldError, match=told):
        HuggingFace().render(recipe, root)


def test_another_dataset_in_its_place_has_other_recipes(tmp_path: Path) -> None:
    corpus = HuggingFace()
    first, again, other = (small(tmp_path / name, text=["yes", "no"]) for name in ("first", "again", "other"))
    small(other, [{"bytes": flac(0.3), "path": None}] * 2, text=["yes", "no"])
    before, same, changed = (corpus.recipes("train", root) for root in (first, again, other))
    assert [row.text for row in before] == [row.text for row in changed]
    assert before == same
    assert before != changed


def test_one_dataset_without_splits_is_told(tmp_path: Path) -> None:
    library.Dataset.from_dict({"text": ["yes"]}).save_to_disk(tmp_path / "set")
    with pytest.raises(FoldError, match="no split 'train'; it holds one dataset without splits"):
        HuggingFace().locate(tmp_path / "set", tmp_path)


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = small(tmp_path / "set", text=["yes", "no"])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(FoldError, match=r"needs a package that is missing: pip install 'fold-asr\[datasets\]'"):
        HuggingFace().recipes("train", root)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_recordings_beside_a_dataset_are_followed(suffix: str, tmp_path: Path) -> None:
    """Rows with a path and no bytes, as `datasets` keeps a column that was never embedded, among others with bytes."""
    utterances = said("train")[:4]
    names = [f"a{number}.wav" for number in range(4)]
    for name, utterance in zip(names, utterances, strict=True):
        soundfile.write(tmp_path / name, utterance.samples, SAMPLE_RATE)
    held = (tmp_path / names[0]).read_bytes()
    audio = [{"bytes": held, "path": "a0.wav"}, *({"bytes": None, "path": name} for name in names[1:])]
    table = pyarrow.table({"audio": audio, "text": [utterance.text for utterance in utterances]})
    if suffix == "parquet":
        parquet.write_table(table, tmp_path / "train.parquet", row_group_size=2)
    else:
        (tmp_path / "train").mkdir()
        with pyarrow.ipc.new_stream(tmp_path / "train" / "data.arrow", table.schema) as stream:
            stream.write_table(table)
        (tmp_path / "train" / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
    corpus = HuggingFace(dev="train", test="train")
    recipes = sorted(corpus.recipes("train", tmp_path), key=lambda recipe: recipe.number)
    followed = [corpus.sources(recipe, tmp_path) for recipe in recipes]
    assert followed == [(), *((tmp_path / name,) for name in names[1:])]
    for recipe, utterance in zip(recipes, utterances, strict=True):
        np.testing.assert_allclose(corpus.render(recipe, tmp_path).samples, utterance.samples, atol=1e-4)


def test_audio_that_is_no_file_is_named(tmp_path: Path) -> None:
    audio = [{"bytes": None, "path": "https://somewhere/a.wav"}]
    parquet.write_table(pyarrow.table({"audio": audio, "text": ["a"]}), tmp_path / "train.parquet")
    corpus = HuggingFace(dev="train", test="train")
    [recipe] = corpus.recipes("train", tmp_path)
    with pytest.raises(FoldError, match=r"row 0: its audio lies at https://somewhere/a.wav; save the dataset with"):
        corpus.render(recipe, tmp_path)


def test_a_dataset_without_such_a_column_is_one_line(tmp_path: Path) -> None:
    for column in ("audio", "text"):
        held = {"audio": [{"bytes": b"", "path": "a"}], "text": ["a"]}
        held["other"] = held.pop(column)
        (tmp_path / column).mkdir()
        parquet.write_table(pyarrow.table(held), tmp_path / column / "train.parquet")
        with pytest.raises(FoldError, match=rf"no column '{column}'; there are: .*other.*see data.corpus.columns"):
            HuggingFace(dev="train", test="train").recipes("train", tmp_path / column)
