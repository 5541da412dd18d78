"""The papers' recipes against the figures that their sources print."""

import dataclasses
from fnmatch import fnmatchcase

import pytest

from goingdeeper import catalogue
from goingdeeper.layers import Dropout
from goingdeeper.published.papers import papers
from goingdeeper.recipes import recipe, recipes
from goingdeeper.recipes.images import (
    AreaCrop,
    Centre,
    Contrast,
    Howard,
    InceptionColour,
    MeanImage,
    Padded,
    PCAColour,
    RandAugment,
    Range,
    ScaleJitter,
    Standardise,
    TorchColour,
    TrivialAugment,
    Window,
)
from goingdeeper.recipes.losses import BinaryCrossEntropy, CrossEntropy, Distillation, Hint, SquaredHinge
from goingdeeper.recipes.optimisers import LAMB, SGD, Adam, CaffeSGD, RMSProp
from goingdeeper.recipes.recipe import Recipe, passes, printed, used_for
from goingdeeper.recipes.schedules import Inverse, Now, Plateau
from goingdeeper.recipes.settings import settings
from goingdeeper.trace import trace

ALL = list(recipes())
IMAGENET, CIFAR = 1_281_167, 50_000

# Name: training images, iterations (0 where the source counts epochs), epochs, batch.
LENGTHS = {
    "scratch": (0, 0, 30, 128),
    "finetune": (0, 0, 30, 128),
    "alexnet": (IMAGENET, 0, 90, 128),
    "alexnet-caffe": (IMAGENET, 450_000, 89.92, 256),
    "vgg": (IMAGENET, 370_000, 73.93, 256),  # "74 epochs"
    "vgg-deep": (IMAGENET, 370_000, 73.93, 256),
    "vgg-384": (IMAGENET, 370_000, 73.93, 256),
    "vgg-jitter": (IMAGENET, 370_000, 73.93, 256),
    "prelu": (IMAGENET, 0, 80, 128),
    "googlenet": (IMAGENET, 0, 250, 32),
    "googlenet-bvlc": (IMAGENET, 10_000_000, 249.77, 32),  # "250 epochs"
    "googlenet-bvlc-quick": (IMAGENET, 2_400_000, 59.95, 32),  # "60 epochs"
    "bn-inception": (IMAGENET, 31_000_000, 774.29, 32),
    "bn-inception-x5": (IMAGENET, 6_000_000, 149.86, 32),
    "bn-inception-x30": (IMAGENET, 6_000_000, 149.86, 32),
    "inception-v2": (IMAGENET, 0, 100, 32),
    "inception-v2-rmsprop": (IMAGENET, 0, 100, 32),
    "inception-v2-smoothing": (IMAGENET, 0, 100, 32),
    "inception-v2-factorized": (IMAGENET, 0, 100, 32),
    "inception-v3": (IMAGENET, 0, 100, 32),
    "inception-v3-released": (IMAGENET, 0, 100, 32),
    "resnet-imagenet": (IMAGENET, 600_000, 119.89, 256),  # "119.9 epochs"
    "resnet-imagenet-steps": (IMAGENET, 0, 120, 256),
    "resnet-torch": (IMAGENET, 0, 90, 256),
    "resnet-cifar": (CIFAR, 64_000, 163.84, 128),
    "resnet-cifar-110": (CIFAR, 64_000, 163.84, 128),
    "maxout": (CIFAR, 0, 474, 128),
    "maxout-unaugmented": (CIFAR, 0, 785, 128),
    "nin": (CIFAR, 0, 300, 128),
    "dsn-1": (CIFAR, 50_000, 100, 100),
    "dsn-2": (CIFAR, 120_000, 240, 100),
    "dsn-3": (CIFAR, 30_000, 60, 100),
    "fitnet-hint": (CIFAR, 0, 500, 128),
    "fitnet": (CIFAR, 0, 500, 128),
    "highway": (CIFAR, 200_000, 400, 100),
    "signs": (1080, 0, 2, 32),
    "a1": (IMAGENET, 0, 600, 2048),
    "a2": (IMAGENET, 0, 300, 2048),
    "a3": (IMAGENET, 0, 100, 2048),
    "torchvision-new": (IMAGENET, 0, 600, 1024),
    "torchvision-baseline": (IMAGENET, 0, 90, 256),
    "cifar-strong": (CIFAR, 0, 200, 128),
}

