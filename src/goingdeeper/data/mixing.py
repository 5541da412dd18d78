"""Mixup and cutmix: the images of a batch in pairs, with targets in proportion."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from goingdeeper.data.order import Floats

DRAWS = 4
"""Random numbers of a batch."""


def mixed(
    images: Tensor, labels: Tensor, classes: int, mixup: float, cutmix: float, draws: Floats
) -> tuple[Tensor, Tensor]:
    """The images with their neighbours in them (0 with 1, 2 with 3, ...) and targets (N, classes) of sum 1.

    Mixup is lambda x + (1 - lambda) x', lambda from Beta(mixup, mixup) (Zhang et al. 2018); cutmix puts a
    rectangle of x' into x, its area about 1 - lambda, lambda from Beta(cutmix, cutmix) (Yun et al. 2019).
    One lambda and one rectangle a batch; where both are given, half of the batches each. The odd one out
    stays as it is. draws: `DRAWS` numbers in [0, 1). images: changed in place.
    """
    from scipy.special import betaincinv  # late: prediction needs no scipy

    partner = torch.arange(len(images), device=images.device) ^ 1
    partner = torch.where(partner < len(images), partner, partner - 1)
    cut = cutmix > 0 and (mixup == 0 or draws[0] < 0.5)
    alpha = cutmix if cut else mixup
    share = float(betaincinv(alpha, alpha, draws[1]))
    if cut:
        height, width = images.shape[2:]
        part = math.sqrt(1 - share)
        rows, columns = _around(draws[2], part, height), _around(draws[3], part, width)
        images[:, :, rows, columns] = images[partner, :, rows, columns]
        share = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    else:
        images = images.mul(share).add_(images[partner], alpha=1 - share)
    own = F.one_hot(labels, classes).float()
    return images, own * share + own[partner] * (1 - share)


def _around(draw: float, part: float, side: int) -> slice:
    """A part of the side around a pixel of it, cut off at the ends."""
    middle, half = int(draw * side), int(side * part) // 2
    return slice(max(0, middle - half), min(side, middle + half))
