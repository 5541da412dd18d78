"""Deeply-supervised nets' training on CIFAR-10, in its three released stages."""

from __future__ import annotations

from dataclasses import replace

from goingdeeper.recipes.images import Augmentation, Contrast, Padded
from goingdeeper.recipes.losses import SquaredHinge
from goingdeeper.recipes.optimisers import CaffeSGD, Rule
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.resnet import CIFAR
from goingdeeper.recipes.schedules import Constant, Inverse, Steps

COMPANIONS = Rule("heads.*", rate=0.001, schedule=Inverse(1e-4, 0.75))

DSN_1 = Recipe(
    "dsn-1",
    "Lee et al., Deeply-supervised nets (2014)",
    networks=("dsn-cifar10",),
    images=CIFAR,
    iterations=50_000,
    batch=100,
    optimiser=CaffeSGD(rate=0.025, momentum=0.9, weight_decay=5e-4),
    schedule=Constant(),
    rules=(Rule("biases", rate=2.0, decay=0.0), Rule("classifier", rate=0.1), COMPANIONS),
    input=Contrast(scale=55.0),
    augmentation=Augmentation(Padded(4 / 32), flip=True),
    loss=SquaredHinge(),
    head_weights=(("*", 1.0),),
    said=says({
        "iterations": "released solver",
        "batch": "released definition",
        "optimiser": "released solver",
        "schedule": "released solver",
        "rules": "released definition",
        "input": "released definition",
        "input.scale": "inferred: as Maxout",
        "augmentation": "released definition; He et al. 2015 for the 4 pixels",
        "loss": "released definition; inferred: one against all",
        "head_weights": "released definition",
    }),
    remarks=(
        "Companion classifiers on conv1, conv2 and conv3, before their ReLUs; the network has them.",
        "The release has its images on a scale of [0, 1].",
    ),
)  # fmt: skip

DSN_2 = replace(
    DSN_1,
    name="dsn-2",
    after="dsn-1",
    iterations=120_000,
    schedule=Steps((100_000,), 0.05, "iterations"),
    rules=DSN_1.rules[:-1],
    head_weights=(("*", 0.0),),
    remarks=("The companions are removed.", *DSN_1.remarks[1:]),
)

DSN_3 = replace(
    DSN_2,
    name="dsn-3",
    after="dsn-2",
    iterations=30_000,
    optimiser=replace(DSN_1.optimiser, rate=1e-4),
    schedule=Constant(),
)

RECIPES = (DSN_1, DSN_2, DSN_3)
