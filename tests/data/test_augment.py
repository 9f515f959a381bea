"""What training speech meets on its way: as much as asked for, and for everybody alike."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import Finished
from tones import SAMPLE_RATE, Tones

from fold.data.augment import Augmenter, Noise, Rooms, Telephone
from fold.data.batching import Batch
from fold.data.datamodule import SpeechData
from fold.errors import FoldError

RATE = 16000
Command = Callable[..., Finished]


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    """Recordings of four rates, one shorter than any utterance, one of two channels, as deep as MUSAN's are; among
    them what is no audio."""
    random, folder = np.random.default_rng(0), tmp_path / "noises" / "noise" / "free-sound"
    folder.mkdir(parents=True)
    for rate, seconds, suffix in ((8000, 3.0, "wav"), (16000, 0.05, "flac"), (22050, 2.0, "wav"), (44100, 9.0, "ogg")):
        sound = random.normal(scale=0.1, size=round(seconds * rate)) + 0.05
        soundfile.write(folder / f"noise-{rate}.{suffix}", np.stack([sound, 0 * sound], 1), rate)
    (folder / "ANNOTATIONS").write_text("noise-8000 Rain")
    return tmp_path / "noises"


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """An echo after 50 ms, half as loud, in a file that begins with silence; at another rate than the speech's."""
    folder = tmp_path / "rooms" / "smallroom" / "Room001"
    folder.mkdir(parents=True)
    response = np.zeros(24000)
    response[[480, 480 + 2400]] = 0.8, 0.4
    soundfile.write(folder / "Room001-00001.wav", response, 48000, subtype="FLOAT")
    return tmp_path / "rooms"


def speech(seconds: float = 1.0, level: float = 0.05) -> np.ndarray:
    return np.random.default_rng(1).normal(scale=level, size=round(seconds * RATE)).astype(np.float32)


def augmenter(*kinds: Rooms | Noise | Telephone, seed: int = 1, rate: int = RATE) -> Augmenter:
    given = {type(kind): kind for kind in kinds}
    return Augmenter(rate, seed, given.get(Rooms), given.get(Noise), given.get(Telephone))


@pytest.mark.parametrize("snr", [(0.0, 0.0), (12.0, 12.0), (-5.0, 20.0)])
def test_noise_has_the_ratio_asked_for(noises: Path, snr: tuple[float, float]) -> None:
    samples, found = speech(), []
    for number in range(40):
        heard = augmenter(Noise(str(noises), 1.0, snr))(samples, 0, f"u-{number}")
        assert heard.dtype == np.float32 and heard.shape == samples.shape
        added = heard.astype(np.float64) - samples
        found.append(10 * np.log10(np.mean(samples**2) / np.mean(added**2)))
    assert min(found) > snr[0] - 0.1 and max(found) < snr[1] + 0.1
    assert max(found) - min(found) > 0.8 * (snr[1] - snr[0])


