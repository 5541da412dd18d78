"""The loss of each image by its logits, (N, K), and labels: class numbers, (N,), or probabilities, (N, K)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from goingdeeper.recipes.losses import BinaryCrossEntropy, CrossEntropy, Loss, SquaredHinge

Each: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def of_each(loss: Loss) -> Each:
    """The function of a recipe's loss; that of Distillation and Hint is the cross-entropy with the labels."""
    match loss:
        case CrossEntropy():
            return partial(cross_entropy, smoothing=loss.smoothing)
        case BinaryCrossEntropy():
            return partial(binary_cross_entropy, smoothing=loss.smoothing, present=loss.present)
        case SquaredHinge():
            return squared_hinge
        case _:
            return cross_entropy


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """In nats. Szegedy et al. 2015, "Rethinking", section 7, smooths over all K classes."""
    labels = labels.to(logits.dtype) if labels.ndim == 2 else labels
    return F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)


def binary_cross_entropy(
    logits: Tensor, labels: Tensor, smoothing: float = 0.0, present: float = 0.0
) -> Tensor:
    """Mean over the classes, in nats."""
    targets = _shares(labels, logits)
    if present:
        targets = (targets > present).to(logits.dtype)
    targets = targets * (1 - smoothing) + smoothing / logits.shape[1]
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)


def squared_hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """One against all, the sum over the classes. Lee et al. 2014, section 2.3."""
    targets = _shares(labels, logits)
    there, elsewhere = F.relu(1 - logits).square(), F.relu(1 + logits).square()
    return torch.lerp(elsewhere, there, targets).sum(1)


def softened_cross_entropy(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Cross-entropy with a teacher's probabilities, both sides' logits divided by the temperature."""
    return F.cross_entropy(logits / temperature, (teacher / temperature).softmax(1), reduction="none")


def class_weights(counts: Sequence[int]) -> Tensor:
    """n / (K n_k) for n_k training images of each of K classes: their mean over the training images is 1.

    A class without images has weight 0 and does not count in K.
    """
    numbers = torch.tensor(counts, dtype=torch.float64)
    weights = numbers.sum() / (numbers.count_nonzero() * numbers)
    return torch.where(numbers > 0, weights, 0.0).float()


def image_weights(labels: Tensor, weights: Tensor) -> Tensor:
    """(N,): the weight of each image's class; of a mixed image the mean by its shares."""
    return weights[labels] if labels.ndim == 1 else (labels * weights).sum(1)


def mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Over the images, whose weights multiply their losses, smoothing included.

    Divided by the number of images, not by the sum of their weights: then a batch computed in equal parts,
    one after another or by several processes, gives the mean of the parts' losses and gradients.
    """
    return losses.mean() if weights is None else (losses * weights).mean()


def misclassified(logits: Tensor, labels: Tensor) -> Tensor:
    """How many images do not have the largest logit at their class, or at the class of the largest share."""
    return (logits.argmax(1) != (labels.argmax(1) if labels.ndim == 2 else labels)).sum()


def full(x: Tensor) -> Tensor:
    """At least float32, whatever precision the network computes in."""
    return x if x.dtype == torch.float64 else x.float()


def _shares(labels: Tensor, logits: Tensor) -> Tensor:
    if labels.ndim == 2:
        return labels.to(logits.dtype)
    return (labels[:, None] == torch.arange(logits.shape[1], device=labels.device)).to(logits.dtype)
