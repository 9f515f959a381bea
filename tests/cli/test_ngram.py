"""`fold ngram`, and what a search finds with its file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch
from audio_files import speech
from conftest import TINY_NETWORK, Finished
from tones import SAMPLE_RATE, TONES

from fold.checkpoint import KEY, PREFIX, Description
from fold.decoding.ngram import read_arpa
from fold.models import Conformer
from fold.paths import PathSpace
from fold.text.normalise import Normaliser
from fold.text.units import CharUnits

Command = Callable[..., Finished]
CTC = ("--decoding.method=beam", "--decoding.ctc_weight=1")


@pytest.fixture
def checkpoint(tmp_path: Path, tones_shards: Path) -> Path:
    """An untrained model's, of the corpus of tones."""
    torch.manual_seed(0)
    [shards] = (file.parent for file in tones_shards.glob("*/index.json"))
    units = CharUnits([" ", *TONES], Normaliser())
    description = Description(Conformer(**TINY_NETWORK), PathSpace(2), units, SAMPLE_RATE, shards=str(shards))
    weights = {PREFIX + name: value for name, value in description.build().state_dict().items()}
    torch.save({KEY: description.to_dict(), "state_dict": weights}, tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


def test_training_transcripts_and_other_texts_become_a_model(checkpoint: Path, fold_command: Command) -> None:
    done = fold_command("ngram", "lm.arpa", "--ckpt_path", checkpoint, "--order=2")
    words = read_arpa("lm.arpa").words
    assert sorted(words) == ["</s>", "<s>", *TONES]
    assert done.stdout.startswith("lm.arpa: 2-grams of") and done.stdout.endswith("in 200 sentences\n")
    Path("more.txt").write_text("AB ba!\n\nba c\n...\n")  # lines without words are no sentences
    fold_command("ngram", "lm.arpa", "--ckpt_path", checkpoint, "--texts=[more.txt]")
    assert sorted(read_arpa("lm.arpa").words) == ["</s>", "<s>", "a", "ab", "b", "ba", "c", "d"]  # as they are written
    done = fold_command("ngram", "lm.arpa", "--ckpt_path", checkpoint, "--texts=[more.txt]", "--transcripts=false")
    assert sorted(read_arpa("lm.arpa").words) == ["</s>", "<s>", "ab", "ba", "c"]
    assert done.stdout == "lm.arpa: 3-grams of 4 words in 2 sentences\n"


def test_a_search_with_the_file_finds_its_words_only(checkpoint: Path, fold_command: Command, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech(1.0, SAMPLE_RATE), SAMPLE_RATE)
    Path("more.txt").write_text("dad\n")
    fold_command("ngram", "lm.arpa", "--ckpt_path", checkpoint, "--texts=[more.txt]")
    found = {}
    for options in ((), ("--decoding.lm=lm.arpa", "--decoding.lm_weight=0.3")):
        done = fold_command("transcribe", "a.wav", "--ckpt_path", checkpoint, *CTC, *options)
        found[options] = done.stdout.split("\t")[1].split()
    without, with_words = found.values()
    assert set(with_words) <= {*TONES, "dad"} and not set(without) <= {*TONES, "dad"}


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["ngram", "lm.arpa", "--order=0"], "order is 0: it must be at least 1"),
        (["ngram", "lm.arpa", "--transcripts=false"], "no words: expected texts that have some"),
        (["ngram", "lm.arpa", "--texts=[latin.txt]"], "latin.txt is not UTF-8 text"),
        (["ngram", "lm.arpa", "--texts=[none.txt]"], "none.txt: No such file"),
        (["ngram", "lm.arpa", "--shards=nowhere"], "nowhere"),
        (["ngram", "no/folder/lm.arpa"], "no/folder"),
        (["transcribe", "a.wav", "--decoding.lm=latin.txt"], "greedy uses no language model"),
        (["transcribe", "a.wav", *CTC, "--decoding.lm=latin.txt"], "latin.txt: no complete ARPA file"),
        (["transcribe", "a.wav", *CTC, "--decoding.lm=none.arpa"], "none.arpa: cannot be read (No such file"),
        (["sweep", *CTC, "--decoding.lm=none.arpa"], "none.arpa: cannot be read (No such file"),
    ],
)
def test_what_cannot_be_used_is_named_in_a_line(
    checkpoint: Path, fold_command: Command, tmp_path: Path, command: list[str], named: str
) -> None:
    (tmp_path / "latin.txt").write_bytes("grün".encode("latin-1"))
    soundfile.write(tmp_path / "a.wav", speech(0.5, SAMPLE_RATE), SAMPLE_RATE)
    done = fold_command(*command, "--ckpt_path", checkpoint, check=False)
    assert done.status == 2 and done.stderr.count("\n") == 1
    assert named in done.stderr
    assert not (tmp_path / "lm.arpa").exists()
