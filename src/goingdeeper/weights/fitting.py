"""Trained weights in a network of other classes, other input channels or another size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from goingdeeper.errors import UsageError
from goingdeeper.layers import Conv, Linear, Network
from goingdeeper.nn.build import Net
from goingdeeper.runs.model import Model
from goingdeeper.shapes import dims
from goingdeeper.stages import classifier, under
from goingdeeper.trace import Step, trace

Said = tuple[str, str, str]
"""What was adapted, how, and why."""


def fit(net: Net, given: Model, classes: Sequence[str] | None) -> list[Said]:
    """Puts a model's weights into a network, adapts what differs, and says what it did.

    The classifier takes the rows of the network's classes by name where the model knows all of them, or all
    rows where `classes`, None, are only a number and that is the same; else it keeps its initial weights, as
    auxiliary heads do. Convolutions of the input take other channels by `rechannelled`. Raises UsageError
    where anything else does not fit.
    """
    said: list[Said] = []
    own, state = net.state_dict(), dict(given.net.state_dict())
    description, before = net.description, given.net.description
    last = classifier(description)
    rows = _rows(given.classes, classes, description.classes)
    if rows is None:
        state |= {name: value for name, value in own.items() if under(name, (last,))}
        why = f"the weights' {len(given.classes)} classes are others; it starts from initial weights"
        said.append(("classifier", "new", why))
    elif rows != list(range(len(given.classes))):
        for name in [name for name in state if under(name, (last,)) and state[name].ndim]:
            each = state[name].unflatten(0, (len(given.classes), -1))
            state[name] = each[rows].flatten(0, 1)
        how = (
            "in another order" if len(rows) == len(given.classes) else f"{len(rows)} of {len(given.classes)}"
        )
        said.append(("classifier", "rows by name", f"the weights know these classes, {how}"))
    for path in _first(description) & _first(before):
        name = f"{path}.conv.weight"
        if own[name].shape[1] != state[name].shape[1] and own[name].shape[0] == state[name].shape[0]:
            said.append((path, _how(state[name], own[name].shape[1]), "the input has other channels"))
            state[name] = rechannelled(state[name], own[name].shape[1])
    _check(net, given, own, state)
    if replace(description, heads=()).layers != before.layers:
        said.append(("network", description.name, f"not quite that of the weights, {before.name}"))
    if description.heads:
        said.append(("auxiliary heads", "new", "a model has none"))
    with torch.no_grad():
        for name, value in state.items():
            own[name].copy_(value)
    return said


def rechannelled(weight: Tensor, channels: int) -> Tensor:
    """A first convolution's weights, (filters, channels, height, width), for other channels.

    One channel takes the sum, so that a grey image gives what it gave as equal red, green and blue; others
    take the channels in turn, scaled so that the sum over channels of equal values stays.
    """
    before = weight.shape[1]
    if channels == 1:
        return weight.sum(1, keepdim=True)
    turns = [number % before for number in range(channels)]
    parts = torch.tensor([1 / turns.count(turn) for turn in turns]).view(1, -1, 1, 1)
    if channels < before:
        parts = parts * before / channels
    return weight[:, turns] * parts.to(weight)


def _how(weight: Tensor, channels: int) -> str:
    if channels == 1:
        return f"summed over {weight.shape[1]} channels"
    return f"{weight.shape[1]} channels in turn, scaled"


def _rows(known: Sequence[str], classes: Sequence[str] | None, count: int) -> list[int] | None:
    """The model's class numbers of the network's classes; None where it does not know them all."""
    if classes is None:
        return list(range(count)) if count == len(known) else None
    number = {name: index for index, name in enumerate(known)}
    return [number[name] for name in classes] if set(classes) <= set(known) else None


def _first(network: Network) -> set[str]:
    """Addresses of the trunk's convolutions that read the input."""
    steps = trace(replace(network, heads=()))
    return {s.path for s in steps if isinstance(s.layer, Conv) and s.shape_in == network.input}


def _check(net: Net, given: Model, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Raises UsageError, naming the first layer, where shapes differ or layers are missing on either side."""
    trunk = {name for name in own if not name.startswith("heads.")}
    ours, theirs = net.description, given.net.description
    for name in [name for name in own if name in trunk and name in state]:
        if own[name].shape != state[name].shape:
            steps = {network: _step(network, name) for network in (ours, theirs)}
            if all(isinstance(step.layer, Linear) for step in steps.values()) and ours.name == theirs.name:
                given_map, wanted = (dims(steps[one].shape_in) for one in (ours, theirs))
                raise UsageError(
                    f"{steps[ours].path} of {ours.name} reads a map of {wanted}; at {ours.input[2]}x"
                    f"{ours.input[1]} it would be {given_map}. Its weights fit one size: give size "
                    f"{theirs.input[1]}"
                )
            raise _unfit(ours, given, f"{name} is {_dims(own[name])}, theirs {_dims(state[name])}")
    for name in sorted(trunk - state.keys()):
        raise _unfit(ours, given, f"they have no {name}")
    for name in sorted(state.keys() - trunk):
        raise _unfit(ours, given, f"it has no {name}")


def _unfit(ours: Network, given: Model, what: str) -> UsageError:
    theirs = given.net.description.name
    remedy = f"take {theirs}" if theirs != ours.name else "take other weights"
    return UsageError(f"the weights of {given.path}, {theirs}, do not fit {ours.name}: {what}; {remedy}")


def _step(network: Network, name: str) -> Step:
    return next(s for s in reversed(trace(replace(network, heads=()))) if under(name, (s.path,)))


def _dims(value: Tensor) -> str:
    return dims(tuple(value.shape)) if value.ndim else "one number"
