"""kill -9 at random moments of a run, which is then gone on with until it is finished."""

from __future__ import annotations

import random
import time

import pytest

TRIALS = {"test_killed_and_gone_on_with": (25, 200)}

KINDS = ("moment", "step", "save", "moment", "evaluation", "model", "table", "reading")


@pytest.mark.slow
def test_killed_and_gone_on_with(forker, here, train, words, finish, whole, trial):
    """Up to three times, in whatever is being done; with one and two processors for the loader's threads,
    with the images in memory and read again at each use."""
    chance = random.Random(trial)
    how = {"cpus": 1 + trial % 2, "not_resident": trial // 8 % 2 == 1}
    kinds = [KINDS[trial % len(KINDS)], *chance.choices(KINDS, k=chance.randrange(3))]
    for attempt, kind in enumerate(kinds):
        if kind == "moment":
            forker.start("deeper", *words, cwd=here, **how)
            time.sleep(chance.uniform(0, whole.seconds))
            forker.kill()
            done = forker.end()
        else:
            number = chance.randint(1, whole.counts[kind])
            done = train(fault={"at": kind, "number": number, "act": "kill"}, **how)
            assert done.status == -9 or attempt, done
        # A run that goes on may be finished before it reaches what was drawn.
        assert done.status in (-9, 0) or "holds a finished run" in done.last, done
    saved = list((here / "run" / "checkpoints").glob("step-*"))
    done = finish(**how)
    assert "going on from" in done.err or not saved or done.status != 0
    assert "passed over" not in done.err
