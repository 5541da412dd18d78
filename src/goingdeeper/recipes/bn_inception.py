"""BN-Inception's training: the baseline, and five and thirty times its rate."""

from __future__ import annotations

from dataclasses import replace

from goingdeeper.recipes.alexnet import IMAGENET
from goingdeeper.recipes.images import AreaCrop, Augmentation, Howard, Range
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.optimisers import SGD
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.schedules import Exponential

BASELINE = Recipe(
    "bn-inception",
    "Ioffe and Szegedy, Batch normalization: accelerating deep network training by reducing internal "
    "covariate shift (2015)",
    networks=("bn-inception-released",),
    images=IMAGENET,
    iterations=31_000_000,
    batch=32,
    optimiser=SGD(rate=0.0015, momentum=0.9, nesterov=False, weight_decay=2e-4),
    schedule=Exponential(0.96, 8, "epochs"),
    input=Range(-1.0, 1.0),
    augmentation=Augmentation(
        AreaCrop(low=0.08, aspect=4 / 3, any_resize=True), flip=True, colour=Howard(0.5, 0.1)
    ),
    loss=CrossEntropy(),
    population=True,
    said=says({
        "iterations": "Figure 3: Inception's steps to its maximum",
        "batch": "section 4.2",
        "optimiser": "section 4.2",
        "optimiser.rate": "section 4.2.2",
        "optimiser.momentum": "inferred: with momentum, but not how much",
        "optimiser.nesterov": "inferred: not mentioned",
        "optimiser.weight_decay": "inferred: 5 times that of the release, which section 4.2.1 divides by 5",
        "schedule": "section 4.2.1: exponential; inferred: as GoogLeNet's",
        "input": "inferred: as in the authors' release",
        "augmentation": "inferred: as GoogLeNet's",
        "loss": "section 4.2",
        "population": "section 3.1 and Algorithm 2",
    }),
    remarks=(
        "32 images a step on a distributed system.",
        "Steps to 72.2 %: Inception without batch norm 31.0 M, with it 13.3 M; maxima 72.2 and 72.7 %.",
    ),
)  # fmt: skip

X5 = replace(
    BASELINE,
    name="bn-inception-x5",
    networks=("bn-inception-table-literal", "bn-inception-plain-stem"),
    iterations=6_000_000,
    optimiser=replace(BASELINE.optimiser, rate=0.0075, weight_decay=4e-5),
    schedule=Exponential(0.96, 8 / 6, "epochs"),
    augmentation=replace(BASELINE.augmentation, colour=Howard(0.25, 0.05)),
    said=says({
        "iterations": "inferred: as many as BN-x30 took to its maximum",
        "optimiser.weight_decay": "section 4.2.1: divided by 5; inferred: to that of the release",
        "schedule": "section 4.2.1: 6 times faster; inferred: than GoogLeNet's",
        "augmentation.colour": "section 4.2.1: weaker; inferred: half",
    }, BASELINE),
    remarks=(
        "32 images a step on a distributed system.",
        "No dropout and no local response normalisation: these networks have none (section 4.2.1).",
        "The paper shuffles within shards, which gained about a point; here every epoch has a new order of "
        "all images.",
        "2.1 M steps to 72.2 %, maximum 73.0 %; with sigmoids in place of ReLUs 69.8 %.",
    ),
)  # fmt: skip

X30 = replace(
    X5,
    name="bn-inception-x30",
    optimiser=replace(X5.optimiser, rate=0.045),
    said=says({"iterations": "Figure 3: its steps to its maximum"}, X5),
    remarks=(
        *X5.remarks[:-1],
        "2.7 M steps to 72.2 %, maximum 74.8 % at about 6 M.",
        "The ensemble has six variants of it: larger initial weights, dropout of 5 or 10 %, and batch norm "
        "for each activation in the last hidden layers.",
    ),
)

RECIPES = (BASELINE, X5, X30)
