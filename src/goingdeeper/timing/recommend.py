"""Which of the measured ways to take, why, and where a run keeps that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from goingdeeper.files import write_whole
from goingdeeper.runs.stored import sealed
from goingdeeper.runtimes.runner import Goal
from goingdeeper.timing.candidates import RUNTIMES, Candidate
from goingdeeper.timing.rows import Row
from goingdeeper.timing.side_by_side import ratio


@dataclass(frozen=True)
class Way:
    """What `deeper predict` goes by. batch: images a pass. export: the folder below the run that
    `deeper export` makes for it; None where the model itself runs."""

    runtime: str
    precision: str
    goal: Goal
    threads: int
    batch: int
    export: str | None


@dataclass(frozen=True)
class Choice:
    """The way, and why. goal: what was asked for, which one batch at a time can serve best, too."""

    way: Way
    name: str
    goal: Goal
    reason: str

    @property
    def said(self) -> str:
        return f"{self.name} for {self.goal}: {self.reason}"


def recommended(rows: Sequence[Row], goal: Goal) -> Choice | None:
    """The fastest of ours for a goal, and why; None where none of ours was measured.

    For latency at the smallest batch that was measured, for throughput whichever batch gives the most images
    a second.
    """
    ours = [row for row in rows if row.candidate.ours]
    if not ours:
        return None
    if goal == "latency":
        smallest = min(row.candidate.batch for row in ours)
        ours = [row for row in ours if row.candidate.batch == smallest]
    best = max(ours, key=lambda row: row.images_per_second)
    one = best.candidate
    reason = f"{best.images_per_second:,.1f} images/s at batch {one.batch}"
    others = [row for row in rows if row is not best and row.candidate.batch == one.batch]
    if others:
        other = max(others, key=lambda row: row.images_per_second)
        r = ratio(other.means, best.means)
        whose = "" if other.candidate.ours else " on the network as published"
        reason += (
            f", {r.value:.2f} times ({r.low:.2f} to {r.high:.2f}) as many as {other.candidate.name}{whose}"
        )
    # Of a batch in parts each thread takes one: that is what predict gives it at a time.
    way = Way(one.runtime, one.precision, one.goal, one.threads, one.part, export_for(one))
    return Choice(way, one.name, goal, reason)


def export_for(one: Candidate) -> str | None:
    """Where `deeper export` writes it, below the run."""
    kind = RUNTIMES[one.runtime]
    if kind is None:
        return None
    return f"export/{kind}" if one.precision == "float32" else f"export/{kind}-{one.precision}"


def keep(chosen: Way, model: Path) -> None:
    """Writes it into the config.json of a model folder, whole or not at all, and seals that anew."""
    file = model / "config.json"
    config = json.loads(file.read_text("utf-8"))
    seal = config.pop("seal", None)
    config["recommended"] = asdict(chosen)
    # A model of before there were seals has no hash of its golden image, which a seal would ask for.
    plain = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    write_whole(file, plain.encode("utf-8") if seal is None else sealed(config))
