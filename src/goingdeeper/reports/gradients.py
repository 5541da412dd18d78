"""Which layers' gradients the report shows: some from the first to the last, over training."""

from __future__ import annotations

import math
from collections.abc import Iterable

from goingdeeper.layers import Network
from goingdeeper.reports.plots import DEPTHS, Line, Plot


def gradients(rows: Iterable[tuple[int, str, float]], network: Network, best: int | None) -> list[Plot]:
    """The figure of gradients.csv: epochs, and a line for each of a few layers or blocks of the trunk.

    The first, the last, and those between at equal distances, in order of depth. Of a block the norm is that
    of all its weights together. Nothing where there are no rows; a gradient of 0, which no logarithm has, is
    a gap.
    """
    squares: dict[str, dict[int, float]] = {name: {} for name, _ in network.layers}
    for epoch, layer, norm in rows:
        if (found := squares.get(layer.partition(".")[0])) is not None:
            found[epoch] = found.get(epoch, 0.0) + norm**2
    trained = [name for name, found in squares.items() if found]
    epochs = sorted({epoch for found in squares.values() for epoch in found})
    if not epochs:
        return []
    lines = []
    for name, look in zip(_spread(trained, len(DEPTHS)), DEPTHS, strict=False):
        norms = [math.sqrt(squares[name].get(epoch, math.nan)) for epoch in epochs]
        label = name if any(norm > 0 for norm in norms) else f"{name} (0)"
        lines.append(Line(label, tuple(norm or math.nan for norm in norms), look))
    title, quantity = "Gradient by depth", "L2 norm"
    return [Plot("gradients", title, quantity, tuple(map(float, epochs)), tuple(lines), best)]


def _spread(names: list[str], most: int) -> list[str]:
    """Up to so many, the first and the last among them, at equal distances."""
    if len(names) <= most:
        return names
    return [names[round(number * (len(names) - 1) / (most - 1))] for number in range(most)]
