"""How many epochs fit into a time: a few steps are tried on a copy of the network."""

from __future__ import annotations

import copy
import math
import re
import statistics
import time
from dataclasses import replace
from itertools import islice

from goingdeeper.errors import UsageError
from goingdeeper.training.engine import Engine
from goingdeeper.training.job import Job
from goingdeeper.training.loop import EVALUATION, Trainer

STEPS, AT_MOST = 12, 20.0
"""So many steps are tried, for so many seconds at most."""
SHARE = 0.95
"""Of the time, what the epochs are to take: steps grow a little slower, and a run's end takes time too."""


def seconds(text: str) -> float:
    """`90s`, `10m`, `1h30m` in seconds. Raises UsageError for anything else."""
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip().lower())
    hours, minutes, rest = (int(part or 0) for part in parts.groups()) if parts else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + rest
    if not total:
        raise UsageError(f"--time {text}: not a time such as 90s, 10m or 1h30m")
    return float(total)


def epochs_within(job: Job, budget: float, engine: Engine | None = None) -> tuple[int, float]:
    """The epochs that fit into SHARE of `budget` seconds, at least one, and the seconds that one takes here.

    An epoch is its training steps and the evaluation after it. The job's network is left as it is.
    """
    trainer = Trainer(replace(job, net=copy.deepcopy(job.net)), engine=engine)
    trainer.progress.epoch += job.head_epochs  # which take less time than those that follow
    tries = trainer.tries()
    taken: list[float] = []
    clock = time.perf_counter()
    start = clock
    try:
        for _ in islice(tries, STEPS):
            now = time.perf_counter()
            taken.append(now - clock)
            clock = now
            if now - start > AT_MOST and len(taken) > 1:
                break
    finally:
        tries.close()  # type: ignore[attr-defined]
    pace = statistics.median(taken[1:] or taken)  # the first takes longer
    epoch = pace * (job.steps_per_epoch + EVALUATION * len(job.val) / job.recipe.batch)
    return max(1, math.floor(SHARE * budget / epoch)), epoch
