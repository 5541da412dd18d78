"""The training curves as inline SVG that takes its colours and its font from the page around it."""

from __future__ import annotations

import io
import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape


@contextmanager
def no_advice() -> Iterator[None]:
    """Keeps matplotlib's log lines on unwritable homes and font caches from people's terminals."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


with no_advice():
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

# Drawn in these colours, which nothing else has, then replaced by the style sheet's names.
COLOURS = {
    "#010101": "currentColor",
    "#010102": "var(--rule)",
    "#010103": "var(--paper)",
    "#010110": "var(--blue)",
    "#010111": "var(--orange)",
    "#010112": "var(--green)",
    "#010113": "var(--purple)",
}
INK, RULE, PAPER, BLUE, ORANGE, GREEN, PURPLE = COLOURS

WIDTH, HEIGHT = 400, 240
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10.5,
    "axes.formatter.useoffset": False,
    "path.simplify": True,
}


@dataclass(frozen=True)
class Look:
    """A line's colour and dashes; `css` is the legend's name for both."""

    css: str
    colour: str
    dashes: tuple[float, ...] = ()


TRAIN = Look("train", ORANGE, (4, 1.6))
VAL = Look("val", BLUE)
RATE = Look("rate", INK)
HEADS = (Look("head1", GREEN, (6, 1.5, 1, 1.5)), Look("head2", PURPLE, (1.2, 1.2)))
DEPTHS = (Look("depth1", BLUE), *HEADS, Look("depth4", ORANGE, (4, 1.6)), Look("depth5", INK))
"""Of layers from the first to the last."""


@dataclass(frozen=True)
class Line:
    """One curve: a value an epoch; values that are not finite are gaps."""

    label: str
    values: Sequence[float]
    look: Look

    @property
    def told(self) -> str:
        """The line in words."""
        finite = [value for value in self.values if math.isfinite(value)]
        ends = f" from {finite[0]:.4g} to {finite[-1]:.4g}" if finite else " without a value"
        return self.label + ends


@dataclass(frozen=True)
class Plot:
    """Curves over the same epochs and axes; best: the epoch to mark."""

    name: str
    title: str
    quantity: str
    epochs: tuple[float, ...]
    lines: tuple[Line, ...]
    best: int | None

    @property
    def finite(self) -> list[float]:
        return [value for line in self.lines for value in line.values if math.isfinite(value)]

    @property
    def steps(self) -> bool:
        """Whether this is a learning rate that goes in a few steps, as the papers' do."""
        return all(line.look is RATE and 4 * len(set(line.values)) <= len(line.values) for line in self.lines)

    @property
    def log(self) -> bool:
        """Whether the curves go over so wide a range that a linear axis would hide their end.

        A rate that falls smoothly to nothing keeps its shape. Gradients are compared by factors.
        """
        if self.name == "rate" and not self.steps:
            return False
        values = self.finite
        wide = self.name == "gradients" or max(values, default=0) > 20 * min(values, default=0)
        return bool(values) and min(values) > 0 and wide

    @property
    def unit(self) -> str:
        return f"{self.quantity}, log scale" if self.log else self.quantity

    @property
    def alternative(self) -> str:
        """The figure in words."""
        ends = ", ".join(line.told for line in self.lines)
        mark = f"; epoch {self.best}, the best, is marked" if self.best is not None else ""
        return (
            f"{self.title} ({self.unit}), epochs {self.epochs[0]:.0f} to {self.epochs[-1]:.0f}: {ends}{mark}."
        )


def curves(metrics: Sequence[Mapping[str, float]], best: int | None) -> list[Plot]:
    """The figures of metrics.csv's rows: loss, error, auxiliary heads if there are any, learning rate."""
    epochs = tuple(row["epoch"] for row in metrics)

    def plot(name: str, title: str, quantity: str, columns: Mapping[str, tuple[str, Look]]) -> Plot:
        lines = tuple(
            Line(label, tuple(row.get(column, math.nan) for row in metrics), look)
            for column, (label, look) in columns.items()
        )
        return Plot(name, title, quantity, epochs, lines, best)

    main, prefix = "train_loss_main", "train_loss_"
    heads = [key for key in metrics[0] if key.startswith(prefix) and key != main]
    # With heads train_loss is the weighted sum, which the validation's loss, the main one's, does not match.
    own = main if heads else "train_loss"
    training, validation = ("training", TRAIN), ("validation", VAL)
    plots = [
        plot("loss", "Loss", "cross-entropy, nats", {own: training, "val_loss": validation}),
        plot("error", "Error", "% of images", {"train_error": training, "val_error": validation}),
    ]
    if heads:
        looks = {key: (f"head {key.removeprefix(prefix)}", HEADS[i % 2]) for i, key in enumerate(heads)}
        columns = {main: ("main", TRAIN), **looks, "train_loss": ("weighted sum", RATE)}
        plots.append(plot("heads", "Auxiliary heads", "training, nats", columns))
    plots.append(plot("rate", "Learning rate", "step size", {"learning_rate": ("learning rate", RATE)}))
    return plots


