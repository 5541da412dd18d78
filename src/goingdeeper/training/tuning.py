"""What the recipe `finetune` makes of the number of images, the network and its length."""

from __future__ import annotations

from goingdeeper.layers import Conv, Network
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.trace import trace
from goingdeeper.training.reason import Reason

FINETUNE = "finetune"

FEW = 1_000
"""Up to so many training images batch norm keeps the weights' statistics."""

WAIT = 1 / 3
"""Of the epochs, those without a better validation error that end the run."""


def finetuned(chosen: Recipe, network: Network, images: int) -> list[Reason]:
    """Settings of the recipe, its length known, that follow from so many training images."""
    found = []
    normed = any(isinstance(step.layer, Conv) and step.layer.norm for step in trace(network))
    if normed and images <= FEW and not chosen.population:
        why = f"up to {FEW:,} images say too little of the statistics; those of the weights stay"
        found.append(Reason("norm_frozen", "true", why))
    if chosen.freeze == "head":
        found.append(Reason("head_epochs", "0", "the classifier trains alone anyhow"))
    elif chosen.head_epochs:
        epochs = chosen.head_epochs
        why = (
            f"the classifier trains alone for {epochs} epoch{'s' if epochs > 1 else ''}, half of all at most"
        )
        found.append(Reason("head_epochs", str(epochs), why))
    if chosen.epochs:
        wait = max(5, round(WAIT * chosen.epochs))
        found.append(
            Reason("stop_after", str(wait), "ends the run after so many epochs without a better one")
        )
    return found
