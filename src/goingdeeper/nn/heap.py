"""Memory that one step or batch on the CPU frees, kept for the next.

glibc gives large blocks back to the system at once, and each step then has every page of its activations
mapped and cleared again: a quarter of the time of a step of GoogLeNet or ResNet-18.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # malloc.h
NEVER = -1
MAPPED = 65536  # blocks with pages of their own that glibc allows, unless told
ADAPTED = 32 * 2**20  # what glibc's threshold has risen to once a block as large was freed

_lock, _within = threading.Lock(), 0


@contextmanager
def kept_heap(device: str = "cpu") -> Iterator[None]:
    """Until the end of the outermost one, free memory stays with the process; then it goes back.

    For another device than "cpu", and without glibc, nothing.
    """
    libc = _glibc() if device == "cpu" else None
    if libc is None:
        yield
        return
    _count(libc, 1)
    try:
        yield
    finally:
        _count(libc, -1)


def _glibc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL(None)
        return libc if libc.mallopt and libc.malloc_trim else None
    except (OSError, TypeError, AttributeError):  # another C library, or Windows
        return None


def _count(libc: ctypes.CDLL, change: int) -> None:
    global _within
    with _lock:
        before, _within = _within, _within + change
        if not before:
            libc.mallopt(M_MMAP_MAX, 0)
            libc.mallopt(M_TRIM_THRESHOLD, NEVER)
        elif not _within:
            libc.mallopt(M_MMAP_MAX, MAPPED)
            libc.mallopt(M_MMAP_THRESHOLD, ADAPTED)
            libc.mallopt(M_TRIM_THRESHOLD, 2 * ADAPTED)
            libc.malloc_trim(0)
