"""What predictions.csv says: errors by class with intervals, confusions, the worst mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from goingdeeper.evaluation.scores import wilson


@dataclass(frozen=True)
class Prediction:
    """One validation image; probabilities are 0 to 1."""

    path: str
    true: str
    predicted: str
    probability: float
    probability_true: float

    @property
    def wrong(self) -> bool:
        return self.true != self.predicted


@dataclass(frozen=True)
class ClassError:
    """A class's error on its own images with Wilson's 95 % interval, in per cent."""

    name: str
    images: int
    wrong: int
    error: float
    low: float
    high: float


@dataclass(frozen=True)
class Confusion:
    """Images of class `true` taken for `predicted`; share: per cent of the true class's images."""

    true: str
    predicted: str
    count: int
    share: float


def read(rows: Iterable[Mapping[str, str]]) -> list[Prediction]:
    return [
        Prediction(
            row["path"],
            row["true"],
            row["predicted"],
            float(row["probability"]),
            float(row["probability_true"]),
        )
        for row in rows
    ]


def class_errors(predictions: Iterable[Prediction], classes: Sequence[str]) -> list[ClassError]:
    """In the order of `classes`, without those that have no image here."""
    predictions = list(predictions)
    images = Counter(p.true for p in predictions)
    wrong = Counter(p.true for p in predictions if p.wrong)
    return [_class_error(name, images[name], wrong[name]) for name in classes if images[name]]


def _class_error(name: str, images: int, wrong: int) -> ClassError:
    return ClassError(name, images, wrong, 100 * wrong / images, *wilson(wrong, images))


def matrix(predictions: Iterable[Prediction], classes: Sequence[str]) -> list[list[Confusion]]:
    """A row for each true class, a column for each predicted one."""
    predictions = list(predictions)
    pairs = Counter((p.true, p.predicted) for p in predictions)
    images = Counter(p.true for p in predictions)
    return [
        [
            Confusion(true, predicted, pairs[true, predicted], _share(pairs[true, predicted], images[true]))
            for predicted in classes
        ]
        for true in classes
    ]


def confused(predictions: Iterable[Prediction]) -> list[Confusion]:
    """The pairs of classes that were mistaken, the most frequent first."""
    predictions = list(predictions)
    pairs = Counter((p.true, p.predicted) for p in predictions if p.wrong)
    images = Counter(p.true for p in predictions)
    found = [Confusion(t, p, count, _share(count, images[t])) for (t, p), count in pairs.items()]
    return sorted(found, key=lambda pair: (-pair.count, -pair.share, pair.true, pair.predicted))


def _share(count: int, images: int) -> float:
    return 100 * count / images if images else 0.0


def worst(predictions: Iterable[Prediction], limit: int) -> list[Prediction]:
    """The mistakes made with most confidence."""
    mistakes = [p for p in predictions if p.wrong]
    return sorted(mistakes, key=lambda p: (-p.probability, p.path))[:limit]


def least_certain(predictions: Iterable[Prediction], limit: int) -> list[Prediction]:
    """The right answers given with least confidence."""
    right = [p for p in predictions if not p.wrong]
    return sorted(right, key=lambda p: (p.probability, p.path))[:limit]
