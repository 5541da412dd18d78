"""PReLU-nets: He et al., "Delving deep into rectifiers" (2015), Table 3."""

from __future__ import annotations

from functools import partial

from goingdeeper.layers import (
    CLASSES,
    Conv,
    Draw,
    Dropout,
    Initialisation,
    Layer,
    Linear,
    MaxPool,
    Network,
    PReLU,
    SpatialPyramid,
)

conv = partial(Conv, bias=True, act=PReLU())
down = partial(MaxPool, 2, stride=2, padding=0)

# Table 3: convolutions on each of the maps 56, 28 and 14, and their filters.
MODELS = {
    "prelu-net-a": (5, (256, 512, 512)),
    "prelu-net-b": (6, (256, 512, 512)),
    "prelu-net-c": (6, (384, 768, 896)),
}

# Section 2.2, equation 15: the variance 2 / ((1 + a^2) n) for slopes that start at a = 0.25.
RULE = Draw("normal", 2 / (1 + 0.25**2))


def prelu_net(name: str) -> Network:
    count, filters = MODELS[name]
    layers: dict[str, Layer] = {}
    for stage, width in enumerate(filters, start=2):
        layers[f"pool{stage - 1}"] = down()
        layers |= {f"conv{stage}_{index}": conv(width, 3) for index in range(1, count + 1)}
    return Network(name, {
        "conv1": conv(96, 7, stride=2),
        **layers,
        "spp": SpatialPyramid((7, 3, 2, 1)),
        "fc1": Linear(4096, act=PReLU()), "dropout1": Dropout(0.5),
        "fc2": Linear(4096, act=PReLU()), "dropout2": Dropout(0.5),
        "fc3": Linear(CLASSES),
    }, init=Initialisation(conv=RULE, linear=RULE))  # fmt: skip


NETWORKS = {name: partial(prelu_net, name) for name in MODELS}
