"""Recipes for one's own images: from scratch, and going on from trained weights."""

from __future__ import annotations

from goingdeeper.recipes.optimisers import SGD, Rule
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.schedules import WarmupCosine

SCRATCH = Recipe("scratch", remarks=("Rate, batch and epochs follow from the images and the network.",))

FINETUNE = Recipe(
    "finetune",
    epochs=10,
    batch=32,
    optimiser=SGD(rate=0.005, momentum=0.9, weight_decay=1e-4),
    schedule=WarmupCosine(1.0),
    rules=(Rule("classifier", rate=10.0),),
    said=says({
        "epochs": "inferred: a third of those from scratch",
        "batch": "inferred: small sets need enough updates",
        "optimiser": "inferred: a twentieth of the rate from scratch, so that what was learnt stays",
        "schedule": "inferred: half as long a warm-up as from scratch",
        "rules": "inferred: a new classifier starts from nothing and may go faster",
    }),
    remarks=("Goes on from a run's weights (--from RUN); with other classes the classifier is new.",),
)  # fmt: skip

RECIPES = (SCRATCH, FINETUNE)
