import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from groups import group_lives
from members import decode_flac, read_member

from fold.data import prepare as prepare_module
from fold.data import render as render_module
from fold.data.corpora import FSDD, SPLITS, Commands
from fold.data.index import INDEX_FILE, read_index
from fold.data.prepare import prepare, prepared_name
from fold.data.shards import read_sidecar
from fold.errors import FoldError
from fold.files import locked
from fold.text.units import UnitsConfig, units_from_dict

UTTERANCES = {"train": 12, "dev": 4, "test": 4}
FSDD_CORPUS = FSDD(*UTTERANCES.values())
COMMANDS = Commands(hours=0.003, dev_utterances=2, test_utterances=2)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(render_module, "UTTERANCES_PER_SHARD", 5)


@pytest.fixture
def root(tmp_path):
    """Tones at 8 kHz, the digit giving the frequency."""
    (tmp_path / "root" / "recordings").mkdir(parents=True)
    for digit in range(10):
        tone = 0.5 * np.sin(2 * np.pi * 100 * (digit + 1) * np.arange(1000) / 8000)
        for index in (0, 5, 10):
            soundfile.write(tmp_path / "root" / "recordings" / f"{digit}_anna_{index}.wav", tone, 8000)
    return tmp_path / "root"


def prepare_fsdd(folder: Path, root: Path | None, *, sample_rate: int = 8000, num_workers: int = 1):
    return prepare(
        FSDD_CORPUS,
        folder,
        root=root,
        sample_rate=sample_rate,
        units=UnitsConfig(),
        num_workers=num_workers,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def utterances(folder: Path, split: str):
    for shard in read_index(folder).splits[split].shards:
        with (folder / shard.file).open("rb") as file:
            for row in read_sidecar(folder / shard.file):
                meta = json.loads(read_member(file, int(row["meta_offset"]), int(row["meta_bytes"])))
                yield meta, decode_flac(read_member(file, int(row["audio_offset"]), int(row["audio_bytes"])))


def test_every_utterance_is_written_once_as_the_corpus_renders_it(root, tmp_path, capsys):
    index = prepare_fsdd(tmp_path / "out", root)
    assert index == read_index(tmp_path / "out")
    assert "train: 12 utterances" in capsys.readouterr().out
    units = units_from_dict(index.units)
    for split in SPLITS:
        recipes = FSDD_CORPUS.recipes(split, root)
        written = list(utterances(tmp_path / "out", split))
        assert index.splits[split].utterances == len(written) == UTTERANCES[split]
        assert len(index.splits[split].shards) == -(-UTTERANCES[split] // 5)
        for recipe, (meta, samples) in zip(recipes, written, strict=True):
            assert (meta["id"], meta["text"], meta["speaker"]) == (recipe.id, recipe.text, recipe.speaker)
            np.testing.assert_allclose(samples, FSDD_CORPUS.render(recipe, root).samples, atol=1 / 32768)
            assert units.decode(units.encode(recipe.text)) == recipe.text
        seconds = sum(len(samples) for _, samples in written) / 8000
        assert index.splits[split].seconds == pytest.approx(seconds, abs=1e-2)


def test_bytes_do_not_depend_on_the_number_of_workers(root, tmp_path):
    for number in (1, 3):
        prepare_fsdd(tmp_path / str(number) / "out", root, num_workers=number)
    assert contents(tmp_path / "1" / "out") == contents(tmp_path / "3" / "out")


def test_synthesis_does_not_depend_on_the_number_of_workers(tmp_path):
    for number in (1, 2):
        prepare(
            COMMANDS,
            tmp_path / str(number) / "out",
            root=None,
            sample_rate=16000,
            units=UnitsConfig(),
            num_workers=number,
        )
    assert contents(tmp_path / "1" / "out") == contents(tmp_path / "2" / "out")


def test_audio_is_resampled_to_the_wanted_rate(root, tmp_path):
    prepare_fsdd(tmp_path / "out", root, sample_rate=16000)
    recipe = FSDD_CORPUS.recipes("test", root)[0]
    original = FSDD_CORPUS.render(recipe, root).samples
    _, samples = next(utterances(tmp_path / "out", "test"))
    assert len(samples) == 2 * len(original)
    np.testing.assert_allclose(samples[::2][50:-50], original[50:-50], atol=0.02)


def test_a_finished_folder_is_returned_without_work(root, tmp_path, monkeypatch):
    index = prepare_fsdd(tmp_path / "out", root)
    monkeypatch.setattr(prepare_module, "render", None)
    assert prepare_fsdd(tmp_path / "out", root) == index
    # Also when the recordings are gone.
    assert prepare_fsdd(tmp_path / "out", None) == index


def test_finished_shards_are_reused_and_leftovers_removed(root, tmp_path):
    folder = tmp_path / "out"
    prepare_fsdd(folder, root)
    complete = contents(folder)
    (folder / INDEX_FILE).unlink()
    (folder / "train-000001.npy").unlink()
    (folder / "train-000002.tar.part").write_bytes(b"half")
    kept, redone = folder / "train-000000.tar", folder / "train-000001.tar"
    times = {path: path.stat().st_mtime_ns for path in (kept, redone)}
    prepare_fsdd(folder, root)
    assert contents(folder) == complete
    assert kept.stat().st_mtime_ns == times[kept]
    assert redone.stat().st_mtime_ns > times[redone]


def test_other_settings_live_beside_one_another(tmp_path):
    settings = [
        (FSDD_CORPUS, 8000, UnitsConfig()),
        (FSDD(random_seed=2), 8000, UnitsConfig()),
        (FSDD_CORPUS, 16000, UnitsConfig()),
        (FSDD_CORPUS, 8000, UnitsConfig("sentencepiece", 30)),
        (COMMANDS, 8000, UnitsConfig()),
    ]
    folders = [tmp_path / prepared_name(*values) for values in settings]
    assert len(set(folders)) == len(folders)
    assert folders[0].name.startswith("fsdd-")
    assert folders[0] == tmp_path / prepared_name(FSDD(*UTTERANCES.values()), 8000, UnitsConfig())


def test_a_folder_of_other_settings_is_refused(root, tmp_path):
    prepare_fsdd(tmp_path / "out", root)
    with pytest.raises(FoldError, match=r"out was prepared with sample_rate 8000, not 16000"):
        prepare_fsdd(tmp_path / "out", root, sample_rate=16000)


def test_a_folder_of_other_recordings_is_refused(root, tmp_path):
    prepare_fsdd(tmp_path / "out", root)
    for path in (root / "recordings").glob("*_anna_*"):
        path.rename(path.with_name(path.name.replace("anna", "ben")))
    with pytest.raises(
        FoldError, match=r"out was prepared from other recordings \(only 0 of 20 utterances are the same\)"
    ):
        prepare_fsdd(tmp_path / "out", root)


def test_a_foreign_folder_is_left_alone(root, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.part").write_text("precious")
    with pytest.raises(FoldError, match=r"not empty \(thesis.part\)"):
        prepare_fsdd(tmp_path / "out", root)
    assert (tmp_path / "out" / "thesis.part").read_text() == "precious"


def test_a_bad_recording_is_named_and_can_be_put_right(root, tmp_path):
    bad = root / "recordings" / "7_anna_10.wav"
    good = bad.read_bytes()
    bad.write_bytes(b"no audio")
    with pytest.raises(FoldError, match=r"7_anna_10.wav: not audio that libsndfile reads") as error:
        prepare_fsdd(tmp_path / "out", root, num_workers=2)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / INDEX_FILE).exists()
    assert not list((tmp_path / "out").glob("*.part"))
    bad.write_bytes(good)
    prepare_fsdd(tmp_path / "out", root)
    prepare_fsdd(tmp_path / "fresh", root)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_units_that_do_not_fit_are_refused_before_any_work(root, tmp_path):
    with pytest.raises(FoldError, match="vocab_size 5000 is too large"):
        prepare(
            FSDD_CORPUS,
            tmp_path / "out",
            root=root,
            sample_rate=8000,
            units=UnitsConfig("sentencepiece", 5000),
        )
    assert not list((tmp_path / "out").glob("*.tar"))


def test_an_empty_split_is_refused(root, tmp_path):
    with pytest.raises(FoldError, match="split 'dev' has no utterances"):
        prepare(FSDD(12, 0, 4), tmp_path / "out", root=root, sample_rate=8000, units=UnitsConfig())


SCRIPT = """
import sys
from pathlib import Path
from fold.data.corpora import Commands
from fold.data.prepare import prepare
from fold.text.units import UnitsConfig
from fold.errors import FoldError

if __name__ == "__main__":
    try:
        prepare(
            Commands(hours=float(sys.argv[2]), dev_utterances=2, test_utterances=2), Path(sys.argv[1]),
            root=None, sample_rate=8000, units=UnitsConfig(), num_workers=2,
        )
    except FoldError as error:
        sys.exit(f"fold: {error}")
"""


def start(tmp_path: Path, hours: float) -> subprocess.Popen:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    # A group of its own: a signal to the group reaches the workers too, as Ctrl-C in a terminal does.
    return subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "out"), str(hours)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(prepare_module.__file__).parents[2])},
    )


def wait_for(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_interrupt_ends_with_one_line_and_no_debris(tmp_path):
    process = start(tmp_path, hours=1)
    wait_for(lambda: list((tmp_path / "out").glob("*.tar.part")))
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert errors.rstrip().splitlines()[-1].startswith("fold: preparation interrupted")
    assert not list((tmp_path / "out").glob("*.part"))


def test_a_killed_preparation_leaves_no_process_and_is_finished_later(tmp_path):
    process = start(tmp_path, hours=0.05)
    wait_for(lambda: list((tmp_path / "out").glob("*.tar.part")))
    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: not group_lives(process.pid))
    assert not (tmp_path / "out" / INDEX_FILE).exists()
    again = start(tmp_path, hours=0.05)
    _, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert not list((tmp_path / "out").glob("*.part"))
    assert read_index(tmp_path / "out").splits["dev"].utterances == 2


def test_a_second_preparation_waits_for_the_first(tmp_path):
    with locked(tmp_path / "out"):
        process = start(tmp_path, hours=0.003)
        assert "waiting" in process.stdout.readline()
        assert not (tmp_path / "out" / "description.json").exists()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert read_index(tmp_path / "out").splits["test"].utterances == 2
