"""What passes the gate, by numbers worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from goingdeeper.deploy.gate import judged, mistaken


@pytest.mark.parametrize(("limit", "passed"), [(1.0, True), (0.99, False), (0.0, False)])
def test_the_measured_difference_is_what_counts(limit, passed):
    """Of 200 images 10 were mistaken, then 9 of these and 3 others: 5 and 6 %."""
    before, after = np.zeros(200, bool), np.zeros(200, bool)
    before[:10] = True
    after[1:13] = True
    gate = judged(before, after, limit)
    assert (gate.before, gate.after, gate.difference, gate.images) == (5.0, 6.0, 1.0, 200)
    low, high = gate.interval_95
    assert low < 0 < high  # 3 against 1 tell nothing
    assert gate.passed is passed and gate.limit == limit


def test_what_errs_less_passes():
    gate = judged(np.array([True, False]), np.array([False, False]), 0.0)
    assert gate.passed and gate.difference == -50


def test_an_answer_that_is_no_number_is_a_mistake():
    logits = np.array([[2, 1], [2, 1], [np.nan, 1], [1, np.inf]], np.float32)
    seen = SimpleNamespace(labels=np.array([0, 1, 0, 1]), batches=lambda: iter([logits[:3], logits[3:]]))
    counts = []
    found = mistaken(lambda pixels: pixels, seen, lambda done, total: counts.append((done, total)))
    assert found.tolist() == [False, True, True, True]
    assert counts == [(3, 4), (4, 4)]
