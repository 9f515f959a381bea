# ruff: noqa: RUF001
"""Mutated manifests, transcripts, settings and indices: read as another reader reads them, or refused."""

from __future__ import annotations

import csv
import json
import random
from functools import partial
from pathlib import Path

import yaml
from torture.mutations import DAMAGES

from fold.cli.parser import OneLineErrors
from fold.data.corpora import LibriSpeech, Manifest
from fold.data.datamodule import SpeechData
from fold.data.index import parse_index
from fold.data.sources import read_sources, sources_path
from fold.text.normalise import Normaliser
from fold.text.units import units_from_dict
from fuzz import Findings

PIECES = (
    "\t",
    "\n",
    "\r\n",
    "\0",
    "\ufeff",
    "\u2028",
    '"',
    "'",
    "\\",
    "{",
    "}",
    "[",
    ":",
    "-",
    "é",
    "e\u0301",
    "İ",
    "audio",
    "null",
)
WORDS = ("turn the light off", "Größe, ja!", "İstanbul’da", "नमस्ते।", "你好，世界", "السلام", "a | b", "3 x")


def damaged(content: bytes, dice: random.Random) -> bytes:
    """As an editor, a wrong encoding or a bad disk would leave it."""
    if dice.randrange(3) == 0:
        return bytes(dice.choice(DAMAGES)(bytearray(content), dice))
    text = content.decode(errors="replace")
    for _ in range(dice.choice((1, 1, 2, 5))):
        place = dice.randrange(len(text))
        text = text[:place] + dice.choice(PIECES) + text[place + dice.choice((0, 0, 1, 3)) :]
    return text.encode(dice.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1")), errors="replace")


def told(value: str) -> str:
    return " ".join(value.split())


def manifest(folder: Path, name: str, content: bytes) -> str:
    """The transcripts of a list are those that Python's own readers find."""
    (folder / name).write_bytes(content)
    found = sorted(recipe.text for recipe in Manifest(train=name).recipes("train", folder))
    text = content.decode("utf-8-sig")
    if name.endswith(".tsv"):
        lines = (line.rstrip("\r") for line in text.split("\n") if line.strip())
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        expected = sorted(told(row["text"]) for row in rows)
    else:
        expected = sorted(told(json.loads(line)["text"]) for line in text.split("\n") if line.strip())
    assert found == expected, f"{found} instead of {expected}"
    for transcript in found:
        normalised(transcript)
    return "read"


CUT = {
    "id": "a",
    "start": 0.5,
    "duration": 1.0,
    "channel": 1,
    "supervisions": [{"text": "İstanbul’da"}],
    "recording": {"sources": [{"type": "file", "channels": [0, 1], "source": "0.wav"}]},
}
OF_CUTS = {"audio": "recording", "channel": "channel", "text": "supervisions.*.text", "seconds": "duration"}


def cuts(folder: Path, content: bytes) -> str:
    """A cut of lhotse's is read from the file and the channel that it names."""
    (folder / "cuts.jsonl").write_bytes(content)
    found = Manifest(train="cuts.jsonl", columns=OF_CUTS).recipes("train", folder)
    lines = [json.loads(line) for line in content.decode("utf-8-sig").split("\n") if line.strip()]
    expected = []
    for cut in lines:
        channels, asked = cut["recording"]["sources"][0]["channels"], cut.get("channel")
        one = [asked] if isinstance(asked, int) else asked or channels
        expected.append(
            (cut["recording"]["sources"][0]["source"], channels.index(one[0]) + 1 if len(one) == 1 else None)
        )
    heard = [(recipe.file, getattr(recipe, "channel", None)) for recipe in found]
    assert sorted(heard, key=str) == sorted(expected, key=str), f"{heard} instead of {expected}"
    return "read"


def manifests(number: int, folder: Path, seed: int = 0) -> Findings:
    """Mutates `number` lists of recordings."""
    rows = [{"audio": f"{index}.wav", "text": word, "speaker": "ann"} for index, word in enumerate(WORDS)]
    for row in rows:
        (folder / row["audio"]).touch()
    tsv = "\n".join(["audio\ttext\tspeaker", *("\t".join(row.values()) for row in rows)])
    jsonl = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    cut = json.dumps(CUT, ensure_ascii=False)
    findings = Findings("manifests")
    for index in range(number):
        dice = random.Random(f"{seed} {index}")
        name, whole = (("a.tsv", tsv), ("a.jsonl", jsonl), ("cuts.jsonl", cut))[index % 3]
        content = damaged(whole.encode(), dice)
        read = partial(cuts, folder, content) if whole == cut else partial(manifest, folder, name, content)
        findings.try_case(f"{name} {seed} {index}", read)
    return findings


def libri(folder: Path, content: bytes) -> str:
    (folder / "train" / "1" / "2" / "1-2.trans.txt").write_bytes(content)
    found = sorted(recipe.text for recipe in LibriSpeech(train=["train"]).recipes("train", folder))
    lines = content.decode("utf-8-sig").split("\n")
    expected = sorted(told(line.partition(" ")[2]) for line in lines if line.rstrip("\r"))
    assert found == expected, f"{found} instead of {expected}"
    return "read"


def normalised(text: str) -> str:
    """What a text becomes stays so, and has nothing unseen."""
    for normaliser in (Normaliser(), Normaliser("tr"), Normaliser(punctuation="keep", form="NFC")):
        written = normaliser(text)
        assert normaliser(written) == written, f"{text!a} becomes {written!a}, and that {normaliser(written)!a}"
        assert written == told(written)
        written.encode()
    return "read"


def transcripts(number: int, folder: Path, seed: int = 0) -> Findings:
    """Mutates `number` transcripts: of LibriSpeech's kind, and texts of any characters."""
    chapter = folder / "train" / "1" / "2"
    chapter.mkdir(parents=True)
    for index in range(len(WORDS)):
        (chapter / f"1-2-{index}.flac").touch()
    whole = "\n".join(f"1-2-{index} {word}" for index, word in enumerate(WORDS)) + "\n"
    findings = Findings("transcripts")
    for index in range(number):
        dice = random.Random(f"{seed} {index}")
        if index % 2:
            content = damaged(whole.encode(), dice)
            findings.try_case(f"libri {seed} {index}", lambda content=content: libri(folder, content))
        else:
            text = "".join(chr(dice.randrange(dice.choice((128, 0x700, 0x3000, 0x110000)))) for _ in range(12))
            findings.try_case(f"text {seed} {index}", lambda text=text: normalised(text))
    return findings


SETTINGS = {
    "data": {
        "corpus": {"class_path": "fold.data.corpora.Manifest", "init_args": {"train": "a.tsv", "channel": "left"}},
        "sample_rate": 16000,
        "text": {"language": "tr", "digits": "keep"},
        "units": {"kind": "sentencepiece", "vocab_size": 30},
        "speeds": [0.9, 1.0],
    }
}


def configured(folder: Path, content: bytes) -> str:
    (folder / "a.yaml").write_bytes(content)
    parser = OneLineErrors(prog="fold prepare", parser_mode="omegaconf+")
    parser.add_config("A corpus.")
    parser.add_class_arguments(SpeechData, "data")
    parser.instantiate(parser.parse_args(["--config", str(folder / "a.yaml")]))
    return "read"


def configurations(number: int, folder: Path, seed: int = 0) -> Findings:
    """Mutates `number` files of settings."""
    whole = yaml.safe_dump(SETTINGS).encode()
    findings = Findings("configurations")
    for index in range(number):
        content = damaged(whole, random.Random(f"{seed} {index}"))
        findings.try_case(f"yaml {seed} {index}", lambda content=content: configured(folder, content))
    return findings


def kept(name: str, content: bytes, folder: Path) -> str:
    if name == "index":
        units_from_dict(parse_index(content, "here").units)
    else:
        sources_path(folder / "a.tar").write_bytes(content)
        read_sources(folder / "a.tar")
    return "read"


def kept_files(number: int, prepared: Path, folder: Path, seed: int = 0) -> Findings:
    """Mutates `number` files that a prepared folder holds beside its shards (those: see `torture`)."""
    whole = {
        "index": (prepared / "index.json").read_bytes(),
        "sources": sources_path(prepared / "dev-000000.tar").read_bytes(),
    }
    findings = Findings("kept files")
    for index in range(number):
        name = ("index", "sources")[index % 2]
        content = damaged(whole[name], random.Random(f"{seed} {index}"))
        findings.try_case(f"{name} {seed} {index}", lambda name=name, content=content: kept(name, content, folder))
    return findings
