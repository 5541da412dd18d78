"""What else is printed: the batch norm paper's training runs, and the challenge's winners by year."""

from __future__ import annotations

from dataclasses import dataclass

from goingdeeper.published.papers import read, source


@dataclass(frozen=True)
class TrainingRun:
    """A run of the batch norm paper: millions of steps until 72.2 % accuracy, and the best, one crop."""

    run: str
    max_top1_accuracy: float
    source: str
    million_steps_to_72_2: float | None = None


@dataclass(frozen=True)
class Winner:
    """An entry of the lecture's ILSVRC chart: an ensemble's top-5 error, per cent, on the test server."""

    year: int
    entry: str
    top5_error: float
    provenance: str
    layers: int | None = None
    place: int = 1


def bn_runs() -> tuple[TrainingRun, ...]:
    """Ioffe and Szegedy 2015, Figure 3."""
    table = read("history.toml")["bn_paper"]
    return tuple(TrainingRun(source=source(table), **run) for run in table["runs"])


def winners() -> tuple[Winner, ...]:
    """The winners' chart, by year; the trained person at its end is the yardstick, not an entry."""
    table = read("history.toml")["ilsvrc"]
    return tuple(Winner(provenance=table["provenance"], **entry) for entry in table["entries"])
