"""What the sources of a published network do not say, as footnotes of its table."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from goingdeeper import catalogue
from goingdeeper.layers import Network
from goingdeeper.published.networks import Inferred, NetworkFigures, figures, ids


def inferred(network: Network, address: str | None = None) -> tuple[Inferred, ...]:
    """What is inferred or recalled of a catalogue's network, the whole last, or what concerns an address.

    Any input size and class count will do; an edited network has none, even if it keeps the name.
    """
    known = _figures(network)
    if known is None:
        return ()
    if address is not None:
        return tuple(one for one in known.inferred if concerns(one, [address]))
    match known.provenance:
        case "inferred":
            whole = [Inferred("the whole definition is inferred")]
        case "recalled":
            whole = [Inferred("the definition is from memory of the paper, not checked against it again")]
        case _:
            whole = []
    return (*known.inferred, *whole)


def made_up(network: Network) -> str:
    """One line where a catalogue's network is in no paper; else nothing."""
    known = _figures(network)
    computed = known is not None and known.provenance == "computed"
    return "not a network of the paper" if computed else ""


def variant(network: Network) -> str:
    """What tells a catalogue's network from others of its name and paper, in one line; else nothing."""
    known = _figures(network)
    return known.variant if known is not None else ""


def concerns(one: Inferred, paths: Iterable[str]) -> bool:
    """Whether a detail is about one of the layers, something within it, or what it is within."""
    parts = one.layer.split(".")
    return bool(one.layer) and any(all(map(fnmatchcase, path.split("."), parts)) for path in paths)


def _figures(network: Network) -> NetworkFigures | None:
    if network.name not in catalogue.names() or network.name not in ids():
        return None
    original = catalogue.network(network.name)
    same = (network.layers, network.heads) == (original.layers, original.heads)
    return figures(network.name) if same else None
