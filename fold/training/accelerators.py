"""Whether the installed PyTorch can compute on this machine's GPUs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fold.errors import FoldError

OLDEST_DRIVER = {"12": "525", "13": "580"}  # of NVIDIA, by the major version of CUDA
ON_CPU = "--trainer.accelerator=cpu tries it without"
OTHER_BUILD = "PyTorch is also built for other CUDA versions (docs/training.md, LibriSpeech on GPUs)"


def check_gpu(accelerator: Any) -> None:
    """Raises FoldError, saying what is missing, if a GPU is asked for and none can be used."""
    if accelerator not in ("gpu", "cuda") or torch.accelerator.is_available():
        return
    version = torch.version.cuda
    if version is None:
        raise FoldError(
            f"trainer.accelerator is {accelerator}, but PyTorch {torch.__version__} is built for CPUs; {ON_CPU}"
        )
    driver = OLDEST_DRIVER.get(version.split(".")[0])
    needed = f"an NVIDIA driver of version {driver} or newer" if driver else "a newer NVIDIA driver"
    raise FoldError(
        f"trainer.accelerator is {accelerator}, but no GPU can be used: PyTorch {torch.__version__} needs {needed} and"
        f" a GPU of compute capability {_oldest(torch.cuda.get_arch_list())} or higher; {OTHER_BUILD}; {ON_CPU}"
    )


def check_port(environment: Mapping[str, str]) -> None:
    """Raises FoldError if the port at which the processes of a run would meet is none."""
    port = environment.get("MASTER_PORT", "1")
    if not (port.isdecimal() and 0 < int(port) < 1 << 16):
        raise FoldError(f"MASTER_PORT is {port}: expected the number of a free port, 1 to 65535")


def check_kernels(device: torch.device) -> None:
    """Raises FoldError if PyTorch holds no kernels for a GPU, which would fail in the first of them."""
    if device.type != "cuda" or torch.version.hip is not None:
        return
    capability, architectures = torch.cuda.get_device_capability(device), torch.cuda.get_arch_list()
    if not has_kernels(capability, architectures):
        raise FoldError(
            f"{torch.cuda.get_device_name(device)} has compute capability {'.'.join(map(str, capability))}, for which"
            f" PyTorch {torch.__version__} holds no kernels ({' '.join(architectures)}); {OTHER_BUILD}; {ON_CPU}"
        )


def has_kernels(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """Whether code built for some architectures runs on a GPU: kernels (`sm_86`) on those of the same major version and
    no lower minor one, intermediate code (`compute_86`) on all later ones, what ends in a letter only on that one."""
    for kind, major, minor, exact in re.findall(r"(sm|compute)_(\d+)(\d)([a-z]?)", " ".join(architectures)):
        built = int(major), int(minor)
        if built == capability or (
            not exact and built < capability and (kind == "compute" or built[0] == capability[0])
        ):
            return True
    return False


def _oldest(architectures: Sequence[str]) -> str:
    """The lowest compute capability, as `7.5`."""
    built = re.findall(r"sm_(\d+)(\d)", " ".join(architectures))
    return min((f"{major}.{minor}" for major, minor in built), key=float, default="unknown")
