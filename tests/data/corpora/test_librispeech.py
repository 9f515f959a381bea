import numpy as np
import pytest
import soundfile

from fold.data.corpora import LibriSpeech
from fold.errors import FoldError

CORPUS = LibriSpeech(train=["train-a", "train-b"], dev=["dev"], test=["test"])


@pytest.fixture
def root(tmp_path):
    value = 0
    for subset in ("train-a", "train-b", "dev", "test"):
        for speaker in ("19", "27"):
            chapter = tmp_path / subset / f"{subset[-1]}{speaker}" / "198"
            chapter.mkdir(parents=True)
            lines = []
            for i in range(4):
                value += 1
                name = f"{chapter.parent.name}-198-{i:04d}"
                soundfile.write(chapter / f"{name}.flac", np.full(80, value, dtype=np.int16), 16000)
                lines.append(f"{name} NORTHANGER  ABBEY {'ABCD'[i]}\n")
            (chapter / f"{chapter.parent.name}-198.trans.txt").write_text("".join(lines))
    return tmp_path


def test_every_recording_of_the_named_subsets_is_listed_once(root):
    for split, subsets in (("train", CORPUS.train), ("dev", CORPUS.dev)):
        listed = [recipe.file for recipe in CORPUS.recipes(split, root)]
        expected = [path.relative_to(root).as_posix() for s in subsets for path in (root / s).rglob("*.flac")]
        assert sorted(listed) == sorted(expected)


def test_transcripts_are_lowered_and_belong_to_their_recording(root):
    for recipe in CORPUS.recipes("train", root):
        utterance = CORPUS.render(recipe, root)
        assert utterance.text == f"northanger abbey {'abcd'[int(utterance.id[-1])]}"
        assert recipe.file.endswith(f"{recipe.speaker}/198/{recipe.id}.flac")
        assert utterance.sample_rate == 16000
        np.testing.assert_array_equal(utterance.samples, soundfile.read(root / recipe.file, dtype="float32")[0])


def test_the_order_is_fixed_and_mixes_speakers(root):
    speakers = [recipe.speaker for recipe in CORPUS.recipes("train", root)]
    assert speakers == [recipe.speaker for recipe in CORPUS.recipes("train", root)]
    assert speakers != sorted(speakers)


def test_the_root_may_be_the_folder_above(root, tmp_path_factory):
    above = tmp_path_factory.mktemp("above")
    (above / "LibriSpeech").symlink_to(root)
    assert CORPUS.locate(above, above) == above / "LibriSpeech"
    assert CORPUS.locate(root, above) == root


def test_a_wrong_root_shows_the_layout(root, tmp_path):
    for corpus, wrong in ((CORPUS, tmp_path / "missing"), (LibriSpeech(["other"], ["dev"], ["test"]), root)):
        with pytest.raises(FoldError, match="SUBSET/SPEAKER/CHAPTER"):
            corpus.locate(wrong, tmp_path)


def test_a_transcript_without_its_recording_is_named(root):
    next((root / "dev").rglob("*.flac")).unlink()
    with pytest.raises(FoldError, match=r"trans.txt:\d: the recording .*flac is missing"):
        CORPUS.recipes("dev", root)


def test_a_line_without_text_is_named(root):
    transcripts = next((root / "dev").rglob("*.trans.txt"))
    transcripts.write_text(transcripts.read_text() + "19-198-0009\n")
    with pytest.raises(FoldError, match=r"trans.txt:5: expected '<id> <TEXT>'"):
        CORPUS.recipes("dev", root)


def test_an_unknown_subset_is_refused_before_any_download(tmp_path):
    with pytest.raises(FoldError, match=r"no download of a subset 'train-a'; there are .*train-clean-100"):
        CORPUS.locate(None, tmp_path)
