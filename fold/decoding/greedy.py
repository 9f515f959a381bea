"""Greedy (best path) CTC decoding."""

import torch
from torch import Tensor


def ctc_greedy(log_probs: Tensor, num_frames: Tensor, blank: int = 0) -> list[list[int]]:
    """Take the best unit of every frame, merge repeats, drop blanks (Graves et al. 2006, section 3.2).

    Args:
        log_probs: (batch, time, units); logits serve as well, since only their order counts.
        num_frames: (batch,) valid frames of each utterance; later frames are ignored.
        blank: index of the blank unit.

    Returns:
        The label sequence of each utterance.
    """
    best = log_probs.argmax(dim=-1)
    starts = torch.ones_like(best, dtype=torch.bool)
    starts[:, 1:] = best[:, 1:] != best[:, :-1]
    frame = torch.arange(best.shape[1], device=best.device)
    valid = frame < num_frames.to(best.device)[:, None]
    # Whatever is not a label becomes a blank, so that one transfer brings all the host needs.
    labels = best.masked_fill(~(starts & valid), blank).tolist()
    return [[unit for unit in row if unit != blank] for row in labels]
