"""Draws docs/images/unfolding.svg, which shows what folding and unfolding are: `python docs/images/unfolding.py`.

The picture has a background of its own and follows the reader's choice of light or dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

WIDTH, HEIGHT = 900, 376
BOX, GAP = 50, 8  # of a layer and between layers, in pixels
LEFT = 318  # where unfolded paths begin
ROWS = {  # depth: layers that run, text beside
    4: ([1, 2, 3, 4], "seed"),
    6: ([1, 2, 2, 3, 4, 4], "in between"),
    8: ([1, 1, 2, 2, 3, 3, 4, 4], "deepest path"),
}
STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-size: 19px; }
.card { fill: #ffffff; stroke: #d5dae1; } .store { fill: #f3f5f8; stroke: #9aa5b4; }
.word { fill: #1d2733; } .faint { fill: #556070; } .line { stroke: #7b8797; fill: none; stroke-width: 2; }
.tip { fill: #7b8797; } .number { fill: #10202f; font-weight: 600; text-anchor: middle; }
.l1 { fill: #8cc3f2; stroke: #2f77b5; } .l2 { fill: #8fd6bd; stroke: #2c8a69; }
.l3 { fill: #f4cf7d; stroke: #a8761a; } .l4 { fill: #eea9b4; stroke: #b0475b; }
.again { stroke-dasharray: 5 4; fill-opacity: 0.4; }
@media (prefers-color-scheme: dark) {
  .card { fill: #161b22; stroke: #39424e; } .store { fill: #202733; stroke: #657183; }
  .word { fill: #e8edf3; } .faint { fill: #a9b4c1; } .line { stroke: #8e99a8; } .tip { fill: #8e99a8; }
  .l1 { stroke: #8cc3f2; } .l2 { stroke: #8fd6bd; } .l3 { stroke: #f4cf7d; } .l4 { stroke: #eea9b4; }
  .again { fill-opacity: 0.15; } .later { fill: #e8edf3; }
}
""".strip()


def main() -> None:
    """Write the picture beside this file."""
    text = "\n".join([*head(), *store(), *(line for row in enumerate(ROWS.items()) for line in path(*row)), "</svg>"])
    Path(__file__).with_suffix(".svg").write_text(text + "\n", encoding="utf-8")


def head() -> Iterator[str]:
    """Begin the picture."""
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">'
    yield '<title id="t">One set of four layers, unfolded to depths 4, 6 and 8</title>'
    yield '<desc id="d">On the left four layers, stored once. On the right three paths that run them: each layer once, '
    yield "layers 2 and 4 twice, and every layer twice. A second call of a layer has the weights of the first.</desc>"
    yield f"<style>{STYLE}</style>"
    yield f'<rect class="card" x="1" y="1" width="{WIDTH - 2}" height="{HEIGHT - 2}" rx="14"/>'


def store() -> Iterator[str]:
    """Draw the layers that a checkpoint holds."""
    yield '<rect class="store" x="24" y="66" width="186" height="258" rx="10"/>'
    yield from words(117, 44, "stored once", anchor="middle", bold=True)
    for place, layer in enumerate((4, 3, 2, 1)):
        yield from box(92, 80 + place * (BOX + 10), layer)
    yield from words(117, 352, "4 physical layers", "faint", "middle")


def path(row: int, of_depth: tuple[int, tuple[Sequence[int], str]]) -> Iterator[str]:
    """Draw one path, the calls of its layers from left to right."""
    depth, (layers, name) = of_depth
    top = 66 + row * 104
    yield f'<path class="line" d="M210 195 C 262 195, 256 {top + 25}, 300 {top + 25}"/>'
    yield f'<path class="tip" d="M300 {top + 19} l12 6 l-12 6 z"/>'
    yield from words(LEFT, top - 14, f"depth {depth}: {name}")
    for place, layer in enumerate(layers):
        again = layer in layers[:place]
        yield from box(LEFT + place * (BOX + GAP), top, layer, again)
    if row == len(ROWS) - 1:
        yield from words(LEFT, 352, "dashed: a layer runs again, with the same weights", "faint")


def box(x: int, y: int, layer: int, again: bool = False) -> Iterator[str]:
    """Draw a layer."""
    kind = f"l{layer} again" if again else f"l{layer}"
    yield f'<rect class="{kind}" x="{x}" y="{y}" width="{BOX}" height="{BOX}" rx="7" stroke-width="2"/>'
    yield f'<text class="{"number later" if again else "number"}" x="{x + BOX // 2}" y="{y + 32}">{layer}</text>'


def words(x: int, y: int, text: str, kind: str = "word", anchor: str = "start", bold: bool = False) -> Iterator[str]:
    """Write text."""
    weight = ' font-weight="600"' if bold else ""
    yield f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}"{weight}>{text}</text>'


if __name__ == "__main__":
    main()
