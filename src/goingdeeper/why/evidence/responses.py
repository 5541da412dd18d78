"""How strongly layers respond, plain and residual, once they are trained."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING

from goingdeeper.layers import Conv, Network
from goingdeeper.trace import trace
from goingdeeper.why.charts import Bars, Lines, Series, spread
from goingdeeper.why.claims import judged
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from goingdeeper.runs.folder import RunFolder
    from goingdeeper.why.trials import Terms

IMAGES = 256
"""Images that deviations are of, which the run did not learn from."""


def training(terms: Terms) -> Part:
    """The networks of the topic `degradation`: 20 and 56 layers, plain and residual, trained alike."""
    from goingdeeper.why.evidence.degradation import arms
    from goingdeeper.why.intervals import interval
    from goingdeeper.why.trials import train

    found = train(terms, arms(), "digits")
    layers = {name: [deviations(run) for run in runs] for name, runs in found.runs.items()}
    means = {name: [fmean(own) for own in runs] for name, runs in layers.items()}
    evidence = judged(
        "responses",
        *(
            found.paired(means.__getitem__, one, other)
            for one, other in (
                ("residual 20", "plain 20"),
                ("residual 56", "plain 56"),
                ("residual 56", "residual 20"),
            )
        ),
    )
    charts = (
        Lines(
            "responses",
            f"Responses of 3x3 layers, trained on {found.data}",
            "layer",
            "standard deviation behind batch norm",
            tuple(_by_layer(name, runs) for name, runs in layers.items()),
        ),
        Bars(
            "responses-mean",
            f"Mean over the 3x3 layers, trained on {found.data}",
            "standard deviation behind batch norm",
            tuple(means),
            (spread("mean", [interval(own) for own in means.values()]),),
        ),
    )
    note = (
        "standard deviations over channels, positions and images not learned from, before addition and ReLU"
    )
    return Part((evidence,), charts, (found.note, note))


def deviations(run: RunFolder) -> list[float]:
    """The standard deviation of what each 3x3 layer's batch norm gives, on images that a run has not seen."""
    from goingdeeper.runs.model import load_model
    from goingdeeper.why.taps import images_of, tapped

    model = load_model(run.path)
    norms = norms_of(model.net.description)
    count, total, squares = 0, [0.0] * len(norms), [0.0] * len(norms)
    for part in tapped(model, images_of(run, False, IMAGES), norms):
        count += part[norms[0]].shape[0]
        for place, name in enumerate(norms):
            values = part[name].double()
            total[place] += float(values.mean()) * len(values)
            squares[place] += float(values.square().mean()) * len(values)
    return [
        math.sqrt(square / count - (one / count) ** 2) for one, square in zip(total, squares, strict=True)
    ]


def norms_of(network: Network) -> list[str]:
    """Addresses of the batch norms behind 3x3 convolutions."""
    return [
        f"{step.path}.norm"
        for step in trace(network)
        if isinstance(step.layer, Conv) and step.layer.kernel == 3 and step.layer.norm
    ]


def _by_layer(label: str, runs: list[list[float]]) -> Series:
    from goingdeeper.why.intervals import interval

    found = [interval(own) for own in zip(*runs, strict=True)]
    return spread(label, found, range(1, len(found) + 1))
