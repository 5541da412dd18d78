"""Batch normalisation in training: over parts of a batch, and statistics that are taken once."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TrainedNorm(nn.BatchNorm2d):
    """Batch norm whose statistics in training are those of groups of images.

    images: of a group, 0 for the whole batch; a last group is smaller where they do not divide, and joins
    the one before where it is one image. tracked: whether the running statistics follow: by the mean of the
    groups', weighted by images. fixed: the running statistics are what it computes with, and stay.
    """

    images = 0
    tracked = True
    fixed = False

    def forward(self, x: Tensor) -> Tensor:
        if self.fixed:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        groups = group_sizes(len(x), self.images)
        if not self.training or (self.tracked and len(groups) == 1):
            return super().forward(x)
        assert self.running_mean is not None
        found = self.running_mean.new_zeros((len(groups), 2, self.num_features))
        parts = [
            F.batch_norm(part, mean, variance, self.weight, self.bias, True, 1.0, self.eps)
            for part, (mean, variance) in zip(torch.split(x, groups), found, strict=True)
        ]
        if self.tracked:
            self._follow(found, groups, len(x))
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    @torch.no_grad()
    def _follow(self, found: Tensor, groups: list[int], images: int) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        mean, variance = sum(part * (size / images) for part, size in zip(found, groups, strict=True))
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


def group_sizes(images: int, group: int) -> list[int]:
    """Groups of `group` images, the last one with what is left, but never with one alone; 0 is one group."""
    if not 0 < group < images - 1:
        return [images]
    whole, left = divmod(images, group)
    sizes = [group] * whole
    if left == 1:
        sizes[-1] += 1
    elif left:
        sizes.append(left)
    return sizes
