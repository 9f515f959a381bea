"""`fold prepare`: a corpus to shards."""

from __future__ import annotations

from fold.cli.parser import OneLineErrors
from fold.data.datamodule import SpeechData


def run(arguments: list[str]) -> None:
    """Prepares the corpus that a file of `data/` describes."""
    parser = OneLineErrors(prog="fold prepare", description="Write the shards of a corpus.", parser_mode="omegaconf+")
    parser.add_argument("-c", "--config", action="config", help="A YAML file such as data/commands.yaml.")
    parser.add_class_arguments(SpeechData, "data")
    config = parser.parse_args(arguments)
    data = parser.instantiate(config).data
    data.prepare_data()
    print(f"shards: {data.location}")
