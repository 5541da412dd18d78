"""Candidates in processes of their own: what they are given, what they say, and how they end."""

from __future__ import annotations

import os

import pytest

from goingdeeper.errors import MissingExtra, ResourceError
from goingdeeper.timing.workers import start


def test_a_worker_answers_and_measures_in_a_process_of_its_own(openers):
    worker = start("one", openers.tells, (1, "two"), 3)
    try:
        about, process, threads, loaded = worker.answer
        assert (about, threads, loaded) == ((1, "two"), "3", [])
        assert process == worker.process.pid != os.getpid()
        assert 0.001 <= worker.seconds < 20
        taken = worker.block(0.02)
        assert 1 < len(taken) <= 20 and min(taken) >= 0.001
    finally:
        worker.stop()
    assert worker.process.poll() == -9


def test_memory_is_the_most_beyond_what_the_process_had(openers):
    for later, expected in ((False, 64), (True, 128)):
        worker = start("one", openers.takes, (64, later), 1)
        worker.block(0.001)
        worker.stop()
        assert worker.memory is None or expected <= worker.memory / 2**20 < expected + 16


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("extra", MissingExtra, r"^pip install it$"),
        ("strange", ResourceError, r"^ZeroDivisionError: once$"),
        ("memory", ResourceError, r"^memory is short; close others, or give a smaller --batch$"),
        ("exit", ResourceError, r"^one was ended by status 3"),
    ],
)
def test_what_an_opener_raises_is_raised_here(openers, kind, error, message):
    with pytest.raises(error, match=message):
        start("one", openers.fails, (kind,), 1)


def test_a_process_that_ends_is_told_and_one_that_hangs_is_ended(openers):
    worker = start("one", openers.stops, (12,), 1)
    with pytest.raises(ResourceError, match="one was ended by SIGKILL"):
        worker.block(0.01)
    with pytest.raises(ResourceError, match="one was ended"):
        worker.block(0.01)
    worker.stop()
    with pytest.raises(ResourceError, match="late was ended by SIGKILL"):
        start("late", openers.waits, (), 1, patience=0.5)
