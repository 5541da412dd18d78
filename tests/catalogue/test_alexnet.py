"""AlexNet against Krizhevsky et al. 2012, Figure 2 and sections 3 to 5, and the counts of its fact sheet."""

import pytest

from goingdeeper import catalogue
from goingdeeper.layers import LRN, Conv, Dropout, Layer, MaxPool
from goingdeeper.tables.describe import depth
from goingdeeper.trace import find, trace

ALEXNET = catalogue.network("alexnet")

# Output, weights, biases, multiply-adds.
TABLE = {
    "conv1": ((96, 55, 55), 34_848, 96, 105_415_200),
    "pool1": ((96, 27, 27), 0, 0, 0),
    "conv2": ((256, 27, 27), 307_200, 256, 223_948_800),
    "pool2": ((256, 13, 13), 0, 0, 0),
    "conv3": ((384, 13, 13), 884_736, 384, 149_520_384),
    "conv4": ((384, 13, 13), 663_552, 384, 112_140_288),
    "conv5": ((256, 13, 13), 442_368, 256, 74_760_192),
    "pool5": ((256, 6, 6), 0, 0, 0),
    "fc6": ((4096,), 37_748_736, 4_096, 37_748_736),
    "fc7": ((4096,), 16_777_216, 4_096, 16_777_216),
    "fc8": ((1000,), 4_096_000, 1_000, 4_096_000),
}  # fmt: skip


@pytest.mark.parametrize("address", TABLE)
def test_every_row_of_the_fact_sheet(address: str, measure) -> None:
    found = measure(ALEXNET, address)
    assert (found.shape, found.weights, found.biases, found.macs) == TABLE[address]


def test_two_towers_in_the_second_fourth_and_fifth_convolution() -> None:
    groups = {step.path: step.layer.groups for step in trace(ALEXNET) if isinstance(step.layer, Conv)}
    assert groups == {"conv1": 1, "conv2": 2, "conv3": 1, "conv4": 2, "conv5": 2}


def test_in_one_tower_each_of_the_three_has_twice_the_weights(measure) -> None:
    for address, (shape, weights, biases, macs) in TABLE.items():
        found = measure("alexnet-ungrouped", address)
        factor = 2 if address in ("conv2", "conv4", "conv5") else 1
        assert (found.shape, found.weights, found.macs) == (shape, factor * weights, factor * macs)
        assert found.biases == biases


def test_relu_then_normalisation_then_pool() -> None:
    """Sections 3.1 to 3.5; CaffeNet has the last two the other way round."""
    names = [name for name, _ in ALEXNET.layers]
    assert names[:6] == ["conv1", "norm1", "pool1", "conv2", "norm2", "pool2"]
    assert all(step.layer.act for step in trace(ALEXNET) if isinstance(step.layer, Conv))


def test_the_normalisation_s_sum_is_not_divided_by_its_size() -> None:
    """Section 3.3: (2 + 1e-4 x the sum over 5 channels)^0.75; the record divides alpha by the size."""
    norm = find(ALEXNET, "norm1")
    assert norm == find(ALEXNET, "norm2") and isinstance(norm, LRN)
    assert (norm.size, norm.k, norm.beta) == (5, 2.0, 0.75)
    assert norm.alpha / norm.size == pytest.approx(1e-4)


def test_pools_overlap() -> None:
    """Section 3.4: s = 2, z = 3."""
    pools = [layer for _, layer in ALEXNET.layers if isinstance(layer, MaxPool)]
    assert pools == [MaxPool(3, stride=2, padding=0)] * 3


def test_half_of_each_hidden_layer_is_dropped() -> None:
    """Section 4.2."""
    names = [name for name, _ in ALEXNET.layers][-5:]
    assert names == ["fc6", "dropout6", "fc7", "dropout7", "fc8"]
    assert find(ALEXNET, "dropout6") == find(ALEXNET, "dropout7") == Dropout(0.5)
    assert find(ALEXNET, "fc6").act and find(ALEXNET, "fc7").act and find(ALEXNET, "fc8").act is None


@pytest.mark.parametrize("id", ["alexnet", "alexnet-ungrouped"])
def test_initial_weights_and_biases(id: str, begins) -> None:
    """Section 5: N(0, 0.01); biases 1 in conv2, conv4, conv5 and the hidden layers, 0 elsewhere."""
    found = begins(id)
    assert {address: begin.bias for address, begin in found.items()} == {
        "conv1": 0, "conv2": 1, "conv3": 0, "conv4": 1, "conv5": 1, "fc6": 1, "fc7": 1, "fc8": 0,
    }  # fmt: skip
    for begin in found.values():
        assert begin.distribution == "normal"
        assert begin.variance == pytest.approx(0.01**2)


def test_eight_layers_deep() -> None:
    layers: list[Layer] = [layer for _, layer in ALEXNET.layers]
    assert sum(map(depth, layers)) == 8
