"""Optimisers in forms that torch does not have: Caffe's momentum, TensorFlow's RMSProp, LAMB.

Rates may be numbers or, for a captured graph, tensors on the device. As with torch's fused optimisers,
nothing moves where the tensor `found_inf`, an attribute, is 1. What has no gradient stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim.sgd import sgd

Groups: TypeAlias = Iterable[dict[str, Any]]
"""As torch's optimisers take them: `params`, and what differs from the defaults."""

PART = 2**18
"""Numbers that are worked on at a time on the CPU: intermediate results stay in its cache."""


class CaffeSGD(torch.optim.Optimizer):
    """Momentum with the rate inside: v <- m v + rate (g + decay w); w <- w - v.

    nesterov: w <- w - m v - rate (g + decay w), as Caffe has it.
    """

    def __init__(
        self, params: Groups, lr: float, momentum: float = 0.9, weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:  # fmt: skip
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, defaults)
        if momentum:
            begin(self, momentum_buffer=0.0)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weights, gradients in _parts(group):
                gradients = _decayed(gradients, weights, group)
                steps = list(torch._foreach_mul(gradients, group["lr"]))
                velocity = _kept(self, weights, "momentum_buffer") if group["momentum"] else []
                _descend(self, weights, steps, velocity, group["momentum"], group["nesterov"])


class RMSProp(torch.optim.Optimizer):
    """s <- d s + (1 - d) g^2; v <- m v + rate g / sqrt(s + eps); w <- w - v.

    torch's has eps outside of the root and s from 0; Szegedy et al. 2015 ("Rethinking"), section 8, mean this
    one, with eps = 1 and s from 1. start: what s is at first.
    """

    def __init__(
        self, params: Groups, lr: float, decay: float = 0.9, momentum: float = 0.9, eps: float = 1.0,
        start: float = 1.0, weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        defaults = {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)
        begin(self, square_avg=start)
        if momentum:
            begin(self, momentum_buffer=0.0)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weights, gradients in _parts(group):
                gradients = _decayed(gradients, weights, group)
                squares = _kept(self, weights, "square_avg")
                _average(self, squares, torch._foreach_mul(gradients, gradients), group["decay"])
                roots = torch._foreach_add(squares, group["eps"])
                torch._foreach_sqrt_(roots)
                steps = list(torch._foreach_div(gradients, roots))
                torch._foreach_mul_(steps, group["lr"])
                velocity = _kept(self, weights, "momentum_buffer") if group["momentum"] else []
                _descend(self, weights, steps, velocity, group["momentum"])


class LAMB(torch.optim.Optimizer):
    """u = m' / (sqrt(s') + eps) + decay w, with Adam's corrected means; w <- w - rate (|w| / |u|) u.

    You et al. 2020, algorithm 2, with no bound on the norms; the ratio is 1 where one of them is 0, and in
    groups whose `adapts` is False.
    """

    def __init__(
        self, params: Groups, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-6,
        weight_decay: float = 0.0, adapts: bool = True,
    ) -> None:  # fmt: skip
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "adapts": adapts}
        super().__init__(params, defaults)
        begin(self, step=0.0, exp_avg=0.0, exp_avg_sq=0.0)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for weights, gradients in _parts(group):
                counts = _kept(self, weights, "step")
                means, squares = (_kept(self, weights, name) for name in ("exp_avg", "exp_avg_sq"))
                _count(self, counts)
                _average(self, means, gradients, beta1)
                _average(self, squares, torch._foreach_mul(gradients, gradients), beta2)
                roots = torch._foreach_div(squares, _correction(beta2, counts))
                torch._foreach_sqrt_(roots)
                torch._foreach_add_(roots, group["eps"])
                steps = list(torch._foreach_div(means, _correction(beta1, counts)))
                torch._foreach_div_(steps, roots)
                if group["weight_decay"]:
                    torch._foreach_add_(steps, weights, alpha=group["weight_decay"])
                if group["adapts"]:
                    torch._foreach_mul_(steps, _ratios(weights, steps))
                torch._foreach_mul_(steps, group["lr"])
                _descend(self, weights, steps)


def begin(optimiser: torch.optim.Optimizer, **starts: float) -> None:
    """Makes what an optimiser keeps of each parameter, before the first step.

    Then a checkpoint of any step has all of it, and a graph captured at any step has fixed places for it.
    """
    for group in optimiser.param_groups:
        for weight in group["params"]:
            for name, start in starts.items():
                made = torch.full_like(weight.detach(), start)
                if name == "step":  # a counter, as torch keeps it
                    made = torch.full((), start, dtype=torch.float32, device=weight.device)
                optimiser.state[weight][name] = made


def _parts(group: dict[str, Any]) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Weights that have a gradient, with it: all at once, on the CPU in parts that fit its cache."""
    weights: list[Tensor] = []
    for weight in group["params"]:
        if weight.grad is not None:
            weights.append(weight)
            if weight.is_cpu and sum(one.numel() for one in weights) >= PART:
                yield weights, [one.grad for one in weights if one.grad is not None]
                weights = []
    if weights:
        yield weights, [one.grad for one in weights if one.grad is not None]


def _decayed(gradients: list[Tensor], weights: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    """The gradients with the decay of the weights in them."""
    if not group["weight_decay"]:
        return gradients
    return list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))


def _kept(optimiser: torch.optim.Optimizer, weights: list[Tensor], name: str) -> list[Tensor]:
    return [optimiser.state[weight][name] for weight in weights]


def _descend(
    optimiser: torch.optim.Optimizer, weights: list[Tensor], steps: list[Tensor],
    velocity: Sequence[Tensor] = (), momentum: float = 0.0, nesterov: bool = False,
) -> None:  # fmt: skip
    """velocity <- momentum velocity + steps; weights <- weights - velocity.

    By torch's fused SGD at a rate of 1: one pass, and the one kernel that leaves all alone for found_inf.
    """
    sgd(
        weights, steps, [*velocity], fused=True, found_inf=getattr(optimiser, "found_inf", None),
        weight_decay=0.0, momentum=momentum, lr=1.0, dampening=0.0, nesterov=nesterov and momentum > 0,
        maximize=False,
    )  # fmt: skip


def _average(
    optimiser: torch.optim.Optimizer, means: list[Tensor], values: Iterable[Tensor], decay: float
) -> None:
    """means <- decay means + (1 - decay) values."""
    distances = list(torch._foreach_sub(means, list(values)))
    torch._foreach_mul_(distances, 1 - decay)
    _descend(optimiser, means, distances)


def _count(optimiser: torch.optim.Optimizer, counts: list[Tensor]) -> None:
    torch._foreach_add_(counts, 1.0)
    found_inf = getattr(optimiser, "found_inf", None)
    if found_inf is not None:
        torch._foreach_sub_(counts, [found_inf] * len(counts))


def _correction(beta: float, counts: list[Tensor]) -> list[Tensor]:
    """1 - beta^t, by expm1: float32 would lose four digits of 1 - 0.999."""
    corrections = list(torch._foreach_mul(counts, math.log(beta) if beta else -math.inf))
    torch._foreach_expm1_(corrections)
    torch._foreach_neg_(corrections)
    return corrections


def _ratios(weights: list[Tensor], steps: list[Tensor]) -> list[Tensor]:
    """Each weight's norm over its step's, 1 where one of them is 0."""
    own, moved = (torch.stack(list(torch._foreach_norm(tensors))) for tensors in (weights, steps))
    return list(torch.where((own > 0) & (moved > 0), own / moved, 1.0).unbind())