def test_noise_comes_from_anywhere_in_a_file(tmp_path: Path) -> None:
    """Of a ramp, stretches begin everywhere; a file shorter than the utterance is repeated."""
    (tmp_path / "ramp").mkdir()
    ramp = np.repeat(np.linspace(-0.5, 0.5, 100), RATE // 10)
    soundfile.write(tmp_path / "ramp" / "a.wav", ramp, RATE, subtype="FLOAT")
    change = Noise(str(tmp_path / "ramp"), 1.0, (0.0, 0.0)).change(RATE)
    added = [change(speech(0.5), np.random.default_rng(n)) - speech(0.5) for n in range(30)]
    steps = {int(np.abs(np.diff(one)).argmax()) for one in added}
    assert len(steps) > 20


def test_a_room_answers_in_its_time_and_keeps_the_level(rooms: Path) -> None:
    click = np.zeros(RATE, np.float32)
    click[1000] = 0.5
    heard = augmenter(Rooms(str(rooms), 1.0))(click, 0, "u")
    assert np.square(heard).sum() == pytest.approx(0.25, rel=1e-4)
    loudest = np.argsort(-np.abs(heard))[:2]
    assert sorted(loudest.tolist()) == [1000, 1800]
    assert heard[1800] / heard[1000] == pytest.approx(0.5, rel=1e-2)


@pytest.mark.parametrize("beside", [False, True])
def test_sounds_in_tars_are_those_of_the_files(noises: Path, rooms: Path, tmp_path: Path, beside: bool) -> None:
    """A tar, or a folder with tars in it, of files of several formats and of others that are no audio."""
    places = [tmp_path / "packed" / name if beside else tmp_path / f"{name}.tar" for name in ("noise", "rooms")]
    for place, folder in zip(places, (noises, rooms), strict=True):
        place.parent.mkdir(exist_ok=True)
        if beside:
            place.mkdir()
        with tarfile.open(place / "a.tar" if beside else place, "w") as tar:
            for file in sorted(folder.rglob("*.*")):
                tar.add(file, arcname=f"./{file.relative_to(folder)}")
            tar.add(noises / "noise" / "free-sound" / "ANNOTATIONS", arcname="ANNOTATIONS")
    kinds = [(Noise(str(n), 1.0), Rooms(str(r), 1.0)) for n, r in ((noises, rooms), places)]
    for number in range(20):
        plain, packed = (augmenter(*some)(speech(), 0, f"u-{number}") for some in kinds)
        assert np.array_equal(plain, packed) and not np.array_equal(plain, speech())


def test_tars_that_cannot_be_read_are_refused_at_once(noises: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with tarfile.open(folder / "musan.tar.gz", "w:gz") as tar:
        tar.add(noises)
    with pytest.raises(FoldError, match=r"holds no audio files .*; unpack musan\.tar\.gz$"):
        Noise(str(folder)).change(RATE)
    with pytest.raises(FoldError, match=r"no folder .*musan\.tar\.gz; unpack"):
        Noise(str(folder / "musan.tar.gz")).change(RATE)
    (folder / "musan.tar.gz").rename(folder / "musan.tar")
    with pytest.raises(FoldError, match=r"data\.noise\.folder: .*musan\.tar: packed by gzip: unpack it"):
        Noise(str(folder)).change(RATE)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_telephone_carries_its_band_alone(rate: int) -> None:
    samples = np.random.default_rng(1).normal(scale=0.1, size=rate).astype(np.float32)
    heard = augmenter(Telephone(1.0), rate=rate)(samples, 0, "u")
    assert len(heard) == len(samples)
    power, frequency = np.abs(np.fft.rfft(heard)) ** 2, np.fft.rfftfreq(rate, 1 / rate)
    inside = power[(frequency > 350) & (frequency < 3300)].mean()
    assert power[(frequency < 250) | (frequency > 4100)].mean() < 0.01 * inside
    assert 0.3 < inside / np.abs(np.fft.rfft(samples)[400:3300] ** 2).mean() < 1.5


def test_the_telephone_has_few_levels() -> None:
    heard = Telephone().change(8000)(speech(4.0, level=0.2), np.random.default_rng(0))
    assert len(np.unique(heard.round(6))) <= 255


def test_the_share_is_of_the_utterances_and_one_kind_does_not_move_another(noises: Path, rooms: Path) -> None:
    samples, changed = speech(0.2), augmenter(Noise(str(noises), 0.3))
    hit = [n for n in range(400) if not np.array_equal(changed(samples, 0, f"u-{n}"), samples)]
    assert abs(len(hit) - 120) < 4 * 84**0.5
    both = augmenter(Noise(str(noises), 0.3), Telephone(0.0), Rooms(str(rooms), 0.0))
    assert all(np.array_equal(both(samples, 0, f"u-{n}"), changed(samples, 0, f"u-{n}")) for n in range(50))


def test_seeds_epochs_and_utterances_differ_and_nothing_else_matters(noises: Path, rooms: Path) -> None:
    kinds, samples = (Noise(str(noises), 1.0), Rooms(str(rooms), 1.0), Telephone(1.0)), speech(0.3)
    first, again = augmenter(*kinds)(samples, 3, "u"), augmenter(*kinds)(samples, 3, "u")
    assert np.array_equal(first, again)
    for other, epoch, id in (
        (augmenter(*kinds, seed=2), 3, "u"),
        (augmenter(*kinds), 4, "u"),
        (augmenter(*kinds), 3, "v"),
    ):
        assert not np.array_equal(other(samples, epoch, id), first)


def test_loud_noise_stays_within_full_scale_and_silence_does_no_harm(noises: Path, tmp_path: Path) -> None:
    heard = augmenter(Noise(str(noises), 1.0, (-20.0, -20.0)))(speech(level=0.3), 0, "u")
    assert np.abs(heard).max() <= 1.0
    (tmp_path / "silence").mkdir()
    soundfile.write(tmp_path / "silence" / "a.wav", np.zeros(RATE), RATE)
    assert np.array_equal(augmenter(Noise(str(tmp_path / "silence"), 1.0))(speech(), 0, "u"), speech())
    silent = np.zeros(RATE, np.float32)
    assert np.array_equal(augmenter(Noise(str(noises), 1.0), Telephone(1.0))(silent, 0, "u"), silent)


def data(shards: Path, noises: Path, rooms: Path, workers: int = 0) -> SpeechData:
    module = SpeechData(
        Tones(),
        SAMPLE_RATE,
        shards=str(shards),
        batch_seconds=40.0,
        noise=Noise(str(noises), 0.5),
        rooms=Rooms(str(rooms), 0.5),
        telephone=Telephone(0.5),
        num_workers=workers,
    )
    return module


def batches(module: SpeechData, epoch: int, resumed: int = 0) -> list[Batch]:
    module._resumed = (epoch, resumed)
    loader = module.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def by_id(found: Sequence[Batch]) -> dict[str, torch.Tensor]:
    return {id: row for batch in found for id, row in zip(batch.ids, batch.waveforms, strict=True)}


def equal(a: Sequence[Batch], b: Sequence[Batch]) -> bool:
    pairs = zip(a, b, strict=True)
    return all(x.ids == y.ids and torch.equal(x.waveforms, y.waveforms) for x, y in pairs)


def test_workers_and_resumed_runs_hear_the_same(tones_shards: Path, noises: Path, rooms: Path) -> None:
    given = tones_shards, noises, rooms
    whole = batches(data(*given), epoch=1)
    assert len(whole) > 3
    assert equal(whole, batches(data(*given, workers=2), epoch=1))
    assert equal(whole[2:], batches(data(*given), epoch=1, resumed=2))
    heard = {id: row for batch in whole for id, row in zip(batch.ids, batch.waveforms, strict=True)}
    later = {
        id: row for batch in batches(data(*given), epoch=2) for id, row in zip(batch.ids, batch.waveforms, strict=True)
    }
    shared = {id: min(len(heard[id]), len(later[id])) for id in heard}
    changed = sum(not torch.equal(heard[id][:n], later[id][:n]) for id, n in shared.items())
    assert changed > 0.7 * len(heard)


def test_evaluation_is_left_alone(tones_shards: Path, noises: Path, rooms: Path) -> None:
    plain = SpeechData(Tones(), SAMPLE_RATE, shards=str(tones_shards), num_workers=0)
    assert equal(list(plain.val_dataloader()), list(data(tones_shards, noises, rooms).val_dataloader()))


def test_a_bad_file_is_named_and_counted(tones_shards: Path, noises: Path, rooms: Path) -> None:
    for file in [file for file in noises.rglob("*.*") if file.is_file()][1:]:
        file.unlink()
    (noises / "bad.wav").write_bytes(b"RIFF, but no more")
    found = batches(data(tones_shards, noises, rooms), epoch=0)
    faults = [fault for batch in found for fault in batch.faults]
    assert 20 < len(faults) < 80
    assert all(fault.reason == "unusable noise or room" and "bad.wav: not audio" in fault.detail for fault in faults)
    assert sum(len(batch.ids) for batch in found) + len(faults) == Tones().train


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Noise("x", share=1.5), "data.noise.share is 1.5: expected a share, 0 to 1"),
        (lambda: Rooms("x", share=-1), "data.rooms.share is -1: expected a share"),
        (lambda: Noise("x", snr=(20.0, 5.0)), r"data.noise.snr is \[20.0, 5.0\]: expected the least ratio first"),
        (lambda: Noise("nowhere").change(RATE), "data.noise.folder: no folder nowhere"),
        (lambda: Rooms(str(Path(__file__).parent)).change(RATE), "data.rooms.folder: .* holds no audio files"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], line: str) -> None:
    with pytest.raises(FoldError, match=line):
        make()


def test_a_run_takes_the_settings_and_refuses_an_empty_folder_at_once(
    noises: Path, tones_config: Path, fold_command: Command, tmp_path: Path
) -> None:
    options = ["fit", f"--config={tones_config}", "--trainer.max_steps=1"]
    fold_command(*options, f"--data.noise={{folder: {noises}, share: 1.0, snr: [0, 10]}}", "--data.telephone.share=0.5")
    (tmp_path / "empty").mkdir()
    unprepared = f"--data.shards={tmp_path / 'unprepared'}"
    done = fold_command(*options, "--data.rooms.folder=empty", unprepared, check=False)
    assert done.status == 2
    assert [line for line in done.stderr.splitlines() if "data.rooms.folder: empty holds no audio files" in line]
    assert not (tmp_path / "unprepared").exists()
