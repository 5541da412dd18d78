"""What the recipe `finetune` makes of the batch, the network and its length."""

from __future__ import annotations

from goingdeeper.layers import Conv, Network
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.trace import trace
from goingdeeper.training.reason import Reason

FINETUNE = "finetune"

FEW = 16
"""Of a batch of fewer images, batch norm keeps the statistics of the weights; tried in docs/finetune.md."""

WAIT = 1 / 3
"""Of the epochs, those without a better validation error that end the run."""


def finetuned(chosen: Recipe, network: Network) -> list[Reason]:
    """Settings of the recipe, its length known, that follow from its batch and the network."""
    found = []
    normed = any(isinstance(step.layer, Conv) and step.layer.norm for step in trace(network))
    if normed and chosen.batch < FEW and not chosen.population:
        why = f"a batch of {chosen.batch} says too little of the statistics; those of the weights stay"
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
