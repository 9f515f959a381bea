"""How memory is handed to a process that trains."""

from __future__ import annotations

import ctypes
import os
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEEP = 2**31 - 1  # bytes
LARGEST_MMAP_THRESHOLD = 2**25  # bytes; glibc takes no more


def keep_freed_memory() -> None:
    """Lets a process keep what it frees, where glibc is: by default it hands large blocks back to the system and has
    every page of them zeroed anew at the next step. On a GPU, whose batches all differ in shape, blocks may grow."""
    os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")  # read when CUDA starts
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, KEEP)
        library.mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
