"""N-gram language models of words: read from ARPA files, or estimated from texts and written to one."""

from __future__ import annotations

import gzip
import io
import math
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from fold.errors import FoldError
from fold.files import replacing

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
LOG_10 = math.log(10)
NEVER = -99.0  # what ARPA files write for log10 0

History = tuple[int, ...]
"""The words before a word, by index, the last of them last."""


@dataclass(frozen=True, eq=False)
class NGram:
    """Probabilities of a word after others, of which shorter histories stand in for those that were not seen.

    Attributes:
        order: Most words of an n-gram.
        words: All that it knows, with `<s>` and `</s>`.
    """

    order: int
    words: list[str]
    _seen: dict[History, tuple[np.ndarray, np.ndarray]] = field(repr=False)  # words after a history; log probabilities
    _backoff: dict[History, float] = field(repr=False)

    def start(self) -> History:
        """The history of a first word."""
        return self.known((self.words.index(BEGIN),))

    def known(self, history: History) -> History:
        """As much of the end of a history as the model can tell apart."""
        history = history[max(0, len(history) - self.order + 1) :]
        while history and history not in self._seen and not self._backoff.get(history):
            history = history[1:]
        return history

    def after(self, history: History) -> np.ndarray:
        """Log probability of each of `words` after a history, (words,) float64. history: as `known` gives it."""
        if not history:
            log_probs = np.full(len(self.words), -np.inf)
        else:
            log_probs = self.after(self.known(history[1:])) + self._backoff.get(history, 0.0)
        if history in self._seen:
            words, seen = self._seen[history]
            log_probs[words] = seen
        return log_probs


