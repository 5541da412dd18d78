"""Dropout behind the average pool, in front of the classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goingdeeper import edits
from goingdeeper.layers import Dropout, Network
from goingdeeper.why.charts import Lines
from goingdeeper.why.claims import judged
from goingdeeper.why.evidence.auxiliary import WIDTH, small
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from goingdeeper.why.trials import Terms

WITHOUT, WITH = "no dropout", "dropout of 0.4"
SETTINGS = (("loss.smoothing", "0"),)
"""As in the paper, so that dropout has no other against overconfidence beside it."""


def training(terms: Terms) -> Part:
    """GoogLeNet, narrower and with batch norm, so that it learns in minutes: with its dropout and without."""
    from goingdeeper.why.trials import Arm, train

    arms = [Arm(WITHOUT, undropped(), settings=SETTINGS), Arm(WITH, narrow(), settings=SETTINGS)]
    found = train(terms, arms, "digits")
    charts = tuple(
        Lines(
            f"dropout-{name}",
            f"{title} on {found.data}",
            "epoch",
            unit,
            tuple(found.curve(arm.name, column) for arm in arms),
        )
        for name, title, unit, column in (
            ("validation", "Validation error", "top-1 error, %", "val_error"),
            ("training", "Training loss, dropout at work", "cross-entropy", "train_loss"),
        )
    )
    note = f"GoogLeNet at {WIDTH:g} of its width, with batch norm, without heads; {found.note}"
    return Part((judged("dropout", found.gap(WITH, WITHOUT, "val_error")),), charts, (note,))


def narrow() -> Network:
    """With its dropout of 0.4, and without heads, which have dropout, too."""
    return edits.rename(edits.without_heads(small()), "googlenet-small-dropout")


def undropped() -> Network:
    return edits.rename(edits.without(narrow(), Dropout), "googlenet-small-no-dropout")
