import os
import signal
import subprocess
import sys
import tarfile
from dataclasses import replace
from itertools import chain
from pathlib import Path

import hostile
import numpy as np
import pytest
import soundfile
from hostile import HostileServer

from fold.data.corpora import LibriSpeech
from fold.data.index import INDEX_FILE
from fold.data.prepare import DOWNLOADS_FOLDER
from fold.errors import FoldError
from fold.files import checksum

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
                soundfile.write(chapter / f"{name}.flac", value * (-2) ** (np.arange(80, dtype=np.int16) % 2), 16000)
                lines.append(f"{name} NORTHANGER  ABBEY {'ABCD'[i]}\n")
            (chapter / f"{chapter.parent.name}-198.trans.txt").write_text("".join(lines))
    return tmp_path


def test_every_recording_of_the_named_subsets_is_listed_once(root):
    for split, subsets in (("train", CORPUS.train), ("dev", CORPUS.dev)):
        listed = [recipe.file for recipe in CORPUS.recipes(split, root)]
        expected = [path.relative_to(root).as_posix() for s in subsets for path in (root / s).rglob("*.flac")]
        assert sorted(listed) == sorted(expected)


def test_recordings_of_another_format_are_named_by_a_setting(root):
    for path in root.rglob("*.flac"):
        soundfile.write(path.with_suffix(".wav"), *soundfile.read(path, dtype="int16"))
        path.unlink()
    with pytest.raises(
        FoldError, match=r"a19-198-0000\.flac is missing .*; for a19-198-0000\.wav set data\.corpus\.audio_suff"
    ):
        CORPUS.recipes("train", root)
    waves = replace(CORPUS, audio_suffix=".wav")
    assert {Path(recipe.file).suffix for recipe in waves.recipes("train", root)} == {".wav"}
    assert waves.describe() != CORPUS.describe() and "audio_suffix" not in CORPUS.describe()["settings"]


def test_transcripts_belong_to_their_recording(root):
    for recipe in CORPUS.recipes("train", root):
        utterance = CORPUS.render(recipe, root)
        assert utterance.text == f"NORTHANGER ABBEY {'ABCD'[int(utterance.id[-1])]}"
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


SCRIPT = """
import os, re, signal, sys, types
from pathlib import Path

folder, server, moment, checksums = sys.argv[1:]

def kill_at_moment(event, arguments):
    if re.search(moment, f"{event} {arguments}"):
        os.killpg(0, signal.SIGKILL)

# Also in the worker processes, which import this script anew.
if moment:
    sys.addaudithook(kill_at_moment)

if __name__ == "__main__":
    from fold.data import download, prepare, render
    from fold.data.corpora import LibriSpeech, librispeech
    from fold.text.units import UnitsConfig

    librispeech.URL = server + "/{subset}.tar.gz"
    published = types.SimpleNamespace(_CHECKSUMS=eval(checksums))
    sys.modules["torchaudio.datasets.librispeech"] = published  # not the real one, which takes seconds to import
    download.BACKOFF_SECONDS, download.TIMEOUT_SECONDS, download.BLOCK_BYTES = 0.001, 1.0, 1000
    render.UTTERANCES_PER_SHARD = 5
    corpus = LibriSpeech(train=["train-a", "train-b"], dev=["dev"], test=["test"])
    prepare.prepare(corpus, Path(folder), root=None, sample_rate=16000, units=UnitsConfig(), num_workers=1)
"""

KILLS = [
    r"urllib.Request .*train-a.*Range",  # within the download, which is about to go on
    r"os.rename .*train-b.tar.gz.part",  # complete and checked, not yet named
    r"open .*dev.part/LibriSpeech/.*-0001.flac",  # within unpacking
    r"os.rename .*test.part/LibriSpeech/test",  # unpacked, not yet named
    r"os.remove .*test.tar.gz",  # the archive no longer needed
    r"os.rename .*description.json.part",
    r"open .*train-000001.tar.part",  # sharding, in a worker
    r"os.rename .*train-000002.npy.part",  # the shard is there, its sidecar is not
    r"os.rename .*index.json.part",  # all but done
]


def prepare_by_download(folder, server, checksums, moment=""):
    """Run a preparation in a process of its own, killed with its workers at a moment; return its exit status."""
    script = folder.parent / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.run(
        [sys.executable, str(script), str(folder), server.url, moment, repr(checksums)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        start_new_session=True,
        timeout=60,
        capture_output=True,
    )
    assert process.returncode in (0, -signal.SIGKILL), process.stderr.decode()
    return process.returncode


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_download_killed_at_any_moment_is_finished_to_the_same_bytes(root, tmp_path_factory):
    served = tmp_path_factory.mktemp("served")
    for subset in ("train-a", "train-b", "dev", "test"):
        with tarfile.open(served / f"{subset}.tar.gz", "w:gz") as archive:
            archive.add(root / subset, f"LibriSpeech/{subset}")
    calm, shaken = (tmp_path_factory.mktemp(name) / "out" for name in ("calm", "shaken"))

    with HostileServer(served) as server:
        checksums = {f"{server.url}/{path.name}": checksum(path) for path in served.iterdir()}
        assert prepare_by_download(calm, server, checksums) == 0

        server.script = chain([hostile.SHORT], hostile.random_faults(seed=0, share=0.3))
        for moment in KILLS:
            assert prepare_by_download(shaken, server, checksums, moment) == -signal.SIGKILL, moment
            assert not (shaken / INDEX_FILE).exists()
        assert prepare_by_download(shaken, server, checksums) == 0
        assert {request.fault for request in server.requests} > {hostile.GOOD, hostile.SHORT}

    assert contents(shaken) == contents(calm)
    assert len(contents(calm)) > 10
    downloads = shaken.parent / DOWNLOADS_FOLDER / "librispeech"
    assert sorted(os.listdir(downloads)) == ["dev", "test", "train-a", "train-b"]


def test_transcripts_may_have_a_byte_order_mark_and_any_character_but_are_utf8(root):
    transcripts = next((root / "dev").rglob("*.trans.txt"))
    lines = transcripts.read_text().replace("ABBEY", "ABB\u2028EY\x85").replace("\n", "\r\n")
    transcripts.write_bytes(b"\xef\xbb\xbf" + lines.encode())
    assert {recipe.text.split()[1] for recipe in CORPUS.recipes("dev", root)} >= {"ABB", "ABBEY"}
    transcripts.write_bytes(lines.encode() + b"19-198-0004 caf\xe9\n")
    with pytest.raises(FoldError, match=r"trans.txt:5: not UTF-8"):
        CORPUS.recipes("dev", root)


@pytest.mark.parametrize("name", ["19-198/0009", "..", "19.198"])
def test_a_name_that_is_none_is_refused(name, root):
    transcripts = next((root / "dev").rglob("*.trans.txt"))
    transcripts.write_text(f"{transcripts.read_text()}{name} WORDS\n")
    with pytest.raises(FoldError, match=r"trans.txt:5: expected '<id> <TEXT>'"):
        CORPUS.recipes("dev", root)
