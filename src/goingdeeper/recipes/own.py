"""Recipes for one's own images: from scratch, and going on from trained weights."""

from __future__ import annotations

from goingdeeper.recipes.optimisers import SGD, Rule
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.schedules import WarmupCosine

CHOSEN = "Batch and epochs follow from the images, the rate from the batch and the network."

SCRATCH = Recipe("scratch", remarks=(CHOSEN,))

FINETUNE = Recipe(
    "finetune",
    optimiser=SGD(rate=0.01, momentum=0.9, weight_decay=1e-4),
    schedule=WarmupCosine(1.0),
    rules=(Rule("classifier", rate=10.0), Rule("heads.*", rate=10.0)),
    stage_rate=0.7,
    head_epochs=1,
    stop_after=10,
    said=says({
        "optimiser": "inferred: a tenth of the rate from scratch, so that what was learnt stays",
        "schedule": "inferred: half as long a warm-up as from scratch",
        "rules": "inferred: a new classifier starts from nothing and may go faster",
    }),
    remarks=(CHOSEN, "Goes on from a run's weights (--from RUN); with other classes the classifier is new.",),
)  # fmt: skip

RECIPES = (SCRATCH, FINETUNE)
