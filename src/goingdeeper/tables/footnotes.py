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
    what = f": {known.variant}" if known.variant else ""
    match known.provenance:
        case "inferred":
            whole = [Inferred(f"the whole definition is inferred{what}")]
        case "recalled":
            whole = [Inferred(f"the definition is recalled, not read in the source again{what}")]
        case _:
            whole = []
    return (*known.inferred, *whole)


def made_up(network: Network) -> str:
    """One line where a catalogue's network is in no paper; else nothing."""
    known = _figures(network)
    computed = known is not None and known.provenance == "computed"
    return f"not a network of the paper: {known.variant}" if known and computed else ""


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
