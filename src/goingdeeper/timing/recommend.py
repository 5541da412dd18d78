"""Which of the measured ways to take, why, and where a run keeps that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goingdeeper.files import write_whole
from goingdeeper.runs.stored import sealed
from goingdeeper.runtimes.exported import export_name
from goingdeeper.runtimes.runner import Goal
from goingdeeper.timing.candidates import WAYS, Candidate
from goingdeeper.timing.rows import Row
from goingdeeper.timing.side_by_side import ratio


@dataclass(frozen=True)
class Choice:
    """The export to take, and why. goal: what was asked for, which one batch at a time can serve best."""

    candidate: Candidate
    goal: Goal
    reason: str

    @property
    def export(self) -> str:
        """Where `deeper export` writes it, below the run."""
        one = self.candidate
        return export_name(WAYS[one.runtime], one.precision == "int8")

    @property
    def said(self) -> str:
        return f"{self.candidate.name} for {self.goal}: {self.reason}"


def recommended(rows: Sequence[Row], goal: Goal) -> Choice | None:
    """The fastest for a goal of what `deeper export` writes, and why; None where none was measured.

    PyTorch eager is not among it: a run that has no export answers by the network that is not rewritten. For
    latency at the smallest batch that was measured, for throughput whichever batch gives the most images
    a second.
    """
    ours = [row for row in rows if row.candidate.ours and WAYS[row.candidate.runtime]]
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
    return Choice(one, goal, reason)


def keep(chosen: Choice, model: Path) -> None:
    """Writes what `deeper predict` goes by into a model folder's config.json, whole or not at all, and seals
    that anew."""
    file = model / "config.json"
    config = json.loads(file.read_text("utf-8"))
    seal = config.pop("seal", None)
    config["recommended"] = {"export": chosen.export, "threads": chosen.candidate.threads}
    # A model of before there were seals has no hash of its golden image, which a seal would ask for.
    plain = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    write_whole(file, plain.encode("utf-8") if seal is None else sealed(config))
