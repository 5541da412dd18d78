"""SIGTERM or Ctrl-C while images are first read, in a step, in an evaluation, and in a save."""

from __future__ import annotations

import random

import pytest

TRIALS = {"test_a_signal": (10, 40)}

WHEN = ("reading", "step", "evaluation", "save")
STATUS = {"SIGTERM": 143, "SIGINT": 130}


@pytest.mark.slow
def test_a_signal(here, train, finish, whole, steps_saved, trial):
    chance = random.Random(trial)
    act = ("SIGTERM", "SIGINT")[trial // 4 % 2]
    kind = WHEN[trial % 4]
    # Never the run's last operations of a kind: it might be finished before it could stop.
    fault = {"at": kind, "number": chance.randint(1, whole.counts[kind]), "act": act}
    done = train(fault=fault, cpus=1 + trial // 8 % 2, not_resident=trial // 16 % 2 == 1)
    assert done.happened and done.seconds < 10
    assert done.status == STATUS[act], done
    assert "Traceback" not in done.err
    if kind == "reading":
        assert done.last == f"deeper: {'terminated' if act == 'SIGTERM' else 'interrupted'}"
        assert not (here / "run").exists()
    else:
        assert done.last.startswith("deeper: interrupted; everything is saved up to ")
        assert "Go on with: deeper train photos" in done.last
        assert steps_saved(here / "run") == done.counts["step"]
    finish()
