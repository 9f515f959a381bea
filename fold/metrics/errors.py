"""Error counts at word and character level, and their exact sum over utterances, ranks and paths."""

from collections import Counter
from collections.abc import Sequence
from operator import add
from typing import NamedTuple

import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor
from torchmetrics import Metric


class ErrorCounts(NamedTuple):
    """Errors of one or more sentences; `+` adds them up field by field.

    Attributes:
        substitutions, deletions, insertions: word errors of a minimal alignment.
        words: words of the references.
        char_errors: edit distance in characters, spaces between words included.
        chars: characters of the references, spaces between words included.
        sentences, sentence_errors: utterances, and those with any word error.
    """

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    words: int = 0
    char_errors: int = 0
    chars: int = 0
    sentences: int = 0
    sentence_errors: int = 0

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":  # type: ignore[override]  # no tuple grows by it
        return ErrorCounts(*map(add, self, other))

    @property
    def word_errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self) -> float:
        """Word error rate in percent, always finite: references without any word count as one word."""
        return 100 * self.word_errors / max(self.words, 1)

    @property
    def cer(self) -> float:
        """Character error rate in percent, spaces included; references without any count as one character."""
        return 100 * self.char_errors / max(self.chars, 1)


def count_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Errors of one sentence. Words are separated by white space, of which any run counts as one space."""
    reference_words, hypothesis_words = reference.split(), hypothesis.split()
    reference, hypothesis = " ".join(reference_words), " ".join(hypothesis_words)
    edits = Counter(edit.tag for edit in Levenshtein.editops(reference_words, hypothesis_words))
    return ErrorCounts(
        substitutions=edits["replace"],
        deletions=edits["delete"],
        insertions=edits["insert"],
        words=len(reference_words),
        char_errors=Levenshtein.distance(reference, hypothesis),
        chars=len(reference),
        sentences=1,
        sentence_errors=int(bool(edits)),
    )


class PathErrors(Metric):
    """Error counts of several paths over the same utterances, apart by subset, summed exactly (integers) over ranks.

    Args:
        subsets: names of the subsets that the utterances are of.
        num_paths: number of paths; `update` names one by its index.
    """

    full_state_update = False
    counts: Tensor  # (subsets, num_paths, fields of ErrorCounts) int64

    def __init__(self, subsets: Sequence[str], num_paths: int) -> None:
        super().__init__()
        self.subsets = tuple(subsets)
        zeros = torch.zeros(len(self.subsets), num_paths, len(ErrorCounts._fields), dtype=torch.int64)
        self.add_state("counts", default=zeros, dist_reduce_fx="sum")

    def update(
        self, path_index: int, references: Sequence[str], hypotheses: Sequence[str], subsets: Sequence[str]
    ) -> None:
        """Add one path's hypotheses for a batch; all sequences have one entry per utterance, `subsets` its subset."""
        totals = dict.fromkeys(self.subsets, ErrorCounts())
        for reference, hypothesis, subset in zip(references, hypotheses, subsets, strict=True):
            totals[subset] += count_errors(reference, hypothesis)
        self.counts[:, path_index] += torch.tensor(list(totals.values()), device=self.counts.device)

    def compute(self) -> dict[str, list[ErrorCounts]]:
        """The counts of every path, by subset, over all ranks."""
        per_subset = zip(self.subsets, self.counts.tolist(), strict=True)
        return {subset: [ErrorCounts(*row) for row in rows] for subset, rows in per_subset}
