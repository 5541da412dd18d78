"""Losses against their formulas in plain numpy, in double precision, and against figures worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from goingdeeper.recipes.losses import BinaryCrossEntropy, CrossEntropy, Distillation, SquaredHinge
from goingdeeper.training.losses import (
    binary_cross_entropy,
    class_weights,
    cross_entropy,
    full,
    image_weights,
    mean,
    misclassified,
    of_each,
    softened_cross_entropy,
    squared_hinge,
)

LOGITS = torch.tensor(
    [[1.5, -0.3, 0.2, 0.0], [-2.0, 4.0, 0.5, 1.0], [0.1, 0.2, -30.0, 25.0], [0.6, 0.7, -0.8, -1.9]],
    dtype=torch.float64,
)
LABELS = torch.tensor([0, 3, 2, 1])
MIXED = torch.tensor(
    [[0.6, 0.4, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.15, 0.0, 0.85, 0.0], [0.0, 0.5, 0.5, 0.0]],
    dtype=torch.float64,
)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def by_hand(loss, scores, label):
    """One image's loss, class by class; label: a number, or the share of each class."""
    K = len(scores)
    share = [float(k == label) for k in range(K)] if isinstance(label, int) else label
    match loss:
        case CrossEntropy(e):
            log_sum = math.log(sum(math.exp(s) for s in scores))
            return -sum(((1 - e) * q + e / K) * (s - log_sum) for q, s in zip(share, scores, strict=True))
        case BinaryCrossEntropy(e, present):
            total = 0.0
            for q, s in zip(share, scores, strict=True):
                t = (1 - e) * (float(q > present) if present else q) + e / K
                total -= t * math.log(sigmoid(s)) + (1 - t) * math.log(sigmoid(-s))
            return total / K
        case SquaredHinge():
            there = [max(0.0, 1 - s) ** 2 for s in scores]
            elsewhere = [max(0.0, 1 + s) ** 2 for s in scores]
            return sum(q * a + (1 - q) * b for q, a, b in zip(share, there, elsewhere, strict=True))


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropy(), CrossEntropy(0.1), BinaryCrossEntropy(), BinaryCrossEntropy(0.1),
        BinaryCrossEntropy(0.1, present=0.2), SquaredHinge(),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("labels", [LABELS, MIXED], ids=["numbers", "shares"])
