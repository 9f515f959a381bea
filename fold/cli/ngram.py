"""`fold ngram`: a language model of words, for decoding."""

from __future__ import annotations

from pathlib import Path

from fold import checkpoint
from fold.cli.parser import OneLineErrors
from fold.data.cache import ShardCache
from fold.data.location import Location
from fold.data.lookup import transcripts_of
from fold.decoding.ngram import write_arpa
from fold.errors import FoldError


def run(arguments: list[str]) -> None:
    """Parses the arguments of `estimate` and calls it."""
    parser = OneLineErrors(prog="fold ngram", description="An n-gram language model of training transcripts.")
    parser.add_argument("file", type=str, help="The ARPA file to write.")
    parser.add_function_arguments(estimate, skip={"file"})
    estimate(**parser.instantiate(parser.parse_args(arguments)))


def estimate(
    file: str,
    ckpt_path: str,
    order: int = 3,
    transcripts: bool = True,
    texts: list[str] | None = None,
    shards: str | None = None,
    cache: str = "shards/cache",
    cache_gigabytes: float = 50.0,
) -> None:
    """Writes an n-gram model of words, as a model's transcripts are written, for `decoding.lm`.

    Args:
        file: the ARPA file to write.
        ckpt_path: a checkpoint of `fold fit`, which says how words are written.
        order: most words of an n-gram.
        transcripts: take those of its training split; false for texts alone.
        texts: files of further sentences, one a line, in UTF-8.
        shards: the prepared corpus, folder or URL, of the transcripts; by default the one the model was trained on.
        cache: folder for copies of the shards of a URL.
        cache_gigabytes: what they may fill of the disk.
    """
    if order < 1:
        raise FoldError(f"order is {order}: it must be at least 1")
    _, description = checkpoint.load(Path(ckpt_path))
    sentences: list[str] = []
    if transcripts:
        location = Location.of(shards or description.shards, ShardCache(Path(cache), round(cache_gigabytes * 1e9)))
        sentences += transcripts_of(location, location.index().splits["train"])
    for text in texts or ():
        sentences += _lines(Path(text))
    sentences = list(filter(None, map(description.units.written, sentences)))
    num_words = write_arpa(Path(file), sentences, order)
    print(f"{file}: {order}-grams of {num_words:,} words in {len(sentences):,} sentences")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise FoldError(f"texts: {file} is not UTF-8 text") from None
