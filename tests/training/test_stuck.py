"""When a loss counts as stuck at that of guessing."""

import math

import pytest

from goingdeeper.training.stuck import Plateau

CHANCE = math.log(10)


def said(losses, classes=10):
    plateau = Plateau(classes)
    return [text for loss in losses if (text := plateau.after(loss, 0.1))]


def noisy(level, count, fall=0.0):
    return [level + 0.02 * (-1) ** step - fall * step / count for step in range(count)]


def test_a_loss_at_ln_10_for_200_steps_is_said_once_with_rates_to_try():
    [text] = said(noisy(CHANCE, 1000))
    assert text.startswith("the loss has stayed at ln(10) = 2.303, that of guessing, for 200 steps")
    assert "--set rate=0.033 or 0.3" in text


def test_not_before_200_steps():
    assert said(noisy(CHANCE, 199)) == []
    assert len(said(noisy(CHANCE, 200))) == 1


@pytest.mark.parametrize("level", [0.9 * CHANCE, 0.98 * CHANCE, 1.02 * CHANCE, 3.0])
def test_other_losses_are_not_guessing(level):
    assert said(noisy(level, 400)) == []


def test_a_loss_that_falls_slowly_is_learning():
    assert said(noisy(1.004 * CHANCE, 200, fall=0.03)) == []


def test_it_is_the_number_of_classes_that_counts():
    assert said(noisy(CHANCE, 400), classes=100) == []
    assert len(said(noisy(math.log(100), 400), classes=100)) == 1


def test_one_class_has_nothing_to_guess():
    assert said([0.0] * 400, classes=1) == []
