"""Tones as others keep their speech: Common Voice, Kaldi, NeMo, lhotse and Hugging Face, each in its own layout."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tones import SAMPLE_RATE, Tones

from fold.data.corpora import SPLITS

CORPUS = Tones(train=24, dev=4, test=5)


@dataclass(frozen=True)
class Said:
    """An utterance: its samples, and where it begins in the recording of all utterances of its split, in seconds."""

    id: str
    text: str
    samples: np.ndarray
    start: float

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def said(split: str) -> list[Said]:
    found: list[Said] = []
    for recipe in CORPUS.recipes(split, None):
        start = found[-1].start + found[-1].seconds if found else 0.0
        found.append(Said(recipe.id, recipe.text, CORPUS.render(recipe, None).samples, start))
    return found


def write_audio(file: Path, samples: np.ndarray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, samples, SAMPLE_RATE)
    return file


def write_long(file: Path, utterances: list[Said]) -> Path:
    return write_audio(file, np.concatenate([utterance.samples for utterance in utterances]))


def common_voice(root: Path) -> None:
    for split in SPLITS:
        header = "client_id\tpath\tsentence_id\tsentence\tsentence_domain\tup_votes\tdown_votes\tage\tlocale"
        rows = [header]
        for number, utterance in enumerate(said(split)):
            name = f"common_voice_xx_{split}{number:04d}.mp3"
            write_audio(root / "clips" / name, utterance.samples)
            rows.append(f"{split}c0ffee\t{name}\t5eed\t{utterance.text.capitalize()}.\t\t2\t0\t\txx")
        (root / f"{split}.tsv").write_text("\n".join(rows) + "\n")


def kaldi(root: Path) -> None:
    for split in SPLITS:
        folder = root / "data" / split
        folder.mkdir(parents=True)
        utterances = said(split)
        lines: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2spk": [], "segments": []}
        lines["wav.scp"].append(f"talk_{split} {write_long(root / 'audio' / f'{split}.flac', utterances)}")
        for utterance in utterances:
            id = f"{split}.spk1_{utterance.id}"
            lines["text"].append(f"{id} {utterance.text.upper()}")
            lines["utt2spk"].append(f"{id} {split}.spk1")
            end = utterance.start + utterance.seconds
            lines["segments"].append(f"{id} talk_{split} {utterance.start:.3f} {end:.3f}")
        for name, content in lines.items():
            (folder / name).write_text("\n".join(sorted(content)) + "\n")


def nemo(root: Path) -> None:
    for split in SPLITS:
        rows = []
        for number, utterance in enumerate(said(split)):
            file = write_audio(root / "wavs" / f"{utterance.id}.wav", utterance.samples)
            row = {"audio_filepath": str(file), "duration": utterance.seconds, "text": utterance.text, "speaker": 7}
            rows.append(row | ({"offset": 0.0} if number % 2 else {}))
        (root / f"{split}.json").write_text("".join(json.dumps(row) + "\n" for row in rows))


def cut(utterance: Said, split: str, source: str, seconds: float) -> dict[str, object]:
    """What lhotse writes of a cut of a recording that lasts so long."""
    recording = {
        "id": f"talk.{split}",
        "sources": [{"type": "file", "channels": [0], "source": source}],
        "sampling_rate": SAMPLE_RATE,
        "num_samples": round(seconds * SAMPLE_RATE),
        "duration": seconds,
        "channel_ids": [0],
    }
    supervision = {
        "id": utterance.id,
        "recording_id": f"talk.{split}",
        "start": 0.0,
        "duration": utterance.seconds,
        "channel": 0,
        "text": utterance.text.upper(),
        "speaker": "spk1",
    }
    return {
        "id": f"{split}.{utterance.id}",
        "start": utterance.start,
        "duration": utterance.seconds,
        "channel": 0,
        "supervisions": [supervision],
        "recording": recording,
        "type": "MonoCut",
    }


def lhotse(root: Path) -> None:
    for split in SPLITS:
        utterances = said(split)
        write_long(root / "audio" / f"{split}.wav", utterances)
        whole = sum(utterance.seconds for utterance in utterances)
        lines = [json.dumps(cut(u, split, f"audio/{split}.wav", whole)) for u in utterances]
        with gzip.open(root / f"cuts_{split}.jsonl.gz", "wt") as stream:
            stream.write("\n".join(lines) + "\n")


def datasets(folder: Path) -> Any:
    """Splits of Hugging Face's library, of FLAC files in a folder."""
    library = pytest.importorskip("datasets", reason="needs the library datasets: pip install datasets")
    splits = {}
    for split in SPLITS:
        columns: dict[str, list] = {"audio": [], "text": [], "speaker_id": []}
        for number, utterance in enumerate(said(split)):
            columns["audio"].append(str(write_audio(folder / f"{split}{number}.flac", utterance.samples)))
            columns["text"].append(utterance.text)
            columns["speaker_id"].append(number % 3)
        made = library.Dataset.from_dict(columns).cast_column("audio", library.Audio(sampling_rate=SAMPLE_RATE))
        splits["validation" if split == "dev" else split] = made
    return library.DatasetDict(splits)