# The kind, momentum, Nesterov's form, weight decay, and whether everything decays.
OPTIMISERS = {
    "scratch": (SGD, 0.9, True, 5e-4, False),
    "finetune": (SGD, 0.9, True, 1e-4, False),
    "alexnet": (CaffeSGD, 0.9, False, 5e-4, False),
    "alexnet-caffe": (CaffeSGD, 0.9, False, 5e-4, False),
    "vgg": (CaffeSGD, 0.9, False, 5e-4, False),
    "vgg-deep": (CaffeSGD, 0.9, False, 5e-4, False),
    "vgg-384": (CaffeSGD, 0.9, False, 5e-4, False),
    "vgg-jitter": (CaffeSGD, 0.9, False, 5e-4, False),
    "prelu": (CaffeSGD, 0.9, False, 5e-4, False),
    "googlenet": (SGD, 0.9, False, 2e-4, False),
    "googlenet-bvlc": (CaffeSGD, 0.9, False, 2e-4, False),
    "googlenet-bvlc-quick": (CaffeSGD, 0.9, False, 2e-4, False),
    "bn-inception": (SGD, 0.9, False, 2e-4, False),
    "bn-inception-x5": (SGD, 0.9, False, 2e-4 / 5, False),
    "bn-inception-x30": (SGD, 0.9, False, 2e-4 / 5, False),
    "inception-v2": (SGD, 0.9, False, 4e-5, False),
    "inception-v2-rmsprop": (RMSProp, 0.0, None, 4e-5, False),
    "inception-v2-smoothing": (RMSProp, 0.0, None, 4e-5, False),
    "inception-v2-factorized": (RMSProp, 0.0, None, 4e-5, False),
    "inception-v3": (RMSProp, 0.0, None, 4e-5, False),
    "inception-v3-released": (RMSProp, 0.9, None, 4e-5, False),
    "resnet-imagenet": (CaffeSGD, 0.9, False, 1e-4, False),
    "resnet-imagenet-steps": (CaffeSGD, 0.9, False, 1e-4, False),
    "resnet-torch": (SGD, 0.9, True, 1e-4, True),
    "resnet-cifar": (CaffeSGD, 0.9, False, 1e-4, False),
    "resnet-cifar-110": (CaffeSGD, 0.9, False, 1e-4, False),
    "maxout": (CaffeSGD, 0.5, False, 0.0, False),
    "maxout-unaugmented": (CaffeSGD, 0.5, False, 0.0, False),
    "nin": (CaffeSGD, 0.9, False, 1e-4, False),
    "dsn-1": (CaffeSGD, 0.9, False, 5e-4, False),
    "dsn-2": (CaffeSGD, 0.9, False, 5e-4, False),
    "dsn-3": (CaffeSGD, 0.9, False, 5e-4, False),
    "fitnet-hint": (RMSProp, 0.0, None, 0.0, False),
    "fitnet": (RMSProp, 0.0, None, 0.0, False),
    "highway": (CaffeSGD, 0.9, True, 1e-3, False),
    "signs": (Adam, None, None, 0.0, False),
    "a1": (LAMB, None, None, 0.01, False),
    "a2": (LAMB, None, None, 0.02, False),
    "a3": (LAMB, None, None, 0.02, False),
    "torchvision-new": (SGD, 0.9, False, 2e-5, True),
    "torchvision-baseline": (SGD, 0.9, False, 1e-4, True),
    "cifar-strong": (SGD, 0.9, True, 5e-4, False),
}