def test_each_image_has_the_loss_of_the_formula(loss, labels):
    found = of_each(loss)(LOGITS, labels)
    expected = [by_hand(loss, *pair) for pair in zip(LOGITS.tolist(), labels.tolist(), strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    single = of_each(loss)(LOGITS.float(), labels.float() if labels.ndim == 2 else labels)
    np.testing.assert_allclose(single.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert single.dtype == torch.float32


def test_distillation_has_the_plain_cross_entropy_with_labels():
    assert torch.equal(of_each(Distillation())(LOGITS, LABELS), cross_entropy(LOGITS, LABELS))


@pytest.mark.parametrize(
    ("classes", "least", "right", "wrong"),
    [(1000, 1.0148, 0.9001, 0.0001), (10, 0.5003, 0.91, 0.01), (6, 0.4210, 0.91667, 0.016667)],
)
def test_smoothing_reaches_the_least_loss_at_its_own_targets(classes, least, right, wrong):
    """Figures of the reference sheet; Szegedy et al. 2015, section 7, with e = 0.1."""
    logits = torch.zeros(1, classes, dtype=torch.float64)
    logits[0, 2] = math.log(right / wrong)
    logits.requires_grad_()
    loss = cross_entropy(logits, torch.tensor([2]), 0.1).sum()
    assert float(loss.detach()) == pytest.approx(least, abs=5e-5)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert float(gradient.abs().max()) < 1e-5  # as near as the printed targets are rounded


def test_a_thousand_classes_are_best_apart_by_9_105():
    """ln(9001): nearer and farther logits cost more."""

    def at(gap):
        logits = torch.zeros(1, 1000, dtype=torch.float64)
        logits[0, 0] = gap
        return float(cross_entropy(logits, torch.tensor([0]), 0.1))

    best = at(math.log(9001))
    assert math.log(9001) == pytest.approx(9.105, abs=5e-4)
    assert best < at(9.1) < at(9.0)
    assert best < at(9.11) < at(9.2)


def test_squared_hinge_by_hand():
    """0 for 2 where 2 is right; (1 - 0.5)^2 and (1 + 0.25)^2 for -0.5 and 0.25 elsewhere."""
    scores = torch.tensor([[2.0, -0.5, 0.25], [2.0, -0.5, 0.25]])
    assert squared_hinge(scores, torch.tensor([0, 2])).tolist() == [1.8125, 9.8125]


def test_a_mixed_image_has_every_class_that_is_present():
    """Both of 0.6 and 0.4 are labels of 1; of 0.85 and 0.15 only the first is."""
    both = torch.tensor([[1.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    assert torch.equal(
        binary_cross_entropy(LOGITS[:1], MIXED[:1], present=0.2), binary_cross_entropy(LOGITS[:1], both)
    )
    assert torch.equal(
        binary_cross_entropy(LOGITS[2:3], MIXED[2:3], present=0.2),
        binary_cross_entropy(LOGITS[2:3], LABELS[2:3]),
    )


def test_the_softened_cross_entropy_divides_both_sides_by_the_temperature():
    teacher = LOGITS.flip(1)
    q, p = (np.exp(x.numpy() / 3) for x in (teacher, LOGITS))
    q, p = q / q.sum(1, keepdims=True), p / p.sum(1, keepdims=True)
    found = softened_cross_entropy(LOGITS, teacher, 3.0)
    np.testing.assert_allclose(found.numpy(), -(q * np.log(p)).sum(1), rtol=1e-12)


def test_a_class_weighs_as_the_inverse_of_its_images():
    """12 images of 3 classes, 6, 4 and 2: 12/18, 1 and 2, and 1 in the mean over the images."""
    weights = class_weights([6, 4, 2])
    assert weights.tolist() == pytest.approx([2 / 3, 1, 2])
    assert weights.dtype == torch.float32
    labels = torch.tensor([0] * 6 + [1] * 4 + [2] * 2)
    assert float(image_weights(labels, weights).mean()) == pytest.approx(1)


def test_a_class_without_images_takes_nothing_from_the_others():
    assert class_weights([6, 0, 2]).tolist() == pytest.approx([8 / 12, 0, 2])


def test_a_mixed_image_weighs_as_its_classes_by_their_shares():
    found = image_weights(MIXED, torch.tensor([1.0, 2.0, 4.0, 8.0]))
    assert found.tolist() == pytest.approx([1.4, 8, 3.55, 3])


def test_the_mean_is_over_images_whatever_they_weigh():
    """Not over the sum of the weights, which differs from one part of a batch to the next."""
    losses, weights = torch.tensor([1.0, 2.0, 3.0, 6.0]), torch.tensor([0.5, 0.5, 2.0, 1.0])
    assert float(mean(losses, None)) == 3
    assert float(mean(losses, weights)) == (0.5 + 1 + 6 + 6) / 4
    halves = [float(mean(losses[part], weights[part])) for part in (slice(0, 2), slice(2, 4))]
    assert sum(halves) / 2 == float(mean(losses, weights))


@pytest.mark.parametrize(("labels", "wrong"), [(LABELS, 2), (MIXED, 2)], ids=["numbers", "shares"])
def test_an_image_is_wrong_where_its_largest_share_is_not_the_largest_logit(labels, wrong):
    """The largest logits are of classes 0, 1, 3, 1: the second and third image are wrong.

    With the labels backwards, 1, 2, 3, 0, all but the third are.
    """
    assert int(misclassified(LOGITS, labels)) == wrong
    assert int(misclassified(LOGITS, labels.flip(0))) == 3


def test_losses_are_computed_in_32_bits_at_least():
    assert full(torch.ones(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert full(torch.ones(1, dtype=torch.float64)).dtype == torch.float64
