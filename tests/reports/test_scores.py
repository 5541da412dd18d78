"""Counts from predictions, against counts by hand."""

from __future__ import annotations

import pytest

from goingdeeper.reports import scores
from goingdeeper.reports.scores import Prediction

# true, predicted, probability: a is right twice of three, b once of four, c never seen.
ROWS = [
    ("a", "a", 0.9),
    ("a", "a", 0.6),
    ("a", "b", 0.7),
    ("b", "a", 0.8),
    ("b", "a", 0.95),
    ("b", "c", 0.5),
    ("b", "b", 0.99),
]
PREDICTIONS = [Prediction(f"{n}.png", true, said, p, 0.01) for n, (true, said, p) in enumerate(ROWS)]


def test_rows_of_the_csv_become_numbers():
    row = {"path": "x.png", "true": "1", "predicted": "2", "probability": "0.75", "probability_true": "1e-3"}
    assert scores.read([row]) == [Prediction("x.png", "1", "2", 0.75, 0.001)]


def test_the_matrix_has_a_row_for_each_true_class():
    matrix = scores.matrix(PREDICTIONS, ["a", "b", "c"])
    assert [[cell.count for cell in row] for row in matrix] == [[2, 1, 0], [2, 1, 1], [0, 0, 0]]
    assert matrix[1][0].share == 50.0
    assert matrix[2][2].share == 0.0


def test_errors_by_class_carry_wilson_intervals_and_leave_out_classes_without_images():
    a, b = scores.class_errors(PREDICTIONS, ["a", "b", "c"])
    assert (a.name, a.images, a.wrong, b.name, b.images, b.wrong) == ("a", 3, 1, "b", 4, 3)
    assert a.error == pytest.approx(100 / 3)
    # Wilson 1927: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), worked out for 1 of 3.
    assert (a.low, a.high) == (pytest.approx(6.149, abs=0.01), pytest.approx(79.234, abs=0.01))


def test_the_most_frequent_confusion_comes_first():
    found = [(pair.true, pair.predicted, pair.count) for pair in scores.confused(PREDICTIONS)]
    assert found == [("b", "a", 2), ("a", "b", 1), ("b", "c", 1)]


def test_the_worst_mistakes_are_the_most_confident_ones():
    assert [p.path for p in scores.worst(PREDICTIONS, 3)] == ["4.png", "3.png", "2.png"]


def test_the_least_certain_answers_are_right_ones():
    assert [p.path for p in scores.least_certain(PREDICTIONS, 2)] == ["1.png", "0.png"]
