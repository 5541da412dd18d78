"""Network in network's training on CIFAR-10."""

from __future__ import annotations

from goingdeeper.recipes.images import Augmentation, Padded
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.maxout import WHITENED
from goingdeeper.recipes.optimisers import CaffeSGD, Rule
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.resnet import CIFAR
from goingdeeper.recipes.schedules import Plateau

NIN = Recipe(
    "nin",
    "Lin et al., Network in network (2013)",
    networks=("nin-cifar10",),
    images=CIFAR,
    epochs=300,
    batch=128,
    optimiser=CaffeSGD(rate=0.1, momentum=0.9, weight_decay=1e-4),
    schedule=Plateau(times=0.1, patience=10, most=2),
    rules=(Rule("biases", rate=2.0), Rule("classifier", rate=0.1)),
    input=WHITENED,
    augmentation=Augmentation(Padded(4 / 32), flip=True),
    loss=CrossEntropy(),
    said=says({
        "epochs": "inferred: long enough for both drops",
        "batch": "section 4.1",
        "optimiser": "released configuration: rate 1 and decay 1e-5 with a loss weighted 0.1",
        "schedule": "section 4.1",
        "schedule.patience": "inferred: lowered when accuracy stops improving",
        "rules": "released configuration",
        "input": "section 4.2",
        "augmentation": "section 4.2; inferred: by 4 pixels, as deeply-supervised nets after it",
        "loss": "section 4.1",
    }),
    remarks=("The paper watches the accuracy on the training set; here it is the validation error.",),
)  # fmt: skip

RECIPES = (NIN,)
