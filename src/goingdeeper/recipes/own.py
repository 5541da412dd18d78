"""Recipes for one's own images: from scratch, and going on from trained weights."""

from __future__ import annotations

from goingdeeper.recipes.optimisers import SGD, Rule
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.schedules import WarmupCosine

CHOSEN = "Batch and epochs follow from the images, the rate from the batch and the network."

SCRATCH = Recipe("scratch", remarks=(CHOSEN,))

FINETUNE = Recipe(
    "finetune",
    optimiser=SGD(rate=0.04, momentum=0.9, weight_decay=1e-4),
    schedule=WarmupCosine(1.0),
    rules=(Rule("classifier", rate=10.0), Rule("heads.*", rate=10.0)),
    stage_rate=0.7,
    head_epochs=1,
    stop_after=10,
    said=says({
        "optimiser": "tried on hand signs: a quarter of the rate learns too slowly, four times it diverges",
        "schedule": "inferred: half as long a warm-up as from scratch, after the classifier's epoch",
        "rules": "inferred: what is new starts from nothing and may go faster",
        "stage_rate": "inferred: earlier stages are more general and need less change",
        "head_epochs": "inferred: gradients through a new classifier would spoil what was learnt",
        "stop_after": "inferred: a third of the epochs, 5 at least",
    }),
    remarks=(
        CHOSEN,
        "Fits trained weights to other images (--weights SOURCE), or goes on from a run (--from RUN).",
        "Of a batch of fewer than 16 images, norm_frozen keeps the weights' own statistics.",
    ),
)  # fmt: skip

RECIPES = (SCRATCH, FINETUNE)
