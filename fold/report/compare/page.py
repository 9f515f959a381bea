"""The comparison as one self-contained HTML page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr
from jinja2 import Environment
from markupsafe import Markup
from rapidfuzz.distance import Levenshtein

from fold.report import style
from fold.report.compare import table as tables
from fold.report.compare.figures import Drawing
from fold.report.compare.pairs import Pair, nodes
from fold.report.compare.systems import System, compared_settings

SHOWN_UTTERANCES = 12
TEMPLATE = "page.html.jinja"
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz, all that it knows
TAGS = {"substitution": "mark", "insertion": "ins", "deletion": "del"}  # elements for words, by their kind
VERDICTS = ("better", "worse", "equivalent")  # that have a colour


class Cell(NamedTuple):
    """Of the table. heading: of its column."""

    heading: str
    text: str


@dataclass(frozen=True)
class Word:
    """A word of an alignment. kind: "same", "substitution", "deletion" (of the reference) or "insertion"."""

    text: str
    kind: str


@dataclass(frozen=True)
class Example:
    """An utterance: what was said, and what each node (by its name) made of it."""

    id: str
    reference: str
    lines: list[tuple[str, list[Word]]]


@dataclass(frozen=True)
class Comparison:
    """All that a page shows.

    Attributes:
        conclusion: in sentences.
        notes: what the table rests on.
        recordings: samples, (num_samples,), and sample rate of utterances, by id; of those shown, as far as known.
    """

    title: str
    systems: Sequence[System]
    table: Sequence[tables.Row]
    conclusion: Sequence[str]
    notes: Sequence[str]
    pairs: Sequence[Pair]
    drawings: Sequence[Drawing]
    recordings: Mapping[str, tuple[np.ndarray, int]]


def render(made: Comparison) -> str:
    """The page, with nothing to fetch."""
    source = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    record, shown = made.systems[0].record, examples(made.systems)
    kept = tables.used_columns(made.table)
    return template.render(
        title=made.title,
        test_set=f"{record.corpus} {record.split}: {record.size}".strip(" :"),
        palette=style.PALETTE,
        conclusion=made.conclusion,
        notes=made.notes,
        headings=[tables.HEADINGS[index] for index in kept],
        table=[[Cell(tables.HEADINGS[i], cells[i]) for i in kept] for cells in (row.cells() for row in made.table)],
        verdicts=VERDICTS,
        drawings=[(drawing, Markup(style.svg(drawing.figure))) for drawing in made.drawings],
        examples=shown,
        tags=TAGS,
        audio={id: data_uri(*made.recordings[id]) for id in (example.id for example in shown) if id in made.recordings},
        pairs=made.pairs,
        labels=[system.label for system in made.systems],
        settings=varying_settings(made.systems),
    )


def data_uri(samples: np.ndarray, sample_rate: int) -> str:
    """Audio as a URL that holds it. samples: (num_samples,); sample_rate: in Hz."""
    stream, rate = io.BytesIO(), next((rate for rate in MP3_RATES if rate >= sample_rate), MP3_RATES[-1])
    heard = samples if rate == sample_rate else soxr.resample(samples, sample_rate, rate)
    soundfile.write(stream, heard, rate, format="MP3")
    return f"data:audio/mpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def examples(systems: Sequence[System]) -> list[Example]:
    """The utterances on which systems and depths disagree most, from the first run of each."""
    shown = [node for node in nodes(systems) if node.system.record.references]
    if not shown:
        return []
    references = shown[0].system.record.references
    said = [node.system.record.hypotheses(node.system.record.canonical[node.depth].path) for node in shown]
    variety = {id: len({texts[id] for texts in said}) for id in references}
    chosen = sorted(references, key=lambda id: (-variety[id], id))[:SHOWN_UTTERANCES]
    return [
        Example(
            id,
            references[id],
            [(str(node), aligned(references[id], texts[id])) for node, texts in zip(shown, said, strict=True)],
        )
        for id in chosen
        if variety[id] > 1
    ]


def aligned(reference: str, hypothesis: str) -> list[Word]:
    """The words of a hypothesis with its errors marked, and the words of the reference that it leaves out."""
    words, found = reference.split(), hypothesis.split()
    aligned: list[Word] = []
    for step in Levenshtein.opcodes(words, found):
        if step.tag == "delete":
            aligned += [Word(word, "deletion") for word in words[step.src_start : step.src_end]]
        else:
            kind = {"equal": "same", "replace": "substitution", "insert": "insertion"}[step.tag]
            aligned += [Word(word, kind) for word in found[step.dest_start : step.dest_end]]
    return aligned


def varying_settings(systems: Sequence[System]) -> list[tuple[str, list[Any]]]:
    """Settings that systems have otherwise than others: name, and the value of each system."""
    of_systems = [compared_settings(system.record) for system in systems]
    names = dict.fromkeys(name for settings in of_systems for name in settings)
    rows = [(name, [settings.get(name, "") for settings in of_systems]) for name in names]
    return [(name, values) for name, values in rows if len(set(map(repr, values))) > 1]
