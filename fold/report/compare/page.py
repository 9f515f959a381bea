"""The comparison as one self-contained HTML page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from matplotlib.figure import Figure
from rapidfuzz.distance import Levenshtein

from fold.report.compare import table as tables
from fold.report.compare.pairs import Pair, nodes
from fold.report.compare.systems import System, compared_settings

SHOWN_UTTERANCES = 12
TEMPLATE = "page.html.jinja"


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


def render(
    title: str,
    table: Sequence[tables.Row],
    lines: Sequence[str],
    pairs: Sequence[Pair],
    figures: Sequence[tuple[str, Figure]],
    systems: Sequence[System],
) -> str:
    """The page. lines: summary and notes in words; figures: with a caption each."""
    source = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    return template.render(
        title=title,
        headings=tables.HEADINGS,
        table=[row.cells() for row in table],
        verdicts=tables.HEADINGS.index("verdict"),
        notes=lines,
        pairs=pairs,
        figures=[(caption, Markup(svg(figure))) for caption, figure in figures],
        examples=examples(systems),
        labels=[system.label for system in systems],
        settings=varying_settings(systems),
    )


def svg(figure: Figure) -> str:
    """A figure as an <svg> element, its text as text."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


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
