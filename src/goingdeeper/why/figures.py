"""Charts as SVG and PNG: on white, so that they stand on a dark page and in print, too.

Series differ in colour (after Okabe and Ito), and in dashes and marks or hatching, for a print in grey.
"""

from __future__ import annotations

import io
import math
import textwrap
from typing import Any

import numpy as np

from goingdeeper.reports.plots import no_advice, tick
from goingdeeper.why.charts import Bars, Chart, Lines, Pictures, Series, number

with no_advice():
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

FORMATS = ("svg", "png")

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#8a3f6b", "#4d4d4d", "#56b4e9", "#a67c00", "#000000")
DASHES: tuple[Any, ...] = (
    "-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)),
    (0, (9, 2)), (0, (3, 3)), (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (1, 4)),
)  # fmt: skip
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "///", "...", "\\\\\\", "xx", "++", "--", "oo")

WIDTH, HEIGHT, BAR, ROOM = 6.4, 3.9, 0.26, 1.5
"""Inches: of a figure, of one of curves, of a bar, and of title, axis and legend around bars."""

PLATE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1}
"""Below words that stand among curves."""

STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "semibold", "axes.titlelocation": "left",
    "axes.formatter.useoffset": False, "figure.facecolor": "white", "axes.facecolor": "white",
    "savefig.facecolor": "white", "hatch.linewidth": 0.6, "svg.fonttype": "path",
}  # fmt: skip


def drawn(chart: Chart, form: str) -> bytes:
    """form: of `FORMATS`. The same chart gives the same bytes."""
    with no_advice(), matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the reader's own matplotlibrc says
        matplotlib.rcParams.update(STYLE | {"svg.hashsalt": f"goingdeeper-{chart.name}"})
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        match chart:
            case Lines():
                _lines(figure, chart)
            case Bars():
                _bars(figure, chart)
            case Pictures():
                _pictures(figure, chart)
        stream = io.BytesIO()
        facts: dict[str, Any] = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(stream, format=form, dpi=150, metadata=facts)
    return stream.getvalue()


def _lines(figure: Figure, chart: Lines) -> None:
    figure.set_size_inches(WIDTH, HEIGHT)
    axes = figure.add_subplot()
    for index, one in enumerate(chart.series):
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(
            one.x, one.y, label=one.label, color=colour, linestyle=DASHES[index % len(DASHES)],
            marker=MARKS[index % len(MARKS)], markevery=max(1, len(one.x) // 10), markersize=4.5,
            linewidth=1.7,
        )  # fmt: skip
        if one.low:
            axes.fill_between(one.x, one.low, one.high, color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel=chart.x, ylabel=textwrap.fill(chart.y, 40), xscale=chart.x_scale, yscale=chart.y_scale)
    if chart.level:
        value, name = chart.level
        axes.axhline(value, color="#777777", linewidth=1, linestyle=":")
        axes.annotate(
            name, (0, value), (4, 3), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
            fontsize=9, color="#444444", bbox=PLATE,
        )  # fmt: skip
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    for which, scale in ((axes.xaxis, chart.x_scale), (axes.yaxis, chart.y_scale)):
        if scale == "log":
            which.set_major_locator(LogLocator(subs=_subs(which.get_data_interval()), numticks=8))
            which.set_minor_locator(NullLocator())
        elif which is axes.xaxis and all(float(x).is_integer() for one in chart.series for x in one.x):
            which.set_major_locator(MaxNLocator(integer=True))
        which.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    _finish(figure, axes, chart.title, chart.series)


def _bars(figure: Figure, chart: Bars) -> None:
    series, groups = chart.series, len(chart.groups)
    figure.set_size_inches(WIDTH, ROOM + BAR * groups * (len(series) + 0.6))
    axes = figure.add_subplot()
    height = 1 / (len(series) + 0.6)
    for index, one in enumerate(series):
        places = [place + (index - (len(series) - 1) / 2) * height for place in range(groups)]
        spread = None
        if one.low:
            low = [value - low for value, low in zip(one.y, one.low, strict=True)]
            high = [high - value for value, high in zip(one.y, one.high, strict=True)]
            spread = np.maximum([low, high], 0)
        axes.barh(
            places, one.y, height, label=one.label, color=COLOURS[index % len(COLOURS)], xerr=spread,
            edgecolor="white", hatch=HATCHES[index % len(HATCHES)], error_kw={"capsize": 3, "elinewidth": 1},
        )  # fmt: skip
        for place, value, end in zip(places, one.y, one.high or one.y, strict=True):
            axes.annotate(
                f"{value:.3g}" if one.low else number(value), (max(value, end), place), (4, 0),
                textcoords="offset points", va="center", fontsize=9,
            )  # fmt: skip
    axes.set_yticks(range(groups), chart.groups)
    axes.invert_yaxis()
    axes.set(xlabel=chart.value, xscale=chart.scale)
    if chart.level:
        value, name = chart.level
        axes.axvline(value, color="#444444", linewidth=1, linestyle=":")
        axes.annotate(
            name, (value, 0), (3, 3), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
            fontsize=9, color="#444444", bbox=PLATE,
        )  # fmt: skip
    ends = [end for one in series for end in (*one.y, *one.high)]
    if chart.scale == "linear":
        left = min(0, *ends, *(low for one in series for low in one.low))
        right = max(0, *ends)
        room = right - left or 1
        axes.set_xlim(left - 0.05 * room if left else 0, right + 0.2 * room)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    else:
        axes.set_xlim(right=max(ends) * (max(ends) / min(ends)) ** 0.25)
    _finish(figure, axes, chart.title, series)


def _pictures(figure: Figure, chart: Pictures) -> None:
    columns = max(len(images) for _, images in chart.rows)
    figure.set_size_inches(WIDTH, 0.5 + len(chart.rows) * (0.25 + WIDTH / columns))
    figure.suptitle(chart.title, x=0.01, ha="left", fontsize=11, fontweight="semibold")
    rows = figure.subfigures(len(chart.rows), squeeze=False)[:, 0]
    for row, (caption, images) in zip(rows, chart.rows, strict=True):
        row.suptitle(caption, x=0.01, ha="left", fontsize=9.5)  # which takes no column's width
        for axes in (places := row.subplots(1, columns, squeeze=False)[0]):
            axes.axis("off")
        for axes, image in zip(places, images, strict=False):
            axes.imshow(np.array(image, np.uint8), interpolation="nearest")


def _finish(figure: Figure, axes: Axes, title: str, series: tuple[Series, ...]) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="semibold")
    axes.spines[["top", "right"]].set_visible(False)
    if len(series) > 1:
        figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9, handlelength=3.2)


def _subs(ends: tuple[float, float]) -> tuple[float, ...]:
    """The ticks of a decade on a log axis: more, where it has few decades."""
    return (1.0,) if math.log10(max(ends) / min(ends)) > 2 else (1.0, 2.0, 5.0)


def _short(value: float) -> str:
    """An axis label: 120 M instead of 120000000."""
    for size, sign in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:g}{sign}"
    return tick(value)
