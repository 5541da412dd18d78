"""Ctrl-C and SIGTERM in long work: the first asks to stop where all can be kept, a second one quits."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN = 0.5
"""Seconds from which on a signal is a second one. One Ctrl-C reaches a process of several twice at once: from
the terminal, and from the process that watches it."""


class StopRequest:
    """Which signal asked to stop, if one did."""

    signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Within, SIGINT and SIGTERM are noted instead of raised. Does nothing off the main thread."""
    request, begun = StopRequest(), 0.0
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal begun
        if request.signal is None:
            request.signal, begun = number, time.monotonic()
        elif time.monotonic() - begun >= AGAIN:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
