"""Maxout's training on CIFAR-10, with and without augmentation, as released."""

from __future__ import annotations

from dataclasses import replace

from goingdeeper.recipes.images import Augmentation, Contrast, Padded
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.optimisers import CaffeSGD, Rule
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.resnet import CIFAR
from goingdeeper.recipes.schedules import Linear

WHITENED = Contrast(scale=55.0, whiten=0.1)
"""Global contrast normalisation and ZCA, which NIN and the FitNets took over."""

MAXOUT = Recipe(
    "maxout",
    "Goodfellow et al., Maxout networks (2013)",
    networks=("maxout-cifar10",),
    images=CIFAR,
    epochs=474,
    batch=128,
    optimiser=CaffeSGD(rate=0.17, momentum=0.5, weight_decay=0.0),
    schedule=Linear(0.01, until=500, since=0),
    momentum_schedule=Linear(0.65 / 0.5, until=250),
    rules=(
        Rule("convolutions", rate=0.05),
        Rule("conv1.conv.weight", max_norm=0.9),
        Rule("conv[23].conv.weight", max_norm=1.9365),
        Rule("fc1.weight", max_norm=1.9),
        Rule("fc2.weight", max_norm=1.9365),
    ),
    input=WHITENED,
    augmentation=Augmentation(Padded(8 / 32), flip=True),
    loss=CrossEntropy(),
    said=says({
        "epochs": "released configuration",
        "batch": "released configuration",
        "optimiser": "released configuration",
        "schedule": "released configuration",
        "momentum_schedule": "released configuration: 0.5 to 0.65",
        "rules": "released configuration",
        "input": "released configuration",
        "augmentation": "released configuration: 8 pixels on each side",
        "loss": "released configuration",
    }),
    remarks=(
        "The number of epochs was found on the last 10,000 training images, which then were trained on, too.",
        "What is left of the images after dropout is not scaled up; the network has that.",
    ),
)  # fmt: skip

UNAUGMENTED = replace(
    MAXOUT,
    name="maxout-unaugmented",
    epochs=785,
    momentum_schedule=Linear(0.6 / 0.5, until=250),
    augmentation=Augmentation(Padded(0.0), flip=False),
    said=says({"momentum_schedule": "released configuration: 0.5 to 0.6"}, MAXOUT),
)

RECIPES = (MAXOUT, UNAUGMENTED)
