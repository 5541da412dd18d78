"""The challenge's winners: error and depth by year."""

from __future__ import annotations

from goingdeeper.catalogue import network
from goingdeeper.published.history import Winner, winners
from goingdeeper.why.charts import Bars, Lines, curve, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.evidence.layers import longest
from goingdeeper.why.part import Part


def arithmetic() -> Part:
    entries = winners()
    first = {year: _first(entries, year) for year in sorted({entry.year for entry in entries})}
    error = {year: one.top5_error for year, one in first.items()}
    layers = {year: one.layers for year, one in first.items() if one.layers}
    charts = (
        Bars(
            "winners",
            "ILSVRC classification, the lecture's chart: entries, and a trained person",
            "top-5 error, %",
            tuple(_label(one) for one in entries),
            (heights("error", (one.top5_error for one in entries)),),
        ),
        Lines(
            "winners-depth",
            "Depth and error of the winners",
            "layers with weights",
            "top-5 error, %",
            (curve("winner", layers.values(), (error[year] for year in layers)),),
            x_scale="log",
        ),
    )
    notes = (
        *(f"{one.entry}, {one.year}: {one.models} networks together" for one in first.values() if one.models),
        *(f"{one.entry}, {one.year}: {one.erratum('top5_error')}" for one in entries if one.errata),
        f"the chart's errors are {entries[0].provenance}",
    )
    deep = [longest(network(name).layers) for name in ("googlenet", "resnet-152")]
    return Part((measured("winners", *deep, error[2014], error[2015]),), charts, notes)


def _first(entries: tuple[Winner, ...], year: int) -> Winner:
    return min((one for one in entries if one.year == year), key=lambda one: one.place)


def _label(one: Winner) -> str:
    place = "" if one.place == 1 else f", place {one.place}"
    layers = f", {one.layers} layers" if one.layers else ""
    return f"{one.year} {one.entry}{layers}{place}"
