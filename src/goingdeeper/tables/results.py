"""A paper's table of results, row by row as it is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any, TypeAlias

from goingdeeper.errors import UsageError
from goingdeeper.published.printed import Figure
from goingdeeper.published.results import Result, per_cent, table
from goingdeeper.tables.grid import CellRow, Column, Grid, Part

Told: TypeAlias = Callable[[Result], str]

IMAGES = {
    "val": "validation",
    "val48238": "48,238 validation",
    "test": "test server",
    "cifar10-test": "test",
}
DATASETS = {"imagenet": "ImageNet", "cifar10": "CIFAR-10"}

PROTOCOL: dict[str, Told] = {
    "data": lambda row: DATASETS.get(row.dataset, row.dataset),
    "images": lambda row: IMAGES.get(row.split, row.split),
    "models": lambda row: _counted(row.models, "model"),
    "crops": lambda row: _counted(row.crops, "crop"),
}
"""What stands once above the table where it is the same for all rows, and in a column otherwise."""

FIGURES: dict[Figure, tuple[str, Told]] = {
    "layers": ("layers", lambda row: str(row.layers or "")),
    "params": ("params", lambda row: f"{row.published_params_m:g}M" if row.published_params_m else ""),
    "macs": ("macs", lambda row: f"{row.cost_bn_ops:g}G" if row.cost_bn_ops else ""),
    "cost": ("cost", lambda row: str(row.cost or "")),
    "top1_error": ("top-1 %", lambda row: _error(row, row.top1_error)),
    "top5_error": ("top-5 %", lambda row: _error(row, row.top5_error)),
    "compared_to_base": ("from base", lambda row: _points(row.compared_to_base)),
}

FAULTY = "48,238 validation: the 50,000 images without those on the list of faulty ones"
COUNTED = "params, macs: as printed; `deeper audit` compares them with what is exact"


def rows_of(name: str, pattern: str = "*") -> tuple[Result, ...]:
    """The rows of a table whose network or ensemble matches a pattern such as "resnet-*".

    Raises UsageError, suggesting close names, for an unknown table, and for a pattern that matches no row.
    """
    found = tuple(row for row in table(name) if fnmatchcase(row.network, pattern.lower()))
    if not found:
        raise UsageError(f"no network of {name} matches '{pattern}'; `deeper list --table {name}` shows all")
    return found


def results_grid(name: str, rows: Iterable[Result]) -> Grid:
    """Rows of one table, under the source that prints them; errata and remarks in footnotes."""
    found = list(rows)
    apart = {key: told for key, told in PROTOCOL.items() if len(set(map(told, found))) > 1}
    figures = {key: figure for key, figure in FIGURES.items() if any(map(figure[1], found))}
    named = any(row.row for row in found)
    of_all = [words for words in _remarks(found[0]) if all(words in _remarks(row) for row in found)]
    marks: dict[str, int] = {}

    def marked(cell: str, words: Iterable[str]) -> str:
        numbers = [str(marks.setdefault(one, len(marks) + 1)) for one in words if one]
        return f"{cell} [{', '.join(numbers)}]" if numbers else cell

    def cells(row: Result) -> CellRow:
        about = ("; ".join(words for words in _remarks(row) if words not in of_all), row.differs)
        return (
            *((row.row or row.network,) if named else ()),
            marked(row.network, about),
            *(told(row) for told in apart.values()),
            *(marked(told(row), [row.erratum(key)]) for key, (_, told) in figures.items()),
        )

    parts = [(source, tuple(map(cells, group))) for source, group in groupby(found, lambda row: row.source)]
    columns = (
        *((Column("row", spare=1),) if named else ()),
        Column("network"),
        *(Column(key, spare=2 if key == "images" else 0) for key in apart),
        *(Column(header, right=True) for header, _ in figures.values()),
    )
    same = (told(found[0]) for key, told in PROTOCOL.items() if key not in apart)
    notes = [*of_all, *(f"[{number}] {words}" for words, number in marks.items())]
    if any(row.split == "val48238" for row in found):
        notes.insert(0, FAULTY)
    if figures.keys() & {"params", "macs"}:
        notes.insert(0, COUNTED)
    alone = len(parts) == 1
    return Grid(
        f"{name}: {parts[0][0]}" if alone else name,
        columns,
        tuple(Part("" if alone else source, made) for source, made in parts),
        notes=tuple(notes),
        about=", ".join(filter(None, same)),
    )


def data(row: Result) -> dict[str, Any]:
    """A row as the JSON record has it."""
    return {**asdict(row), "scales": list(row.scales), "errata": dict(row.errata)}


def _remarks(row: Result) -> list[str]:
    return row.remark.split("; ") if row.remark else []


def _counted(number: int | str | None, what: str) -> str:
    if not isinstance(number, int):
        return number or ""
    return f"{number} {what}" + ("" if number == 1 else "s")


def _points(points: float | None) -> str:
    return "" if points is None else f"{points:.2f}"


def _error(row: Result, error: float | None) -> str:
    if error is None:
        return ""
    mean = f" ({row.error_mean:g} +- {row.error_std:g})" if row.error_mean is not None else ""
    return {"about": "~", "above": ">"}.get(row.relation, "") + per_cent(error) + mean
