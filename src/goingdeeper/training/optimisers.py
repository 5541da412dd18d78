"""The optimiser of a recipe: its groups of parameters, its rates at each step, its state in checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from goingdeeper.errors import UsageError
from goingdeeper.layers import Network
from goingdeeper.recipes import optimisers as records
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.schedules import Constant, Now
from goingdeeper.training.groups import Share, shares
from goingdeeper.training.methods import LAMB, CaffeSGD, RMSProp, begin


def optimiser(
    parameters: Mapping[str, Tensor], network: Network, recipe: Recipe, *, capturable: bool = False
) -> torch.optim.Optimizer:
    """The recipe's optimiser for parameters by name, which are on their device already.

    Parameters of equal factors share a group. capturable: rates are tensors on the device, so that a captured
    graph sees `set_rates`. Raises UsageError where the recipe contradicts itself, or a rule names a parameter
    that is not there.
    """
    part = recipe.optimiser
    if not hasattr(part, "momentum") and recipe.momentum_schedule != Constant():
        raise UsageError(
            f"{type(part).__name__} has no momentum for a momentum_schedule; "
            "--set momentum_schedule=Constant, or take another optimiser"
        )
    made = _made(part, _groups(parameters, shares(parameters, network, recipe), recipe), capturable)
    if capturable:
        for group in made.param_groups:
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float32, device=group["params"][0].device)
    return made


def base_rate(recipe: Recipe, now: Now) -> float:
    """The rate of parameters that no rule is for."""
    clock = _clock(recipe, now)
    if clock is None:
        return recipe.optimiser.rate
    now = clock
    warm = recipe.until_learning.factor(now) if recipe.until_learning else 1.0
    return recipe.optimiser.rate * recipe.schedule.factor(now) * warm


def set_rates(optimiser: torch.optim.Optimizer, recipe: Recipe, now: Now) -> bool:
    """Rates and momentum of the step that comes next.

    Whether the momentum changed: a captured graph holds it as a number and must be captured again.
    """
    base, changed = base_rate(recipe, now), False
    clock = _clock(recipe, now)
    momentum = getattr(recipe.optimiser, "momentum", 0.0)
    momentum *= recipe.momentum_schedule.factor(clock) if clock else 1.0
    for group in optimiser.param_groups:
        schedules = group["share"].schedules if clock else ()
        rate = base * group["share"].rate * math.prod(one.factor(clock) for one in schedules)
        if rate != group["rate"]:
            group["rate"] = rate
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        if "momentum" in group and group["momentum"] != momentum:
            group["momentum"], changed = momentum, True
    return changed


def _clock(recipe: Recipe, now: Now) -> Now | None:
    """What schedules go by: they begin after the epochs of the classifier alone; None within these."""
    if not recipe.head_epochs:
        return now
    alone = min(recipe.head_epochs, math.ceil(now.steps / now.per_epoch) // 2)
    before = alone * now.per_epoch
    if now.step < before:
        return None
    return replace(now, step=now.step - before, steps=now.steps - before, errors=now.errors[alone:])


@torch.no_grad()
def bound_norms(optimiser: torch.optim.Optimizer) -> None:
    """After an update: scales filters and units whose weights are beyond the recipe's bound down to it.

    Each output of a convolution or linear layer has its own bound, so each of a maxout unit's pieces does, as
    in Goodfellow et al.'s program. What has no gradient is left alone.
    """
    for group in optimiser.param_groups:
        if group["share"].max_norm:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.renorm_(2, 0, group["share"].max_norm)


def state_tensors(optimiser: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All that the optimiser keeps, by names such as `momentum_buffer/conv1.conv.weight`; not copied."""
    return {
        f"{kept}/{name}": value
        for name, parameter in parameters.items()
        for kept, value in optimiser.state.get(parameter, {}).items()
    }


@torch.no_grad()
def restore_state(
    optimiser: torch.optim.Optimizer, parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> None:
    """Puts what `state_tensors` gave back in place. Raises UsageError where it is of another optimiser."""
    own = state_tensors(optimiser, parameters)
    for name in own.keys() ^ tensors.keys():
        where = "the recipe's optimiser has not" if name in tensors else "the checkpoint has not"
        raise UsageError(f"the checkpoint is of another optimiser or network: {where} {name}")
    for name, value in own.items():
        value.copy_(tensors[name])


def _groups(
    parameters: Mapping[str, Tensor], found: Mapping[str, Share], recipe: Recipe
) -> list[dict[str, Any]]:
    """share: of each parameter in the group. rate: as it is now, before it is a tensor."""
    groups: dict[Share, dict[str, Any]] = {}
    for name, parameter in parameters.items():
        share = found[name]
        rate, decay = recipe.optimiser.rate * share.rate, recipe.optimiser.weight_decay * share.decay
        group = {"params": [], "share": share, "rate": rate, "lr": rate, "weight_decay": decay}
        groups.setdefault(share, group)["params"].append(parameter)
    return list(groups.values())


def _made(part: records.Optimiser, groups: list[dict[str, Any]], capturable: bool) -> torch.optim.Optimizer:
    made: torch.optim.Optimizer
    match part:
        case records.SGD():
            nesterov = part.nesterov and part.momentum > 0
            made = torch.optim.SGD(groups, part.rate, part.momentum, nesterov=nesterov, fused=True)
            if part.momentum:
                begin(made, momentum_buffer=0.0)
        case records.CaffeSGD():
            made = CaffeSGD(groups, part.rate, part.momentum, nesterov=part.nesterov)
        case records.RMSProp():
            made = RMSProp(groups, part.rate, part.decay, part.momentum, part.eps, part.start)
        case records.Adam():
            kind = torch.optim.AdamW if part.decoupled else torch.optim.Adam
            betas = (part.beta1, part.beta2)
            made = kind(groups, part.rate, betas, part.eps, fused=True, capturable=capturable)
            begin(made, step=0.0, exp_avg=0.0, exp_avg_sq=0.0)
        case records.LAMB():
            for group in groups:
                group["adapts"] = group["share"].decay > 0
            made = LAMB(groups, part.rate, (part.beta1, part.beta2), part.eps)
    return made
