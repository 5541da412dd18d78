"""Every network by name. A file of this folder describes one paper's networks in its `NETWORKS`."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module

from goingdeeper.errors import unknown
from goingdeeper.layers import Network


def network(name: str) -> Network:
    """The description of a network by its id, such as `resnet-34-a`. Instant, loads no torch.

    Raises UsageError, suggesting close names, for an id that is not in the catalogue.
    """
    builders = _catalogue()
    if name not in builders:
        raise unknown("network", name, builders, "`deeper list` shows all of them")
    return _built(name)


def described(what: Network | str) -> Network:
    """A description as it is, or the one of an id."""
    return network(what) if isinstance(what, str) else what


def names(pattern: str = "*") -> list[str]:
    """The ids that match a shell pattern such as `resnet-*`, family by family."""
    return [name for name in _catalogue() if fnmatchcase(name, pattern)]


@cache
def _catalogue() -> dict[str, Callable[[], Network]]:
    builders: dict[str, Callable[[], Network]] = {}
    for module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
        builders |= import_module(f"{__name__}.{module}").NETWORKS
    return builders


@cache
def _built(name: str) -> Network:
    return _catalogue()[name]()
