"""FitNet-19: Romero et al., "FitNets: hints for thin deep nets" (2014), Tables 5 and 7."""

from __future__ import annotations

from functools import partial

from goingdeeper import edits
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

# FitNet 4: filters on the maps of 32, 16 and 8 pixels, and the max pool behind each stage.
STAGES = (
    ((32, 32, 32, 48, 48), 2),
    ((80, 80, 80, 80, 80, 80), 2),
    ((128, 128, 128, 128, 128, 128), 8),
)

INIT = Initialisation(conv=uniform(0.005), linear=uniform(0.005))


def fitnet_19() -> Network:
    """With two pieces in the fully connected layer, as the published counts have it."""
    layers: dict[str, Layer] = {}
    for stage, (filters, pool) in enumerate(STAGES, start=1):
        layers |= {f"conv{stage}_{index}": conv(width) for index, width in enumerate(filters, start=1)}
        layers[f"pool{stage}"] = MaxPool(pool, stride=pool, padding=0)
    return Network("fitnet-19", {
        **layers,
        "fc1": Linear(500, act=Maxout(2)),
        "fc2": Linear(CLASSES),
    }, input=(3, 32, 32), classes=10, init=INIT)  # fmt: skip


def fitnet_19_5pieces() -> Network:
    """With five, as the appendix and the released configuration have it."""
    wider = edits.replace_layer(fitnet_19(), "fc1", Linear(500, act=Maxout(5)))
    return edits.rename(wider, "fitnet-19-5pieces")


NETWORKS = {"fitnet-19": fitnet_19, "fitnet-19-5pieces": fitnet_19_5pieces}
