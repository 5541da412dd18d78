"""What a topic's figure shows, as data: readable in JSON, drawn by `why.figures`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from goingdeeper.why.intervals import Interval

Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Series:
    """One line or set of bars. low, high: the 95 % interval of each value, where there is one."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


def curve(label: str, x: Iterable[float], y: Iterable[float]) -> Series:
    """A line through points."""
    return Series(label, _floats(x), _floats(y))


def heights(
    label: str, values: Iterable[float], low: Iterable[float] = (), high: Iterable[float] = ()
) -> Series:
    """The bars of one series, a value for each group; low, high: their intervals."""
    return Series(label, (), _floats(values), _floats(low), _floats(high))


def spread(
    label: str,
    found: Sequence[Interval],
    x: Iterable[float] = (),
    *,
    least: float = -math.inf,
    most: float = math.inf,
) -> Series:
    """Means with their intervals: bars, or a line where there is an x for each.

    least, most: beyond what the values themselves cannot be, such as shares below 0; intervals end there.
    """
    return Series(
        label,
        _floats(x),
        tuple(one.mean for one in found),
        tuple(max(one.low, least) for one in found),
        tuple(min(one.high, most) for one in found),
    )


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(map(float, values))


@dataclass(frozen=True)
class Lines:
    """Curves over one axis. x, y: what is on the axes, with units. level: a value to mark, and its name."""

    name: str
    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    x_scale: Scale = "linear"
    y_scale: Scale = "linear"
    level: tuple[float, str] | None = None


@dataclass(frozen=True)
class Bars:
    """Values side by side: a group for each name, in it a bar of each series, whose `x` is left empty."""

    name: str
    title: str
    value: str
    groups: tuple[str, ...]
    series: tuple[Series, ...]
    scale: Scale = "linear"
    level: tuple[float, str] | None = None


@dataclass(frozen=True)
class Pictures:
    """Small images in rows. rows: captions with images, (height, width, 3) of 0 to 255 as nested lists."""

    name: str
    title: str
    rows: tuple[tuple[str, tuple[list[list[list[int]]], ...]], ...]


Chart: TypeAlias = Lines | Bars | Pictures


def told(chart: Chart) -> str:
    """The figure in words, for who cannot see it."""
    match chart:
        case Lines():
            ends = (
                f"{one.label} from {one.y[0]:.3g} at {one.x[0]:g} to {one.y[-1]:.3g} at {one.x[-1]:g}"
                for one in chart.series
                if one.x
            )
            return f"{chart.title}: {chart.y} against {chart.x}; {', '.join(ends)}."
        case Bars():
            values = (
                f"{group}{f', {one.label}' if len(chart.series) > 1 else ''} {number(value)}"
                for place, group in enumerate(chart.groups)
                for one in chart.series
                for value in one.y[place : place + 1]
            )
            return f"{chart.title} ({chart.value}): {'; '.join(values)}."
        case Pictures():
            return f"{chart.title}: {'; '.join(caption for caption, _ in chart.rows)}."


def number(value: float) -> str:
    """`120,422,400`, `9.677`"""
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