# Rates after so many epochs (e) or iterations (i); those that follow the validation error stand below.
RATES = {
    "alexnet-caffe": {"0i": 0.01, "99999i": 0.01, "100000i": 1e-3, "250000i": 1e-4, "449999i": 1e-6},
    "googlenet": {"0e": 0.01, "7.9e": 0.01, "8e": 0.0096, "16e": 0.009216},
    "googlenet-bvlc": {"0i": 0.01, "319999i": 0.01, "320000i": 0.0096, "640000i": 0.009216},
    "googlenet-bvlc-quick": {"0i": 0.01, "600000i": 0.00866025, "1800000i": 0.005, "2376000i": 0.001},
    "bn-inception": {"0e": 0.0015, "7.9e": 0.0015, "8e": 0.00144, "48e": 0.0015 * 0.96**6},
    "bn-inception-x5": {"0e": 0.0075, "8.1e": 0.0075 * 0.96**6},
    "bn-inception-x30": {"0e": 0.045, "8.1e": 0.045 * 0.96**6},
    "inception-v2": {"0e": 0.045, "1.9e": 0.045, "2e": 0.0423, "100e": 0.00204},
    "inception-v2-rmsprop": {"0e": 0.045, "2e": 0.0423, "100e": 0.00204},
    "inception-v2-smoothing": {"0e": 0.045, "2e": 0.0423, "100e": 0.00204},
    "inception-v2-factorized": {"0e": 0.045, "2e": 0.0423, "100e": 0.00204},
    "inception-v3": {"0e": 0.045, "1.9e": 0.045, "2e": 0.0423, "4e": 0.039762, "100e": 0.00204},
    "inception-v3-released": {"0e": 0.045, "2e": 0.0423, "100e": 0.00204},
    "resnet-imagenet-steps": {"0e": 0.1, "29.9e": 0.1, "30e": 0.01, "60e": 1e-3, "90e": 1e-4, "119e": 1e-4},
    "resnet-torch": {"0e": 0.1, "29.9e": 0.1, "30e": 0.01, "60e": 1e-3, "89.9e": 1e-3},
    "resnet-cifar": {"0i": 0.1, "31999i": 0.1, "32000i": 0.01, "47999i": 0.01, "48000i": 1e-3},
    "resnet-cifar-110": {"0i": 0.1, "31999i": 0.1, "32000i": 0.01, "48000i": 1e-3},
    "maxout": {"0e": 0.1696634, "499e": 0.0017, "600e": 0.0017},
    "maxout-unaugmented": {"0e": 0.1696634, "499e": 0.0017, "784e": 0.0017},
    "dsn-1": {"0i": 0.025, "49999i": 0.025},
    "dsn-2": {"0i": 0.025, "99999i": 0.025, "100000i": 0.00125, "119999i": 0.00125},
    "dsn-3": {"0i": 1e-4, "29999i": 1e-4},
    "fitnet-hint": {"0e": 0.005, "499e": 0.005},
    "fitnet": {"0e": 0.005, "499e": 0.005},
    "highway": {
        "0i": 0.025, "99999i": 0.025, "100000i": 2.5e-3, "150000i": 2.5e-4, "174999i": 2.5e-4,
        "175000i": 2.5e-5,
    },
    "signs": {"0e": 0.001, "1.9e": 0.001},
    # Half a cosine: half-way between the warm-up's end and the run's, the mean of the first and last rate.
    "a1": {"5e": 0.005, "302.5e": (5e-3 + 1e-6) / 2, "600e": 1e-6},
    "a2": {"5e": 0.005, "152.5e": (5e-3 + 1e-6) / 2, "300e": 1e-6},
    "a3": {"5e": 0.008, "52.5e": (8e-3 + 1e-6) / 2, "100e": 1e-6},
    "torchvision-new": {"0e": 0.005, "2.5e": 0.2525, "5e": 0.5, "302.5e": 0.25, "600e": 0.0},
    "torchvision-baseline": {"0e": 0.1, "29.9e": 0.1, "30e": 0.01, "60e": 1e-3},
    "cifar-strong": {"5e": 0.1, "102.5e": 0.05, "200e": 0.0},
    "scratch": {"2e": 0.1, "16e": 0.05, "30e": 0.0},
    "finetune": {"1e": 0.04, "15.5e": 0.02, "30e": 0.0},
}  # fmt: skip

# The first rate, the factor, and how often it is applied.
PLATEAUS = {
    "alexnet": (0.01, 0.1, 3),
    "vgg": (0.01, 0.1, 3),
    "vgg-deep": (0.01, 0.1, 3),
    "vgg-384": (0.001, 0.1, 3),
    "vgg-jitter": (0.001, 0.1, 3),
    "prelu": (1e-2, 0.1, 2),  # 1e-2, 1e-3, 1e-4
    "resnet-imagenet": (0.1, 0.1, 3),
    "nin": (0.1, 0.1, 2),  # the last rate is 1 % of the first
}

ANY_RESIZE = {
    "low": 0.08,
    "aspect": pytest.approx(4 / 3),
    "any_resize": True,
    "tries": 10,
    "logarithmic": False,
}
RELEASED = {
    "low": 0.05,
    "aspect": pytest.approx(1.33, abs=0.004),
    "any_resize": True,
    "tries": 100,
    "otherwise": "whole",
}
LATER = {"low": 0.08, "aspect": pytest.approx(4 / 3), "logarithmic": True}
NOWHERE = (Padded, {"pad": 0.0}, None)

