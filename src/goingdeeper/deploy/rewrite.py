"""Rewrites: a network and its weights to another description that computes the same in less time.

Each takes and gives (description, state). `FOLDED`, `MERGED` and `ALL` are in an order that lets one prepare
for the next; which of them pay differs by runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor

from goingdeeper.edits import without_heads
from goingdeeper.layers import (
    AvgPool,
    BatchNorm,
    Bias,
    Chain,
    Concat,
    Conv,
    Dropout,
    Highway,
    Layer,
    Named,
    Network,
    ReLU,
    Residual,
    Slice,
    pair,
    sides,
)

State: TypeAlias = dict[str, Tensor]
Rewrite: TypeAlias = Callable[[Network, Mapping[str, Tensor]], tuple[Network, State]]
Edit: TypeAlias = Callable[[str, Layer, State], Layer]
"""A layer, by its address, with the weights at hand: gives the layer in its place, and moves weights."""


def rewritten(
    network: Network, state: Mapping[str, Tensor], rewrites: tuple[Rewrite, ...]
) -> tuple[Network, State]:
    """The network and its weights after the rewrites, one after the other."""
    made = dict(state)
    for rewrite in rewrites:
        network, made = rewrite(network, made)
    return network, made


def without_training(network: Network, state: Mapping[str, Tensor]) -> tuple[Network, State]:
    """Without auxiliary heads and dropout, which do nothing in a deployed network."""
    kept = {name: value for name, value in state.items() if not name.startswith("heads.")}
    return _rewrite(without_heads(network), kept, lambda path, layer, state: layer, drop=Dropout)


def fold_batch_norm(network: Network, state: Mapping[str, Tensor]) -> tuple[Network, State]:
    """Batch norm's scale and shift go into the weights and bias of the convolution before it.

    gamma (w x + b - mean) / sqrt(var + eps) + beta, in double precision.
    """

    def edit(path: str, layer: Layer, state: State) -> Layer:
        if not isinstance(layer, Conv) or layer.norm is None:
            return layer
        weight = state[f"{path}.conv.weight"].double()
        factor, shift = _affine(f"{path}.norm", layer.norm, state)
        if layer.bias:
            shift = shift + state[f"{path}.conv.bias"].double() * factor
        state[f"{path}.conv.weight"] = (weight * factor[:, None, None, None]).float()
        state[f"{path}.conv.bias"] = shift.float()
        return replace(layer, norm=None, bias=True)

    return _rewrite(network, state, edit)


def _affine(path: str, norm: BatchNorm, state: State) -> tuple[Tensor, Tensor]:
    """What a batch norm does with running statistics: the factor and the shift of each channel."""
    mean, var = (state.pop(f"{path}.running_{name}").double() for name in ("mean", "var"))
    state.pop(f"{path}.num_batches_tracked", None)
    factor = (var + norm.eps).rsqrt()
    if norm.scale:
        factor = factor * state.pop(f"{path}.weight").double()
    return factor, state.pop(f"{path}.bias").double() - mean * factor


def commute_pools(network: Network, state: Mapping[str, Tensor]) -> tuple[Network, State]:
    """An average pool of stride 1 and the 1x1 convolution behind it change places: both are linear.

    The pool then has fewer channels, and the convolution the same input as its siblings. Bias and activation
    stay behind, as padded taps count as zeros and not as biases.
    """

    def edit(path: str, layer: Layer, state: State) -> Layer:
        if not isinstance(layer, Chain):
            return layer
        layers = list(layer.layers)
        for place, ((first, pool), (second, conv)) in enumerate(pairwise(layers)):
            if not (isinstance(pool, AvgPool) and pool.stride == 1 and _pointwise(conv)):
                continue
            assert isinstance(conv, Conv)
            swapped: list[tuple[str, Layer]] = [(second, replace(conv, bias=False, act=None)), (first, pool)]
            if conv.bias or conv.act:
                name = _free("bias", layers)
                bias = state.pop(f"{path}.{second}.conv.bias", None)
                if bias is None:
                    bias = torch.zeros(len(state[f"{path}.{second}.conv.weight"]))
                state[f"{path}.{name}.bias"] = bias
                swapped.append((name, Bias(_relu(conv))))
            return Chain((*layers[:place], *swapped, *layers[place + 2 :]))
        return layer

    return _rewrite(network, state, edit)


def merge_siblings(network: Network, state: Mapping[str, Tensor]) -> tuple[Network, State]:
    """1x1 convolutions that begin neighbouring branches become one, of which each branch takes its slice."""

    def edit(path: str, layer: Layer, state: State) -> Layer:
        if not isinstance(layer, Concat):
            return layer
        first, count = _longest_run(layer.branches)
        if count < 2:
            return layer
        chosen = layer.branches[first : first + count]
        if count == len(layer.branches):
            return _merged(path, path, chosen, state)
        name = _free("merged", layer.branches)
        inner = _merged(path, f"{path}.{name}", chosen, state)
        return Concat((*layer.branches[:first], (name, inner), *layer.branches[first + count :]))

    return _rewrite(network, state, edit)


def merge_projections(network: Network, state: Mapping[str, Tensor]) -> tuple[Network, State]:
    """A block's first 1x1 convolution and its projection, where both have the same stride, become one."""

    def edit(path: str, layer: Layer, state: State) -> Layer:
        if not (isinstance(layer, Residual) and isinstance(layer.shortcut, Conv) and layer.body):
            return layer
        (name, first), *rest = layer.body
        shortcut = layer.shortcut
        if not (isinstance(first, Conv) and _alike(first, shortcut)):
            return layer
        taken = _taken(state, path)
        conv, (one, two) = _joined(taken, f"{path}.conv", [(name, first), ("shortcut", shortcut)], state)
        state.update({f"{path}.add.{inner}": value for inner, value in taken.items()})
        return Chain((("conv", conv), ("add", Residual(((name, one), *rest), two, layer.act))))

    return _rewrite(network, state, edit)


