"""The threshold for "none of these": what it promises, by counting."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goingdeeper.errors import DataError, UsageError
from goingdeeper.evaluation.reject import none_of_these


def answers(rows: list[tuple[float, bool]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Of three classes, the first with this probability; whether it is the true one."""
    likely = [[p, (1 - p) / 2, (1 - p) / 2] for p, _ in rows]
    return torch.tensor(likely, dtype=torch.float64).log(), torch.tensor([0 if hit else 1 for _, hit in rows])


def test_twenty_right_answers_may_lose_one():
    """Right with 0.41, 0.43, ... 0.79; four mistakes with 0.4, 0.42, 0.5 and 0.9."""
    right = [(0.41 + 0.02 * k, True) for k in range(20)]
    found = none_of_these(*answers([*right, (0.4, False), (0.42, False), (0.5, False), (0.9, False)]))
    assert found.threshold == pytest.approx(0.43)
    assert (found.images, found.right, found.right_rejected, found.accepted, found.wrong) == (
        24,
        20,
        1,
        21,
        2,
    )
    assert (found.share, found.coverage, found.error) == (5, 87.5, pytest.approx(200 / 21))
    # Wilson's intervals of 21 of 24 and of 2 of 21, from their formula.
    assert found.coverage_interval_95 == (pytest.approx(69.00, abs=0.01), pytest.approx(95.66, abs=0.01))
    assert found.interval_95 == (pytest.approx(2.65, abs=0.01), pytest.approx(28.91, abs=0.01))


def test_fewer_right_answers_lose_none():
    found = none_of_these(*answers([(0.4 + 0.02 * k, True) for k in range(19)]))
    assert (found.threshold, found.right_rejected, found.coverage) == (pytest.approx(0.4), 0, 100)


def test_equal_probabilities_stay_together():
    """A tenth of twenty might go, but the three least certain are alike."""
    rows = [(0.5, True)] * 3 + [(0.6 + 0.01 * k, True) for k in range(17)]
    found = none_of_these(*answers(rows), 10)
    assert (found.threshold, found.right_rejected) == (pytest.approx(0.5), 0)
    found = none_of_these(*answers(rows), 15)
    assert (found.threshold, found.right_rejected) == (pytest.approx(0.6), 3)


def test_a_share_is_taken_as_it_is_written():
    """In floating point 0.29 * 100 is below 29."""
    found = none_of_these(*answers([(0.4 + 0.0005 * k, True) for k in range(1000)]), 2.9)
    assert found.right_rejected == 29


def test_what_is_no_number_is_rejected():
    likely, _ = answers([(0.5, True), (0.6, True), (0.7, False)])
    likely[1] = math.nan
    found = none_of_these(likely, torch.tensor([0, 0, 1]))
    assert (found.images, found.right, found.accepted, found.wrong) == (3, 1, 2, 1)


def test_nothing_can_be_chosen_where_nothing_is_right():
    with pytest.raises(DataError, match=r"none of the 2 images is classified right.*train longer"):
        none_of_these(*answers([(0.5, False), (0.9, False)]))
    with pytest.raises(DataError, match="none of the 1 images"):
        none_of_these(torch.full((1, 3), math.nan), torch.tensor([0]))


@pytest.mark.parametrize("share", [-1, 100, 250, math.nan, math.inf])
def test_shares_that_are_none(share):
    with pytest.raises(UsageError, match="give one from 0 to below 100"):
        none_of_these(*answers([(0.5, True)]), share)


@given(
    st.lists(st.tuples(st.integers(34, 99), st.booleans()), min_size=1, max_size=80),
    st.integers(0, 99),
)
def test_the_promise_is_kept_and_no_larger_threshold_keeps_it(percent, share):
    rows = [(p / 100, hit) for p, hit in percent]
    if not any(hit for _, hit in rows):
        return
    found = none_of_these(*answers(rows), share)
    right = [p for p, hit in percent if hit]
    least = round(100 * found.threshold)
    assert found.right_rejected == sum(p < least for p in right)
    assert 100 * found.right_rejected <= share * len(right)
    assert 100 * sum(p <= least for p in right) > share * len(right), "a higher one would reject too many"
    accepted = [hit for p, hit in percent if p >= least]
    assert (found.accepted, found.wrong) == (len(accepted), accepted.count(False))
