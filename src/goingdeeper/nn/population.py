"""Batch norm's statistics of the whole training set, in place of the running ones."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from goingdeeper.errors import UsageError
from goingdeeper.nn.build import Net


@torch.no_grad()
def population_statistics(net: Net, batches: Iterable[Tensor]) -> None:
    """Sets each norm's mean to that of the batches' means, its variance to that of their n/(n-1) variances.

    Ioffe and Szegedy 2015, algorithm 2, lines 7 to 12. batches: (N, C, H, W), normalised, such as training
    has them; batches of different sizes weigh by their images. Each is normalised by its own statistics on
    its way, dropout and stochastic depth are off. Weights and modes stay as they are; so do the statistics
    where an exception is raised: UsageError where there is no batch.
    """
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    modes = [(module, module.training) for module in net.modules()]
    before = [
        (norm.momentum, {name: buffer.clone() for name, buffer in norm.named_buffers()}) for norm in norms
    ]
    heads = [f"heads.{name}" for name, _ in net.description.heads]
    sums = [torch.zeros(2, norm.num_features, dtype=torch.float64) for norm in norms]
    images = 0
    try:
        net.eval()
        for norm in norms:
            norm.train()
            norm.momentum = 1.0  # the running statistics become those of the last batch
        for batch in batches:
            net.tap(batch.to(next(net.parameters()).device), heads)
            images += len(batch)
            for norm, total in zip(norms, sums, strict=True):
                total += len(batch) * torch.stack(_statistics(norm)).double().cpu()
    finally:
        for module, mode in modes:
            module.training = mode
        for norm, (momentum, buffers) in zip(norms, before, strict=True):
            norm.momentum = momentum
            for name, buffer in buffers.items():
                norm.get_buffer(name).copy_(buffer)
    if not images:
        raise UsageError("population statistics: no batch of images was given")
    for norm, total in zip(norms, sums, strict=True):
        for statistic, value in zip(_statistics(norm), total / images, strict=True):
            statistic.copy_(value)


def _statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean, norm.running_var
