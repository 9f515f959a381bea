"""How often the host waits for a GPU: counted on tensors without content, which may be on a GPU that is not there."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from fold.losses import Targets
from fold.models import Architecture, Conformer, Foundation
from fold.models.foundation import Shape
from fold.models.frontend import SpecAugmentConfig
from fold.objective import JointObjective
from fold.paths import PathSpace
from fold.sampling import DepthFirst, step_generator

READS = ("_local_scalar_dense", "nonzero", "unique", "masked_select")  # whose result the host needs
SPACE = PathSpace(3, 2)
MOST = 2  # of a step: CTC, once for all paths, and the transcripts that it fetches when it looks for a faster kernel


class Waits(TorchDispatchMode):
    """Counts the operations for which the host waits: reads of values, copies to the host, CTC's own."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = function.overloadpacket.__name__
        if name.startswith(
            "_use_"
        ):  # of other libraries; CTC has no form without content: what it would give is made here
            return False
        if name == "_ctc_loss":
            self.counts[name] += 1
            self.counts["lengths on the GPU"] += sum(
                isinstance(a, Tensor) and a.device.type != "cpu" for a in args[2:4]
            )
            return args[0].new_zeros(args[0].shape[1]), args[0].new_zeros(1)
        if name == "_local_scalar_dense" and args[0].device.type == "cpu":
            return 1  # a number that the host has; any will do here
        result = function(*args, **kwargs)
        if name in READS and args[0].device.type != "cpu":
            self.counts[name] += 1
        if name in ("_to_copy", "copy_"):
            source = args[0] if name == "_to_copy" else args[1]
            blocking = not (kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2]))
            if source.device != result.device and (blocking or result.device.type == "cpu"):
                self.counts[f"{source.device.type} to {result.device.type}"] += 1
        return result


def foundation() -> Foundation:
    convolutions = {"conv_channels": (16, 16), "conv_kernels": (10, 3), "conv_strides": (5, 2)}
    shape = Shape(num_layers=3, dim=32, num_heads=4, ffn_dim=32, position_kernel=8, position_groups=4, **convolutions)
    return Foundation(shape=shape)


def conformer(**settings: Any) -> Conformer:
    masks = SpecAugmentConfig(freq_width=5, time_width=10)
    return Conformer(
        num_layers=3, dim=32, num_heads=4, ffn_dim=32, kernel_size=7, num_mels=40, spec_augment=masks, **settings
    )


@pytest.mark.parametrize(
    "network",
    [conformer(decoder_layers=0), conformer(decoder_layers=1, decoder_ffn_dim=32), foundation()],
    ids=["conformer", "hybrid", "foundation"],
)
def test_a_step_makes_the_host_wait_for_ctc_only(network: Architecture) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True), Waits() as waits:
        with torch.device("cuda"):
            model = network.build(20, 16_000).train()
            waveforms, units = torch.zeros(3, 16_000), torch.ones(3, 5, dtype=torch.long)
        waits.counts.clear()
        num_samples, num_units = torch.tensor([16_000, 15_000, 9_000]), torch.tensor([5, 4, 3])  # on the CPU
        targets = Targets(units, num_units)
        paths = DepthFirst(num_paths=2).paths(SPACE, 0, 1.0, step_generator(0, 0))
        with torch.autocast("cuda", torch.bfloat16):
            outputs = model(waveforms, num_samples, paths.in_order, targets.prefixes(19))
            JointObjective()(paths, outputs, targets, progress=0.9)
    assert waits.counts.total() <= MOST, waits.counts
    assert waits.counts["_ctc_loss"] == 1


def test_lengths_on_the_gpu_are_waited_for() -> None:
    """The counter sees what the rest of the test rests on."""
    with FakeTensorMode(allow_non_fake_inputs=True), Waits() as waits:
        lengths = torch.ones(3, device="cuda")
        lengths.to("cpu")
        lengths.to("cpu", non_blocking=True)
    assert waits.counts["cuda to cpu"] == 2
