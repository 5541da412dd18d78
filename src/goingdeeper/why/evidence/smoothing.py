"""Label smoothing: the best logits, the least loss, and what becomes of a network's confidence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from goingdeeper.why.charts import Lines, Series, curve, spread
from goingdeeper.why.claims import judged, measured
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from torch import Tensor

    from goingdeeper.why.trials import Arm, Terms

CLASSES, SMOOTHING = 1000, 0.1
WITHOUT, WITH = "no smoothing", f"smoothing of {SMOOTHING:g}"
SMOOTHED = {WITHOUT: 0.0, WITH: SMOOTHING}
BINS, WIDTH = 40, 0.5
"""Of the histogram of gaps; the last bin holds those beyond it, too."""


def arithmetic() -> Part:
    gap = best_gap(CLASSES, SMOOTHING)
    gaps = [place / 10 for place in range(0, 201, 2)]
    chart = Lines(
        "smoothing",
        f"{CLASSES} classes, all wrong ones equally likely",
        "gap between the right logit and the others",
        "cross-entropy, nats",
        tuple(
            curve(name, gaps, (loss(one, CLASSES, smoothing) for one in gaps))
            for name, smoothing in SMOOTHED.items()
        ),
    )
    return Part((measured("smoothing-gap", gap, loss(gap, CLASSES, SMOOTHING)),), (chart,))


def training(terms: Terms) -> Part:
    """The same network with smoothing and without, and what it says of the images that it learned from."""
    from goingdeeper.why.answers import learned
    from goingdeeper.why.intervals import interval
    from goingdeeper.why.trials import train

    found = train(terms, arms(), "digits")
    said = {name: [learned(run).likely for run in runs] for name, runs in found.runs.items()}
    sure = {name: [float(likely.exp().amax(1).mean()) for likely in own] for name, own in said.items()}
    apart = {name: [gaps(likely) for likely in own] for name, own in said.items()}
    evidence = (
        judged(
            "smoothing-trained",
            interval(sure[WITH]),
            found.paired(sure.__getitem__, WITH, WITHOUT),
            found.paired(lambda name: [float(own.mean()) for own in apart[name]], WITH, WITHOUT),
        ),
        judged("smoothing-error", found.gap(WITH, WITHOUT, "val_error")),
    )
    classes = said[WITH][0].shape[1]
    shares = {name: [histogram(own) for own in apart[name]] for name in apart}
    top = max(max(own) for several in shares.values() for own in several)
    best = best_gap(classes, SMOOTHING)
    charts = (
        Lines(
            "smoothing-gaps",
            f"Training images of {found.data} by the gap between their two largest logits",
            f"gap (those beyond {BINS * WIDTH:g} at its end)",
            f"images in each step of {WIDTH:g}, %",
            (
                *(_spread(name, several) for name, several in shares.items()),
                curve(f"the best with smoothing, {best:.2f}", (best, best), (0, top)),
            ),
        ),
        Lines(
            "smoothing-validation",
            f"Validation error on {found.data}, the second half of the epochs",
            "epoch",
            "top-1 error, %",
            tuple(_later(found.curve(name, "val_error")) for name in (WITHOUT, WITH)),
        ),
    )
    note = "training images are seen as in an evaluation, by the weights of the epoch with the least error"
    return Part(evidence, charts, (found.note, note))


def arms() -> tuple[Arm, ...]:
    """The same network without smoothing and with it."""
    from goingdeeper.why.trials import Arm

    return tuple(
        Arm(name, "cifar-resnet-20-a", settings=(("loss.smoothing", f"{smoothing:g}"),))
        for name, smoothing in SMOOTHED.items()
    )


def gaps(likely: Tensor) -> Tensor:
    """Between the two largest logits of each image: the same as between the logs of the probabilities."""
    first, second = likely.topk(2, dim=1).values.unbind(1)
    return first - second


def histogram(values: Tensor) -> list[float]:
    """The share of the values in each bin, per cent."""
    places = (values / WIDTH).long().clamp(0, BINS - 1)
    shares: list[float] = (100 * places.bincount(minlength=BINS) / len(values)).tolist()
    return shares


def _spread(name: str, histograms: list[list[float]]) -> Series:
    """The mean over the seeds by bin, with its interval."""
    from goingdeeper.why.intervals import interval

    found = [interval(column) for column in zip(*histograms, strict=True)]
    return spread(name, found, ((place + 0.5) * WIDTH for place in range(BINS)), least=0)


def _later(series: Series) -> Series:
    """The second half of a curve: at first errors are so large that the rest would not be seen."""
    half = len(series.x) // 2
    x, y, low, high = (values[half:] for values in (series.x, series.y, series.low, series.high))
    return Series(series.label, x, y, low, high)


def best_gap(classes: int, smoothing: float) -> float:
    """Where the softmax gives the smoothed targets: the log of the right one's share over another's."""
    other = smoothing / classes
    return math.log((1 - smoothing + other) / other)


def loss(gap: float, classes: int, smoothing: float) -> float:
    """Cross-entropy with smoothed targets of logits that are `gap` for the right class and 0 for others."""
    total = math.exp(gap) + classes - 1
    other = smoothing / classes
    return -(1 - smoothing + other) * (gap - math.log(total)) + other * (classes - 1) * math.log(total)
