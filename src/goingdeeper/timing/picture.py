"""A measurement as bars: images a second, ours and the rivals', with the floor."""

from __future__ import annotations

import io
from typing import Any

from goingdeeper.reports.plots import no_advice
from goingdeeper.timing.rows import Bench
from goingdeeper.timing.table import label

with no_advice():
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

OURS, RIVAL, FLOOR = "#1f6fb4", "#b5b5b5", "#444444"
FORMATS = ("png", "svg", "pdf")
WIDTH, BAR, ROOM = 6.4, 0.3, 1.1
"""Inches: of the picture, of a bar with its gap, and of title and axis of each batch."""


def picture(found: Bench, form: str) -> bytes:
    """form: of `FORMATS`. A panel for each batch, the fastest on top; a line where the floor is."""
    batches = list(dict.fromkeys(row.candidate.batch for row in found.rows))
    panels = {
        batch: sorted(
            (row for row in found.rows if row.candidate.batch == batch),
            key=lambda row: row.images_per_second,
        )
        for batch in batches
    }
    heights = [len(rows) * BAR + ROOM for rows in panels.values()]
    with no_advice(), matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the reader's own matplotlibrc says
        matplotlib.rcParams.update({"font.size": 9.5, "svg.hashsalt": "goingdeeper-bench"})
        figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for panel, (batch, rows) in zip(axes, panels.items(), strict=True):
            names = [f"goingdeeper {label(row)}" if row.candidate.ours else label(row) for row in rows]
            rates = [row.images_per_second for row in rows]
            bars = panel.barh(
                range(len(rows)), rates, color=[OURS if row.candidate.ours else RIVAL for row in rows]
            )
            panel.bar_label(bars, [f"{rate:,.4g}" for rate in rates], padding=3)
            panel.set_yticks(range(len(rows)), names)
            floor = 1 / found.peak.seconds(found.macs)
            panel.axvline(floor, color=FLOOR, linestyle="--", linewidth=1)
            panel.set_xlim(0, 1.12 * max(*rates, floor))
            panel.set_title(f"{found.network}, batch {batch}", loc="left")
            panel.spines[["top", "right"]].set_visible(False)
        axes[-1].set_xlabel(
            f"images a second; dashed: {found.peak.flops / 1e9:.0f} GFLOP/s, this machine's peak"
        )
        stream = io.BytesIO()
        facts: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
        figure.savefig(stream, format=form, dpi=150, metadata=facts)
    return stream.getvalue()
