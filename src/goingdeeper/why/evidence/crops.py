"""Many crops of an image: how many, and what they gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goingdeeper.evaluation.protocols import plan, protocol
from goingdeeper.published.results import table
from goingdeeper.why.charts import Bars, Lines, curve, spread
from goingdeeper.why.claims import judged, measured
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from goingdeeper.why.trials import Arm, Terms

SCHEMES = {1: "1crop-resnet", 10: "10crop", 144: "144crop"}
"""By crops of an image: those of GoogLeNet's table, the single one as large a part as each of the ten."""
DATA = "shapes"
"""On which a small network errs often enough for gains to be seen, and has held-out images enough."""
IMAGES = 1000
"""That are scored at the most: 144 crops of each take long."""

SIDE, IMAGE = 224, (375, 500)
"""Of GoogLeNet's input, and of a usual photograph, in pixels."""
TRAINED_SIDE = 32
"""Of the input that the trained network was made for."""


def arithmetic() -> Part:
    scheme = protocol("144crop")
    views = sum(view.times for view in plan(scheme, *IMAGE, SIDE).views) * (1 + scheme.mirror)
    error = errors()
    evidence = (
        measured("crops-count", views),
        measured("crops-gain", error[1, 10] - error[1, 1], error[1, 144] - error[1, 1]),
    )
    return Part(evidence, (_chart(),))


def training(terms: Terms) -> Part:
    """A network trained on random crops, as GoogLeNet was, and what it says of more and more crops."""
    from goingdeeper.why.answers import unseen
    from goingdeeper.why.intervals import interval
    from goingdeeper.why.trials import train

    found = train(terms, [arm()], DATA)
    runs = found.runs[arm().name]
    terms.events("").note(f"scoring {len(runs)} networks by {', '.join(map(str, SCHEMES))} crops")
    error = {crops: [unseen(run, scheme, IMAGES).error for run in runs] for crops, scheme in SCHEMES.items()}
    gains = {crops: [a - b for a, b in zip(error[1], error[crops], strict=True)] for crops in (10, 144)}
    evidence = (
        judged("crops-measured", *(interval([-gain for gain in several]) for several in gains.values())),
        judged("crops-diminishing", interval(list(map(diminished, gains[10], gains[144])))),
    )
    charts = (
        Lines(
            "crops-measured",
            f"A network trained on random crops, on {found.data}",
            "crops of an image",
            "top-1 error, %",
            (spread("error", list(map(interval, error.values())), error, least=0, most=100),),
            x_scale="log",
        ),
        Bars(
            "crops-gains",
            f"What is gained over one crop, on {found.data}",
            "points of top-1 error",
            tuple(f"{crops} crops" for crops in gains),
            (spread("gain", list(map(interval, gains.values()))),),
        ),
    )
    return Part(evidence, charts, (found.note,))


def diminished(ten: float, most: float) -> float:
    """What each of the first 9 further crops gains, minus what each of the next 134 does."""
    return ten / (10 - 1) - (most - ten) / (144 - 10)


def arm() -> Arm:
    """A network that is trained on random parts of the images, mirrored or not: what its crops will be."""
    from goingdeeper.why.trials import Arm

    settings = (("augmentation.crop", "AreaCrop"), ("augmentation.flip", "true"))
    return Arm("random crops", "cifar-resnet-20-a", settings=settings, size=TRAINED_SIDE)


def errors() -> dict[tuple[int, int], float]:
    """GoogLeNet's top-5 errors by models and crops, per cent, as its paper prints them."""
    found = {}
    for row in table("googlenet-table3"):
        assert row.models and isinstance(row.crops, int) and row.top5_error is not None
        found[row.models, row.crops] = row.top5_error
    return found


def _chart() -> Lines:
    error = errors()
    crops = sorted({crops for _, crops in error})
    return Lines(
        "crops",
        "GoogLeNet on ILSVRC-2012, 50,000 validation images",
        "crops of an image",
        "top-5 error, %",
        tuple(
            curve(
                f"{models} model{'s' if models > 1 else ''}",
                crops,
                (error[models, count] for count in crops),
            )
            for models in (1, 7)
        ),
        x_scale="log",
    )
