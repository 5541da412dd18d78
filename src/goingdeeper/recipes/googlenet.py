"""GoogLeNet's training: what the paper tells of it, and the two solvers that BVLC released."""

from __future__ import annotations

from dataclasses import replace

from goingdeeper.recipes.alexnet import IMAGENET
from goingdeeper.recipes.images import AreaCrop, Augmentation, Centre, Howard, Window
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.optimisers import SGD, CaffeSGD, Rule
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.schedules import Exponential, Polynomial

GOOGLENET = Recipe(
    "googlenet",
    "Szegedy et al., Going deeper with convolutions (2014)",
    networks=("googlenet", "googlenet-separable-stem"),
    images=IMAGENET,
    epochs=250,
    batch=32,
    optimiser=SGD(rate=0.01, momentum=0.9, nesterov=False, weight_decay=2e-4),
    schedule=Exponential(0.96, 8, "epochs"),
    input=Centre(),
    augmentation=Augmentation(
        AreaCrop(low=0.08, aspect=4 / 3, any_resize=True), flip=True, colour=Howard(0.5, 0.1)
    ),
    loss=CrossEntropy(),
    head_weights=(("*", 0.3),),
    average=0.9999,
    said=says({
        "epochs": "inferred: as BVLC's solver",
        "batch": "inferred: as BVLC's solver",
        "optimiser": "section 6",
        "optimiser.rate": "inferred: as BVLC's solver; not given",
        "optimiser.nesterov": "inferred: not mentioned",
        "optimiser.weight_decay": "inferred: as BVLC's solver; not given",
        "schedule": "section 6",
        "schedule.stairs": "inferred: lowered every 8 epochs",
        "input": "section 5",
        "augmentation.crop": "section 6",
        "augmentation.crop.tries": "inferred: as released with Inception-v3's successors",
        "augmentation.flip": "inferred: as all others; not mentioned",
        "augmentation.colour": "section 6, after Howard 2013",
        "loss": "section 5",
        "head_weights": "section 5",
        "average": "section 6; inferred: the decay, as released with Inception-v3",
    }),
    remarks=(
        "Training was asynchronous over several machines.",
        "Sampling and settings changed over months, and the authors name no single recipe; crops of this "
        "kind are the ones that they found to work well afterwards.",
    ),
)  # fmt: skip

BVLC = Recipe(
    "googlenet-bvlc",
    GOOGLENET.source,
    networks=("googlenet",),
    images=IMAGENET,
    iterations=10_000_000,
    batch=32,
    optimiser=CaffeSGD(rate=0.01, momentum=0.9, weight_decay=2e-4),
    schedule=Exponential(0.96, 320_000, "iterations"),
    rules=(Rule("biases", rate=2.0, decay=0.0),),
    input=Centre(),
    augmentation=Augmentation(Window(256), flip=True),
    loss=CrossEntropy(),
    head_weights=(("*", 0.3),),
    said=says({
        "iterations": "released solver",
        "batch": "released definition",
        "optimiser": "released solver",
        "schedule": "released solver",
        "rules": "released definition",
        "input": "released definition",
        "augmentation": "released definition",
        "loss": "released definition",
        "head_weights": "released definition",
    }),
    remarks=(
        "Images were squashed to 256x256 first; here the shorter side is 256.",
        "The mean was fixed, (104, 117, 123) for blue, green and red; here it is the training set's.",
    ),
)  # fmt: skip

QUICK = replace(
    BVLC,
    name="googlenet-bvlc-quick",
    iterations=2_400_000,
    schedule=Polynomial(0.5),
    remarks=(*BVLC.remarks, "It gave 68.7 / 88.9 % accuracy, one central crop."),
)

RECIPES = (GOOGLENET, BVLC, QUICK)
