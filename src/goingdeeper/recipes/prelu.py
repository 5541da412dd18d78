"""The PReLU-nets' training; all of it recalled from the paper rather than read again."""

from __future__ import annotations

from goingdeeper.recipes.alexnet import IMAGENET
from goingdeeper.recipes.images import Augmentation, MeanImage, PCAColour, ScaleJitter
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.optimisers import CaffeSGD, Rule
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.schedules import Plateau

PRELU = Recipe(
    "prelu",
    "He et al., Delving deep into rectifiers: surpassing human-level performance on ImageNet classification "
    "(2015)",
    networks=("prelu-net-c", "prelu-net-a", "prelu-net-b"),
    images=IMAGENET,
    epochs=80,
    batch=128,
    optimiser=CaffeSGD(rate=0.01, momentum=0.9, weight_decay=5e-4),
    schedule=Plateau(times=0.1, most=2),
    rules=(Rule("slopes", decay=0.0),),
    input=MeanImage(255.0),
    augmentation=Augmentation(ScaleJitter(256, 512), flip=True, colour=PCAColour(0.1)),
    loss=CrossEntropy(),
    said=says({
        "epochs": "recalled",
        "batch": "recalled",
        "optimiser": "recalled; inferred: Caffe's momentum",
        "schedule": "recalled",
        "schedule.patience": "inferred: lowered when the error stopped falling",
        "rules": "recalled",
        "input": "recalled",
        "input.scale": "inferred: bytes",
        "augmentation": "recalled",
        "loss": "recalled",
    }),
    remarks=("The scale varies from the start of training, other than VGG's.",),
)  # fmt: skip

RECIPES = (PRELU,)
