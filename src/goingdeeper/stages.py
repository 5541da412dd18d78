"""A network by depth: its stages, counted from the classifier, its last map, and what `freeze` holds."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

from goingdeeper.errors import UsageError, unknown
from goingdeeper.layers import Concat, Conv, Highway, Linear, Network, Residual
from goingdeeper.trace import Step, trace


def classifier(network: Network) -> str:
    """Address of the trunk's last layer with weights, which gives the classes."""
    return [step.path for step in _trunk(network) if isinstance(step.layer, Conv | Linear)][-1]


def last_map(network: Network) -> str | None:
    """Address of the trunk's last layer or block that convolves and gives a map of several places, if any."""
    steps = _trunk(network)
    convolving = {place for step in steps if isinstance(step.layer, Conv) for place in _above(step.path)}
    maps = [step for step in steps if step.path in convolving and math.prod(step.shape_out[1:]) > 1]
    return maps[-1].path if maps else None


def depths(network: Network) -> dict[str, int]:
    """By the address of each layer of the trunk, how many stages lie between it and the classifier.

    A stage is all that works at one distance between neighbouring pixels, such as conv3_1 to conv3_4 of
    ResNet-34; a block with a stride belongs to the stage that it opens. The classifier is of the last one.
    """
    steps = _trunk(network)
    last = classifier(network)
    blocks = {step.path: step for step in steps if isinstance(step.layer, Residual | Concat | Highway)}
    jumps: dict[str, tuple[int, int]] = {}
    for step in steps:
        outer = next((blocks[place] for place in _above(step.path) if place in blocks), step)
        jumps[step.path] = outer.field.jump
    weighted = [
        step.path for step in steps if isinstance(step.layer, Conv | Linear) and step.path != last
    ] or [last]
    order = list(dict.fromkeys(jumps[path] for path in weighted))
    return {path: len(order) - 1 - order.index(jump) for path, jump in jumps.items() if jump in order}


def depth_of(name: str, depths: Mapping[str, int]) -> int:
    """Of a parameter or module, by its name; 0 outside of the trunk."""
    return next((depths[place] for place in reversed(_above(name)) if place in depths), 0)


def frozen(network: Network, freeze: str) -> frozenset[str]:
    """Addresses of the trunk's layers that a recipe's `freeze` holds, and all that is in them.

    Raises UsageError for an address that is not there, or that leaves nothing to train.
    """
    if freeze == "none":
        return frozenset()
    last = classifier(network)
    if freeze == "head":
        return frozenset(step.path for step in _trunk(network) if step.path not in _above(last))
    names = [name for name, _ in network.layers]
    fitting = [n for n, name in enumerate(names) if name == freeze] or [
        n for n, name in enumerate(names) if name.startswith(freeze) and not name[len(freeze)].isdigit()
    ]
    if not fitting:
        remedy = f"it is none, head, or an address such as {names[len(names) // 2]}"
        raise unknown(f"value of freeze for {network.name}:", freeze, names, remedy)
    held = frozenset(names[: fitting[-1] + 1])
    if last.partition(".")[0] in held:
        raise UsageError(
            f"freeze={freeze}: the classifier of {network.name}, {last}, would not train; "
            "freeze=head leaves it alone"
        )
    return held


def under(name: str, addresses: Collection[str]) -> bool:
    """Whether a parameter or module is at one of the addresses, or below it."""
    return any(place in addresses for place in _above(name))


def _above(address: str) -> list[str]:
    """The address and those that it lies in, outermost first."""
    parts = address.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _trunk(network: Network) -> tuple[Step, ...]:
    return trace(replace(network, heads=()))
