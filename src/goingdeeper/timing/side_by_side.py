"""How candidates are compared: in turn, A B .. B A, medians of ratios with a bootstrap interval."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from goingdeeper.data.processors import processor
from goingdeeper.errors import GoingDeeperError

Block = Callable[[float], Sequence[float]]
"""Calls a candidate for some seconds, once at least, and gives the seconds of each call."""

Key = TypeVar("Key")

WARM_UP = 10
DRAWS = 10_000
ENOUGH = 5
"""Pairs of blocks at the fewest, of which an interval is given."""


@dataclass(frozen=True)
class Ratio:
    """How many times as fast, the median over pairs; low and high: its bootstrap 95 % interval, of fewer than
    `ENOUGH` pairs the smallest and the largest, of one nan."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """seconds: of one call, the median of the blocks. ratio: the reference's time over this one's."""

    name: str
    seconds: float
    ratio: Ratio


def compare(
    candidates: Mapping[str, Callable[[], object]],
    reference: str,
    *,
    rounds: int = 15,
    block_seconds: float = 1.0,
    warm_up: int = 3,
) -> list[Comparison]:
    """The candidates' times in this process, and their ratios to the one named reference."""
    for call in candidates.values():
        for _ in range(warm_up):
            call()
    blocks = {name: partial(block, call) for name, call in candidates.items()}
    return compare_blocks(blocks, reference, rounds=rounds, block_seconds=block_seconds)


def compare_blocks(
    blocks: Mapping[str, Block], reference: str, *, rounds: int = 15, block_seconds: float = 1.0
) -> list[Comparison]:
    """As `compare`, of candidates that are warm, and call themselves for the seconds of a block."""
    times: dict[str, list[Sequence[float]]] = {name: [] for name in blocks}
    in_turn(blocks, rounds, block_seconds, times)
    means = {name: [statistics.fmean(one) for one in taken] for name, taken in times.items()}
    return [
        Comparison(name, statistics.median(own), ratio(means[reference], own)) for name, own in means.items()
    ]


def block(
    call: Callable[[], object], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """The seconds of each call, of as many as begin within so many seconds; of one at least."""
    begun = before = clock()
    taken = []
    while True:
        call()
        now = clock()
        taken.append(now - before)
        if now - begun >= seconds:
            return taken
        before = now


def in_turn(
    blocks: Mapping[Key, Block],
    rounds: int,
    seconds: float,
    times: dict[Key, list[Sequence[float]]],
    tell: Callable[[], object] = lambda: None,
    lost: Callable[[Key, GoingDeeperError], object] | None = None,
) -> None:
    """Adds a block of each candidate a round to `times`, every other round in the opposite order.

    So the drift of a machine hits all alike. tell: called after each block. lost: takes the error of a
    candidate that ends, which is taken out of `times`; without it the error is raised. What is measured stays
    in `times` where this is interrupted.
    """
    for number in range(rounds):
        names = list(times)
        for name in names if number % 2 == 0 else reversed(names):
            try:
                times[name].append(blocks[name](seconds))
            except GoingDeeperError as problem:
                if lost is None:
                    raise
                lost(name, problem)
                del times[name]
            tell()


def ratio(base: Sequence[float], own: Sequence[float]) -> Ratio:
    """How many times as fast as another whose blocks took turns with its own, pair by pair.

    base, own: seconds of a call in each round. The interval is that of the median when rounds are drawn anew,
    percentiles of `DRAWS` draws; fewer rounds than `ENOUGH` have none, as `Ratio` says.
    """
    ratios = np.array(base) / np.array(own)
    if len(ratios) < ENOUGH:
        low, high = (ratios.min(), ratios.max()) if len(ratios) > 1 else (np.nan, np.nan)
        return Ratio(float(np.median(ratios)), float(low), float(high))
    drawn = np.random.default_rng(0).choice(ratios, (DRAWS, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return Ratio(float(np.median(ratios)), float(low), float(high))


def machine() -> str:
    """The processor, threads and versions that a result in this process belongs to."""
    import torch

    python = sys.version.split()[0]
    threads = torch.get_num_threads()
    return f"{processor()}, {threads} threads, torch {torch.__version__}, Python {python}"


def show(title: str, rows: list[Comparison], per_call: int = 1, unit: str = "calls") -> None:
    """A small table, and the same as one line of JSON."""
    print(f"{title}\n{machine()}")
    for row in rows:
        rate = per_call / row.seconds
        r = row.ratio
        print(f"  {row.name:<28} {rate:10.1f} {unit}/s   {r.value:5.2f}x  ({r.low:.2f} to {r.high:.2f})")
    record = [
        {
            "what": r.name, "seconds": r.seconds, "ratio": r.ratio.value,
            "ratio_95": [r.ratio.low, r.ratio.high],
        }
        for r in rows
    ]  # fmt: skip
    print(json.dumps({"title": title, "machine": machine(), "rows": record}))
