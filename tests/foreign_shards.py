"""Tones in tars as others write them: WebDataset (by its own writer), NeMo, lhotse's Shar and Hugging Face."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import soundfile
import soxr
import webdataset
from foreign_corpora import Said, cut, said
from tones import SAMPLE_RATE

from fold.data.corpora import SPLITS

PER_SHARD = 6
ENCODINGS = ("flac", "wav", "mp3", "ogg", "opus")  # by turns
LOSSLESS = ("flac", "wav")


def encoded(samples: np.ndarray, suffix: str, rate: int = SAMPLE_RATE) -> bytes:
    stream = io.BytesIO()
    kind = {"opus": {"format": "OGG", "subtype": "OPUS"}, "ogg": {"format": "OGG", "subtype": "VORBIS"}}.get(suffix)
    soundfile.write(stream, samples, rate, **(kind or {"format": suffix.upper()}))
    return stream.getvalue()


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return path


def groups(split: str) -> list[list[Said]]:
    utterances = said(split)
    return [utterances[start : start + PER_SHARD] for start in range(0, len(utterances), PER_SHARD)]


def with_texts(root: Path) -> None:
    """All training utterances in keys with folders, in all encodings; every third at another rate, in stereo."""
    for split in SPLITS:
        (root / split).mkdir(parents=True)
        with webdataset.ShardWriter(str(root / split / "part-%06d.tar"), maxcount=PER_SHARD, verbose=0) as writer:
            for number, utterance in enumerate(said(split)):
                suffix, samples, rate = ENCODINGS[number % len(ENCODINGS)], utterance.samples, SAMPLE_RATE
                if number % 3 == 0:
                    samples, rate = soxr.resample(samples, SAMPLE_RATE, 2 * SAMPLE_RATE), 2 * SAMPLE_RATE
                    samples = np.stack([samples, samples], axis=1)
                key = f"speakers/s{number % 2}/{utterance.id}"
                writer.write({"__key__": key, suffix: encoded(samples, suffix, rate), "txt": utterance.text.upper()})


def with_json(root: Path) -> None:
    for split in SPLITS:
        for number, group in enumerate(groups(split)):
            with webdataset.TarWriter(str(_folder(root / split) / f"part-{number:06d}.tar")) as writer:
                for utterance in group:
                    meta = {"info": {"sentence": utterance.text, "who": "ann"}}
                    audio = encoded(utterance.samples, "wav")
                    writer.write({"__key__": utterance.id, "json": meta, "audio.wav": audio})


def nemo_tarred(root: Path) -> None:
    for split in SPLITS:
        rows = []
        for number, group in enumerate(groups(split)):
            names = [f"data_{split}_{utterance.id}.wav" for utterance in group]
            write_tar(
                root / split / f"audio_{number}.tar",
                ((name, encoded(u.samples, "wav")) for name, u in zip(names, group, strict=True)),
            )
            rows += [
                {"audio_filepath": name, "duration": u.seconds, "text": u.text, "shard_id": number}
                for name, u in zip(names, group, strict=True)
            ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (root / split / "tarred_audio_manifest.json").write_text(text)


def shar(root: Path) -> None:
    for split in SPLITS:
        for number, group in enumerate(groups(split)):
            cuts = [cut(u, split, "", u.seconds) | {"start": 0} for u in group]
            members = []
            for utterance, described in zip(group, cuts, strict=True):
                members.append((f"{described['id']}.flac", encoded(utterance.samples, "flac")))
                members.append((f"{described['id']}.json", json.dumps(described["recording"]).encode()))
            write_tar(root / split / f"recording.{number:06d}.tar", members)
            with gzip.open(root / split / f"cuts.{number:06d}.jsonl.gz", "wt") as stream:
                stream.write("".join(json.dumps(described) + "\n" for described in cuts))


def audiofolder(root: Path) -> None:
    for split in SPLITS:
        for number, group in enumerate(groups(split)):
            rows = ["file_name,transcription", *(f'audio/{u.id}.mp3,"{u.text}, "' for u in group)]
            audio = [(f"data/audio/{u.id}.mp3", encoded(u.samples, "mp3")) for u in group]
            table = ("data/metadata.csv", "\n".join(rows).encode())
            write_tar(root / split / f"part-{number:06d}.tar", [*audio[:2], table, *audio[2:]])


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


PARTS = [f"--data.corpus.{split}={split}/part-*.tar" for split in SPLITS]
LAYOUTS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "texts": (with_texts, ["webdataset", *PARTS]),
    "json": (
        with_json,
        ["webdataset", *PARTS, "--data.corpus.text=[json:info.sentence]", "--data.corpus.speaker=[json:info.who]"],
    ),
    "nemo": (nemo_tarred, ["nemo_tarred"]),
    "shar": (shar, ["lhotse_shar"]),
    "audiofolder": (
        audiofolder,
        [
            "webdataset",
            *PARTS,
            "--data.corpus.lists=member:metadata.csv",
            "--data.corpus.columns={audio: file_name, text: transcription}",
        ],
    ),
}
"""What writes each, then the shipped settings and further options."""