def draw(plot: Plot) -> Markup:
    """The figure as an SVG element for the body of an HTML page; the same plot gives the same bytes."""
    with no_advice(), matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the reader's own matplotlibrc says
        matplotlib.rcParams.update(STYLE | {"svg.hashsalt": f"goingdeeper-{plot.name}"})
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.115, 0.15, 0.865, 0.82))
        _frame(axes)
        _scale(axes, plot)
        if plot.best is not None:
            axes.axvline(plot.best, color=RULE, linewidth=1.2, zorder=1)
        for line in plot.lines:
            _line(axes, plot, line)
        stream = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    return _inline(stream.getvalue(), plot.alternative)


def _line(axes: Axes, plot: Plot, line: Line) -> None:
    colour = line.look.colour
    values = [value if math.isfinite(value) else math.nan for value in line.values]
    axes.plot(
        plot.epochs,
        values,
        color=colour,
        linestyle=(0, line.look.dashes) if line.look.dashes else "-",
        linewidth=1.7,
        marker="o" if len(values) < 4 else "",
        markersize=4,
        drawstyle="steps-mid" if plot.steps else "default",
        zorder=3,
    )
    if plot.best in plot.epochs and line.look is VAL:
        height = values[plot.epochs.index(plot.best)]
        ring: dict[str, Any] = {
            "markersize": 7,
            "markerfacecolor": PAPER,
            "markeredgecolor": colour,
            "markeredgewidth": 1.7,
        }
        axes.plot([plot.best], [height], color=colour, marker="o", clip_on=False, zorder=4, **ring)


def _frame(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(length=0, labelcolor=INK, pad=5)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("epoch", color=INK, labelpad=3)


def _scale(axes: Axes, plot: Plot) -> None:
    first, last = plot.epochs[0], plot.epochs[-1]
    room = max(0.5, 0.02 * (last - first))
    axes.set_xlim(first - room, last + room)
    whole = MaxNLocator(nbins=7, integer=True, min_n_ticks=1).tick_values(first, last)
    axes.xaxis.set_major_locator(FixedLocator([epoch for epoch in whole if first <= epoch <= last]))
    low, high = min(plot.finite, default=0.0), max(plot.finite, default=0.0)
    if plot.log:
        decades = math.log10(high / low)
        room = 10 ** max(0.06 * decades, 0.05)
        axes.set_yscale("log")
        axes.set_ylim(low / room, high * room)
        subs = (1.0,) if decades > 4 else (1.0, 3.0) if decades > 2 else (1.0, 2.0, 5.0)
        axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=12))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, 1.08 * high if high > 0 else 1)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=(1, 2, 5, 10)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))


def tick(value: float) -> str:
    """An axis label without exponents where they can be avoided: 0.001, 1e−5, 20."""
    return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−")


def _inline(svg: str, alternative: str) -> Markup:
    """The drawing alone: no prolog, no font, no style for the rest of the page, no id that nothing uses."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"\s*<style.*?</style>", "", body, flags=re.DOTALL)
    used = set(re.findall(r"#([\w.-]+)", body))
    body = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", body)
    body = re.sub(r"font-family: [^;]*; ", "", body)
    body = re.sub(r' transform="rotate\(-0 [^"]*"', "", body)
    for drawn, css in COLOURS.items():
        body = body.replace(drawn, css)
    body = re.sub(r"\n\s*", " ", body.strip())
    root = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(alternative)}</title>'
    return Markup(re.sub(r"<svg[^>]*>", lambda _: root, body, count=1))
