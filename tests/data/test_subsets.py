"""A split is a set of subsets: from the folders of a corpus to the utterances of a batch."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from speech_folders import CORPUS, SIZES, write_folders
from tones import SAMPLE_RATE, Tones

from fold.data import render as render_module
from fold.data.corpora import LibriSpeech
from fold.data.datamodule import SpeechData
from fold.data.index import INDEX_FILE, read_index
from fold.data.prepare import prepare
from fold.errors import FoldError
from fold.text.units import UnitsConfig

SETTINGS = {"sample_rate": SAMPLE_RATE, "units": UnitsConfig(), "num_workers": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def shards(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of four utterances, so that each subset has several and one that is not full."""
    folder = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render_module, "UTTERANCES_PER_SHARD", 4)
        data(folder, root=str(root)).prepare_data()
    return folder


def data(shards: Path, rank: int = 0, world_size: int = 1, **settings: object) -> SpeechData:
    module = SpeechData(
        CORPUS, SAMPLE_RATE, shards=str(shards), eval_batch_seconds=4.0, num_workers=0, prepare_workers=1, **settings
    )
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    state = SimpleNamespace(fn="fit")
    module.trainer = SimpleNamespace(
        global_rank=rank, world_size=world_size, accumulate_grad_batches=1, strategy=strategy, state=state
    )
    return module


def test_a_shard_of_an_evaluation_split_keeps_to_one_subset(shards: Path) -> None:
    speech = data(shards)
    assert speech.index.splits["train"].subsets == ("train",)
    for split in ("dev", "test"):
        assert speech.index.splits[split].subsets == (f"{split}-clean", f"{split}-other")
        utterances = Counter()
        for shard in speech.index.splits[split].shards:
            utterances[shard.subset] += shard.utterances
        assert utterances == {name: size for name, size in SIZES.items() if name.startswith(split)}


def test_training_mixes_its_subsets(root: Path, shards: Path) -> None:
    [(name, recipes)] = CORPUS.subsets("train", root).items()
    folders = [recipe.file.split("/")[0] for recipe in recipes]
    assert name == "train"
    assert Counter(folders) == {"train-clean-100": 40, "train-other-500": 20}
    assert folders != sorted(folders) and "train-other-500" in folders[:20]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_every_utterance_comes_once_and_says_its_subset(world_size: int, root: Path, shards: Path) -> None:
    """Batches mix subsets: they are made of utterances of similar length."""
    expected = {recipe.id: name for name, recipes in CORPUS.subsets("test", root).items() for recipe in recipes}
    batches = [batch for rank in range(world_size) for batch in data(shards, rank, world_size).test_dataloader()]
    found = [pair for batch in batches for pair in zip(batch.ids, batch.subsets, strict=True)]
    assert sorted(found) == sorted(expected.items())
    assert any(len(set(batch.subsets)) == 2 for batch in batches)


def test_shards_of_some_subsets(shards: Path) -> None:
    split = data(shards).index.splits["test"]
    chosen = split.shards_of(["test-other"])
    assert sum(split.shards[number].utterances for number in chosen) == SIZES["test-other"]
    assert split.shards_of(split.subsets) == list(range(len(split.shards)))
    with pytest.raises(FoldError, match="no subset 'test-noisy' was prepared; there are: test-clean, test-other"):
        split.shards_of(["test-clean", "test-noisy"])


def test_a_corpus_of_one_set_has_one_subset_named_as_the_split(tones_shards: Path) -> None:
    [folder] = tones_shards.glob("tones-*")
    assert {name: split.subsets for name, split in read_index(folder).splits.items()} == {
        name: (name,) for name in ("train", "dev", "test")
    }


def test_an_index_of_before_there_were_subsets_is_read(tones_shards: Path, tmp_path: Path) -> None:
    [folder] = tones_shards.glob("tones-*")
    values = json.loads((folder / INDEX_FILE).read_bytes())
    del values["sha256"]
    values["format"] = 2
    for split in values["splits"].values():
        for shard in split["shards"]:
            del shard["subset"]
    values["sha256"] = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    (tmp_path / INDEX_FILE).write_text(json.dumps(values))
    assert read_index(tmp_path) == read_index(folder)


def test_the_same_folder_named_twice_is_refused(root: Path) -> None:
    corpus = LibriSpeech(["train-clean-100"], ["dev-clean"], ["test-clean", "test-clean"])
    with pytest.raises(FoldError, match="two subsets of the split 'test' have the same name"):
        corpus.subsets("test", root)


def test_a_subset_lies_in_any_folder_of_the_root(root: Path, tmp_path: Path) -> None:
    (tmp_path / "more").symlink_to(root)
    assert list(LibriSpeech(test=["more/test-clean", "more/test-other/"]).subsets("test", tmp_path)) == [
        "more-test-clean",
        "more-test-other",
    ]


class Named(Tones):
    """Subsets of the test as the test wants them."""

    sizes: dict[str, int]

    def subsets(self, split: str, root: Path | None) -> dict[str, list]:
        if split != "test":
            return super().subsets(split, root)
        recipes = iter(self.recipes(split, root))
        return {name: [next(recipes) for _ in range(size)] for name, size in self.sizes.items()}


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"clean": 3, "noisy": 0}, "the subset 'noisy' of the split 'test' has no utterances"),
        ({"test": 0}, "the split 'test' has no utterances"),
        ({}, "the split 'test' has no utterances"),
        ({"clean": 3, "very/noisy": 3}, "name of the subset 'very/noisy' may hold letters"),
        ({"clean": 3, "": 3}, "name of the subset '' may hold letters"),
    ],
)
def test_subsets_that_cannot_be_told_apart_are_refused(sizes: dict[str, int], message: str, tmp_path: Path) -> None:
    corpus = Named()
    object.__setattr__(corpus, "sizes", sizes)
    with pytest.raises(FoldError, match=message):
        prepare(corpus, tmp_path / "out", root=None, **SETTINGS)
