"""Exact counts of the papers' networks, and what the papers print of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

from goingdeeper.errors import unknown
from goingdeeper.published.papers import papers, read, source

Figure: TypeAlias = Literal["params", "macs"]

# GoogLeNet's Table 1 counts parameters in K = 1024: its 112K and 1000K are exact only so.
_UNITS = {"": 1, "K": 1024, "M": 10**6, "Bn": 10**9}


@dataclass(frozen=True)
class Printed:
    """A figure as a paper prints it.

    value: what the text says; step: one unit of its last digit; below: the text is an upper bound.
    """

    figure: Figure
    text: str
    value: float
    step: float
    remark: str = ""
    below: bool = False

    def agrees(self, exact: int) -> bool:
        """Whether an exact count rounds to what is printed."""
        return exact < self.value if self.below else abs(exact - self.value) <= self.step / 2


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
    erratum: str = ""
    provenance: str = "primary"

    @property
    def reference(self) -> str:
        """`Szegedy et al. 2014, Table 1`"""
        return ", ".join(filter(None, (self.paper, self.place)))


@dataclass(frozen=True)
class PrintedLayer:
    """One row of a paper's table of layers, beside the exact counts; printed parameters leave biases out."""

    layer: str
    params: Printed
    ops: Printed
    weights: int
    biases: int
    macs: int
    source: str
    erratum: str = ""


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


def printed(figure: Figure, text: str, step: float = 0, remark: str = "", below: bool = False) -> Printed:
    """A printed figure from its text, such as "13.6e6", "1.5 Bn" or "2.7K"."""
    match = re.fullmatch(r"(\d+)(?:\.(\d+))?(?:e(\d+))? ?(K|M|Bn|)", text)
    if match is None:
        raise ValueError(f"'{text}' is not a printed figure")
    whole, decimals, exponent, unit = match.groups(default="")
    scale = 10 ** int(exponent or 0) * _UNITS[unit]
    last = scale / 10 ** len(decimals)
    return Printed(figure, text, int(whole + decimals) * last, step or last, remark, below)


@cache
def _networks() -> dict[str, NetworkFigures]:
    return {entry["id"]: _figures(entry) for entry in read("networks.toml")["network"]}


def _figures(entry: Mapping[str, Any]) -> NetworkFigures:
    return NetworkFigures(**{
        **entry,
        "paper": papers()[entry["paper"]].short,
        "source": source(entry),
        "input": tuple(entry["input"]),
        "head_params": tuple(entry.get("head_params", ())),
        "printed": tuple(printed(**one) for one in entry.get("printed", ())),
    })  # fmt: skip


@cache
def _layers() -> dict[str, tuple[PrintedLayer, ...]]:
    return {
        table["network"]: tuple(_layer(row, source(table)) for row in table["rows"])
        for table in read("layers.toml")["table"]
    }


def _layer(row: Mapping[str, Any], source: str) -> PrintedLayer:
    counts = {key: value for key, value in row.items() if not key.startswith("printed_")}
    return PrintedLayer(
        params=printed("params", row["printed_params"]),
        ops=printed("macs", row["printed_macs"]),
        source=source,
        **counts,
    )
