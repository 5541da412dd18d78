"""Modules with addressable parts; they pass taps on to them and compute blocks again where asked to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from goingdeeper.errors import DescriptionError
from goingdeeper.layers import ReLU
from goingdeeper.nn.norm import TrainedNorm


@dataclass(frozen=True)
class Taps:
    """Addresses whose values are wanted from a pass, and the values found so far."""

    wanted: frozenset[str]
    prefix: str = ""
    found: dict[str, Tensor] = field(default_factory=dict)

    def through(self, module: nn.Module, name: str, x: Tensor) -> Tensor:
        """module(x), keeping what is wanted of it and of its parts."""
        path = self.prefix + name
        below = f"{path}."
        if isinstance(module, Composite) and any(want.startswith(below) for want in self.wanted):
            y: Tensor = module(x, Taps(self.wanted, below, self.found))
        else:
            y = module(x)
        if path in self.wanted:
            self.found[path] = y
            y = y.clone()  # what follows may work in place
        return y


def run(module: nn.Module, name: str, x: Tensor, taps: Taps | None) -> Tensor:
    y: Tensor = module(x) if taps is None else taps.through(module, name, x)
    return y


Parts: TypeAlias = Sequence[tuple[str, nn.Module]]


def _through(parts: Parts, x: Tensor, taps: Taps | None) -> Tensor:
    for name, part in parts:
        x = run(part, name, x, taps)
    return x


def _segments(parts: Parts, size: int) -> list[list[tuple[str, nn.Module]]]:
    """Neighbouring blocks, up to `size` together, and what is no block alone."""
    segments: list[list[tuple[str, nn.Module]]] = []
    for part in parts:
        last = segments[-1] if segments else []
        if 0 < len(last) < size and isinstance(part[1], BLOCKS) and isinstance(last[0][1], BLOCKS):
            last.append(part)
        else:
            segments.append([part])
    return segments


def _recomputed(parts: Parts, x: Tensor, taps: Taps | None, draws: bool) -> Tensor:
    """x through the parts, of which only x is kept; the backward pass runs them again."""
    again = False

    def segment(x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal again
        inner = Taps(taps.wanted, taps.prefix) if taps else None
        if torch.compiler.is_compiling():  # it traces one pass, and moves the running statistics once itself
            return _through(parts, x, inner), inner.found if inner else {}
        tracking, again = _untracked(parts) if again else nullcontext(), True
        with tracking:
            return _through(parts, x, inner), inner.found if inner else {}

    y: Tensor
    y, found = checkpoint(segment, x, use_reentrant=False, preserve_rng_state=draws)
    if taps:
        taps.found.update(found)
    return y


@contextmanager
def _untracked(parts: Parts) -> Iterator[None]:
    """The running statistics of the parts stay as they are."""
    norms = [module for _, part in parts for module in part.modules() if isinstance(module, TrainedNorm)]
    for norm in norms:
        norm.tracked = False
    try:
        yield
    finally:
        for norm in norms:
            norm.tracked = True


class Composite(nn.Module):
    """A module with addressable parts: `forward(x, taps=None)`."""

    _recompute = 0  # so many neighbouring blocks at a time are computed again in the backward pass
    _draws = False  # whether those blocks draw random numbers

    def __init__(self, parts: Iterable[tuple[str, nn.Module]]) -> None:
        super().__init__()
        for name, part in parts:
            if hasattr(self, name):
                raise DescriptionError(f"'{name}' cannot be a layer's name: modules use it")
            self.add_module(name, part)

    def in_turn(self, parts: Parts, x: Tensor, taps: Taps | None) -> Tensor:
        """x through one part after another."""
        if not (self._recompute and self.training and torch.is_grad_enabled()):
            return _through(parts, x, taps)
        for segment in _segments(parts, self._recompute):
            if isinstance(segment[0][1], BLOCKS):
                x = _recomputed(segment, x, taps, self._draws)
            else:
                x = _through(segment, x, taps)
        return x

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        return self.in_turn(list(self.named_children()), x, taps)


class Branches(Composite):
    """Branches on one input, joined along the channels."""

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        return torch.cat([run(branch, name, x, taps) for name, branch in self.named_children()], dim=1)


class ResidualBlock(Composite):
    """body(x) + shortcut(x), then ReLU if there is one; the last part is the shortcut."""

    _drop = 0.0  # chance that an image goes around the body in training

    def __init__(self, body: Iterable[tuple[str, nn.Module]], shortcut: nn.Module, act: ReLU | None) -> None:
        super().__init__([*body, ("shortcut", shortcut)])
        self._relu = act is not None

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        *body, (name, shortcut) = self.named_children()
        y = _through(body, x, taps)
        around = run(shortcut, name, x, taps)
        y = torch.addcmul(around, y, self._kept(y)) if self._drop and self.training else y + around
        return F.relu(y, inplace=True) if self._relu else y

    def _kept(self, y: Tensor) -> Tensor:
        """For each image 0, or what makes up in the mean for the images that get 0."""
        keep = 1 - self._drop
        return y.new_empty([len(y)] + [1] * (y.ndim - 1)).bernoulli_(keep).div_(keep)


class HighwayLayer(Composite):
    """transform(x) gate(x) + x (1 - gate(x))."""

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        transformed, gate = (run(part, name, x, taps) for name, part in self.named_children())
        return torch.lerp(x, transformed, gate)


BLOCKS = (ResidualBlock, Branches, HighwayLayer)
