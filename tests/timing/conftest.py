"""Rows as they come out of a measurement, made by hand; and what other processes open."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from goingdeeper.timing.candidates import Candidate
from goingdeeper.timing.floor import Peak
from goingdeeper.timing.rows import Bench, Row
from goingdeeper.timing.side_by_side import ratio


def _candidate(name, batch=1, goal="latency", what="goingdeeper", precision="float32"):
    return Candidate(what, name, precision, batch, goal, 2)


@pytest.fixture(scope="session")
def row():
    """row("openvino", [0.01, 0.02]): ours, of so many seconds a call in each round; to: a rival's."""

    def made(name, means, *, batch=1, goal="latency", what="goingdeeper", precision="float32", to=()):
        middle = sorted(means)[len(means) // 2]
        return Row(
            _candidate(name, batch, goal, what, precision), batch / middle, 1000 * middle, 2000 * middle,
            123_456_789, 1.25, 1e-6, {rival: ratio(seconds, means) for rival, seconds in to},
            tuple(means),
        )  # fmt: skip

    return made


@pytest.fixture(scope="session")
def measurement():
    def made(rows, **changed):
        facts = {
            "network": "resnet-50", "macs": 4_000_000_000, "peak": Peak(8e11, "a product"), "rounds": 3,
            "machine": {"processor": "AMD EPYC", "threads": 2, "versions": {"torch": "2.13"}}, "seconds": 0.5,
            "wrong": (), "skipped": (), "failed": None, "interrupted": False,
        }  # fmt: skip
        return Bench(rows=tuple(rows), **(facts | changed))

    return made


@pytest.fixture
def openers(monkeypatch):
    """The module beside this file, also for other processes."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    spec = importlib.util.find_spec("openers")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "openers", module)
    spec.loader.exec_module(module)
    return module