def read_arpa(file: str | os.PathLike[str]) -> NGram:
    """The model of an ARPA file, as KenLM and SRILM write them, packed with gzip or not.

    Raises FoldError if it cannot be read, or is no ARPA file, or ends too soon.
    """
    try:
        with (gzip.open if str(file).endswith(".gz") else open)(file, "rt", encoding="utf-8") as lines:
            return _parsed(lines)
    except (OSError, EOFError, zlib.error) as error:
        raise FoldError(
            f"language model {file}: cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from None
    except (ValueError, LookupError, StopIteration) as error:
        reason = f": {error}" if str(error) else ""
        raise FoldError(f"language model {file}: no complete ARPA file of n-grams (text){reason}") from None


def _parsed(lines: Iterable[str]) -> NGram:
    """Raises ValueError, LookupError or StopIteration for what is no ARPA file."""
    stripped = (line.strip() for line in lines)
    next(line for line in stripped if line == "\\data\\")
    counts = [int(line.split("=")[1]) for line in _section(stripped)]
    index: dict[str, int] = {}
    seen: dict[History, tuple[list[int], list[float]]] = {}
    backoff: dict[History, float] = {}
    for order, count in enumerate(counts, start=1):
        found = 0
        for log_prob, words, weight in (_entry(line, order) for line in _section(stripped)):
            if order == 1:
                index.setdefault(words[0], len(index))
            *history, last = (index[word] for word in words)
            following = seen.setdefault(tuple(history), ([], []))
            following[0].append(last)
            following[1].append(log_prob * LOG_10 if log_prob > NEVER else -math.inf)
            if weight:
                backoff[(*history, last)] = weight * LOG_10
            found += 1
        if found != count:
            raise ValueError(f"{found} of {count} n-grams of order {order}")
    if BEGIN not in index or END not in index:
        raise ValueError(f"no {BEGIN} or {END}")
    arrays = {history: (np.array(words), np.array(log_probs)) for history, (words, log_probs) in seen.items()}
    return NGram(len(counts), list(index), arrays, backoff)


def _section(lines: Iterator[str]) -> Iterator[str]:
    """The lines up to the next section. Raises ValueError if there is none."""
    for line in lines:
        if line.startswith("\\"):
            return
        if line:
            yield line
    raise ValueError("it ends too soon")


def _entry(line: str, order: int) -> tuple[float, list[str], float]:
    log_prob, *words = line.split()
    if len(words) not in (order, order + 1):
        raise ValueError(f"expected {order} words: {line[:80]}")
    weight = float(words.pop()) if len(words) > order else 0.0
    return float(log_prob), words, weight


def write_arpa(file: Path, texts: Iterable[str], order: int) -> int:
    """Estimates a model from texts, words between spaces, and writes it. Returns how many words the texts have.

    Interpolated Kneser-Ney smoothing (Chen and Goodman 1999, "An empirical study of smoothing techniques for language
    modeling", section 4.1.6, where each order has one discount), which gives unseen words nothing.

    Raises FoldError if there are no words.
    """
    texts = list(texts)
    num_words = sum(len(text.split()) for text in texts)
    if not num_words:
        raise FoldError("a language model of no words: expected texts that have some")
    probs, backoffs = _kneser_ney(_counts(texts, order))
    with replacing(file) as raw:
        out = io.TextIOWrapper(raw, "utf-8")
        out.write("\\data\\\n" + "".join(f"ngram {n}={len(of)}\n" for n, of in enumerate(probs, start=1)))
        for n, (of, weights) in enumerate(zip(probs, [*backoffs, {}], strict=True), start=1):
            _write_order(out, n, of, weights)
        out.write("\n\\end\\\n")
        out.flush()
        out.detach()  # `raw` is not ours to close
    return num_words


Gram = tuple[str, ...]


def _counts(texts: Iterable[str], order: int) -> list[Counter[Gram]]:
    """Of n-grams, by order; below the highest the number of different words that come before one (or, as nothing
    comes before the beginning, how often it was seen)."""
    counts: list[Counter[Gram]] = [Counter() for _ in range(order)]
    for text in texts:
        words = [BEGIN, *text.split(), END]
        for n in range(1, order + 1):
            counts[n - 1].update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    for lower, higher in zip(counts[-2::-1], counts[:0:-1], strict=True):
        seen_first = {gram: count for gram, count in lower.items() if gram[0] == BEGIN}
        lower.clear()
        lower.update(gram[1:] for gram in higher)
        lower.update(seen_first)
    return counts


def _kneser_ney(counts: list[Counter[Gram]]) -> tuple[list[dict[Gram, float]], list[dict[Gram, float]]]:
    """Probabilities of n-grams by order, and, of all orders but the highest, what their history leaves to shorter
    ones."""
    words = len(counts[0]) - 1  # without the beginning, which follows nothing
    probs: list[dict[Gram, float]] = []
    backoffs: list[dict[Gram, float]] = []
    for of in counts:
        following = {gram: count for gram, count in of.items() if gram != (BEGIN,)}
        discount = _discount(following.values())
        total, different = Counter[Gram](), Counter[Gram]()
        for gram, count in following.items():
            total[gram[:-1]] += count
            different[gram[:-1]] += 1
        left = {history: discount * different[history] / total[history] for history in total}
        shorter = probs[-1] if probs else None
        probs.append(
            {
                gram: (count - discount) / total[gram[:-1]]
                + left[gram[:-1]] * (shorter[gram[1:]] if shorter is not None else 1 / words)
                for gram, count in following.items()
            }
        )
        backoffs.append(left)
    probs[0][(BEGIN,)] = 0.0
    return probs, backoffs[1:]


def _discount(counts: Iterable[int]) -> float:
    """n1 / (n1 + 2 n2), of how many n-grams were seen once and twice."""
    of = Counter(counts)
    return of[1] / (of[1] + 2 * of[2]) if of[1] and of[2] else 0.5


def _write_order(out: IO[str], order: int, probs: dict[Gram, float], backoffs: dict[Gram, float]) -> None:
    out.write(f"\n\\{order}-grams:\n")
    for gram, prob in sorted(probs.items()):
        weight = f"\t{math.log10(backoffs[gram]):.6f}" if backoffs.get(gram) else ""
        out.write(f"{math.log10(prob) if prob else NEVER:.6f}\t{' '.join(gram)}{weight}\n")
