"""Several networks together: what they gain, and what is left of it beside crops."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from goingdeeper.errors import UsageError
from goingdeeper.why.charts import Bars, Lines, curve, heights, spread
from goingdeeper.why.claims import judged, measured
from goingdeeper.why.evidence.crops import DATA, arm, errors
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from torch import Tensor

    from goingdeeper.why.trials import Terms

Join: TypeAlias = Literal["mean", "maximum"]

TOGETHER = 3
"""Networks that are averaged at the most."""
REMEDY = "more images to judge by"


def arithmetic() -> Part:
    error = errors()
    networks, crops, both = (error[1, 1] - error[case] for case in ((7, 1), (1, 144), (7, 144)))
    chart = Bars(
        "ensembles",
        "GoogLeNet: what is gained over one network and one crop",
        "points of top-5 error",
        ("7 networks", "144 crops", "both", "the two gains added"),
        (heights("gain", (networks, crops, both, networks + crops)),),
    )
    return Part((measured("ensembles-gain", -networks, -both),), (chart,))


def training(terms: Terms) -> Part:
    """Networks that differ in the seed alone: all ensembles of one, two and three of them."""
    import torch

    from goingdeeper.why.answers import unseen
    from goingdeeper.why.intervals import over_images
    from goingdeeper.why.trials import train

    if len(terms.seeds) < TOGETHER:
        raise UsageError(f"ensembles of {TOGETHER} networks need as many seeds; give --seed 0,1,2")
    found = train(terms, [arm()], DATA)
    said = [unseen(run) for run in found.runs[arm().name]]
    labels = said[0].labels
    likely = torch.stack([one.likely.double().exp() for one in said])
    sizes = range(1, TOGETHER + 1)
    mean = [wrong(likely, labels, size, "mean") for size in sizes]
    most = [wrong(likely, labels, size, "maximum") for size in sizes]
    gains = [before - after for before, after in pairwise(mean)]
    evidence = (
        judged("ensembles-measured", *(over_images((-gain).tolist()) for gain in gains), remedy=REMEDY),
        judged("ensembles-diminishing", over_images((gains[0] - gains[1]).tolist()), remedy=REMEDY),
        judged("ensembles-maximum", over_images((most[-1] - mean[-1]).tolist()), remedy=REMEDY),
    )
    charts = (
        Lines(
            "ensembles-measured",
            f"Networks that differ in their seed, on {found.data}",
            "networks together",
            "top-1 error, %",
            tuple(
                curve(name, sizes, (100 * float(one.mean()) for one in several))
                for name, several in (
                    ("mean of their probabilities", mean),
                    ("maximum of their probabilities", most),
                )
            ),
        ),
        Bars(
            "ensembles-gains",
            f"What each further network gains, on {found.data}",
            "points of top-1 error",
            ("the second", "the third"),
            (spread("gain", [over_images(gain.tolist()) for gain in gains]),),
        ),
    )
    note = (
        f"{found.conditions}; intervals are of 95 % over the {len(labels):,} images not learned from, paired "
        "by image: they tell of other images, and not of other networks"
    )
    alike = f"of the mistakes of one network another makes {100 * shared(likely, labels):.0f} %"
    return Part(evidence, charts, (note, alike))


def wrong(probabilities: Tensor, labels: Tensor, size: int, join: Join) -> Tensor:
    """(N,) by image: the share of all ensembles of so many networks that mistake it.

    probabilities: (networks, N, classes).
    """
    import torch

    found = []
    for members in combinations(probabilities, size):
        together = torch.stack(members)
        joined = together.mean(0) if join == "mean" else together.amax(0)
        found.append(joined.argmax(1) != labels)
    return torch.stack(found).double().mean(0)


def shared(probabilities: Tensor, labels: Tensor) -> float:
    """Of the images that a network mistakes, the share that another one does, too; 1 of none."""
    one = wrong(probabilities, labels, 1, "mean")
    count = len(probabilities)
    both = one * (one * count - 1) / (count - 1)
    return float(both.sum() / one.sum()) if one.any() else 1.0