FOLDED: tuple[Rewrite, ...] = (without_training, fold_batch_norm)

MERGED: tuple[Rewrite, ...] = (*FOLDED, commute_pools, merge_siblings)

ALL: tuple[Rewrite, ...] = (*MERGED, merge_projections)


def _pointwise(layer: Layer) -> bool:
    """Whether it is a 1x1 convolution that others can be joined with: no padding, groups or norm."""
    return (
        isinstance(layer, Conv)
        and pair(layer.kernel) == (1, 1)
        and not any(sides(layer))
        and layer.groups == 1
        and layer.norm is None
        and isinstance(layer.filters, int)
        and isinstance(layer.act, ReLU | None)
    )


def _alike(first: Layer, second: Layer) -> bool:
    return (
        isinstance(first, Conv)
        and isinstance(second, Conv)
        and _pointwise(first)
        and _pointwise(second)
        and first.stride == second.stride
    )


def _head(layer: Layer) -> Layer:
    """What a branch begins with."""
    return layer.layers[0][1] if isinstance(layer, Chain) and layer.layers else layer


def _longest_run(branches: Named) -> tuple[int, int]:
    """Start and length of the most neighbouring branches that begin with 1x1 convolutions of one stride."""
    best = (0, 0)
    for start, (_, branch) in enumerate(branches):
        count = 0
        for _, other in branches[start:]:
            if not _alike(_head(branch), _head(other)):
                break
            count += 1
        if count > best[1]:
            best = (start, count)
    return best


def _merged(above: str, path: str, branches: Named, state: State) -> Layer:
    """The branches at address `above` as one convolution and what is left of each, at `path`."""
    heads: list[tuple[str, Conv]] = []
    taken: State = {}
    for name, branch in branches:
        taken.update({f"{name}.{inner}": value for inner, value in _taken(state, f"{above}.{name}").items()})
        inner = f"{name}.{branch.layers[0][0]}" if isinstance(branch, Chain) else name
        head = _head(branch)
        assert isinstance(head, Conv)
        heads.append((inner, head))
    conv, slices = _joined(taken, f"{path}.conv", heads, state)
    state.update({f"{path}.fork.{name}": value for name, value in taken.items()})
    fork: list[tuple[str, Layer]] = []
    for (name, branch), part in zip(branches, slices, strict=True):
        rest = branch.layers[1:] if isinstance(branch, Chain) else ()
        fork.append((name, Chain(((_free("slice", rest), part), *rest)) if rest else part))
    return Chain((("conv", conv), ("fork", Concat(tuple(fork)))))


def _joined(
    taken: State, path: str, convolutions: list[tuple[str, Conv]], state: State
) -> tuple[Conv, list[Slice]]:
    """One convolution at `path` in place of several, and the slice that each is of it.

    taken: has their weights by the convolutions' names, and gives them up. Where all have the same
    activation it is the convolution's own, otherwise the slices'.
    """
    one = convolutions[0][1]
    same = len({layer.act for _, layer in convolutions}) == 1
    biased = any(layer.bias for _, layer in convolutions)
    weights, biases, slices, first = [], [], [], 0
    for name, layer in convolutions:
        weights.append(taken.pop(f"{name}.conv.weight"))
        bias = taken.pop(f"{name}.conv.bias", None)
        count = len(weights[-1])
        biases.append(torch.zeros(count) if bias is None else bias)
        slices.append(Slice(first, count, None if same else _relu(layer)))
        first += count
    state[f"{path}.conv.weight"] = torch.cat(weights)
    if biased:
        state[f"{path}.conv.bias"] = torch.cat(biases)
    joined = replace(one, filters=first, bias=biased, act=one.act if same else None)
    return joined, slices


def _relu(layer: Conv) -> ReLU | None:
    assert isinstance(layer.act, ReLU | None)
    return layer.act


def _taken(state: State, path: str) -> State:
    """The weights below an address, by what their names go on with; none is left there for others to meet."""
    names = [name for name in state if name.startswith(f"{path}.")]
    return {name[len(path) + 1 :]: state.pop(name) for name in names}


def _free(name: str, layers: Named | list[tuple[str, Layer]]) -> str:
    """The name, or with a number where it is taken."""
    taken = {other for other, _ in layers}
    return (
        name if name not in taken else next(f"{name}{n}" for n in range(2, 99) if f"{name}{n}" not in taken)
    )


def _rewrite(
    network: Network, state: Mapping[str, Tensor], edit: Edit, drop: type[Layer] | None = None
) -> tuple[Network, State]:
    """Every layer of the trunk, innermost first, replaced by what the edit gives; one kind left out."""
    made = dict(state)

    def inside(layers: Named, prefix: str) -> Named:
        return tuple(
            (name, whole(layer, prefix + name))
            for name, layer in layers
            if drop is None or not isinstance(layer, drop)
        )

    def whole(layer: Layer, path: str) -> Layer:
        match layer:
            case Chain():
                layer = Chain(inside(layer.layers, f"{path}."))
            case Concat():
                layer = Concat(inside(layer.branches, f"{path}."))
            case Residual():
                body, shortcut = inside(layer.body, f"{path}."), whole(layer.shortcut, f"{path}.shortcut")
                layer = replace(layer, body=body, shortcut=shortcut)
            case Highway():
                transform, gate = (
                    whole(layer.transform, f"{path}.transform"),
                    whole(layer.gate, f"{path}.gate"),
                )
                layer = Highway(transform, gate)
        return edit(path, layer, made)

    return replace(network, layers=inside(network.layers, "")), made