# What a crop is and its constants, and the colour record.
CROPS = {
    "scratch": (Padded, {"pad": 0.125}, None),
    "finetune": (Padded, {"pad": 0.125}, None),
    "alexnet": (Window, {"side": 256, "square": True}, PCAColour(0.1)),
    "alexnet-caffe": (Window, {"side": pytest.approx(256 / 227 * 224)}, None),
    "vgg": (Window, {"side": 256, "square": False}, PCAColour(0.1)),
    "vgg-deep": (Window, {"side": 256, "square": False}, PCAColour(0.1)),
    "vgg-384": (Window, {"side": 384, "square": False}, PCAColour(0.1)),
    "vgg-jitter": (ScaleJitter, {"low": 256, "high": 512}, PCAColour(0.1)),
    "prelu": (ScaleJitter, {"low": 256, "high": 512}, PCAColour(0.1)),
    "googlenet": (AreaCrop, ANY_RESIZE, Howard(0.5, 0.1)),
    "googlenet-bvlc": (Window, {"side": 256}, None),
    "googlenet-bvlc-quick": (Window, {"side": 256}, None),
    "bn-inception": (AreaCrop, ANY_RESIZE, Howard(0.5, 0.1)),
    "bn-inception-x5": (AreaCrop, ANY_RESIZE, Howard(0.25, 0.05)),
    "bn-inception-x30": (AreaCrop, ANY_RESIZE, Howard(0.25, 0.05)),
    "inception-v2": (AreaCrop, RELEASED, InceptionColour(fast=False)),
    "inception-v2-rmsprop": (AreaCrop, RELEASED, InceptionColour(fast=False)),
    "inception-v2-smoothing": (AreaCrop, RELEASED, InceptionColour(fast=False)),
    "inception-v2-factorized": (AreaCrop, RELEASED, InceptionColour(fast=False)),
    "inception-v3": (AreaCrop, RELEASED, InceptionColour(fast=False)),
    "inception-v3-released": (AreaCrop, RELEASED, InceptionColour(fast=False)),
    "resnet-imagenet": (ScaleJitter, {"low": 256, "high": 480}, PCAColour(0.1)),
    "resnet-imagenet-steps": (ScaleJitter, {"low": 256, "high": 480}, PCAColour(0.1)),
    "resnet-torch": (AreaCrop, {**ANY_RESIZE, "any_resize": False}, TorchColour(0.4, 0.1)),
    "resnet-cifar": (Padded, {"pad": 4 / 32, "reflect": False}, None),
    "resnet-cifar-110": (Padded, {"pad": 4 / 32, "reflect": False}, None),
    "maxout": (Padded, {"pad": 8 / 32}, None),  # the release's pad_randomized, to each side
    "maxout-unaugmented": NOWHERE,
    "nin": (Padded, {"pad": 4 / 32}, None),
    "dsn-1": (Padded, {"pad": 4 / 32}, None),
    "dsn-2": (Padded, {"pad": 4 / 32}, None),
    "dsn-3": (Padded, {"pad": 4 / 32}, None),
    "fitnet-hint": (Padded, {"pad": 8 / 32}, None),
    "fitnet": (Padded, {"pad": 8 / 32}, None),
    "highway": (Padded, {"pad": 8 / 32}, None),
    "signs": NOWHERE,
    "a1": (AreaCrop, LATER, None),
    "a2": (AreaCrop, LATER, None),
    "a3": (AreaCrop, LATER, None),
    "torchvision-new": (AreaCrop, LATER, None),
    "torchvision-baseline": (AreaCrop, LATER, None),
    "cifar-strong": (Padded, {"pad": 4 / 32}, None),
}
UNFLIPPED = {"maxout-unaugmented", "signs"}

# Policy, share of images erased, mixup, cutmix, repeats; nothing of these in the others.
MIXED = {
    "a1": (RandAugment(7, 0.5), 0.0, 0.2, 1.0, 3),
    "a2": (RandAugment(7, 0.5), 0.0, 0.1, 1.0, 3),
    "a3": (RandAugment(6, 0.5), 0.0, 0.1, 1.0, 1),
    "torchvision-new": (TrivialAugment(), 0.1, 0.2, 1.0, 4),
}

PLAIN = CrossEntropy(0.0)
LOSSES = {
    "scratch": CrossEntropy(0.1),
    "finetune": CrossEntropy(0.1),
    "inception-v2-smoothing": CrossEntropy(0.1),
    "inception-v2-factorized": CrossEntropy(0.1),
    "inception-v3": CrossEntropy(0.1),
    "inception-v3-released": CrossEntropy(0.1),
    "dsn-1": SquaredHinge(),
    "dsn-2": SquaredHinge(),
    "dsn-3": SquaredHinge(),
    "a1": BinaryCrossEntropy(0.1, present=0.2),
    "a2": BinaryCrossEntropy(0.0, present=0.2),
    "a3": BinaryCrossEntropy(0.0, present=0.2),
    "torchvision-new": CrossEntropy(0.1),
}

