"""Highway networks' training on CIFAR-10, as released."""

from __future__ import annotations

from goingdeeper.recipes.images import Augmentation, Contrast, Padded
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.optimisers import CaffeSGD, Rule
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.resnet import CIFAR
from goingdeeper.recipes.schedules import Steps

HIGHWAY = Recipe(
    "highway",
    "Srivastava et al., Training very deep networks (2015)",
    networks=("highway-19", "highway-19-fc", "highway-32"),
    images=CIFAR,
    iterations=200_000,
    batch=100,
    optimiser=CaffeSGD(rate=0.025, momentum=0.9, nesterov=True, weight_decay=1e-3),
    schedule=Steps((100_000, 150_000, 175_000), 0.1, "iterations"),
    rules=(Rule("biases", rate=2.0, decay=0.0), Rule("classifier", decay=10.0)),
    input=Contrast(scale=55.0, mean_image=True),
    augmentation=Augmentation(Padded(8 / 32), flip=True),
    loss=CrossEntropy(),
    said=says({
        "iterations": "released solver",
        "batch": "released definition",
        "optimiser": "released solver",
        "schedule": "released solver",
        "rules": "released definition",
        "input": "released definition",
        "input.scale": "inferred: as Maxout",
        "augmentation": "released definition",
        "loss": "released definition",
    }),
    remarks=("Five runs for the best and the mean; the release's sample log ends at 92.1 to 92.2 %.",),
)  # fmt: skip

RECIPES = (HIGHWAY,)
