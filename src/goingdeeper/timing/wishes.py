"""What is to be measured, checked before anything takes time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import get_args

from goingdeeper.data.processors import cpus
from goingdeeper.errors import MissingExtra, UsageError, unknown
from goingdeeper.runtimes.known import RUNTIMES
from goingdeeper.runtimes.runner import Goal
from goingdeeper.timing.candidates import (
    AGAINST,
    COMPILED,
    EAGER,
    OURS,
    WAYS,
    Candidate,
)
from goingdeeper.timing.side_by_side import WARM_UP
from goingdeeper.timing.workers import LONGEST

PRECISIONS = ("float32", "int8")

INT8 = tuple(name for name, one in RUNTIMES.items() if one.int8)

USUAL_FLOPS = 40e9
"""What a thread of a present-day processor computes a second, for an estimate beforehand."""

GOALS: tuple[Goal, ...] = get_args(Goal)


@dataclass(frozen=True)
class Wishes:
    """What is to be measured. named: runtimes that were asked for by name, which must not be missing.

    left_out: why others are none of `runtimes`, which `checked` finds.
    """

    runtimes: tuple[str, ...] = tuple(WAYS)
    precisions: tuple[str, ...] = ("float32",)
    batches: tuple[int, ...] = (1, 32)
    against: tuple[str, ...] = ("eager",)
    named: frozenset[str] = frozenset()
    threads: int = 0
    rounds: int = 3
    seconds: float = 0.5
    left_out: tuple[str, ...] = ()


def threads_of(wishes: Wishes) -> int:
    """Raises UsageError where more are wished than there are processors."""
    if wishes.threads > cpus():
        raise UsageError(
            f"--threads {wishes.threads}: this machine has {cpus()} processors to use; give no more"
        )
    return wishes.threads or cpus()


def checked(wishes: Wishes) -> Wishes:
    """With threads set, without runtimes that are not installed.

    Raises UsageError for names that are none, more threads than processors, and for int8 where no runtime
    has it; MissingExtra for what was asked for.
    """
    threads = threads_of(wishes)
    for name in wishes.runtimes:
        if name not in WAYS:
            raise unknown("runtime", name, WAYS, f"there are {', '.join(WAYS)}")
    for name in wishes.against:
        if name not in AGAINST:
            raise unknown("rival", name, AGAINST, f"there are {', '.join(AGAINST)}")
    for name in wishes.precisions:
        if name not in PRECISIONS:
            raise unknown("precision", name, PRECISIONS, f"there are {', '.join(PRECISIONS)}")
    for name in {*wishes.against, *wishes.named}:
        problem = missing(name)
        if problem:
            raise MissingExtra(problem)
    problems = {name: problem for name in wishes.runtimes if (problem := missing(name))}
    runtimes = tuple(name for name in wishes.runtimes if name not in problems)
    if "int8" in wishes.precisions and not set(runtimes) & set(INT8):
        if problems:
            raise MissingExtra(next(iter(problems.values())))
        raise UsageError(f"none of {', '.join(runtimes)} runs int8; --runtime {','.join(INT8)} does")
    left_out = tuple(problems.values())
    return replace(wishes, runtimes=runtimes, left_out=left_out, threads=threads)


def planned(wishes: Wishes, batch: int) -> list[Candidate]:
    """The candidates at a batch, ours first. A batch that threads can share is also tried in parts."""

    def each(what: str, runtime: str, precision: str = "float32") -> list[Candidate]:
        shared = wishes.threads > 1 and batch > 1 and batch % wishes.threads == 0
        goals = GOALS if shared and runtime in RUNTIMES and RUNTIMES[runtime].streams else GOALS[:1]
        return [Candidate(what, runtime, precision, batch, goal, wishes.threads) for goal in goals]

    ours = [
        one
        for runtime in wishes.runtimes
        for precision in wishes.precisions
        if precision == "float32" or runtime in INT8
        for one in each(OURS, runtime, precision)
    ]
    rivals = [
        one
        for rival in wishes.against
        for what in AGAINST[rival]
        for one in each(what, EAGER if rival == "eager" else rival)
    ]
    return ours + rivals


def estimate(wishes: Wishes, macs: int) -> float:
    """Seconds that it takes, roughly: blocks, warming up, and loading, of which compiling is the most."""
    total = 8.0 * (1 + len(wishes.batches))  # the peak, before and after
    total += 60 if "torch" in wishes.runtimes else 0
    for batch in wishes.batches:
        for one in planned(wishes, batch):
            call = 2 * macs * batch / (wishes.threads * USUAL_FLOPS)
            warm = min(WARM_UP * call, max(LONGEST, 4 * call))
            load = 60 if one.runtime == COMPILED else 4
            total += load + warm + wishes.rounds * max(wishes.seconds, call)
    return total


def announced(wishes: Wishes, plans: Mapping[int, Sequence[Candidate]], macs: int) -> str:
    minutes = estimate(wishes, macs) / 60
    about = f"about {minutes:.0f} min" if minutes >= 1.5 else f"about {60 * minutes:.0f} s"
    counts = " and ".join(f"{len(plan)} at batch {batch}" for batch, plan in plans.items())
    blocks = f"{wishes.rounds} block{'' if wishes.rounds == 1 else 's'} of {wishes.seconds:g} s"
    return f"{about}: candidates {counts}, {blocks} each, and loading"


def missing(name: str) -> str:
    """What to say where a runtime's packages are not all there."""
    if name in RUNTIMES:
        runtime = RUNTIMES[name]
        for package in (*runtime.writes, runtime.package):
            if find_spec(package) is None:
                return str(runtime.missing(package))
    return ""
