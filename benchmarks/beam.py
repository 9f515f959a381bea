"""Joint CTC/attention beam search: a batch of utterances at once against one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.report import Row, Section
from benchmarks.timing import interleaved, ratios, summary
from benchmarks.workload import MAX_REPEATS, SAMPLE_RATE, Workload
from fold.decoding.decode import Decoding
from fold.models import PathOutput
from fold.paths import PathSpace
from fold.text.units import CharUnits

BATCHES = 4  # of the training's size, as evaluation keeps no gradients
DECODER_LAYERS = 6
FIRST, SILENT = ord("a"), 3  # a character for each unit but blank, unknown and end
SURE = 40.0  # logit of the unit that CTC hears


@torch.no_grad()
def beam(work: Workload, device: torch.device, rounds: int) -> Section:
    """Decoding alone; CTC is sure of random transcripts, so that there are as many labels as in speech."""
    work = replace(work, batch_size=BATCHES * work.batch_size)
    architecture = replace(work.conformer(), decoder_layers=DECODER_LAYERS, decoder_ffn_dim=work.ffn_dim)
    model = architecture.build(work.vocab_size, SAMPLE_RATE).to(device).eval()
    together = make_output(work, device)
    utterances = [utterance(together, row) for row in range(work.batch_size)]
    decoding = Decoding("beam")
    units = CharUnits([chr(FIRST + index) for index in range(work.vocab_size - SILENT)])

    counts = Operations()
    with counts:
        [found] = decoding(model, [together], units)
    each = [decoding(model, [alone], units)[0][0] for alone in utterances]
    differing = sum(labels != others for labels, others in zip(each, found, strict=True))
    calls = {
        "one by one": lambda _: [decoding(model, [alone], units) for alone in utterances],
        "batch": lambda _: decoding(model, [together], units),
    }
    seconds = interleaved(calls, rounds, device, "beam search")
    labels = [len(of) for of in found]
    section = Section(f"Beam search, {decoding}, {work.batch_size} utterances, decoder of {DECODER_LAYERS} layers")
    section.rows.append(Row("one by one / batch", ratios(seconds["one by one"], seconds["batch"])))
    section.rows.append(Row("operations a label, whole batch", [counts.a_label()], ""))
    section.notes.append(f"{summary(seconds)}; {min(labels)} to {max(labels)} labels; {differing} transcripts differ")
    return section


def make_output(work: Workload, device: torch.device) -> PathOutput:
    """Noise, with CTC log-probabilities of random transcripts, a frame a label, spread over the utterances."""
    x, num_frames = work.frames(device)
    targets = work.targets(device)
    logits = torch.zeros(*x.shape[:2], work.vocab_size, device=device)
    logits[..., 0] = SURE
    for row, (units, frames, length) in enumerate(zip(targets.units, num_frames, targets.num_units, strict=True)):
        spread = torch.linspace(0, int(frames) - 1, int(length), device=device).long()
        logits[row, spread, 0] = 0.0
        logits[row, spread, units[: int(length)]] = SURE
    deepest = PathSpace(work.num_layers, MAX_REPEATS).deepest
    return PathOutput(deepest, x.detach(), num_frames, logits.log_softmax(-1))


def utterance(output: PathOutput, row: int) -> PathOutput:
    """One utterance of a batch, without padding."""
    frames = int(output.num_frames[row])
    return PathOutput(
        output.path,
        output.encoded[row : row + 1, :frames],
        output.num_frames[row : row + 1],
        output.ctc_log_probs[row : row + 1, :frames],
    )


class Operations(TorchDispatchMode):
    """Counts the operations that compute, not those that only view a tensor; one, `topk`, comes once a label."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        views = any(a.alias_info is not None and not a.alias_info.is_write for a in function._schema.returns)
        self.counts[function.overloadpacket.__name__] += not views
        return function(*args, **(kwargs or {}))

    def a_label(self) -> float:
        return self.counts.total() / self.counts["topk"]
