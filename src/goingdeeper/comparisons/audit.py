"""The audit: every figure that the papers print against the exact one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase

from goingdeeper import catalogue
from goingdeeper.comparisons.findings import Audit, Finding
from goingdeeper.costs.counts import cost, total, within
from goingdeeper.errors import UsageError, unknown
from goingdeeper.layers import AvgPool, GlobalAvgPool, MaxPool, Network
from goingdeeper.published import (
    Printed,
    PrintedLayer,
    Result,
    Winner,
    ensembles,
    figures,
    ids,
    layers,
    results,
    table,
    tables,
    winners,
)
from goingdeeper.published.printed import Figure, printed
from goingdeeper.shapes import Shape
from goingdeeper.tables.describe import depth
from goingdeeper.trace import Step, trace


def audit(networks: str | Network | Iterable[str | Network] | None = None) -> Audit:
    """What the papers print against what is exact, and why they differ.

    Counts, depths and shapes are those of our descriptions; errors that one paper quotes are held against the
    quoted paper's own, differences and costs in tables of results against their arithmetic.
    networks: ids, patterns such as "resnet-*", networks of the catalogue as they are there, also ensembles
    such as "vgg"; everything unless given. Raises UsageError, suggesting close ids, for one that matches
    nothing, and for a network of which nothing is published.
    """
    known = ids()
    found = [
        *(one for name in known for one in of_network(catalogue.network(name), figures(name).printed)),
        *(one for name in known for one in of_layers(catalogue.network(name), layers(name))),
        *(one for name in tables() for one in of_results(table(name))),
        *of_winners(winners()),
    ]
    if networks is None:
        return Audit(tuple(found))
    asked = [networks] if isinstance(networks, str | Network) else networks
    wanted = _matching(map(_id, asked), [*catalogue.names(), *ensembles()])
    return Audit(tuple(one for one in found if one.network in wanted))


def of_network(network: Network, figures: Iterable[Printed]) -> Iterator[Finding]:
    """The figures printed of a whole network against its description."""
    for one in figures:
        beside = f"compared with {one.against}" if one.against else ""
        yield Finding(network.name, one, _of_network(network, one), exact_source=beside)


def of_layers(network: Network, rows: Iterable[PrintedLayer]) -> Iterator[Finding]:
    """The rows of a paper's table of layers against the description's steps at their addresses."""
    for row in rows:
        steps = [step for step in trace(network) if within(step.path, row.layer)]
        for one in row.printed:
            yield Finding(network.name, one, _of_layer(steps, one.figure), row.layer)


def of_results(rows: tuple[Result, ...]) -> Iterator[Finding]:
    """Of one table of results: its differences and costs, and errors quoted from other papers."""
    base = next((row.top5_error for row in rows if row.compared_to_base == 0), None)
    for row in rows:
        if row.compared_to_base and row.top5_error is not None and base is not None:
            difference = round(row.top5_error - base, 2)
            yield _of_result(row, "compared_to_base", difference, f"{row.top5_error} - {base}")
        if row.cost and row.models and isinstance(row.crops, int):
            yield _of_result(row, "cost", row.models * row.crops, f"{row.models} x {row.crops}")
        own = _quoted(row)
        for figure in ("top1_error", "top5_error"):
            exact = getattr(own, figure, None)
            if own and exact is not None and getattr(row, figure) is not None:
                found, stated = _of_result(row, figure, exact, _reference(own)), _stated(own, figure)
                yield replace(found, coarser=stated if stated.step > found.printed.step else None)


def of_winners(entries: Iterable[Winner]) -> Iterator[Finding]:
    """The winners' chart against the entries' own papers, and the depths there against our descriptions."""
    for entry in entries:
        ensembles = (one for one in results(entry.network) if one.own) if entry.network else ()
        alike = (one for one in ensembles if one.models == entry.models)
        best = min(alike, key=lambda one: one.top5_error or 100, default=None)
        name, row = entry.network or entry.entry, str(entry.year)
        own, where = (best.top5_error, _reference(best)) if best else (entry.own_error, entry.own)
        if own is not None:
            yield Finding(name, _charted(entry, "top5_error"), own, row, where)
        deepest = entry.deepest or entry.network
        if deepest in catalogue.names():
            yield Finding(name, _charted(entry, "layers"), _depth(catalogue.network(deepest)), row)


def _id(network: str | Network) -> str:
    if isinstance(network, str):
        return network
    if not isinstance(network, Network):
        raise UsageError(f"audit takes ids such as 'googlenet' and networks, not {type(network).__name__}")
    if network.name not in ids() or network != catalogue.network(network.name):
        raise UsageError(f"nothing is printed of '{network.name}' as it is here; audit one of `deeper list`")
    return network.name


def _matching(patterns: Iterable[str], known: list[str]) -> set[str]:
    wanted: set[str] = set()
    for pattern in patterns:
        names = [name for name in known if fnmatchcase(name, pattern.lower())]
        if not names:
            raise unknown("network", pattern, known, "`deeper list` shows all of them")
        wanted.update(names)
    return wanted


def _of_network(network: Network, one: Printed) -> int | float | str:
    match one.figure:
        case "params":
            return cost(network).params
        case "macs":
            return cost(network).macs
        case "layers":
            return _depth(network)
        case "layers_with_pools":
            return _depth(network) + sum(
                isinstance(layer, MaxPool | AvgPool | GlobalAvgPool) for _, layer in network.layers
            )
        case "input":
            return _shown(network.input)
        case "params_ratio" | "macs_ratio":
            pair = (cost(network), cost(one.against))
            of_params = one.figure == "params_ratio"
            fewer, more = sorted(count.params if of_params else count.macs for count in pair)
            return round(more / fewer, 2)
    raise ValueError(f"{one.figure} is not a figure of a whole network")


def _of_layer(steps: list[Step], figure: Figure) -> int | str:
    match figure:
        case "params":
            return total(steps).weights
        case "macs":
            return total(steps).macs
        case "input":
            return _shown(steps[-1].shape_in)  # a container's step comes last
        case "output":
            return _shown(steps[-1].shape_out)
    raise ValueError(f"{figure} is not a figure of a layer")


def _of_result(row: Result, figure: Figure, exact: float, where: str) -> Finding:
    protocol = "" if row.crops == "unknown" else row.protocol
    return Finding(row.network, _stated(row, figure), exact, protocol, where)


def _stated(row: Result, figure: Figure) -> Printed:
    told = printed(figure, str(getattr(row, figure)), erratum=row.erratum(figure))
    return replace(told, paper=row.paper, place=row.place)


def _reference(row: Result) -> str:
    return ", ".join(filter(None, (row.paper, row.place)))


def _charted(entry: Winner, figure: Figure) -> Printed:
    told = printed(figure, str(getattr(entry, figure)), erratum=entry.erratum(figure))
    return replace(told, paper="the lecture", place="winners' chart")


def _quoted(row: Result) -> Result | None:
    """What the network's own paper prints, if this is another paper's table that quotes it."""
    if not row.paper or row.own:
        return None
    alike = (
        own
        for own in results(row.network)
        if own.own
        and own.augmentation == row.augmentation
        and (None in (own.models, row.models) or own.models == row.models)
        and (None in (own.crops, row.crops) or own.crops == row.crops)
    )
    # An entry of the challenge, quoted without its crops, is the best that its paper has.
    return min(alike, key=lambda own: (own.split != row.split, own.top5_error or 100), default=None)


def _depth(network: Network) -> int:
    return sum(depth(layer) for _, layer in network.layers)


def _shown(shape: Shape) -> str:
    """As the papers write it, height x width x channels; a vector is a map of one pixel."""
    channels, *sides = shape
    return "x".join(map(str, (*(sides or (1, 1)), channels)))