def huggingface(root: Path) -> None:
    datasets(root.parent / "files").save_to_disk(root, num_shards={"train": 2, "validation": 1, "test": 1})
    shutil.rmtree(root.parent / "files")  # the dataset holds them


def tedlium(root: Path) -> None:
    for split in SPLITS:
        folder, talk, utterances = root / "legacy" / split, f"Ann_2009{split}", said(split)
        for name in ("sph", "stm"):
            (folder / name).mkdir(parents=True)
        samples = np.concatenate([utterance.samples for utterance in utterances])
        soundfile.write(folder / "sph" / f"{talk}.sph", samples, SAMPLE_RATE, format="NIST")
        lines = [";; a comment", f"{talk} 1 {talk} 0.00 0.10 <o,f0,female> ignore_time_segment_in_scoring"]
        for u in utterances:
            lines.append(f"{talk} 1 Ann {u.start:.3f} {u.start + u.seconds:.3f} <o,f0,female> {u.text} {{NOISE}}")
        lines.append(f"{talk} 1 Ann 0.00 0.10 <o,f0,female> a <unk>")
        (folder / "stm" / f"{talk}.stm").write_text("\n".join(lines) + "\n")


def voxpopuli(root: Path) -> None:
    for split in SPLITS:
        rows = ["id\traw_text\tnormalized_text\tspeaker_id\tsplit\tgender\tis_gold_transcript\taccent"]
        for number, utterance in enumerate(said(split)):
            id = f"{2009 + number % 3}0112-0900-PLENARY-3-en_20090112-17:03:{number:02d}_{split}"
            write_audio(root / id[:4] / f"{id}.ogg", utterance.samples)
            rows.append(f"{id}\t{utterance.text.upper()}.\t{utterance.text}\t7\t{split}\tfemale\tFalse\tNone")
        (root / f"asr_{split}.tsv").write_text("\n".join(rows) + "\n")


def huggingface_parquet(root: Path) -> None:
    """As repositories of the hub have them."""
    from datasets.table import embed_table_storage

    (root / "data").mkdir(parents=True)
    for name, split in datasets(root.parent / "files").items():
        split = split.with_format("arrow").map(embed_table_storage, batched=True).with_format(None)
        for number in range(2):
            split.shard(2, number).to_parquet(root / "data" / f"{name}-{number:05d}-of-00002.parquet")
    shutil.rmtree(root.parent / "files")


LAYOUTS: dict[str, Callable[[Path], None]] = {  # by the shipped settings, with a word more where there are several
    "common_voice": common_voice,
    "kaldi": kaldi,
    "nemo": nemo,
    "lhotse": lhotse,
    "tedlium": tedlium,
    "voxpopuli": voxpopuli,
    "huggingface": huggingface,
    "huggingface parquet": huggingface_parquet,
}
