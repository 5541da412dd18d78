"""FitNet-19: Romero et al., "FitNets: hints for thin deep nets" (2014), Tables 5 and 7."""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

from goingdeeper.layers import (
    CLASSES,
    Conv,
    Initialisation,
    Layer,
    Linear,
    Maxout,
    MaxPool,
    Network,
    uniform,
)

conv = partial(Conv, kernel=3, bias=True, act=Maxout(2))

Stages: TypeAlias = tuple[tuple[tuple[int, ...], int], ...]

# Filters on the maps of 32, 16 and 8 pixels, and the max pool behind each stage.
FITNET_4: Stages = (
    ((32, 32, 32, 48, 48), 2),
    ((80, 80, 80, 80, 80, 80), 2),
    ((128, 128, 128, 128, 128, 128), 8),
)

INIT = Initialisation(conv=uniform(0.005), linear=uniform(0.005))


def fitnet(name: str, stages: Stages, pieces: int) -> Network:
    """Maxout of two pieces in every convolution, of `pieces` in the fully connected layer."""
    layers: dict[str, Layer] = {}
    for stage, (filters, pool) in enumerate(stages, start=1):
        layers |= {f"conv{stage}_{index}": conv(width) for index, width in enumerate(filters, start=1)}
        layers[f"pool{stage}"] = MaxPool(pool, stride=pool, padding=0)
    return Network(name, {
        **layers,
        "fc1": Linear(500, act=Maxout(pieces)),
        "fc2": Linear(CLASSES),
    }, input=(3, 32, 32), classes=10, init=INIT)  # fmt: skip


NETWORKS = {
    # The published counts have two pieces in the fully connected layer,
    "fitnet-19": partial(fitnet, "fitnet-19", FITNET_4, pieces=2),
    # the appendix and the released configuration five.
    "fitnet-19-5pieces": partial(fitnet, "fitnet-19-5pieces", FITNET_4, pieces=5),
}
