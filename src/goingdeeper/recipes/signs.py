"""The hand-sign exercise's training, as it was."""

from __future__ import annotations

from goingdeeper.recipes.images import Augmentation, Padded, Range
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.optimisers import Adam
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.schedules import Constant

SIGNS = Recipe(
    "signs",
    "Deep-learning course, hand-sign exercise",
    networks=("resnet-50-signs",),
    images=1080,
    epochs=2,
    batch=32,
    optimiser=Adam(rate=1e-3),
    schedule=Constant(),
    input=Range(0.0, 1.0),
    augmentation=Augmentation(Padded(0.0), flip=False),
    loss=CrossEntropy(),
    said=says({
        "epochs": "exercise",
        "batch": "exercise",
        "optimiser": "exercise: the library's defaults",
        "optimiser.eps": "inferred: the library's default of that time",
        "schedule": "exercise",
        "input": "exercise",
        "augmentation": "exercise: none",
        "loss": "exercise",
    }),
    remarks=(
        "It ended at chance, 16.7 % of the test images right, and with the weights supplied at 86.67 %.",
        "Both were measured with batch norm on the statistics of each test batch of 32; here it has its "
        "running statistics.",
        "Longer training from scratch reaches well above 90 % (inferred): the recipe `scratch`.",
    ),
)  # fmt: skip

RECIPES = (SIGNS,)
