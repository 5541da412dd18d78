"""Images that a trained run takes for another class with confidence: suspected errors of their labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goingdeeper.data.pictures import Pictures
from goingdeeper.data.sources import Item, Source
from goingdeeper.errors import DataError
from goingdeeper.evaluation.predict import log_probabilities
from goingdeeper.runs.model import Model

FAR = 0.5
"""So much less probable than another class, an image's own is doubted whatever the other's mean."""


@dataclass(frozen=True)
class Suspect:
    """An image, its class and that class's probability, and the class that it is taken for, likewise."""

    path: str
    label: str
    probability: float
    predicted: str
    probability_predicted: float

    def document(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "class": self.label,
            "probability": round(self.probability, 6),
            "predicted": self.predicted,
            "probability_predicted": round(self.probability_predicted, 6),
        }


def suspects(
    model: Model,
    source: Source,
    items: Sequence[Item],
    progress: Callable[[int, int], None] | None = None,
    batch: int = 64,
) -> tuple[Suspect, ...]:
    """The readable images of a source that a model takes for another class, the clearest first.

    Classes are matched by name; images of one that the model does not know are passed over. Raises DataError
    where it knows none of them.
    """
    number = {name: index for index, name in enumerate(model.classes)}
    asked = [item for item in items if item.label in number]
    if items and not asked:
        known = ", ".join(model.classes[:12]) + (", ..." if len(model.classes) > 12 else "")
        raise DataError(f"{source.name}: the model has none of its classes; it knows {known}")
    items = asked
    pictures = Pictures(source, model.preprocessing.shorter or model.preprocessing.size, {})
    likely = log_probabilities(
        model.net, pictures, items, model.preprocessing, batch=batch, progress=progress
    ).exp()
    labels = np.array([number[item.label] for item in items], np.intp)
    probabilities = likely.double().numpy()
    found = []
    for index, other in confident_errors(probabilities, labels):
        item, row = items[index], probabilities[index]
        found.append(
            Suspect(item.path, item.label, float(row[labels[index]]), model.classes[other], float(row[other]))
        )
    return tuple(found)


def confident_errors(probabilities: NDArray[np.float64], labels: NDArray[np.intp]) -> list[tuple[int, int]]:
    """(image, the class that it is likelier to be), the clearest first.

    The rule of confident learning (Northcutt et al. 2021, section 3.1): an image counts as of another class
    if that class's probability reaches the mean that images labelled with the class give it; of several, the
    likeliest. A network that is sure of everything would miss every second error by that, so an image whose
    own class is behind by `FAR` counts, too. Sorted by that difference. probabilities: (N, classes); labels:
    (N,). Classes without images are never suggested.
    """
    images = np.arange(len(labels))
    own = probabilities[images, labels]
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, weights=own, minlength=probabilities.shape[1])
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    far = (probabilities - own[:, None] >= FAR) & (counts > 0)
    reached = np.where((probabilities >= thresholds) | far, probabilities, -1.0)
    other = reached.argmax(1)
    margin = reached.max(1) - own
    chosen = images[margin > 0]
    return [(int(image), int(other[image])) for image in chosen[np.argsort(-margin[chosen], kind="stable")]]
