"""What else is printed: the batch norm paper's training runs, and the challenge's winners by year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from goingdeeper.published.papers import papers, read, source
from goingdeeper.published.printed import Figure


@dataclass(frozen=True)
class TrainingRun:
    """A run of the batch norm paper: millions of steps until 72.2 % accuracy, and the best, one crop."""

    run: str
    max_top1_accuracy: float
    source: str
    million_steps_to_72_2: float | None = None


@dataclass(frozen=True)
class Winner:
    """An entry of the lecture's ILSVRC chart: an ensemble's top-5 error, per cent, on the test server.

    network: an id or an ensemble, where results are known; models: in the entry; deepest: the network that
    has its layers, if that is another. own, own_error: the paper of others, and the error that it prints.
    """

    year: int
    entry: str
    top5_error: float
    provenance: str
    layers: int | None = None
    place: int = 1
    network: str = ""
    models: int | None = None
    deepest: str = ""
    own: str = ""
    own_error: float | None = None
    errata: tuple[tuple[Figure, str], ...] = ()

    def erratum(self, figure: Figure) -> str:
        """Why a figure of this entry is not what the chart says; empty if it is."""
        return dict(self.errata).get(figure, "")


def bn_runs() -> tuple[TrainingRun, ...]:
    """Ioffe and Szegedy 2015, Figure 3."""
    table = read("history.toml")["bn_paper"]
    return tuple(TrainingRun(source=source(table), **run) for run in table["runs"])


def winners() -> tuple[Winner, ...]:
    """The winners' chart, by year; the trained person at its end is the yardstick, not an entry."""
    table = read("history.toml")["ilsvrc"]
    return tuple(_winner(entry, table["provenance"]) for entry in table["entries"])


def _winner(entry: dict[str, Any], provenance: str) -> Winner:
    told = {key: value for key, value in entry.items() if key != "erratum"}
    if "own" in told:
        told["own"] = papers()[told["own"]].short
    return Winner(**told, provenance=provenance, errata=tuple(entry.get("erratum", {}).items()))
