"""What layers have learned: first filters, strongest patches, and what a linear classifier makes of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from goingdeeper.layers import (
    CLASSES,
    BatchNorm,
    Conv,
    GlobalAvgPool,
    Identity,
    Layer,
    Linear,
    MaxPool,
    Network,
    Residual,
)
from goingdeeper.trace import trace
from goingdeeper.why.charts import Lines, Pictures, Series, spread
from goingdeeper.why.claims import judged
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from goingdeeper.prediction.predictor import Held
    from goingdeeper.runs.folder import RunFolder
    from goingdeeper.runs.model import Model
    from goingdeeper.why.trials import Terms

    Floats = NDArray[np.float64]

DATA = "shapes"

WIDTH, STAGES, BLOCKS = 32, 3, 2
"""Filters of every layer, and residual blocks on each of the grids."""

IMAGES = 2000
"""Of the training that linear classifiers learn from, and others that they are judged on, at most."""

LOOKED_AT = ("conv1", *(f"conv{stage}_{BLOCKS}" for stage in range(2, STAGES + 2)))
"""The first layer, and the last block on each grid."""

ARM, TIMES = "features", ("trained", "at initialisation")


def training(terms: Terms) -> Part:
    """A residual network whose layers are all equally wide, beside itself as it was before training."""
    from goingdeeper.runs.model import load_model
    from goingdeeper.why.intervals import interval
    from goingdeeper.why.patches import filters, patches
    from goingdeeper.why.taps import images_of
    from goingdeeper.why.trials import Arm, train

    found = train(terms, (Arm(ARM, network()),), DATA)
    runs = found.runs[ARM]
    errors = {time: [probed(run, time) for run in runs] for time in TIMES}
    trained, untrained = ([own[-1] - own[0] for own in errors[time]] for time in TIMES)
    evidence = (
        judged(
            "features",
            interval(trained),
            interval([one - other for one, other in zip(trained, untrained, strict=True)]),
        ),
        judged("features-untrained", interval(untrained)),
    )
    model = load_model(runs[0].path)
    first, last = (one.net.get_parameter("conv1.conv.weight") for one in (untaught(model, runs[0]), model))
    charts = (
        Lines(
            "features-probe",
            f"A linear classifier on the mean of each filter, {found.data}",
            "layers",
            "error on other images, %",
            tuple(_line(time, by_run) for time, by_run in errors.items()),
        ),
        Pictures(
            "features-filters",
            f"Filters of the first layer, {found.data}",
            (
                *filters(last, "trained"),
                *filters(last - first, "what training added"),
                *filters(first, "at initialisation"),
            ),
        ),
        Pictures(
            "features-patches",
            f"What filters respond to most, {found.data}",
            patches(model, images_of(runs[0], False, IMAGES), LOOKED_AT),
        ),
    )
    note = (
        f"{WIDTH} filters in every layer, so that each linear classifier has as many values; batch norm's "
        "statistics before training are of training images; pictures are of the first seed, patches from "
        "images that it did not learn from"
    )
    return Part(evidence, charts, (found.note, note))


def network() -> Network:
    """A first layer of 7x7 filters, large enough to look at, and residual blocks on ever coarser grids."""
    norm = BatchNorm()
    body: dict[str, Layer] = {
        "conv1": Conv(WIDTH, 3, norm=norm),
        "conv2": Conv(WIDTH, 3, norm=norm, act=None),
    }
    layers: dict[str, Layer] = {"conv1": Conv(WIDTH, 7, 2, norm=norm)}
    for stage in range(2, STAGES + 2):
        layers |= {f"pool{stage - 1}": MaxPool(3, 2)} if stage > 2 else {}
        layers |= {f"conv{stage}_{block}": Residual(body, Identity()) for block in range(1, BLOCKS + 1)}
    return Network(ARM, {**layers, "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}, (), (3, 64, 64))


def layers_of(net: Network) -> dict[str, int]:
    """The first layer and each block by address, with the number of convolutions up to there."""
    found = {"conv1": 1}
    for step in trace(net):
        if isinstance(step.layer, Residual):
            found[step.path] = 1 + 2 * len(found)
    return found


def probed(run: RunFolder, time: str) -> list[float]:
    """Errors, %, of a linear classifier on what each of `layers_of` gives; it learns from training images."""
    from goingdeeper.runs.model import load_model
    from goingdeeper.why.taps import images_of

    model = load_model(run.path)
    model = model if time == TIMES[0] else untaught(model, run)
    sides = [images_of(run, learned, IMAGES) for learned in (True, False)]
    seen, held_out = (means(model, images) for images in sides)
    labels, true = ([image.label for image in images] for images in sides)
    return [linear_error(seen[name], labels, held_out[name], true) for name in seen]


def untaught(model: Model, run: RunFolder) -> Model:
    """The network as the run began it, batch norm's statistics those of training images."""
    from goingdeeper.nn.build import build
    from goingdeeper.nn.population import population_statistics
    from goingdeeper.why.taps import images_of, squares

    net = build(model.net.description, seed=run.run()["seed"])
    parts = squares(model, images_of(run, True, IMAGES))
    population_statistics(net, (model.preprocessing.views(part) for part in parts))
    return replace(model, net=net.eval())


def means(model: Model, images: Sequence[Held]) -> dict[str, Floats]:
    """(N, filters) by layer: each filter's mean over positions, as the network's own classifier has it."""
    import numpy as np

    from goingdeeper.why.taps import tapped

    names = layers_of(model.net.description)
    parts = [
        {name: part[name].double().mean((2, 3)).numpy() for name in names}
        for part in tapped(model, images, names)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def linear_error(seen: Floats, labels: Sequence[str], held_out: Floats, true: Sequence[str]) -> float:
    """The error, %, on what was held out, of a logistic regression on (N, D) standardised values."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(seen, labels)
    return 100 * (1 - float(probe.score(held_out, true)))


def _line(label: str, runs: Sequence[Sequence[float]]) -> Series:
    from goingdeeper.why.intervals import interval

    found = [interval(own) for own in zip(*runs, strict=True)]
    return spread(label, found, layers_of(network()).values())
