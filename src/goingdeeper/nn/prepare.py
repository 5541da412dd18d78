"""What a training recipe asks of a built network, set on it before training."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import nn

from goingdeeper.errors import UsageError
from goingdeeper.nn.build import Net
from goingdeeper.nn.composites import BLOCKS, Composite, ResidualBlock
from goingdeeper.nn.norm import TrainedNorm


def prepare(
    net: Net,
    *,
    norm_batch: int = 0,
    norm_decay: float = 0.0,
    population: bool = False,
    norm_frozen: bool = False,
    recompute: int = 0,
    stochastic_depth: float = 0.0,
) -> None:
    """Sets how the network computes in training; evaluation, weights and state dict keys stay as they are.

    The arguments are a recipe's fields. norm_batch: images that batch norm takes its statistics over, 0 for
    the whole batch. norm_decay: of the running statistics, 0 for the description's. population, norm_frozen:
    only refused where there is no batch norm; `population_statistics` and `hold_norms` do it. recompute: so
    many neighbouring residual, Concat or highway blocks at a time keep only their input and are computed
    again in the backward pass, with the same gradients. stochastic_depth: chance that the last residual
    block's body is left out for an image, in proportion for earlier ones (Huang et al. 2016, equation 4);
    torch's global generator draws.

    Raises UsageError where the network has nothing that a setting applies to.
    """
    name = net.description.name
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        asked = {"norm_batch": norm_batch, "norm_decay": norm_decay, "population": population}
        asked["norm_frozen"] = norm_frozen
        for field, value in asked.items():
            if value:
                raise UsageError(f"{field}={value}: {name} has no batch norm; leave it out")
    if norm_batch < 0 or norm_batch == 1:
        raise UsageError(
            f"norm_batch={norm_batch}: statistics need 2 images or more; 0 takes the whole batch"
        )
    if not 0 <= norm_decay < 1:
        raise UsageError(
            f"norm_decay={norm_decay}: from 0 to less than 1 is possible; 0 keeps the network's own"
        )
    residual = [block for block in _trunk(net) if isinstance(block, ResidualBlock)]
    if not 0 <= stochastic_depth < 1:
        raise UsageError(f"stochastic_depth={stochastic_depth}: from 0 to less than 1 is possible; 0 is none")
    if stochastic_depth and not residual:
        raise UsageError(f"stochastic_depth={stochastic_depth}: {name} has no residual blocks; leave it out")
    rows = [place for place in _rows(net) if any(isinstance(part, BLOCKS) for part in place.children())]
    if recompute < 0:
        raise UsageError(f"recompute={recompute}: 1 block or more at a time; 0 keeps everything")
    if recompute and not rows:
        raise UsageError(
            f"recompute={recompute}: {name} has no residual, Concat or highway blocks; leave it out"
        )

    for norm in norms:
        if norm_batch or recompute:
            norm.__class__ = TrainedNorm
        if isinstance(norm, TrainedNorm):
            norm.images = norm_batch
        if norm_decay:
            norm.momentum = 1 - norm_decay
    for number, block in enumerate(residual, 1):
        block._drop = stochastic_depth * number / len(residual)
    draws = bool(stochastic_depth) or any(isinstance(module, nn.Dropout) for module in net.modules())
    for row in rows:
        row._recompute, row._draws = recompute, draws


def hold_norms(net: Net, held: Callable[[str], bool]) -> None:
    """Batch norm at the addresses for which `held` is true keeps its statistics, and computes with them."""
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            if held(name):
                module.__class__ = TrainedNorm
            if isinstance(module, TrainedNorm):
                module.fixed = held(name)


def _trunk(net: Net) -> Iterator[nn.Module]:
    """Every module that is not a head's, in the order of execution."""
    for name, _ in net.description.layers:
        yield from net.get_submodule(name).modules()


def _rows(place: Composite) -> Iterator[Composite]:
    """What runs its parts one after another and is not within a block."""
    yield place
    for part in place.children():
        if isinstance(part, Composite) and not isinstance(part, BLOCKS):
            yield from _rows(part)
