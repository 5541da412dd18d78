"""Which of the measured ways to take, why, and where a run keeps that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from goingdeeper.files import write_whole
from goingdeeper.runs.stored import sealed
from goingdeeper.runtimes.exported import export_name
from goingdeeper.runtimes.runner import Goal
from goingdeeper.timing.candidates import EAGER, WAYS, Candidate
from goingdeeper.timing.rows import Row
from goingdeeper.timing.side_by_side import ratio

PROGRAM = "torch"
"""The runtime of a compiled program: code, which runs only where it is named itself."""


@dataclass(frozen=True)
class Choice:
    """The export to take, and why. goal: what was asked for, which one batch at a time can serve best.

    compared: whether it is the best of several that a run can answer by, of which its own PyTorch eager is
    one. faster: a compiled program, which nothing takes by itself, that is faster.
    """

    candidate: Candidate
    goal: Goal
    reason: str
    compared: bool = True
    faster: Candidate | None = None

    @property
    def export(self) -> str:
        """Where `deeper export` writes it, below the run."""
        return _export_of(self.candidate)

    @property
    def keepable(self) -> bool:
        """Whether a run may answer by it from now on."""
        return self.compared and self.candidate.runtime != PROGRAM

    @property
    def program(self) -> str:
        """Where the compiled program that is faster, or the only one, is below the run; "" without one."""
        one = self.faster or (self.candidate if self.candidate.runtime == PROGRAM else None)
        return _export_of(one) if one else ""

    @property
    def said(self) -> str:
        return f"{self.candidate.name} for {self.goal}: {self.reason}"


def recommended(rows: Sequence[Row], goal: Goal) -> Choice | None:
    """The fastest for a goal of what `deeper export` writes, and why; None where none was measured.

    For latency by the median of the calls at the smallest batch that was measured, for throughput whichever
    batch gives the most images a second. PyTorch eager is not among it: a run that has no export answers by
    the network that is not rewritten. A compiled program is only where it is alone.
    """
    ours = [row for row in rows if row.candidate.ours and WAYS[row.candidate.runtime]]
    if not ours:
        return None
    if goal == "latency":
        smallest = min(row.candidate.batch for row in ours)
        ours = [row for row in ours if row.candidate.batch == smallest]
    fastest = min(ours, key=lambda row: _cost(row, goal))
    best = min(
        (row for row in ours if row.candidate.runtime != PROGRAM), key=lambda row: _cost(row, goal),
        default=fastest,
    )  # fmt: skip
    one = best.candidate
    others = [row for row in rows if row is not best and row.candidate.batch == one.batch]
    own = [row for row in others if row.candidate.ours or row.candidate.what == EAGER]
    return Choice(
        one, goal, _reason(best, others, goal), bool(own), None if fastest is best else fastest.candidate
    )


def _cost(row: Row, goal: Goal) -> float:
    return row.latency_ms_p50 if goal == "latency" else -row.images_per_second


def _reason(best: Row, others: Sequence[Row], goal: Goal) -> str:
    batch = best.candidate.batch
    reason = f"{best.images_per_second:,.1f} images/s at batch {batch}"
    if goal == "latency":
        reason = f"{best.latency_ms_p50:,.1f} ms (p50) at batch {batch}"
    if others:
        other = min(others, key=lambda row: _cost(row, goal))
        r = ratio(other.means, best.means)
        whose = "" if other.candidate.ours else " on the network as published"
        times = f"{r.value:.2f} times" + ("" if isnan(r.low) else f" ({r.low:.2f} to {r.high:.2f})")
        reason += f", {times} as fast as {other.candidate.name}{whose}"
    slower = [row for row in others if not row.candidate.ours and _cost(row, goal) < _cost(best, goal)]
    if slower:
        reason += f"; slower than {', '.join(row.candidate.name for row in slower)} unrewritten"
    return reason


def _export_of(one: Candidate) -> str:
    return export_name(WAYS[one.runtime], one.precision == "int8")


def keep(chosen: Choice, model: Path) -> None:
    """Writes what `deeper predict` goes by into a model folder's config.json, whole or not at all, and seals
    that anew."""
    _write(model, {"export": chosen.export, "threads": chosen.candidate.threads})


def forget(model: Path) -> bool:
    """Takes out of a model folder what `keep` wrote; False where nothing was there."""
    there = "recommended" in json.loads((model / "config.json").read_text("utf-8"))
    if there:
        _write(model, None)
    return there


def _write(model: Path, said: dict[str, Any] | None) -> None:
    file = model / "config.json"
    config = json.loads(file.read_text("utf-8"))
    seal = config.pop("seal", None)
    config.pop("recommended", None)
    if said is not None:
        config["recommended"] = said
    # A model of before there were seals has no hash of its golden image, which a seal would ask for.
    plain = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    write_whole(file, plain.encode("utf-8") if seal is None else sealed(config))
