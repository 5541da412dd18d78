"""Errors and intervals against values worked out by hand or known from the literature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

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


@pytest.fixture(scope="module")
def guesses():
    """300 images of eight uneven classes, the sixth without an image, the eighth taken for another always."""
    random = np.random.default_rng(4)
    labels = random.choice(8, 300, p=[0.3, 0.25, 0.2, 0.1, 0.08, 0, 0.05, 0.02])
    likely = random.normal(size=(300, 8))
    likely[np.arange(300), labels] += 1.5
    likely[:, 7] = -9
    return torch.tensor(likely).log_softmax(1), torch.tensor(labels), tuple("abcdefgh")


def test_confusion_precision_recall_and_f1_as_scikit_learn_has_them(guesses):
    likely, labels, classes = guesses
    found = score(likely, labels, classes)
    true, taken = [classes[k] for k in labels], [classes[k] for k in likely.numpy().argmax(1)]
    matrix = metrics.confusion_matrix(true, taken, labels=classes)
    assert found.confusion == matrix.tolist()
    assert found.classes == classes
    assert found.undecided == 0
    present = sorted(set(true))
    assert list(found.per_class) == present
    each = metrics.precision_recall_fscore_support(true, taken, labels=present, zero_division=0)
    for name, precision, recall, f1, images in zip(present, *each, strict=True):
        one = found.per_class[name]
        assert one.recall == pytest.approx(100 * recall)
        assert one.f1 == pytest.approx(100 * f1)
        assert one.images == images
        assert one.predicted == taken.count(name)
        assert one.recall_interval_95 == wilson(one.images - one.wrong, one.images)
        if name != "h":
            assert one.precision == pytest.approx(100 * precision)
            assert one.precision_interval_95 == wilson(one.images - one.wrong, one.predicted)
    never = found.per_class["h"]
    assert (never.predicted, never.precision, never.precision_interval_95) == (0, None, None)
    assert (never.recall, never.f1) == (0, 0)
    assert found.balanced_accuracy == pytest.approx(
        100 * metrics.recall_score(true, taken, labels=present, average="macro")
    )
    macro = metrics.f1_score(true, taken, labels=present, average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(100 * macro)
    top5 = metrics.top_k_accuracy_score(labels, likely.numpy(), k=5, labels=range(8), normalize=False)
    assert found.top5_error == pytest.approx(100 * (300 - top5) / 300)
    assert found.top5_interval_95 == wilson(300 - int(top5), 300)


def test_the_commonest_mistakes_come_first():
    taken = torch.tensor([1, 2, 1, 0, 0, 1, 2])
    found = score(torch.eye(3)[taken].log_softmax(1), torch.tensor([2, 1, 0, 1, 1, 1, 2]), "abc")
    pairs = [(pair.true, pair.predicted, pair.images) for pair in found.confused]
    assert pairs == [("b", "a", 2), ("a", "b", 1), ("b", "c", 1), ("c", "b", 1)]


@pytest.mark.parametrize(
    ("sizes", "uneven"),
    [((3, 2), False), ((4, 2), True), ((151, 100), True), ((150, 100, 0), False), ((5,), False)],
)
def test_classes_are_uneven_from_half_as_many_images_more(sizes, uneven):
    labels = torch.tensor([number for number, count in enumerate(sizes) for _ in range(count)])
    found = score(torch.zeros(len(labels), len(sizes)).log_softmax(1), labels, SIX[: len(sizes)])
    assert found.uneven is uneven


def test_the_undecided_are_wrong_and_taken_for_nothing():
    scores = likely([[2, 1, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0]])
    scores[2] = math.nan
    found = score(scores, torch.tensor([0, 0, 0]), SIX)
    assert found.undecided == 1
    assert found.confusion[0] == [1, 1, 0, 0, 0, 0]
    assert (found.per_class["a"].wrong, found.per_class["a"].predicted, found.per_class["a"].precision) == (
        2,
        1,
        100,
    )
    assert found.calibration.accuracy == 50, "there is no confidence in what is no number"
    none = score(torch.full((2, 6), math.nan), torch.tensor([0, 1]), SIX)
    assert (none.calibration, none.confused, none.balanced_accuracy, none.macro_f1) == (None, (), 0, 0)


def test_calibration_is_that_of_the_largest_probability(guesses):
    scores, labels, classes = guesses
    found = score(scores, labels, classes)
    top = scores.exp().max(1).values
    assert found.calibration.mean_confidence == pytest.approx(100 * float(top.mean()))
    assert found.calibration.accuracy == pytest.approx(100 - found.top1_error)


def test_a_score_of_many_classes_takes_room_for_its_mistakes_alone():
    """A matrix of 30,000 classes would hold 900 million counts."""
    found = score(torch.zeros(2, 30_000), torch.tensor([0, 29_999]), [str(k) for k in range(30_000)])
    assert [(pair.true, pair.predicted) for pair in found.confused] == [("29999", "0")]
