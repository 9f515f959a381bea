"""What one rank knows, and all must act on at the same step."""

from __future__ import annotations

import torch
import torch.distributed as dist


class Agreement:
    """Small numbers that any rank may propose at the start of a batch; at its end all ranks know the largest of each.

    The exchange is an all-reduce over a gloo group of its own, which runs in the background while the batch is
    computed: no rank waits for it as long as the ranks are less than a batch apart, and no GPU is synchronised.
    """

    def __init__(self) -> None:
        self._group: dist.ProcessGroup | None = None
        self._values = torch.zeros(0, dtype=torch.int32)
        self._exchange: dist.Work | None = None

    def propose(self, *values: int) -> None:
        """Called by all ranks, and followed by `result` on all."""
        self._values = torch.tensor(values, dtype=torch.int32)
        if dist.is_initialized() and dist.get_world_size() > 1:
            if self._group is None:
                group = dist.new_group(backend="gloo")
                assert isinstance(group, dist.ProcessGroup)  # not the number that ranks outside of a group get
                self._group = group
            self._exchange = dist.all_reduce(self._values, dist.ReduceOp.MAX, self._group, async_op=True)

    def result(self) -> list[int]:
        """The largest of what the ranks proposed."""
        if self._exchange is not None:
            self._exchange.wait()
            self._exchange = None
        return self._values.tolist()
