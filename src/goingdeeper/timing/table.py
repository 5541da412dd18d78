"""A measurement as a table, and as data."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

from goingdeeper.tables.grid import Column, Grid, Part
from goingdeeper.timing.rows import Bench, Row
from goingdeeper.timing.side_by_side import ENOUGH, Ratio

COLUMNS = (
    Column("runtime"),
    Column("images/s", right=True),
    Column("p50 ms", right=True),
    Column("p90 ms", right=True),
    Column("MB", right=True, spare=2),
    Column("load s", right=True, spare=3),
    Column("floor %", right=True, spare=1),
)


def grid(found: Bench) -> Grid:
    """Ours and the rivals at each batch; the last column is the ratio to the batch's fastest rival."""
    rivals = any(not row.candidate.ours for row in found.rows)
    columns = (*COLUMNS, Column("ratio", right=True)) if rivals else COLUMNS
    parts = []
    for batch in dict.fromkeys(row.candidate.batch for row in found.rows):
        rows = [row for row in found.rows if row.candidate.batch == batch]
        best = best_rival(rows)
        for ours, title in ((True, "rewritten by goingdeeper"), (False, "as published, without goingdeeper")):
            lines = tuple(_cells(found, row, best, rivals) for row in rows if row.candidate.ours is ours)
            if lines:
                parts.append(Part(f"batch {batch}, {title}", lines))
    machine = found.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    threads = f"{machine['threads']} thread{'' if machine['threads'] == 1 else 's'}"
    rounds = f"{found.rounds} block{'' if found.rounds == 1 else 's'} of {found.seconds:g} s each, in turn"
    notes = [
        f"{machine['processor']}, {threads} · {versions}",
        rounds,
        f"floor: {found.macs / 1e9:.2f} G multiply-adds an image at {found.peak.flops / 1e9:.0f} GFLOP/s, "
        f"which {found.peak.of} reaches; the network as published needs as many",
        "ms: of a whole batch. MB: the process's most, beyond Python and NumPy",
    ]
    if any(row.candidate.goal == "throughput" for row in found.rows):
        notes.append("/2 and so on: the batch in so many parts, one thread each, which was faster")
    if rivals:
        spread = "(95 %, bootstrap)"
        if found.rounds < ENOUGH:
            spread = f"(smallest to largest; {ENOUGH} blocks have an interval)"
        notes.append(f"ratio: to the fastest rival at the batch, the median over pairs of blocks {spread}")
        notes.append("rivals are given normalised floats, ours bytes as they come from an image")
    return Grid(f"{found.network}, images to logits", columns, tuple(parts), notes=tuple(notes))


def best_rival(rows: Sequence[Row]) -> Row | None:
    """The fastest row of one batch that is none of ours."""
    rivals = [row for row in rows if not row.candidate.ours]
    return max(rivals, key=lambda row: row.images_per_second, default=None)


def label(row: Row) -> str:
    """`openvino int8 /2`: the runtime, and into how many parts a batch is divided."""
    one = row.candidate
    return f"{one.name} /{one.threads}" if one.goal == "throughput" else one.name


def document(found: Bench) -> dict[str, Any]:
    """As cli.md's table has it, and more."""
    return {
        "network": found.network,
        "macs": found.macs,
        "machine": dict(found.machine),
        "rounds": found.rounds,
        "block_seconds": found.seconds,
        "interrupted": found.interrupted,
        "rows": [_data(found, row) for row in found.rows],
        "wrong": [
            {
                "what": one.candidate.what, "runtime": one.candidate.runtime,
                "precision": one.candidate.precision, "batch": one.candidate.batch,
                "error": one.error if one.error < float("inf") else None,
            }
            for one in found.wrong
        ],
        "skipped": list(found.skipped),
    }  # fmt: skip


def _data(found: Bench, row: Row) -> dict[str, Any]:
    one = row.candidate
    return {
        "what": one.what,
        "runtime": one.runtime,
        "precision": one.precision,
        "batch": one.batch,
        "goal": one.goal,
        "threads": one.threads,
        "images_per_second": row.images_per_second,
        "latency_ms_p50": row.latency_ms_p50,
        "latency_ms_p90": row.latency_ms_p90,
        "memory_bytes": row.memory,
        "load_seconds": row.load_seconds,
        "percent_of_floor": 100 * found.floor(row),
        "relative_error": row.error,
        "ratio_to": {
            rival: {"ratio": r.value, **_spread(r, found.rounds)} for rival, r in row.ratio_to.items()
        },
    }


def _cells(found: Bench, row: Row, best: Row | None, rivals: bool) -> tuple[str, ...]:
    cells = (
        label(row),
        digits(row.images_per_second),
        digits(row.latency_ms_p50),
        digits(row.latency_ms_p90),
        "-" if row.memory is None else f"{row.memory / 1e6:.0f}",
        f"{row.load_seconds:.1f}",
        f"{100 * found.floor(row):.0f}",
    )
    if not rivals:
        return cells
    return (*cells, "-" if best is None or best is row else _ratio(row.ratio_to[best.candidate.what]))


def _spread(found: Ratio, rounds: int) -> dict[str, Any]:
    """The interval, or how far few pairs lie apart."""
    if rounds >= ENOUGH:
        return {"interval_95": [found.low, found.high]}
    return {"interval_95": None, "range": None if isnan(found.low) else [found.low, found.high]}


def _ratio(found: Ratio) -> str:
    return f"{found.value:.2f} " + (
        "(n.a.)" if isnan(found.low) else f"({found.low:.2f} to {found.high:.2f})"
    )


def digits(value: float) -> str:
    """Three digits or more, none behind the point from 100 on."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"
