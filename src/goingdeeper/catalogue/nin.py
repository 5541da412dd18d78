"""Network in network: Lin et al. (2013), and deeply-supervised nets, Lee et al. (2014); CIFAR-10 releases."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from goingdeeper import edits
from goingdeeper.layers import (
    CLASSES,
    Conv,
    Draw,
    Dropout,
    GlobalAvgPool,
    Initialisation,
    Linear,
    MaxPool,
    Network,
    Start,
    normal,
)

conv = partial(Conv, bias=True)
down = partial(MaxPool, 3, stride=2, padding=0, ceil=True)

INIT = Initialisation(conv=normal(0.05), linear=normal(0.05))
CLASSIFIER = conv(CLASSES, 1)  # with a ReLU: the scores that are averaged are never negative


def nin() -> Network:
    """Convolutions followed by 1x1 ones (cccp), and one map a class at the end."""
    return Network("nin-cifar10", {
        "conv1": conv(192, 5), "cccp1": conv(160, 1), "cccp2": conv( 96, 1),
        "pool1": down(), "dropout1": Dropout(0.5),
        "conv2": conv(192, 5), "cccp3": conv(192, 1), "cccp4": conv(192, 1),
        "pool2": down(), "dropout2": Dropout(0.5),
        "conv3": conv(192, 3), "cccp5": conv(192, 1), "cccp6": CLASSIFIER,
        "pool3": GlobalAvgPool(),
    }, input=(3, 32, 32), classes=10, init=INIT)  # fmt: skip


def dsn() -> Network:
    """NIN without the last ReLU, and with a companion classifier on each convolution, before its ReLU.

    The companions' bound is sqrt(3 / (10 n)): the release's rule takes all weights of a layer as its fan-in.
    """
    companions = {f"{name}.conv": Linear(CLASSES) for name in ("conv1", "conv2", "conv3")}
    network = edits.replace_layer(nin(), "cccp6", replace(CLASSIFIER, act=None))
    init = Initialisation(INIT.conv, INIT.linear, apart={"heads.*": Start(weights=Draw("uniform", 1 / 10))})
    return Network("dsn-cifar10", network.layers, companions, network.input, network.classes, init)


NETWORKS = {"nin-cifar10": nin, "dsn-cifar10": dsn}
