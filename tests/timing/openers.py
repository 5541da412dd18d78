"""What the tests of workers open in another process."""

from __future__ import annotations

import os
import sys
import time

import numpy as np

from goingdeeper.errors import MissingExtra
from goingdeeper.timing.side_by_side import WARM_UP

HELD = []


def tells(*about):
    print("not an answer")

    def call():
        time.sleep(0.001)
        return (
            about,
            os.getpid(),
            os.environ["OMP_NUM_THREADS"],
            sorted({"torch", "pytest"} & set(sys.modules)),
        )

    return call


def takes(megabytes, later):
    """So many at once, and as many again at a later call."""
    HELD.append(b"x" * (megabytes << 20))
    calls = 0

    def call():
        nonlocal calls
        calls += 1
        if later and calls == 11:
            HELD.append(b"x" * (megabytes << 20))

    return call


def fails(kind):
    if kind == "extra":
        raise MissingExtra("pip install it")
    if kind == "strange":
        raise ZeroDivisionError("once\nand again")
    if kind == "memory":
        raise MemoryError
    os._exit(3)


def stops(after):
    """Ends its process at a call."""
    calls = 0

    def call():
        nonlocal calls
        calls += 1
        if calls == after:
            os.kill(os.getpid(), 9)

    return call


def waits():
    time.sleep(60)


def candidate(one, folder):
    """Right logits for the tests of `measured`, but of int8; two runtimes end within a block."""
    if one.precision == "int8":
        raise MissingExtra("pip install it")
    logits = np.load(folder / "logits.npy")[: one.batch]
    calls = 0

    def call():
        nonlocal calls
        calls += 1
        if calls > 1 + WARM_UP and one.batch > 1:
            if one.runtime == "torch":
                raise MemoryError("so many bytes\nand a line more")
            if one.runtime == "onnxruntime":
                os.kill(os.getpid(), 9)
        return logits

    return call
