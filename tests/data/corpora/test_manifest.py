import json
import re

import numpy as np
import pytest
import soundfile

from fold.data.corpora import SPLITS, Manifest
from fold.data.corpora.base import is_valid_id
from fold.data.prepare import prepare
from fold.errors import FoldError
from fold.text.units import UnitsConfig

FORMATS = {"a/one.wav": 8000, "a/two.flac": 16000, "b/one.ogg": 8000, "b c/öne.mp3": 44100}


@pytest.fixture
def root(tmp_path):
    """Recordings of four formats and rates for each split, those of train beside the manifests."""
    for split in SPLITS:
        folder = "" if split == "train" else f"{split}/"
        for name, sample_rate in FORMATS.items():
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, 0.1 * np.sin(np.arange(sample_rate)), sample_rate)
        rows = [f"{folder}{name}\tWord{split}  {i} \n" for i, name in enumerate(FORMATS)]
        (tmp_path / f"{split}.tsv").write_text("audio\ttext\n" + "".join(rows), encoding="utf-8")
    return tmp_path


def listed(root, name, content):
    """The recordings of a manifest with this content, in order of their ids."""
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return sorted(Manifest(train=name).recipes("train", root), key=lambda recipe: recipe.id)


def refusal(root, name, content):
    """The message about a manifest, which starts with its name."""
    with pytest.raises(FoldError) as caught:
        listed(root, name, content)
    message = str(caught.value)
    assert message.startswith(f"{root / name}:")
    assert len(message.splitlines()) == 1
    return message.removeprefix(f"{root / name}:")


