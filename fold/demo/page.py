"""The page as a folder of files: whatever server shows it, nothing else is needed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fold.data.corpora.grammar import sentence
from fold.errors import FoldError
from fold_device.description import FILE, Description

PAGE = Path(__file__).parent / "page"
NUM_SENTENCES = 200


def write_page(description: Description, folder: Path, runtime: Sequence[Path], sentences: Sequence[str]) -> None:
    """Writes the page with its model.

    Args:
        description: of the exported folder.
        folder: to write; what it holds of an earlier page is replaced.
        runtime: files of ONNX Runtime for browsers.
        sentences: to say.

    Raises:
        FoldError: the folder cannot be written.
    """
    names = [FILE, *(name for stored in description.models.values() for name in (stored.file, stored.data) if name)]
    try:
        shutil.copytree(PAGE, folder, dirs_exist_ok=True)
        for sub, files in (("model", [description.folder / name for name in names]), ("runtime", runtime)):
            (folder / sub).mkdir(exist_ok=True)
            for file in files:
                shutil.copyfile(file, folder / sub / file.name)
        (folder / "sentences.json").write_text(json.dumps(list(sentences), ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise FoldError(f"demo: {folder} cannot be written: {error}") from None


def sample_sentences(description: Description) -> list[str]:
    """Sentences of the default corpus; none for a model that lacks the characters to write them."""
    rng = np.random.default_rng(0)
    drawn = sorted({sentence(rng) for _ in range(NUM_SENTENCES)})
    known = set("".join(description.units)) | {" "}
    return [text for text in drawn if set(text) <= known]


def read_sentences(file: str | Path) -> list[str]:
    """One sentence a line. Raises FoldError if there is none."""
    try:
        lines = [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise FoldError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    if not any(lines):
        raise FoldError(f"{file}: no sentence in it; expected one in each line")
    return [line for line in lines if line]