WHITENED = Contrast(55.0, 0.1, mean_image=False)
INPUTS = {
    **dict.fromkeys(("scratch", "finetune", "resnet-torch", "a1", "a2", "a3"), Standardise()),
    **dict.fromkeys(("torchvision-new", "torchvision-baseline", "cifar-strong"), Standardise()),
    **dict.fromkeys(("alexnet", "alexnet-caffe", "prelu"), MeanImage(255)),
    **dict.fromkeys(
        ("resnet-imagenet", "resnet-imagenet-steps", "resnet-cifar", "resnet-cifar-110"), MeanImage(255)
    ),
    **dict.fromkeys(("vgg", "vgg-deep", "vgg-384", "vgg-jitter"), Centre()),
    **dict.fromkeys(("googlenet", "googlenet-bvlc", "googlenet-bvlc-quick"), Centre()),
    **dict.fromkeys((name for name in ALL if "inception" in name), Range(-1, 1)),
    **dict.fromkeys(("maxout", "maxout-unaugmented", "nin", "fitnet-hint", "fitnet"), WHITENED),
    **dict.fromkeys(("dsn-1", "dsn-2", "dsn-3"), Contrast(55.0, 0.0, mean_image=False)),
    "highway": Contrast(55.0, 0.0, mean_image=True),
    "signs": Range(0, 1),
}

# Factor on the rate, on the decay, and bound on the norm.
MAXOUT = {
    "convolutions": (0.05, None, 0.0),
    "conv1.conv.weight": (1.0, None, 0.9),
    "conv[23].conv.weight": (1.0, None, 1.9365),
    "fc1.weight": (1.0, None, 1.9),
    "fc2.weight": (1.0, None, 1.9365),
}
FITNET = {
    "convolutions": (0.05, None, 0.0),
    "conv*.weight": (1.0, None, 0.9),
    "fc1.weight": (1.0, None, 1.9),
    "fc2.weight": (1.0, None, 1.9365),
}
CAFFE = {"biases": (2.0, 0.0, 0.0)}
RULES = {
    "finetune": {"classifier": (10.0, None, 0.0), "heads.*": (10.0, None, 0.0)},
    "alexnet-caffe": CAFFE,
    "prelu": {"slopes": (1.0, 0.0, 0.0)},
    "googlenet-bvlc": CAFFE,
    "googlenet-bvlc-quick": CAFFE,
    "maxout": MAXOUT,
    "maxout-unaugmented": MAXOUT,
    "nin": {"biases": (2.0, None, 0.0), "classifier": (0.1, None, 0.0)},
    "dsn-1": {**CAFFE, "classifier": (0.1, None, 0.0), "heads.*": (0.001, None, 0.0)},
    "dsn-2": {**CAFFE, "classifier": (0.1, None, 0.0)},
    "dsn-3": {**CAFFE, "classifier": (0.1, None, 0.0)},
    "fitnet-hint": FITNET,
    "fitnet": FITNET,
    "highway": {**CAFFE, "classifier": (1.0, 10.0, 0.0)},
    "torchvision-new": {"norms": (1.0, 0.0, 0.0)},
}

# Clip, decay of the running mean, images of a batch norm, decay of its statistics, exact statistics.
AVERAGES = {
    "googlenet": (0.0, 0.9999, 0, 0.0, False),
    **dict.fromkeys(("bn-inception", "bn-inception-x5", "bn-inception-x30"), (0.0, 0.0, 0, 0.0, True)),
    **dict.fromkeys((name for name in ALL if name.startswith("inception")), (2.0, 0.9999, 0, 0.0, False)),
    "inception-v3-released": (2.0, 0.9999, 0, 0.9997, False),
    "resnet-imagenet": (0.0, 0.0, 32, 0.0, True),
    "resnet-imagenet-steps": (0.0, 0.0, 32, 0.0, True),
    "resnet-cifar": (0.0, 0.0, 64, 0.0, False),
    "resnet-cifar-110": (0.0, 0.0, 64, 0.0, False),
    # 32 updates of it are the 0.99998 that is printed, times 8 * 128 * 32 / 600, as its script has it.
    "torchvision-new": (0.0, pytest.approx(0.99996585, abs=5e-9), 0, 0.0, False),
    "cifar-strong": (0.0, 0.999, 0, 0.0, False),
}

