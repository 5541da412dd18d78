import dataclasses

import pytest

from goingdeeper.errors import UsageError
from goingdeeper.recipes import SCRATCH, recipe
from goingdeeper.recipes.settings import change, settings

OTHERS = {
    "epochs": ("7", 7),
    "batch": ("24", 24),
    "optimiser.rate": ("0.025", 0.025),
    "optimiser.momentum": ("0", 0.0),
    "optimiser.nesterov": ("false", False),
    "optimiser.weight_decay": ("1e-4", 1e-4),
    "schedule.warmup_epochs": ("0.5", 0.5),
    "schedule.start": ("0.1", 0.1),
    "schedule.end": ("0.01", 0.01),
    "augmentation.crop.pad": ("0", 0.0),
    "augmentation.crop.reflect": ("yes", True),
    "augmentation.flip": ("no", False),
    "augmentation.alternate_flips": ("yes", True),
    "augmentation.erase": ("0.1", 0.1),
    "augmentation.cutout": ("0.25", 0.25),
    "augmentation.mixup": ("0.2", 0.2),
    "augmentation.cutmix": ("1", 1.0),
    "augmentation.repeats": ("3", 3),
    "augmentation.reduced_decoding": ("yes", True),
    "loss.smoothing": ("0", 0.0),
    "head_weights": ("4a:0.5,0.2", (("4a", 0.5), ("*", 0.2))),
    "clip": ("2", 2.0),
    "average": ("0.9999", 0.9999),
    "decay_all": ("true", True),
    "iterations": ("64000", 64000),
    "norm_batch": ("64", 64),
    "norm_decay": ("0.9997", 0.9997),
    "population": ("on", True),
    "stochastic_depth": ("0.05", 0.05),
    "balance": ("loss", "loss"),
    "precision": ("bfloat16", "bfloat16"),
    "compile": ("1", True),
    "recompute": ("10", 10),
    "accumulate": ("4", 4),
    "bad_share": ("0.05", 0.05),
    "freeze": ("conv4", "conv4"),
    "norm_frozen": ("yes", True),
    "stage_rate": ("0.7", 0.7),
    "head_epochs": ("1", 1),
    "stop_after": ("5", 5),
}


KINDS = {
    "optimiser": ("adam", "Adam"),
    "schedule": ("Steps", "Steps"),
    "momentum_schedule": ("linear", "Linear"),
    "until_learning": ("UntilLearning", "UntilLearning"),
    "input": ("Centre", "Centre"),
    "augmentation.crop": ("AreaCrop", "AreaCrop"),
    "augmentation.colour": ("PCAColour", "PCAColour"),
    "augmentation.policy": ("RandAugment", "RandAugment"),
    "loss": ("BinaryCrossEntropy", "BinaryCrossEntropy"),
}


def test_every_setting_is_tried_here():
    assert set(OTHERS) | set(KINDS) == set(settings(SCRATCH))


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("name", OTHERS)
def test_a_setting_changes_itself_and_nothing_else(name, short):
    text, value = OTHERS[name]
    before = settings(SCRATCH)
    after = settings(change(SCRATCH, {name.rpartition(".")[2] if short else name: text}))
    if name == "iterations":  # they are the length then
        before["epochs"] = 0
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
        ("rat", "did you mean [^?]*optimiser.rate"),
        ("warmup", "did you mean schedule.warmup_epochs"),
        ("Flip", "augmentation.flip"),
        ("augmentation.flop", "did you mean augmentation.flip"),
        ("name", "`deeper recipes scratch` lists them"),
        ("", "`deeper recipes scratch` lists them"),
    ],
)
def test_an_unknown_setting_suggests_known_ones(name, close):
    with pytest.raises(UsageError, match=rf"unknown setting '{name}'.*{close}"):
        change(SCRATCH, {name: "1"})


def test_an_unknown_recipe_suggests_known_ones():
    with pytest.raises(UsageError, match="unknown recipe 'scrach'; did you mean scratch"):
        recipe("scrach")


@pytest.mark.parametrize("name", ["lr", "learning_rate", "rate", "optimiser.rate"])
def test_the_rate_goes_by_the_names_people_know(name):
    assert change(SCRATCH, {name: "0.3"}).optimiser.rate == 0.3


@pytest.mark.parametrize(
    "changes",
    [
        {"input.whiten": "0.1", "input": "Contrast"},
        {"input": "Contrast", "whiten": "0.1"},
        {"schedule.power": "0.25", "schedule": "Polynomial"},
    ],
)
def test_settings_of_a_kind_may_be_given_with_it_in_any_order(changes):
    changed = settings(change(SCRATCH, changes))
    for name, text in changes.items():
        (full,) = [known for known in changed if known in (name, f"input.{name}")]
        assert str(changed[full]) == text
