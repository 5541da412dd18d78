"""Gradients, responses and updates of each layer while a network trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from goingdeeper.errors import UsageError, unknown
from goingdeeper.probes.untouched import untouched

Handle: TypeAlias = Any  # torch.utils.hooks.RemovableHandle
Value: TypeAlias = Callable[[], float]


@dataclass(frozen=True)
class Reading:
    """One layer at one step; nan where there is no such thing, as of a frozen layer's gradients.

    response: standard deviation of what the layer gives. gradient: L2 norm of the loss's gradient by that;
    of a layer that is called several times in a step, both are of the last call. weight_gradient: L2 norm of
    the gradient that the layer's own parameters have at the end of the step. update: how far the optimiser
    moved the weights, relative to their length. Losses that are scaled, as for float16, scale gradients.
    """

    step: int
    layer: str
    response: float = math.nan
    gradient: float = math.nan
    weight_gradient: float = math.nan
    update: float = math.nan


@dataclass
class _Taken:
    """Numbers of a step, still on their device."""

    step: int
    response: dict[str, Tensor] = field(default_factory=dict)
    gradient: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    before: dict[str, Tensor] = field(default_factory=dict)
    update: dict[str, Tensor] = field(default_factory=dict)

    def reading(self, layer: str) -> Reading:
        response, gradient, update = (
            float(values.get(layer, math.nan)) for values in (self.response, self.gradient, self.update)
        )
        own = self.weights.get(layer)
        weights = math.sqrt(sum(map(float, own.values()))) if own else math.nan
        return Reading(self.step, layer, response, gradient, weights, update)


class Watch:
    """Reads layers of a module every so many of its training passes, while it is entered as a context.

    Those are passes in training mode, or that keep what gradients need; others are left alone.

        with Watch(net, every=100) as watch:
            for images, labels in batches:
                loss = cross_entropy(net(images), labels)
                loss.backward()
                optimiser.step()
                optimiser.zero_grad()
                watch.step()
        watch.readings()

    The network, its gradients and torch's random state stay the same bits. Nothing is read back from the
    device before `readings` is called.
    """

    def __init__(self, module: nn.Module, layers: Iterable[str] | None = None, *, every: int = 1) -> None:
        """layers: names of submodules; those that hold weights themselves unless given. Raises UsageError
        for a name that is not there, a module without layers, or `every` below 1."""
        if every < 1:
            raise UsageError(f"every {every}: layers are read every so many steps, 1 or more")
        parts = dict(module.named_modules(remove_duplicate=False))
        own = [name for name, part in module.named_modules() if _weight(part) is not None]
        chosen = list(layers) if layers is not None else own
        for name in chosen:
            if name not in parts or not name:
                remedy = "module.named_modules() lists them"
                raise unknown("layer", name, [one for one in parts if one], remedy)
        if not chosen:
            raise UsageError(f"{type(module).__name__} has no layer with weights to watch")
        self._parts = {name: parts[name] for name in chosen}
        self._every = every
        self._module = module
        self._step = 0
        self._entered = False
        self._taken: list[_Taken] = []
        self._now: _Taken | None = None
        self._handles: list[Handle] = []

    def __enter__(self) -> Watch:
        self._entered = True
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered = False
        self._remove()
        self._now = None

    def step(self) -> None:
        """After each of the optimiser's steps. Raises UsageError outside of the context."""
        if not self._entered:
            raise UsageError("a Watch is stepped while it is entered: with Watch(net) as watch")
        if self._now is not None:
            self._finish(self._now)
        self._step += 1
        self._begin()

    def readings(self) -> list[Reading]:
        """Of every layer at every step that was read, in that order."""
        return [taken.reading(name) for taken in self._taken for name in self._parts]

    def _begin(self) -> None:
        """Listens to the step to come, if that is one to be read."""
        self._remove()
        self._now = None
        if self._step % self._every:
            return
        now = self._now = _Taken(self._step)
        for name, part in self._parts.items():
            self._handles.append(part.register_forward_hook(self._listener(name, now)))
            weight = _weight(part)
            if weight is not None:
                now.before[name] = weight.detach().clone()
                squares = now.weights.setdefault(name, {})
                self._handles += [
                    one.register_post_accumulate_grad_hook(_keeper(squares, own))
                    for own, one in part.named_parameters(recurse=False)
                    if one.requires_grad
                ]

    def _listener(self, name: str, now: _Taken) -> Callable[..., None]:
        def heard(module: nn.Module, given: Any, made: Any) -> None:
            if not (self._module.training or torch.is_grad_enabled()):
                return
            if not isinstance(made, Tensor) or not made.is_floating_point():
                return
            now.response[name] = made.detach().float().std()
            now.gradient.pop(name, None)  # of an earlier pass of the same step
            if made.requires_grad:
                # The last call is the first to be gone back through.
                made.register_hook(lambda gradient: _keep_first(now.gradient, name, gradient))  # type: ignore[no-untyped-call]

        return heard

    @torch.no_grad()
    def _finish(self, now: _Taken) -> None:
        for name, before in now.before.items():
            weight = _weight(self._parts[name])
            assert weight is not None
            now.update[name] = (weight - before).float().norm() / before.float().norm()
        now.before.clear()
        self._taken.append(now)

    def _remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def read_once(
    module: nn.Module,
    images: Tensor,
    loss: Callable[[Tensor], Tensor],
    layers: Iterable[str] | None = None,
) -> list[Reading]:
    """One training pass, forwards and backwards, read as `Watch` does; the module stays as it was.

    images: as the module takes them. loss: of what it gives, one number.
    """
    with (
        untouched(module, training=True),
        torch.inference_mode(False),
        torch.enable_grad(),
        Watch(module, layers) as watch,
    ):
        loss(module(images.clone())).backward()  # type: ignore[no-untyped-call]
        watch.step()
    return watch.readings()


def _weight(part: nn.Module) -> Tensor | None:
    """Of a layer that holds a matrix of weights itself, which norms do not."""
    weight = part._parameters.get("weight")
    return weight if weight is not None and weight.ndim > 1 else None


def _keep_first(place: dict[str, Tensor], name: str, gradient: Tensor) -> None:
    if name not in place:
        place[name] = torch.linalg.vector_norm(gradient.detach(), dtype=torch.float64)


def _keeper(squares: dict[str, Tensor], name: str) -> Callable[[Tensor], None]:
    """Of several backward passes the last one has all of the gradient."""

    def keep(parameter: Tensor) -> None:
        assert parameter.grad is not None
        squares[name] = torch.linalg.vector_norm(parameter.grad.detach(), dtype=torch.float64).square()

    return keep