# Shares dropped in the default network, which belong to it rather than to the recipe.
DROPOUTS = {
    "alexnet": [0.5, 0.5],
    "alexnet-caffe": [0.5, 0.5],
    "vgg": [0.5, 0.5],
    "vgg-deep": [0.5, 0.5],
    "prelu": [0.5, 0.5],
    "googlenet": [0.4, 0.7, 0.7],
    "googlenet-bvlc": [0.4, 0.7, 0.7],
    "bn-inception-x5": [],
    "bn-inception-x30": [],
    "resnet-imagenet": [],
    "resnet-cifar": [],
    "maxout": [0.2, 0.5, 0.5, 0.5, 0.5],
    "nin": [0.5, 0.5],
    "dsn-1": [0.5, 0.5],
    "highway": [0.2, 0.2, 0.2, 0.2],
}


def rate(one: Recipe, place: str, **state: object) -> float:
    per_epoch = one.images / one.batch if one.images else 100
    steps = one.iterations or one.epochs * per_epoch
    step = float(place[:-1]) * (per_epoch if place.endswith("e") else 1)
    return one.optimiser.rate * one.schedule.factor(Now(step, steps, per_epoch, **state))


def test_every_recipe_is_checked_here():
    for table in (LENGTHS, OPTIMISERS, CROPS, INPUTS, {**RATES, **PLATEAUS}):
        assert sorted(table) == sorted(ALL)
    assert not RATES.keys() & PLATEAUS.keys()


@pytest.mark.parametrize("name", ALL)
def test_length_and_batch(name):
    one = recipe(name)
    images, iterations, epochs, batch = LENGTHS[name]
    assert (one.images, one.iterations, one.batch) == (images, iterations, batch)
    assert passes(one) == pytest.approx(epochs, abs=0.005)


@pytest.mark.parametrize("name", ALL)
def test_optimiser(name):
    one = recipe(name)
    kind, momentum, nesterov, decay, decay_all = OPTIMISERS[name]
    assert type(one.optimiser) is kind
    assert getattr(one.optimiser, "momentum", None) == momentum
    assert getattr(one.optimiser, "nesterov", None) == nesterov
    assert one.optimiser.weight_decay == pytest.approx(decay)
    assert one.decay_all == decay_all


@pytest.mark.parametrize("name", RATES)
def test_rate(name):
    one = recipe(name)
    found = {place: rate(one, place) for place in RATES[name]}
    assert found == pytest.approx(RATES[name], rel=2e-3, abs=1e-12)


@pytest.mark.parametrize("name", PLATEAUS)
def test_rate_on_plateaus(name):
    one = recipe(name)
    first, times, most = PLATEAUS[name]
    assert isinstance(one.schedule, Plateau)
    falling = tuple(range(90, 40, -1))
    assert rate(one, "50e", errors=falling) == pytest.approx(first)
    assert rate(one, "50e", errors=(50.0,) * (1 + one.schedule.patience)) == pytest.approx(first * times)
    assert rate(one, "50e", errors=(50.0,) * 1000) == pytest.approx(first * times**most)


def test_the_rate_after_100_epochs_of_inception_v3():
    assert rate(recipe("inception-v3"), "100e") == pytest.approx(0.00204, abs=5e-6)


def test_deep_residual_nets_warm_up_until_they_learn():
    one = recipe("resnet-cifar-110")
    warm = one.until_learning
    assert (warm.share, warm.error) == (0.1, 80.0)
    factors = [warm.factor(Now(399, 64_000, 391)), warm.factor(Now(400, 64_000, 391, learnt=400))]
    assert [0.1 * factor for factor in factors] == pytest.approx([0.01, 0.1])
    assert dataclasses.replace(
        one, name="resnet-cifar", networks=recipe("resnet-cifar").networks, until_learning=None,
        said=recipe("resnet-cifar").said, remarks=recipe("resnet-cifar").remarks,
    ) == recipe("resnet-cifar")  # fmt: skip
    assert [name for name in ALL if recipe(name).until_learning] == ["resnet-cifar-110"]


@pytest.mark.parametrize(("name", "last"), [("maxout", 0.65), ("maxout-unaugmented", 0.6)])
def test_maxouts_rate_and_momentum_are_linear_in_epochs(name, last):
    one = recipe(name)
    # The release's momentum rises from epoch 1 to 250; its rate has fallen by one of 500 steps in the first.
    for epoch, expected in ((1, 0.5), (250, last), (251, last), (474, last)):
        factor = one.momentum_schedule.factor(Now((epoch - 1) * 391, 474 * 391, 391))
        assert one.optimiser.momentum * factor == pytest.approx(expected)
    steps = [one.schedule.factor(Now(epoch * 391, 474 * 391, 391)) for epoch in range(500)]
    assert steps[1] - steps[0] == pytest.approx(-0.99 / 500)
    assert steps[400] - steps[399] == pytest.approx(-0.99 / 500)


