"""Memory that a training step on the CPU frees, kept for the next step.

glibc gives large blocks back to the system at once, and each step then has every page of its activations
mapped and cleared again: a quarter of the time of a step of GoogLeNet or ResNet-18.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # malloc.h
NEVER = -1
MAPPED = 65536  # blocks with pages of their own that glibc allows, unless told
ADAPTED = 32 * 2**20  # what glibc's threshold has risen to once a block as large was freed


@contextmanager
def kept_heap(device: str) -> Iterator[None]:
    """Until the end, free memory stays with the process; then it goes back.

    For another device than "cpu", and without glibc, nothing.
    """
    try:
        libc = ctypes.CDLL(None)
        tune, trim = libc.mallopt, libc.malloc_trim
    except (OSError, TypeError, AttributeError):  # another C library, or Windows
        device = "any"
    if device != "cpu":
        yield
        return
    tune(M_MMAP_MAX, 0)
    tune(M_TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        tune(M_MMAP_MAX, MAPPED)
        tune(M_MMAP_THRESHOLD, ADAPTED)
        tune(M_TRIM_THRESHOLD, 2 * ADAPTED)
        trim(0)
