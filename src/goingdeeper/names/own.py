"""Our own names: the addresses in the description, which are the keys of `model.safetensors`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from goingdeeper import catalogue
from goingdeeper.layers import Conv, Network
from goingdeeper.names.naming import Naming, Place, units

LIBRARY = "goingdeeper"


def places(network: Network) -> Mapping[str, Place]:
    """A convolution unit has the parts `conv`, `norm` and `act`, a fully connected layer only `act`."""
    return {
        step.path: Place(f"{step.path}.conv", f"{step.path}.norm", act=f"{step.path}.act")
        if isinstance(step.layer, Conv)
        else Place(step.path, act=f"{step.path}.act")
        for step in units(network)
    }


def own_namings() -> list[Naming]:
    """One for each network of the catalogue; made when asked for, as importing this reads no catalogue."""
    return [
        Naming(LIBRARY, id, partial(catalogue.network, id), id, places, optional=("heads.",))
        for id in catalogue.names()
    ]
