"""Why a run does what it does, for whoever watches and for run.json."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    what: str
    value: str
    why: str
