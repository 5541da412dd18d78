"""Errors and intervals against values worked out by hand or known from the literature."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goingdeeper.evaluation.scores import score, wilson

SIX = tuple("abcdef")


def likely(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32).log_softmax(1)


@pytest.mark.parametrize(
    ("wrong", "images", "low", "high"),
    [
        # Newcombe 1998, Table I, method 3: 81/263, 15/148, 0/20, 1/29.
        (81, 263, 25.53, 36.62),
        (15, 148, 6.24, 16.05),
        (0, 20, 0.00, 16.11),
        (1, 29, 0.61, 17.18),
        (29, 29, 88.30, 100.00),
    ],
)
def test_wilson_intervals_of_the_literature(wrong, images, low, high):
    assert wilson(wrong, images) == (pytest.approx(low, abs=0.006), pytest.approx(high, abs=0.006))


@given(st.integers(1, 50_000), st.floats(0, 1))
def test_wilson_intervals_by_the_formula(images, share):
    wrong = round(share * images)
    p, z = wrong / images, 1.959963984540054
    centre = (p + z**2 / (2 * images)) / (1 + z**2 / images)
    half = z * math.sqrt(p * (1 - p) / images + z**2 / (4 * images**2)) / (1 + z**2 / images)
    low, high = wilson(wrong, images)
    assert low == pytest.approx(100 * (centre - half), abs=1e-6)
    assert high == pytest.approx(100 * (centre + half), abs=1e-6)
    assert 0 <= low <= 100 * p + 1e-9 and 100 * p - 1e-9 <= high <= 100


def test_top1_and_top5_by_hand():
    """Three images of class a: ranked first, fifth and sixth of six; one of f, ranked first."""
    scores = likely([[6, 5, 4, 3, 2, 1], [2, 6, 5, 4, 3, 1], [1, 6, 5, 4, 3, 2], [1, 2, 3, 4, 5, 6]])
    found = score(scores, torch.tensor([0, 0, 0, 5]), SIX)
    assert (found.top1_error, found.top5_error) == (50.0, 25.0)
    assert (found.images, found.crops, found.models, found.protocol) == (4, 1, 1, "1crop")
    assert found.interval_95 == wilson(2, 4)
    a, f = found.per_class["a"], found.per_class["f"]
    assert (a.images, a.wrong, a.error, a.interval_95) == (3, 2, pytest.approx(200 / 3), wilson(2, 3))
    assert (f.images, f.wrong, f.error) == (1, 0, 0.0)
    assert list(found.per_class) == ["a", "f"], "classes without images have no error"
    expected = -(scores[0, 0] + scores[1, 0] + scores[2, 0] + scores[3, 5]) / 4
    assert found.cross_entropy == pytest.approx(float(expected))


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_there_is_no_top5_under_six_classes(classes):
    found = score(torch.zeros(3, classes).log_softmax(1), torch.zeros(3, dtype=torch.int64), SIX[:classes])
    assert found.top5_error is None
    assert found.top1_error == 0


def test_per_class_adds_up_to_the_whole():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(500, 6, generator=generator).log_softmax(1)
    labels = torch.randint(0, 6, (500,), generator=generator)
    found = score(scores, labels, SIX)
    assert sum(each.images for each in found.per_class.values()) == 500
    assert sum(each.wrong for each in found.per_class.values()) == round(found.top1_error * 5)
    assert found.top5_error <= found.top1_error
    ranks = (scores > scores.gather(1, labels[:, None])).sum(1)
    assert found.top1_error == pytest.approx(100 * float((ranks >= 1).double().mean()))
    assert found.top5_error == pytest.approx(100 * float((ranks >= 5).double().mean()))


def test_a_network_that_diverged_gets_nothing_right():
    """Otherwise every image of the first class would count: the maximum of no numbers is at 0."""
    scores = torch.full((4, 6), math.nan)
    found = score(scores, torch.tensor([0, 0, 1, 2]), SIX)
    assert (found.top1_error, found.top5_error) == (100.0, 100.0)
    assert found.per_class["a"].wrong == 2


def test_certainty_is_no_divergence():
    scores = torch.tensor([[0.0] + [-math.inf] * 5])
    assert score(scores, torch.tensor([0]), SIX).top1_error == 0
