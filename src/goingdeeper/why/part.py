"""What one tier of a topic brings to light."""

from __future__ import annotations

from dataclasses import dataclass

from goingdeeper.why.charts import Chart
from goingdeeper.why.claims import Evidence


@dataclass(frozen=True)
class Part:
    """notes: what else to know, a line each."""

    evidence: tuple[Evidence, ...]
    charts: tuple[Chart, ...] = ()
    notes: tuple[str, ...] = ()