def test_a_corpus_is_prepared_from_manifests(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "mine"
    settings = {"sample_rate": 16000, "units": UnitsConfig(), "num_workers": 1}
    index = prepare(Manifest(), folder, root=root, **settings)
    for split in SPLITS:
        assert (index.splits[split].utterances, index.splits[split].seconds) == (4, pytest.approx(4.0, abs=0.2))
    recipes = Manifest().recipes("dev", root)
    assert sorted(recipe.text for recipe in recipes) == [f"Worddev {i}" for i in range(4)]
    assert {recipe.speaker for recipe in recipes} == {"unknown"}
    assert prepare(Manifest(), folder, root=None, **settings) == index


def test_several_lists_of_a_split_are_its_subsets(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "mine"
    lines = (root / "test.tsv").read_text(encoding="utf-8").splitlines()
    for name, rows in (("clean", lines[1:2]), ("noisy", lines[2:])):
        (root / f"{name}.tsv").write_text("\n".join([lines[0], *rows]), encoding="utf-8")
    (root / "more.tsv").write_text("audio\ttext\ndev/a/one.wav\tmore\n")
    corpus = Manifest({"a": "train.tsv", "b": "more.tsv"}, "clean.tsv", {"quiet": "noisy.tsv", "dev": "test.tsv"})
    with pytest.raises(FoldError, match=r"test.tsv:2: the recording test/a/one.wav is in clean.tsv already"):
        corpus.locate(root, root)
    corpus = Manifest({"a": "train.tsv", "b": "more.tsv"}, "test.tsv", {"quiet": "clean.tsv", "loud": "noisy.tsv"})
    assert {name: len(recipes) for name, recipes in corpus.subsets("test", root).items()} == {"quiet": 1, "loud": 3}
    (root / "test.tsv").write_text("audio\ttext\ndev/a/two.flac\tother\n")
    index = prepare(corpus, folder, root=root, sample_rate=16000, units=UnitsConfig(), num_workers=1)
    assert {name: (split.subsets, split.utterances) for name, split in index.splits.items()} == {
        "train": (("train",), 5),
        "dev": (("dev",), 1),
        "test": (("quiet", "loud"), 4),
    }


def test_utterances_of_two_lists_need_ids_of_their_own(root, tmp_path):
    for name in ("clean", "noisy"):
        (root / f"{name}.tsv").write_text(
            f"audio\ttext\tid\ndev/{'a/one.wav' if name == 'clean' else 'a/two.flac'}\tx\tu1"
        )
    corpus = Manifest(dev={"clean": "clean.tsv", "noisy": "noisy.tsv"})
    with pytest.raises(FoldError, match="two utterances of the split 'dev' have the same id, 'u1'"):
        prepare(corpus, tmp_path / "out", root=root, sample_rate=16000, units=UnitsConfig(), num_workers=1)


def test_tsv_and_jsonl_say_the_same(root):
    rows = [
        {"audio": "a/one.wav", "text": "One TWO", "speaker": "ann", "id": "x-1"},
        {"audio": "a/two.flac", "text": "größe\u2028tief", "speaker": "", "id": ""},
    ]
    columns = ["speaker", "note", "text", "id", "audio"]  # in any order, with others among them
    tsv = "\r\n".join(
        "\t".join(row.get(column, "-") for column in columns) for row in [{name: name for name in columns}, *rows]
    )
    jsonl = "\n\n".join([json.dumps(rows[0]), json.dumps(rows[1] | {"speaker": None, "duration": 1.0})])
    from_tsv, from_jsonl = listed(root, "all.tsv", b"\xef\xbb\xbf" + tsv.encode()), listed(root, "all.jsonl", jsonl)
    assert from_tsv == from_jsonl
    assert [(r.text, r.speaker, r.file) for r in from_tsv] == [
        ("größe tief", "unknown", "a/two.flac"),
        ("One TWO", "ann", "a/one.wav"),
    ]
    assert from_tsv[1].id == "x-1"


def test_audio_is_found_from_the_folder_of_the_manifest(root):
    rows = f"audio\ttext\n../a/one.wav\trelative\n{root / 'a/two.flac'}\tabsolute\n"
    recipes = {recipe.text: recipe for recipe in listed(root, "lists/all.tsv", rows)}
    assert Manifest().render(recipes["relative"], root).sample_rate == 8000
    assert Manifest().render(recipes["absolute"], root).sample_rate == 16000
    assert recipes["relative"].file == "lists/../a/one.wav"  # whichever machine the root lies on


def test_ids_made_from_paths_are_legible_valid_and_unique(root):
    deep = "x" * 100
    names = ["a/b.wav", "a_b.wav", "a/b.flac", "a b.wav", "ä.wav", "ö.wav", f"1/{deep}.wav", f"2/{deep}.wav", ".wav"]
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    ids = [recipe.id for recipe in listed(root, "all.tsv", "audio\ttext\n" + "".join(f"{n}\tw\n" for n in names))]
    assert len(set(ids)) == len(names)
    assert all(is_valid_id(id) for id in ids)
    assert any(id.startswith("a_b-") for id in ids)


def test_the_order_is_fixed_and_mixes(root):
    rows = "".join(f"a/one.wav\tw\t{speaker}\t{speaker}-{i}\n" for speaker in ("ann", "bob") for i in range(20))
    (root / "train.tsv").write_text("audio\ttext\tspeaker\tid\n" + rows)
    speakers = [recipe.speaker for recipe in Manifest().recipes("train", root)]
    assert speakers == [recipe.speaker for recipe in Manifest().recipes("train", root)]
    assert speakers != sorted(speakers)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("audio\tsentence\na/one.wav\tw\n", r"1: no column 'text'; there are: audio, sentence"),
        ("path\ttext\n", r"1: no column 'audio'"),
        ("audio\ttext\na/one.wav\tw\n\na/two.flac\n", r"4: 1 columns between tabs, the first line has 2"),
        ("audio\ttext\na/one.wav\tw\tw\n", r"2: 3 columns"),
        ("audio\ttext\na/one.wav\t \n", r"2: empty text"),
        ("audio\ttext\n\tw\n", r"2: empty audio"),
        ("audio\ttext\na/one.wav\tw\nnone.wav\tw\n", r"3: there is no recording .*none.wav"),
        ("audio\ttext\na\tw\n", r"2: there is no recording"),
        ("audio\ttext\na/one.wav\tv\na/two.flac\tv\na/one.wav\tw\n", r"4: the id 'a_one-\w+' is that of line 2"),
        ("audio\ttext\tid\na/one.wav\tv\tx\na/two.flac\tv\tx\n", r"3: the id 'x' is that of line 2"),
        ("audio\ttext\tstart\na/one.wav\tv\tsoon\n", r"2: start 'soon': expected numbers"),
        ("audio\ttext\tstart\tseconds\na/one.wav\tv\t-1\t2\n", r"2: a segment cannot start at -1.0 s"),
        ("audio\ttext\tstart\tseconds\na/one.wav\tv\t1\tnan\n", r"2: a segment cannot start at 1.0 s and last nan"),
        ("audio\ttext\tstart\tseconds\na/one.wav\tv\t1\t0\n", r"2: a segment cannot start at 1.0 s and last 0.0 s"),
        ("audio\ttext\tstart\tseconds\na/one.wav\tv\t0,5\t1\n", r"2: start '0,5', seconds '1': expected numbers"),
        (f"audio\ttext\n{'so it was said ' * 20}\ta/one.wav\n", r"2: there is no recording .*\(File name too long\)"),
        ("audio\ttext\na\0.wav\tv\n", r"2: there is no recording"),
        ("audio\ttext\na/one.wav\tv\tw\n", r"2: 3 columns between tabs, the first line has 2"),
        (b"audio\ttext\na/one.wav\tgr\xf6\xdfe\n", r"2: not UTF-8: save it as UTF-8$"),
        ("audio\ttext\na/one.wav\tv\n".encode("utf-16"), r"1: not UTF-8, but UTF-16: save it as UTF-8"),
    ],
)
def test_a_bad_line_of_a_tsv_is_named(root, rows, told):
    assert re.match(told, refusal(root, "bad.tsv", rows))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"audio": "a/one.wav", "sentence": "w"}', r"3: no key 'text'; there are: audio, sentence"),
        ('{"audio": "a/one.wav", "text": ""}', r"3: empty text"),
        ('{"audio": "a/one.wav", "text": ["w"]}', r"3: text is \['w'\], expected text"),
        ('{"audio": "a/one.wav", "text": "w", "id": 7}', r"3: id is 7"),
        (r'{"audio": "a/one.wav", "text": "\ud800"}', r"3: no JSON .*surrogates"),
        ('{"audio": "a/one.wav", ', r"3: no JSON"),
        ('["a/one.wav", "w"]', r"3: expected an object such as"),
    ],
)
def test_a_bad_line_of_a_jsonl_is_named(root, line, told):
    good = '{"audio": "a/two.flac", "text": "w"}\n\n'
    assert re.match(told, refusal(root, "bad.jsonl", good + line))


