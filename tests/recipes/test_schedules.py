"""Schedules at places worked out by hand."""

import pytest

from goingdeeper.recipes.schedules import Now, WarmupCosine


def factor(schedule, step, steps, per_epoch):
    return schedule.factor(Now(step, steps, per_epoch))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        # Ten epochs of five steps: the first ten climb in elevenths, forty follow half a cosine.
        (0, 1 / 11),
        (4, 5 / 11),
        (9, 10 / 11),
        (10, 1.0),
        (20, 0.85355339),  # (1 + cos 45 deg) / 2
        (30, 0.5),
        (40, 0.14644661),  # (1 - cos 45 deg) / 2
        (49, 0.00154133),  # (1 - cos 4.5 deg) / 2
    ],
)
def test_warm_up_then_half_a_cosine(step, expected):
    assert factor(WarmupCosine(2), step, 50, 5) == pytest.approx(expected, rel=1e-5)


def test_no_warm_up_starts_at_the_full_rate():
    assert [factor(WarmupCosine(0), step, 4, 2) for step in range(4)] == pytest.approx(
        [1, 0.85355339, 0.5, 0.14644661]
    )


def test_a_warm_up_longer_than_half_the_run_is_cut_to_half():
    assert [factor(WarmupCosine(2), step, 4, 4) for step in range(4)] == pytest.approx([1 / 3, 2 / 3, 1, 0.5])


@pytest.mark.parametrize(("epochs", "per_epoch"), [(1, 1), (1, 2), (2, 1), (3, 1), (1, 7), (100, 3)])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 2.0, 1000.0])
def test_the_rate_of_every_step_is_above_zero_and_falls_after_its_peak(epochs, per_epoch, warmup):
    steps = epochs * per_epoch
    factors = [factor(WarmupCosine(warmup), step, steps, per_epoch) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
