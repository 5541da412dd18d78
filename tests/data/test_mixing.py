"""Mixup and cutmix against their papers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import beta, binomtest, chisquare

from goingdeeper.data.mixing import DRAWS, mixed
from goingdeeper.data.order import uniforms


def plates(count, side=10):
    """Image n is n everywhere, and of class n."""
    return torch.arange(float(count))[:, None, None, None].expand(count, 3, side, side).clone()


def mix(count, mixup, cutmix, draws, side=10):
    return mixed(plates(count, side), torch.arange(count), count, mixup, cutmix, draws)


# The arcsine law: the quarter quantile of Beta(1/2, 1/2) is sin(pi / 8)^2.
@pytest.mark.parametrize(
    ("alpha", "draw", "share"), [(1.0, 0.25, 0.25), (0.5, 0.25, 0.1464466), (0.2, 0.5, 0.5)]
)
def test_mixup_by_hand(alpha, draw, share):
    images, targets = mix(5, alpha, 0.0, np.array([0.9, draw, 0.5, 0.5]))
    expected = [1 - share, share, 3 - share, 2 + share, 4]  # 0 with 1, 2 with 3, 4 alone
    assert images.mean((1, 2, 3)).tolist() == pytest.approx(expected, abs=1e-5)
    assert targets.dtype == torch.float32
    assert targets[0].tolist() == pytest.approx([share, 1 - share, 0, 0, 0], abs=1e-6)
    assert targets[3].tolist() == pytest.approx([0, 0, 1 - share, share, 0], abs=1e-6)
    assert targets[4].tolist() == [0, 0, 0, 0, 1]


def test_cutmix_by_hand():
    # lambda 0.75: sides of sqrt(0.25) = 1/2, 5 of 10 pixels, halved to 2 either way of row 9 and column 4.
    images, targets = mix(4, 0.0, 1.0, np.array([0.9, 0.75, 0.95, 0.44]))
    expected = plates(4)
    for one, other in ((0, 1), (1, 0), (2, 3), (3, 2)):
        expected[one, :, 7:10, 2:6] = other
    assert torch.equal(images, expected)
    assert targets[0].tolist() == pytest.approx([0.88, 0.12, 0, 0])


def test_where_both_are_given_half_of_the_batches_are_cut():
    cut = 0
    for draws in uniforms(0, 1, np.arange(600), DRAWS):
        images, targets = mix(2, 0.2, 1.0, draws)
        assert targets.sum(1).tolist() == pytest.approx([1, 1])
        # Either every pixel is mixed alike, or pixels are of one image or the other.
        assert images[0].mean() == pytest.approx(float(targets[0, 1]), abs=1e-5)
        cut += len(images[0].unique()) > 1 or bool(torch.equal(images, plates(2)))
    assert binomtest(cut, 600).pvalue > 1e-4


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 3.0])
def test_shares_are_of_the_beta_distribution(alpha):
    shares = [float(mix(2, alpha, 0.0, d, 1)[1][0, 0]) for d in uniforms(1, 1, np.arange(1500), DRAWS)]
    # In steps, as most of Beta(0.1, 0.1) is nearer to 0 and 1 than float32 tells.
    steps = [0, 0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999, 1]
    expected = 1500 * np.diff(beta(alpha, alpha).cdf(steps))
    counts, _ = np.histogram(shares, steps)
    assert chisquare(counts[expected > 0.1], expected[expected > 0.1], sum_check=False).pvalue > 1e-3


def test_cut_areas_are_uniform_in_the_middle_and_centres_anywhere():
    """Beta(1, 1): without the edges the area would be 1 - lambda, uniform; the edges only take from it."""
    hits, areas = np.zeros((10, 10)), []
    for draws in uniforms(2, 1, np.arange(3000), DRAWS):
        images, targets = mix(2, 0.0, 1.0, draws)
        hits += images[0, 0].numpy()
        areas.append(float(targets[0, 1]))
    # By the paper's own formula, written out over a grid of lambdas and all centres.
    expected, mean = np.zeros((10, 10)), 0.0
    for share in (np.arange(400) + 0.5) / 400:
        half = int(10 * np.sqrt(1 - share)) // 2
        along = np.array([[max(0, c - half) <= i < min(10, c + half) for i in range(10)] for c in range(10)])
        expected += np.outer(along.mean(0), along.mean(0)) / 400
        mean += along.sum(1).mean() ** 2 / 100 / 400
    assert np.abs(hits / 3000 - expected).max() < 5 * np.sqrt(0.25 / 3000)
    assert np.mean(areas) == pytest.approx(mean, abs=0.02)