@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("maxout")])
def test_momentum_is_constant_elsewhere(name):
    assert recipe(name).momentum_schedule.factor(Now(1000, 2000, 10)) == 1


@pytest.mark.parametrize("name", ALL)
def test_crop_flip_and_colour(name):
    augmentation = recipe(name).augmentation
    kind, constants, colour = CROPS[name]
    assert type(augmentation.crop) is kind
    assert {key: getattr(augmentation.crop, key) for key in constants} == constants
    assert augmentation.colour == colour
    assert augmentation.flip == (name not in UNFLIPPED)


@pytest.mark.parametrize("name", ALL)
def test_policies_and_mixtures(name):
    found = recipe(name).augmentation
    expected = MIXED.get(name, (None, 0.0, 0.0, 0.0, 1))
    assert (found.policy, found.erase, found.mixup, found.cutmix, found.repeats) == expected
    assert found.cutout == 0


@pytest.mark.parametrize("name", ALL)
def test_input(name):
    assert recipe(name).input == INPUTS[name]


@pytest.mark.parametrize("name", ALL)
def test_loss(name):
    one = recipe(name)
    if name == "fitnet-hint":
        assert one.loss == Hint("pool2", "pool2")
    elif name == "fitnet":
        assert isinstance(one.loss, Distillation)
        weights = [one.loss.weight * one.loss.schedule.factor(Now(epoch, 500, 1)) for epoch in (0, 249, 499)]
        assert (one.loss.temperature, *weights) == pytest.approx((3.0, 4.0, 4 - 3 * 249 / 499, 1.0))
    else:
        assert one.loss == LOSSES.get(name, PLAIN)


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("googlenet", 0.3), ("googlenet-bvlc", 0.3), ("googlenet-bvlc-quick", 0.3), ("inception-v2", 0.4),
        ("inception-v2-rmsprop", 0.4), ("inception-v2-smoothing", 0.4), ("inception-v2-factorized", 0.4),
        ("inception-v3", 0.4), ("inception-v3-released", 0.4), ("dsn-1", 1.0), ("dsn-2", 0.0), ("dsn-3", 0.0),
    ],
)  # fmt: skip
def test_weights_of_auxiliary_losses(name, weight):
    assert recipe(name).head_weights == (("*", weight),)
    assert catalogue.network(recipe(name).networks[0]).heads


@pytest.mark.parametrize("name", ALL)
def test_rules(name):
    found = {one.of: (one.rate, one.decay, one.max_norm) for one in recipe(name).rules}
    assert found == RULES.get(name, {})


def test_companions_have_a_rate_that_falls_on_its_own():
    (schedule,) = [one.schedule for one in recipe("dsn-1").rules if one.schedule]
    assert isinstance(schedule, Inverse)
    # 0.001 times the base, times (1 + 1e-4 t)^-0.75: at t = 10,000 that is 2^-0.75.
    assert 0.025 * 0.001 * schedule.factor(Now(10_000, 50_000, 500)) == pytest.approx(2.5e-5 * 0.5946036)
    assert [name for name in ALL if any(one.schedule for one in recipe(name).rules)] == ["dsn-1"]


@pytest.mark.parametrize("name", ALL)
def test_clipping_averages_and_statistics(name):
    one = recipe(name)
    found = (one.clip, one.average, one.norm_batch, one.norm_decay, one.population)
    assert found == AVERAGES.get(name, (0.0, 0.0, 0, 0.0, False))


def test_constants_of_the_adaptive_optimisers():
    for name in ALL:
        optimiser = recipe(name).optimiser
        if isinstance(optimiser, RMSProp):
            rate, eps = (0.005, 1e-10) if name.startswith("fitnet") else (0.045, 1.0)
            start = 0.0 if name.startswith("fitnet") else 1.0
            found = (optimiser.rate, optimiser.decay, optimiser.eps, optimiser.start)
            assert found == (rate, 0.9, eps, start)
    adam = recipe("signs").optimiser
    assert (adam.rate, adam.beta1, adam.beta2, adam.decoupled) == (1e-3, 0.9, 0.999, False)


def test_stochastic_depth_and_sizes():
    depths = {name: recipe(name).stochastic_depth for name in ALL if recipe(name).stochastic_depth}
    assert depths == {"a1": 0.05, "a2": 0.05}
    sizes = {name: recipe(name).size for name in ALL if recipe(name).size}
    assert sizes == {"a1": 224, "a2": 224, "a3": 160, "torchvision-new": 176}


