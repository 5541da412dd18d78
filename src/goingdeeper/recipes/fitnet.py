"""FitNet-19's training on CIFAR-10: a teacher's hint, then its softened answers."""

from __future__ import annotations

from dataclasses import replace

from goingdeeper.recipes.images import Augmentation, Padded
from goingdeeper.recipes.losses import Distillation, Hint
from goingdeeper.recipes.maxout import WHITENED
from goingdeeper.recipes.optimisers import RMSProp, Rule
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.resnet import CIFAR
from goingdeeper.recipes.schedules import Constant, Linear

FITNET_HINT = Recipe(
    "fitnet-hint",
    "Romero et al., FitNets: hints for thin deep nets (2014)",
    networks=("fitnet-19", "fitnet-19-5pieces"),
    images=CIFAR,
    epochs=500,
    batch=128,
    optimiser=RMSProp(rate=0.005, decay=0.9, momentum=0.0, eps=1e-10, start=0.0, weight_decay=0.0),
    schedule=Constant(),
    rules=(
        Rule("convolutions", rate=0.05),
        Rule("conv*.weight", max_norm=0.9),
        Rule("fc1.weight", max_norm=1.9),
        Rule("fc2.weight", max_norm=1.9365),
    ),
    input=WHITENED,
    augmentation=Augmentation(Padded(8 / 32), flip=True),
    loss=Hint(student="pool2", teacher="pool2"),
    said=says({
        "epochs": "appendix: at most",
        "batch": "appendix",
        "optimiser": "appendix",
        "optimiser.decay": "released configuration",
        "optimiser.eps": "released configuration: at least 1e-5 outside the root",
        "optimiser.start": "released configuration: Pylearn2's",
        "optimiser.momentum": "released configuration: none",
        "optimiser.weight_decay": "released configuration: none",
        "schedule": "appendix",
        "rules": "released configuration",
        "input": "appendix: as Maxout",
        "augmentation": "released configuration",
        "loss": "section 2.2; released configuration for the layers",
    }),
    remarks=(
        "The teacher is a run of maxout-cifar10; its second layer, 192x7x7 after the pool, is what the "
        "student's 11th, 80x8x8 after its pool, predicts through a maxout convolution of 2x2 without "
        "padding.",
        "The paper stops after 100 epochs without improvement; here the best epoch is kept.",
    ),
)  # fmt: skip

FITNET = replace(
    FITNET_HINT,
    name="fitnet",
    after="fitnet-hint",
    loss=Distillation(temperature=3.0, weight=4.0, schedule=Linear(0.25, until=500)),
    said=says({"loss": "section 2.3 and appendix: from 4 to 1"}, FITNET_HINT),
    remarks=(
        "The release lets the weight fall from epoch 5 to epoch 400, and trains for 288 epochs on all 50,000 "
        "images.",
        *FITNET_HINT.remarks[1:],
    ),
)

RECIPES = (FITNET_HINT, FITNET)