def test_a_manifest_of_another_kind_is_refused(root):
    assert "ends in .tsv, .csv, .jsonl or .json" in refusal(root, "all.xlsx", "audio,text\n")


def test_a_recording_of_two_splits_is_refused(root):
    with (root / "dev.tsv").open("a") as stream:
        stream.write("dev/../a/two.flac\tagain\n")  # under another name
    with pytest.raises(FoldError, match=r"dev.tsv:6: the recording dev/../a/two.flac is in train.tsv already"):
        Manifest().locate(root, root)


@pytest.mark.parametrize("name", ["loop.wav", "x" * 300, "a\0.wav"])
def test_a_path_that_leads_nowhere_is_named(root, tmp_path, name):
    (root / "loop.wav").symlink_to("loop.wav")
    (root / "train.tsv").write_text(f"audio\ttext\n{name}\tyes\n")
    with pytest.raises(FoldError, match=r"train.tsv:2: there is no recording") as caught:
        prepare(Manifest(), tmp_path / "out" / "mine", root=root, sample_rate=16000, units=UnitsConfig())
    assert "\n" not in str(caught.value)


def test_missing_folders_and_manifests_are_named(root):
    with pytest.raises(FoldError, match=r"no folder .*nowhere; expected a manifest"):
        Manifest().locate(root / "nowhere", root)
    with pytest.raises(FoldError, match=r"no file .*dev.jsonl; expected a manifest"):
        Manifest(dev="dev.jsonl").locate(root, root)
    with pytest.raises(
        FoldError, match=r"no file .*data/dev; expected a folder as Kaldi has it, with wav.scp and text"
    ):
        Manifest(dev="data/dev").locate(root, root)
    with pytest.raises(
        FoldError, match=r"no file .*cuts.jsonl.gz; expected a list with columns or keys recording, s.t"
    ):
        Manifest("cuts.jsonl.gz", columns={"audio": "recording", "text": "s.text"}).locate(root, root)
    with pytest.raises(FoldError, match=r"nothing to download; give ROOT="):
        Manifest().locate(None, root)


def test_no_utterances_are_told(root, tmp_path_factory):
    for content in ("audio\ttext\n", ""):
        (root / "test.tsv").write_text(content)
        with pytest.raises(FoldError, match="the split 'test' has no utterances"):
            folder = tmp_path_factory.mktemp("shards") / "mine"
            prepare(Manifest(), folder, root=root, sample_rate=16000, units=UnitsConfig())


def test_a_split_without_lists_is_named(root):
    with pytest.raises(FoldError, match=r"data.corpus.train is None: expected a list"):
        Manifest(train=None).locate(root, root)


def test_csv_of_an_old_mac_is_read(root):
    assert [recording.text for recording in listed(root, "mac.csv", b"audio,text\ra/one.wav,yes\r")] == ["yes"]


@pytest.mark.parametrize("share", [-1, 2, float("nan")])
def test_what_may_be_missing_is_a_share(share):
    with pytest.raises(FoldError, match=r"data.corpus.max_lost is .*: expected a share, 0 to 1"):
        Manifest(max_lost=share)
