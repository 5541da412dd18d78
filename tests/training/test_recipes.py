import dataclasses

import pytest

from goingdeeper.errors import UsageError
from goingdeeper.training.recipes import SCRATCH, WarmupCosine, change, recipe, settings


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
    assert WarmupCosine(2).factor(step, 50, 5) == pytest.approx(expected, rel=1e-5)


def test_no_warm_up_starts_at_the_full_rate():
    assert [WarmupCosine(0).factor(step, 4, 2) for step in range(4)] == pytest.approx(
        [1, 0.85355339, 0.5, 0.14644661]
    )


def test_a_warm_up_longer_than_half_the_run_is_cut_to_half():
    assert [WarmupCosine(2).factor(step, 4, 4) for step in range(4)] == pytest.approx([1 / 3, 2 / 3, 1, 0.5])


@pytest.mark.parametrize(("epochs", "per_epoch"), [(1, 1), (1, 2), (2, 1), (3, 1), (1, 7), (100, 3)])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 2.0, 1000.0])
def test_the_rate_of_every_step_is_above_zero_and_falls_after_its_peak(epochs, per_epoch, warmup):
    steps = epochs * per_epoch
    factors = [WarmupCosine(warmup).factor(step, steps, per_epoch) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


OTHERS = {
    "epochs": ("7", 7),
    "batch": ("24", 24),
    "optimiser.rate": ("0.025", 0.025),
    "optimiser.momentum": ("0", 0.0),
    "optimiser.nesterov": ("false", False),
    "optimiser.weight_decay": ("1e-4", 1e-4),
    "schedule.warmup_epochs": ("0.5", 0.5),
    "augmentation.pad": ("0", 0.0),
    "augmentation.flip": ("no", False),
    "smoothing": ("0", 0.0),
    "head_weight": ("1", 1.0),
    "clip": ("2", 2.0),
    "average": ("0.9999", 0.9999),
    "standardise": ("off", False),
    "bad_share": ("0.05", 0.05),
}


def test_every_setting_is_tried_here():
    assert set(OTHERS) == set(settings(SCRATCH)) - {"name"}


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("name", OTHERS)
def test_a_setting_changes_itself_and_nothing_else(name, short):
    text, value = OTHERS[name]
    before = settings(SCRATCH)
    after = settings(change(SCRATCH, {name.rpartition(".")[2] if short else name: text}))
    assert after == {**before, name: value}
    assert type(after[name]) is type(before[name])
    assert before[name] != value


def test_several_settings_at_once_and_the_constant_stays():
    changed = change(SCRATCH, {"rate": "0.2", "momentum": "0.8", "flip": "off", "epochs": "3"})
    assert dataclasses.astuple(changed.optimiser)[:2] == (0.2, 0.8)
    assert (changed.augmentation.flip, changed.epochs) == (False, 3)
    assert recipe("scratch").optimiser.rate == 0.1


@pytest.mark.parametrize("text", ["true", "True", "yes", "on", "1"])
def test_words_for_true(text):
    assert change(change(SCRATCH, {"flip": "false"}), {"flip": text}).augmentation.flip is True


@pytest.mark.parametrize("text", ["false", "FALSE", "no", "off", "0"])
def test_words_for_false(text):
    assert change(SCRATCH, {"flip": text}).augmentation.flip is False


@pytest.mark.parametrize(
    ("name", "text", "needed"),
    [
        ("flip", "maybe", "true or false is needed"),
        ("flip", "", "true or false is needed"),
        ("epochs", "2.5", "a whole number is needed"),
        ("epochs", "ten", "a whole number is needed"),
        ("rate", "fast", "a number is needed"),
        ("rate", "None", "a number is needed"),
        ("rate", "nan", "at least 0"),
        ("rate", "inf", "at least 0"),
        ("rate", "-0.1", "at least 0"),
        ("batch", "-1", "at least 0"),
        ("smoothing", "1.5", "from 0 to 1"),
        ("momentum", "2", "from 0 to 1"),
        ("pad", "1.5", "from 0 to 1"),
        ("bad_share", "5", "from 0 to 1"),
        ("average", "1.5", "from 0 to 1"),
    ],
)
def test_values_that_do_not_fit_are_refused(name, text, needed):
    with pytest.raises(UsageError, match=rf"--set \S*{name}={text}: .*{needed}"):
        change(SCRATCH, {name: text})


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("rat", "did you mean optimiser.rate"),
        ("learning_rate", "optimiser.rate"),
        ("warmup", "did you mean schedule.warmup_epochs"),
        ("Flip", "augmentation.flip"),
        ("augmentation.flop", "did you mean augmentation.flip"),
        ("name", "the settings are: epochs, batch,"),
        ("optimiser", "optimiser.momentum"),
        ("", "the settings are: epochs, batch,"),
    ],
)
def test_an_unknown_setting_suggests_known_ones(name, close):
    with pytest.raises(UsageError, match=rf"unknown setting '{name}'.*{close}"):
        change(SCRATCH, {name: "1"})


def test_an_unknown_recipe_suggests_known_ones():
    with pytest.raises(UsageError, match="unknown recipe 'scrach'; did you mean scratch"):
        recipe("scrach")
