"""The CIFAR-10 maxout network against the released configuration of Goodfellow et al. 2013."""

import pytest

from goingdeeper import catalogue
from goingdeeper.costs.counts import total
from goingdeeper.edits import replace_layer
from goingdeeper.layers import CLASSES, Conv, Dropout, Linear, Maxout, MaxPool
from goingdeeper.tables.describe import depth
from goingdeeper.trace import find, trace

MAXOUT = catalogue.network("maxout-cifar10")

# What the convolution computes, what comes out, the pool, what it gives, weights, biases.
TABLE = {
    1: (8, 4, (192, 33, 33), (96, 33, 33), 4, (96, 16, 16), 36_864, 192),
    2: (8, 3, (384, 15, 15), (192, 15, 15), 4, (192, 7, 7), 2_359_296, 384),
    3: (5, 3, (384, 9, 9), (192, 9, 9), 2, (192, 5, 5), 1_843_200, 384),
}


@pytest.mark.parametrize("layer", TABLE)
def test_convolutional_layers_of_the_fact_sheet(layer: int, measure) -> None:
    kernel, padding, linear, shape, window, pooled, weights, biases = TABLE[layer]
    conv = find(MAXOUT, f"conv{layer}")
    assert conv == Conv(shape[0], kernel, padding=padding, bias=True, act=Maxout(2))
    found = measure(MAXOUT, f"conv{layer}")
    assert (found.shape, found.weights, found.biases) == (shape, weights, biases)
    assert found.macs == weights * linear[1] * linear[2]
    assert linear[0] == 2 * shape[0] == biases
    assert find(MAXOUT, f"pool{layer}") == MaxPool(window, stride=2, padding=0, ceil=True)
    assert measure(MAXOUT, f"pool{layer}").shape == pooled


def test_fully_connected_layers_of_the_fact_sheet(measure) -> None:
    assert find(MAXOUT, "fc1") == Linear(500, act=Maxout(5))
    assert measure(MAXOUT, "fc1")[:3] == ((500,), 12_000_000, 2500)
    assert find(MAXOUT, "fc2") == Linear(CLASSES)
    assert measure(MAXOUT, "fc2")[:3] == ((10,), 5000, 10)


def test_with_two_pieces_it_is_the_teacher_that_romero_et_al_count() -> None:
    """Romero et al. 2014: about 9 M parameters, 725 M multiplications."""
    found = total(trace(replace_layer(MAXOUT, "fc1", Linear(500, act=Maxout(2)))))
    assert (found.weights, found.macs) == (9_044_360, 725_090_696)


def test_dropout_stands_in_front_of_every_layer() -> None:
    """Inputs are kept with 0.8 and not scaled up, every other layer's with 0.5 and twice as large."""
    names = [name for name, _ in MAXOUT.layers]
    for layer in ("conv1", "conv2", "conv3", "fc1", "fc2"):
        before = find(MAXOUT, names[names.index(layer) - 1])
        assert before == (Dropout(0.2, rescale=False) if layer == "conv1" else Dropout(0.5))
    assert sum(name.startswith("dropout") for name in names) == 5


def test_initial_weights(begins) -> None:
    for begin in begins("maxout-cifar10").values():
        assert (begin.distribution, begin.bias) == ("uniform", 0)
        assert begin.variance == pytest.approx(0.005**2 / 3)


def test_five_layers_deep() -> None:
    assert sum(depth(layer) for _, layer in MAXOUT.layers) == 5
