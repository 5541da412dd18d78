"""Dropout behind the average pool, in front of the classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goingdeeper import edits
from goingdeeper.catalogue import network
from goingdeeper.layers import Dropout, Network
from goingdeeper.why.charts import Lines
from goingdeeper.why.claims import judged
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from goingdeeper.why.trials import Terms

WITHOUT, WITH = "no dropout", "dropout of 0.4"
SHARE = 0.5
"""Of GoogLeNet's widths, so that it is trained in minutes."""
SETTINGS = (("loss.smoothing", "0"),)
"""As in the paper, so that dropout has no other against overconfidence beside it."""


def training(terms: Terms) -> Part:
    """GoogLeNet, narrower, with its dropout and without."""
    from goingdeeper.why.trials import Arm, train

    arms = [Arm(WITHOUT, undropped(), settings=SETTINGS), Arm(WITH, narrow(), settings=SETTINGS)]
    found = train(terms, arms, "shapes")
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
    note = f"GoogLeNet at {SHARE:g} of its widths, without heads; {found.note}"
    return Part((judged("dropout", found.gap(WITH, WITHOUT, "val_error")),), charts, (note,))


def narrow() -> Network:
    """GoogLeNet with its dropout of 0.4, each layer half as wide; no heads, which have dropout, too."""
    described = edits.without_heads(edits.widen(network("googlenet"), SHARE))
    return edits.rename(described, "googlenet-half")


def undropped() -> Network:
    return edits.rename(edits.without(narrow(), Dropout), "googlenet-half-no-dropout")