@pytest.mark.parametrize("name", DROPOUTS)
def test_dropout_of_the_network(name):
    network = catalogue.network(recipe(name).networks[0])
    assert [step.layer.rate for step in trace(network) if isinstance(step.layer, Dropout)] == DROPOUTS[name]


def test_stages_go_on_from_one_another():
    after = {name: recipe(name).after for name in ALL if recipe(name).after}
    assert after == {
        "vgg-deep": "vgg", "vgg-384": "vgg-deep", "vgg-jitter": "vgg-384",
        "dsn-2": "dsn-1", "dsn-3": "dsn-2", "fitnet": "fitnet-hint",
    }  # fmt: skip


@pytest.mark.parametrize("deeper", ["vgg-13", "vgg-16-c", "vgg-16", "vgg-19"])
def test_deep_vgg_takes_layers_that_fit(deeper):
    shapes = [
        {step.path: (step.layer, step.shape_in) for step in trace(catalogue.network(name))}
        for name in ("vgg-11", deeper)
    ]
    taken = recipe("vgg-deep").takes
    assert taken == ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8")
    for path in taken:
        (small, given), (large, wanted) = (found[path] for found in shapes)
        assert (small, given[0]) == (large, wanted[0])
    assert [name for name in ALL if recipe(name).takes] == ["vgg-deep"]


def test_hints_are_at_the_sizes_of_the_release():
    student, teacher = (
        {step.path: step.shape_out for step in trace(catalogue.network(name))}
        for name in ("fitnet-19", "maxout-cifar10")
    )
    hint = recipe("fitnet-hint").loss
    assert (student[hint.student], teacher[hint.teacher]) == ((80, 8, 8), (192, 7, 7))


@pytest.mark.parametrize("name", ALL)
def test_networks_sources_and_places_exist(name):
    one = recipe(name)
    assert one.name == name == name.lower()
    known = catalogue.names()
    if one.source:
        assert one.networks[0] in known and used_for(one, one.networks[0])
        assert one.said
    for pattern in one.networks:
        assert any(fnmatchcase(network, pattern) for network in known), pattern
    assert not one.after or one.after in ALL
    parts = {*settings(one), "rules", "size", "takes", *(f"rules.{rule.of}" for rule in one.rules)}
    parts |= {"augmentation"}
    assert {place for place, _ in one.said} <= parts
    assert all(text for _, text in one.said)
    assert all(text.endswith(".") for text in one.remarks)


@pytest.mark.parametrize("name", ALL)
def test_everything_of_its_own_says_where_it_is_printed(name):
    one = recipe(name)
    neutral, own = settings(Recipe("neutral")), settings(one)
    if one.iterations:  # instead of epochs
        del own["epochs"]
    missing = [part for part, value in own.items() if neutral.get(part) != value and not printed(one, part)]
    assert missing == []
    for there, part in ((one.rules, "rules"), (one.takes, "takes"), (one.size, "size")):
        assert printed(one, part) or not there, part
    assert printed(one, "iterations") or not one.iterations
    assert not (one.iterations and dict(one.said).get("epochs"))


@pytest.mark.parametrize(
    "network", ["googlenet", "inception-v3", "vgg-16", "resnet-50", "resnet-50-v1.5", "alexnet"]
)
def test_a_network_has_recipes(network):
    assert [name for name in ALL if used_for(recipe(name), network)]


def test_every_published_network_of_a_trained_family_has_a_recipe():
    variants = {
        "bn-googlenet", "googlenet-naive", "googlenet-torchvision", "bn-inception-caffe", "cifar-plain-1202",
        "resnet-18-c", "resnet-50-c", "resnet-101-c", "resnet-152-c",
    }  # fmt: skip
    without = {n for n in catalogue.names() if not any(used_for(recipe(name), n) for name in ALL)}
    assert without <= variants


def test_sources_are_the_papers_of_the_published_figures():
    longs = {paper.long for paper in papers().values()}
    modern = {"a1", "a2", "a3", "torchvision-new", "torchvision-baseline", "cifar-strong", "resnet-torch"}
    for name in ALL:
        assert recipe(name).source in longs or name in modern | {"scratch", "finetune"}, name


def test_recalled_and_inferred_are_marked():
    assert all("recalled" in where or "inferred" in where for _, where in recipe("prelu").said)
    unsaid = {"epochs", "batch", "optimiser.rate", "optimiser.weight_decay"}
    googlenet = recipe("googlenet")
    assert all(printed(googlenet, name).startswith("inferred") for name in unsaid)
    assert printed(googlenet, "schedule") == "section 6"
    assert printed(googlenet, "schedule.times") == "section 6"
    assert printed(googlenet, "clip") == ""
