"""The rows of predictions.csv."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from goingdeeper.data.sources import Item

COLUMNS = ("path", "true", "predicted", "probability", "probability_true")


def prediction_rows(items: Sequence[Item], likely: Tensor, classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Of each image its path, true and likeliest class, and the probabilities of both; in order of the paths.

    An answer that is not a number names no class. likely: log of the probabilities, (N, classes).
    """
    number = {name: index for index, name in enumerate(classes)}
    return sorted(
        (
            item.path,
            item.label,
            "" if row.isnan().any() else classes[int(row.argmax())],
            f"{float(row.max()):.6f}",
            f"{float(row[number[item.label]]):.6f}",
        )
        for item, row in zip(items, likely.exp(), strict=True)
    )
