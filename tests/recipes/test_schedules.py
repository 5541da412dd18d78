"""Schedules at places worked out by hand from the papers' words."""

from dataclasses import replace

import pytest

from goingdeeper.recipes import SCRATCH
from goingdeeper.recipes.optimisers import Rule
from goingdeeper.recipes.schedules import (
    Constant,
    Exponential,
    Inverse,
    Linear,
    Now,
    Plateau,
    Polynomial,
    Steps,
    UntilLearning,
    WarmupCosine,
)
from goingdeeper.recipes.settings import lasting


def factor(schedule, step, steps, per_epoch):
    return schedule.factor(Now(step, steps, per_epoch))


def at(schedule, *places, steps=10**6, per_epoch=1):
    return [schedule.factor(Now(place, steps, per_epoch)) for place in places]


def test_constant():
    assert at(Constant(), 0, 999_999) == pytest.approx([1, 1])


def test_resnets_on_cifar_drop_at_32_and_48_thousand_of_64():
    places = (0, 31_999, 32_000, 47_999, 48_000, 63_999)
    rates = [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    assert at(Steps((32_000, 48_000)), *places) == pytest.approx([rate / 0.1 for rate in rates])


def test_highways_three_drops():
    places = (99_999, 100_000, 149_999, 150_000, 174_999, 175_000, 199_999)
    rates = [0.025, 0.0025, 0.0025, 0.00025, 0.00025, 0.000025, 0.000025]
    assert at(Steps((100_000, 150_000, 175_000)), *places) == pytest.approx([rate / 0.025 for rate in rates])


def test_dsns_second_stage_ends_at_a_twentieth():
    rates = [0.025 * value for value in at(Steps((100_000,), 0.05), 99_999, 100_000)]
    assert rates == pytest.approx([0.025, 0.00125])


def test_torchs_resnets_drop_every_30_epochs():
    # 1,281,167 images in batches of 256: 5004.6 steps, of which the last is not whole.
    schedule, per_epoch = Steps((30, 60), unit="epochs"), 5005
    places = (0, 30 * 5005 - 1, 30 * 5005, 60 * 5005 - 1, 60 * 5005, 90 * 5005 - 1)
    assert at(schedule, *places, per_epoch=per_epoch) == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_googlenets_release_in_stairs_of_320_thousand_iterations():
    schedule = Exponential(0.96, 320_000, "iterations")
    assert at(schedule, 0, 319_999, 320_000, 640_000, 9_999_999) == pytest.approx(
        [1, 1, 0.96, 0.9216, 0.96**31]
    )


def test_inception_v3s_rate_is_0_00204_after_100_epochs():
    schedule = Exponential(0.94, 2)
    rates = [0.045 * value for value in at(schedule, 0, 1, 2, 3, 4, 99, 100)]
    assert rates[:5] == pytest.approx([0.045, 0.045, 0.0423, 0.0423, 0.039762])
    assert rates[6] == pytest.approx(0.00204, abs=5e-6)
    assert rates[5] == pytest.approx(rates[6] / 0.94)


def test_exponential_without_stairs_falls_at_every_step():
    # Half of two epochs of four steps: 0.94^(1/2).
    schedule = Exponential(0.94, 2, stairs=False)
    assert at(schedule, 0, 4, 8, per_epoch=4) == pytest.approx([1, 0.94**0.5, 0.94])


def test_googlenets_quick_release():
    # 0.01 (1 - t / 2.4e6)^0.5: at 3/4 of the way, half of it; at 15/16, a quarter.
    schedule = Polynomial(0.5)
    places = (0, 1_800_000, 2_250_000, 2_400_000)
    assert at(schedule, *places, steps=2_400_000) == pytest.approx([1, 0.5, 0.25, 0])
    assert at(Polynomial(2), 1_800_000, steps=2_400_000) == pytest.approx([1 / 16])


def test_dsns_companions():
    # (1 + 1e-4 t)^-0.75 at 16 and at 81 times: 1/8 and 1/27.
    assert at(Inverse(1e-4, 0.75), 0, 150_000, 800_000) == pytest.approx([1, 1 / 8, 1 / 27])


def test_maxouts_rate_falls_from_epoch_1_to_500():
    schedule = Linear(0.01, 500)
    # Epoch e is reached after e - 1 of 390 steps each; in its middle nothing moves.
    assert at(schedule, 0, 389, 390, 499 * 390, 600 * 390, per_epoch=390) == pytest.approx([
        1, 1, 1 - 0.99 / 499, 0.01, 0.01,
    ])  # fmt: skip


def test_maxouts_momentum_rises_from_a_half_to_065_by_epoch_250():
    schedule = Linear(1.3, 250)
    momentum = [0.5 * value for value in at(schedule, 0, 83, 166, 249, 473)]
    assert momentum == pytest.approx([0.5, 0.55, 0.6, 0.65, 0.65])  # thirds of 249 epochs


def test_pylearn2s_line_has_its_first_step_in_the_first_epoch():
    # rate - (rate - 0.01 rate) / 500 * epoch
    schedule = Linear(0.01, 500, since=0)
    assert at(schedule, 0, 249, 498, 499) == pytest.approx([0.99802, 0.505, 0.01198, 0.01])


def test_fitnets_weight_of_the_teacher_falls_from_4_to_1_between_epochs_4_and_400():
    # The release: 4 - 3 / 396 (epoch - 4) from epoch 5 to 399, then 1.
    weights = [4 * value for value in at(Linear(0.25, 400, since=4), 0, 3, 4, 201, 398, 399)]
    assert weights == pytest.approx([4, 4, 4 - 3 / 396, 2.5, 1 + 3 / 396, 1])


def test_a_line_of_one_epoch_is_at_its_end_in_the_next():
    assert at(Linear(0.5, 1), 0, 1) == [1, 0.5]


ERRORS = (50, 40, 41, 40, 40, 30, 31, 32, 33, 29, 29, 29, 29, 29, 29, 29)


def test_plateau_on_a_written_out_series_of_errors():
    # Three epochs without a new lowest error, then the count starts again:
    # 40 stands from epoch 2 (41, 40, 40: first drop after epoch 5), 30 from 6 (31, 32, 33: second after 9),
    # 29 from 10 (third after 13); a fourth would come after 16.
    drops = [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4]
    for most in (1, 3, 4):
        schedule = Plateau(0.1, patience=3, most=most)
        found = [schedule.factor(Now(0, 1, 1, ERRORS[:epochs])) for epochs in range(len(ERRORS) + 1)]
        assert found == pytest.approx([0.1 ** min(most, drop) for drop in drops])


def test_plateau_before_the_first_error():
    assert Plateau().factor(Now(500, 1000, 1000)) == 1


def test_the_warm_up_of_110_layers_ends_when_they_learn():
    schedule = UntilLearning(0.1, 80.0)
    assert [schedule.factor(Now(400, 64_000, 391, learnt=learnt)) for learnt in (None, 0, 400)] == [0.1, 1, 1]


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


def test_a_warm_up_from_a_share_of_the_rate_to_a_share_at_the_end():
    # 0.01 of the rate at first, 5 of 10 epochs up in equal steps; half way down a cosine from 1 to 0.2.
    found = at(WarmupCosine(5, start=0.01, end=0.2), 0, 10, 20, 25, 37.5, 50, steps=50, per_epoch=5)
    assert found == pytest.approx([0.01, 0.406, 0.802, 1, 0.6, 0.2])


@pytest.mark.parametrize(
    ("schedule", "share"),
    [
        (Constant(), 0.37),
        (Steps((32_000, 48_000)), 0.5),
        (Steps((30, 60), unit="epochs"), 3),
        (Exponential(0.96, 320, "iterations"), 0.25),
        (Exponential(0.94, 2, stairs=False), 0.1),
        (Polynomial(0.5), 0.4),
        (Inverse(1e-4, 0.75), 0.1),
        (WarmupCosine(0), 2),
    ],
)
def test_a_run_of_another_length_has_the_same_shape(schedule, share):
    """At the same part of the way the rate is the same."""
    epochs, per_epoch = 160, 400
    recipe = replace(SCRATCH, epochs=epochs, schedule=schedule, momentum_schedule=schedule)
    recipe = replace(recipe, rules=(Rule("biases", schedule=schedule), Rule("norms", rate=2)))
    other = lasting(recipe, int(epochs * share), per_epoch)
    assert other.epochs == int(epochs * share)
    assert other.rules[1] == recipe.rules[1]
    ratio = other.epochs / epochs
    for part in range(100):
        step = part * epochs * per_epoch / 100 + 1
        expected = schedule.factor(Now(step, epochs * per_epoch, per_epoch))
        now = Now(step * ratio, other.epochs * per_epoch, per_epoch)
        for one in (other.schedule, other.momentum_schedule, other.rules[0].schedule):
            assert one.factor(now) == pytest.approx(expected, rel=1e-4)


def test_a_line_and_a_plateau_of_another_length():
    recipe = replace(SCRATCH, epochs=500, schedule=Linear(0.01, 500), momentum_schedule=Plateau(patience=10))
    half = lasting(recipe, 250, 400)
    assert half.momentum_schedule.patience == 5
    # From the first epoch to its place at half of the way, within half an epoch.
    assert at(half.schedule, 0, 125, 250) == pytest.approx([1, 0.505, 0.01], abs=0.99 / 499)
    twice = lasting(replace(recipe, schedule=Linear(0.25, 400, since=4)), 1000, 400)
    assert at(twice.schedule, 6, 6 + 396, 6 + 792) == pytest.approx([1, 0.625, 0.25])


def test_a_run_counted_in_iterations_is_stretched_by_them():
    recipe = replace(SCRATCH, iterations=64_000, schedule=Steps((32_000, 48_000)))
    short = lasting(recipe, 10, 64)
    assert (short.iterations, short.schedule.at) == (640, (320, 480))
    assert lasting(recipe, 1000, 64) == recipe
