"""`fold prepare`: a corpus to shards."""

from __future__ import annotations

from fold.cli.parser import OneLineErrors
from fold.data.datamodule import SpeechData


def run(arguments: list[str]) -> None:
    """Prepares the corpus that a file of `data/` describes."""
    parser = OneLineErrors(prog="fold prepare", description="Write the shards of a corpus.", parser_mode="omegaconf+")
    parser.add_config("A corpus: a name such as commands, or a YAML file.")
    parser.add_class_arguments(SpeechData, "data")
    config = parser.parse_args(arguments)
    data = parser.instantiate(config).data
    data.prepare_data()
    print(f"shards: {data.location}")
