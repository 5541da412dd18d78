"""Exact counts of the papers' networks, and what the papers print of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from goingdeeper.errors import unknown
from goingdeeper.published.papers import papers, read, source
from goingdeeper.published.printed import Figure, Printed, printed


@dataclass(frozen=True)
class Inferred:
    """A detail that a network's sources do not state. layer: its address or a pattern of some, else empty."""

    detail: str
    layer: str = ""


@dataclass(frozen=True)
class NetworkFigures:
    """The exact counts of one network.

    paper: "Szegedy et al. 2014"; place: the table or section in it; source: both, or where else the
    definition was taken from. input: (channels, height, width). params is weights + biases + norm (batch
    norm's gamma and beta) + slopes (PReLU's). macs: multiply-adds for one image. Figures with heads are
    those of the training graph, head_params each head's own. projections: shortcuts that are convolutions.
    provenance: "primary", "recalled", "computed" or "inferred".
    """

    id: str
    paper: str
    place: str
    source: str
    input: tuple[int, int, int]
    classes: int
    params: int
    weights: int
    biases: int
    norm: int
    macs: int
    slopes: int = 0
    params_with_heads: int | None = None
    weights_with_heads: int | None = None
    biases_with_heads: int | None = None
    macs_with_heads: int | None = None
    head_params: tuple[int, ...] = ()
    params_with_running_statistics: int | None = None
    projections: int | None = None
    variant: str = ""
    printed: tuple[Printed, ...] = ()
    note: str = ""
    inferred: tuple[Inferred, ...] = ()
    provenance: str = "primary"

    @property
    def reference(self) -> str:
        """`Szegedy et al. 2014, Table 1`"""
        return ", ".join(filter(None, (self.paper, self.place)))


@dataclass(frozen=True)
class PrintedLayer:
    """One row of a paper's table of layers; printed parameters leave biases out.

    layer: its address. weights, biases, macs: the exact counts, where the row prints counts.
    """

    layer: str
    printed: tuple[Printed, ...]
    weights: int = 0
    biases: int = 0
    macs: int = 0


def figures(id: str) -> NetworkFigures:
    """The published figures of a network. Raises UsageError, suggesting close ids, for an unknown one."""
    networks = _networks()
    if id not in networks:
        raise unknown("network", id, networks, "there are no published figures for it")
    return networks[id]


def ids() -> list[str]:
    """Every network there are figures for, in the order of the papers."""
    return list(_networks())


def layers(id: str) -> tuple[PrintedLayer, ...]:
    """What the paper's table prints layer by layer; empty where it prints none."""
    return _layers().get(figures(id).id, ())


@cache
def _networks() -> dict[str, NetworkFigures]:
    return {entry["id"]: _figures(entry) for entry in read("networks.toml")["network"]}


def _figures(entry: Mapping[str, Any]) -> NetworkFigures:
    # `Table 1, option A` defines a network, `Table 1` prints its figures.
    where = {"paper": entry["paper"], "place": entry.get("place", "").partition(",")[0]}
    return NetworkFigures(**{
        **entry,
        "paper": papers()[entry["paper"]].short,
        "source": source(entry),
        "input": tuple(entry["input"]),
        "head_params": tuple(entry.get("head_params", ())),
        "printed": tuple(printed(**{**where, **one}) for one in entry.get("printed", ())),
        "inferred": tuple(Inferred(**one) for one in entry.get("inferred", ())),
    })  # fmt: skip


@cache
def _layers() -> dict[str, tuple[PrintedLayer, ...]]:
    return {
        table["network"]: tuple(_layer(row, table) for row in table["rows"])
        for table in read("layers.toml")["table"]
    }


def _layer(row: Mapping[str, Any], table: Mapping[str, Any]) -> PrintedLayer:
    errata: Mapping[Figure, str] = row.get("erratum", {})
    texts: Mapping[Figure, str] = row["printed"]
    if unprinted := errata.keys() - texts.keys():
        raise ValueError(
            f"layers.toml: {row['layer']} has an erratum for {unprinted.pop()}, which it does not print"
        )
    return PrintedLayer(
        row["layer"],
        tuple(
            printed(figure, text, paper=table["paper"], place=table["place"], erratum=errata.get(figure, ""))
            for figure, text in texts.items()
        ),
        *(row.get(count, 0) for count in ("weights", "biases", "macs")),
    )
