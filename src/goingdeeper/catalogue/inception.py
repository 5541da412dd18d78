"""Inception-v2 and v3: Szegedy et al., "Rethinking the Inception architecture for computer vision" (2015).

The paper prints no widths of branches. The authors' released graph has them, and differs from Table 1 in the
stem and in the number of modules: so Inception-v2 has two readings, the released modules and Table 1.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from goingdeeper import edits
from goingdeeper.layers import (
    CLASSES,
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Draw,
    Dropout,
    GlobalAvgPool,
    Initialisation,
    Layer,
    Linear,
    MaxPool,
    Network,
    Start,
    truncated,
)

NORM = BatchNorm(eps=1e-3)
conv = partial(Conv, norm=NORM)
valid = partial(conv, padding=0)
down = partial(MaxPool, 3, stride=2, padding=0)
average = AvgPool(3, count_padding=False)

# As released: He's rule, truncated (1.3 makes up for the cut), and two exceptions in the auxiliary head.
RULE = Draw("truncated", 1.3 * 2)
INIT = Initialisation(
    conv=RULE,
    linear=RULE,
    apart={"heads.*.conv2": Start(weights=truncated(0.01)), "heads.*.fc": Start(weights=truncated(0.001))},
)


def mixed5(pool_proj: int) -> Concat:
    """35x35, as released: Figure 5 with a 5x5 where it has a single 3x3."""
    return Concat({
        "1x1": conv(64, 1),
        "5x5": {"reduce": conv(48, 1), "conv": conv(64, 5)},
        "double3x3": {"reduce": conv(64, 1), "conv1": conv(96, 3), "conv2": conv(96, 3)},
        "pool": {"average": average, "proj": conv(pool_proj, 1)},
    })  # fmt: skip


def figure5() -> Concat:
    """35x35, as Figure 5 has it; the widths are those of the released graph (inferred)."""
    return Concat({
        "1x1": conv(64, 1),
        "3x3": {"reduce": conv(48, 1), "conv": conv(64, 3)},
        "double3x3": {"reduce": conv(64, 1), "conv1": conv(96, 3), "conv2": conv(96, 3)},
        "pool": {"average": average, "proj": conv(64, 1)},
    })  # fmt: skip


def reduction6() -> Concat:
    """35x35 to 17x17: Figure 10 without the 1x1 in front of its single 3x3."""
    return Concat({
        "3x3": valid(384, 3, stride=2),
        "double3x3": {"reduce": conv(64, 1), "conv1": conv(96, 3), "conv2": valid(96, 3, stride=2)},
        "pool": down(),
    })  # fmt: skip


def mixed6(width: int) -> Concat:
    """17x17: Figure 6 with n = 7; the double branch starts with the 7x1."""
    return Concat({
        "1x1": conv(192, 1),
        "7x7": {"reduce": conv(width, 1), "1x7": conv(width, (1, 7)), "7x1": conv(192, (7, 1))},
        "double7x7": {
            "reduce": conv(width, 1),
            "7x1_1": conv(width, (7, 1)), "1x7_1": conv(width, (1, 7)),
            "7x1_2": conv(width, (7, 1)), "1x7_2": conv(192, (1, 7)),
        },
        "pool": {"average": average, "proj": conv(192, 1)},
    })  # fmt: skip


def reduction7() -> Concat:
    """17x17 to 8x8: a variation of Figure 10."""
    return Concat({
        "3x3": {"reduce": conv(192, 1), "conv": valid(320, 3, stride=2)},
        "7x7": {
            "reduce": conv(192, 1), "1x7": conv(192, (1, 7)), "7x1": conv(192, (7, 1)),
            "conv": valid(192, 3, stride=2),
        },
        "pool": down(),
    })  # fmt: skip


def mixed7() -> Concat:
    """8x8: Figure 7; the parallel 1x3 and 3x1 widen the output."""
    fork = Concat({"1x3": conv(384, (1, 3)), "3x1": conv(384, (3, 1))})
    return Concat({
        "1x1": conv(320, 1),
        "3x3": {"reduce": conv(384, 1), "fork": fork},
        "double3x3": {"reduce": conv(448, 1), "conv": conv(384, 3), "fork": fork},
        "pool": {"average": average, "proj": conv(192, 1)},
    })  # fmt: skip


def auxiliary(hidden: Conv) -> Chain:
    """Figure 8, on the last 17x17 module; `hidden` is the layer that "BN-auxiliary" normalises, too."""
    return Chain({
        "pool": AvgPool(5, stride=3, padding=0),
        "conv1": conv(128, 1),
        "conv2": hidden,
        "fc": Linear(CLASSES),
    })  # fmt: skip


BN_AUXILIARY = auxiliary(valid(768, 5))
PLAIN_AUXILIARY = auxiliary(Conv(768, 5, padding=0, bias=True))

FIRST_7X7: dict[str, Layer] = {"conv1": valid(64, 7, stride=2)}
FIRST_3X3: dict[str, Layer] = {
    "conv1a": valid(32, 3, stride=2), "conv2a": valid(32, 3), "conv2b": conv(64, 3),
}  # fmt: skip


def released(name: str, first: dict[str, Layer], head: Chain) -> Network:
    """The released graph behind its first layers."""
    return Network(name, {
        **first, "pool3a": down(),
        "conv3b": conv(80, 1), "conv4a": valid(192, 3), "pool5a": down(),
        "mixed5b": mixed5(32), "mixed5c": mixed5(64), "mixed5d": mixed5(64),
        "mixed6a": reduction6(),
        "mixed6b": mixed6(128), "mixed6c": mixed6(160), "mixed6d": mixed6(160), "mixed6e": mixed6(192),
        "mixed7a": reduction7(),
        "mixed7b": mixed7(), "mixed7c": mixed7(),
        "pool8": GlobalAvgPool(), "dropout": Dropout(0.2), "fc": Linear(CLASSES),
    }, {"mixed6e": head}, input=(3, 299, 299), init=INIT)  # fmt: skip


def table1(name: str, first: dict[str, Layer], head: Chain) -> Network:
    """Table 1 to the letter: 3 modules of Figure 5, 5 of Figure 6, 2 of Figure 7."""
    return Network(name, {
        **first, "pool3a": down(),
        "conv3b": valid(80, 3), "conv4a": valid(192, 3, stride=2), "conv5a": conv(288, 3),
        "mixed5b": figure5(), "mixed5c": figure5(), "mixed5d": figure5(),
        "mixed6a": reduction6(),
        "mixed6b": mixed6(128), "mixed6c": mixed6(160), "mixed6d": mixed6(160), "mixed6e": mixed6(160),
        "mixed6f": mixed6(192),
        "mixed7a": reduction7(),
        "mixed7b": mixed7(), "mixed7c": mixed7(),
        "pool8": GlobalAvgPool(), "dropout": Dropout(0.2), "fc": Linear(CLASSES),
    }, {"mixed6f": head}, input=(3, 299, 299), init=INIT)  # fmt: skip


def inception_v3() -> Network:
    """The form of the PyTorch weights: padded taps count in the averages, half of the features dropped."""

    def edit(layer: Layer) -> Layer:
        match layer:
            case AvgPool():
                return replace(layer, count_padding=True)
            case Dropout():
                return replace(layer, rate=0.5)
            case _:
                return layer

    return edits.rewrite(released("inception-v3", FIRST_3X3, BN_AUXILIARY), edit)


def inception_v3_keras() -> Network:
    """The form of the Keras weights: batch norm without gamma, no dropout, no auxiliary head."""

    def edit(layer: Layer) -> Layer:
        return replace(layer, norm=replace(NORM, scale=False)) if isinstance(layer, Conv) else layer

    network = edits.rewrite(released("inception-v3-keras", FIRST_3X3, BN_AUXILIARY), edit)
    return edits.without_heads(edits.without(network, Dropout))


NETWORKS = {
    # Table 3's rows: Inception-v2, also with RMSProp and label smoothing; with the 7x7 factorised, too;
    # with BN-auxiliary, which is Inception-v3.
    "inception-v2-released-modules": partial(
        released, "inception-v2-released-modules", FIRST_7X7, PLAIN_AUXILIARY
    ),
    "inception-v2-factorized-7x7": partial(
        released, "inception-v2-factorized-7x7", FIRST_3X3, PLAIN_AUXILIARY
    ),
    "inception-v3": inception_v3,
    "inception-v3-keras": inception_v3_keras,
    "inception-v2-table1-7x7": partial(table1, "inception-v2-table1-7x7", FIRST_7X7, PLAIN_AUXILIARY),
    "inception-v2-table1-3x3": partial(table1, "inception-v2-table1-3x3", FIRST_3X3, PLAIN_AUXILIARY),
}
