"""Network in network, Lin et al. 2013, and deeply-supervised nets, Lee et al. 2014, as released."""

import pytest

from goingdeeper import catalogue
from goingdeeper.costs.counts import cost
from goingdeeper.edits import rename, replace_layer
from goingdeeper.layers import CLASSES, RELU, Conv, Dropout, GlobalAvgPool, Linear, MaxPool, sides
from goingdeeper.tables.describe import depth
from goingdeeper.trace import find, trace

NIN, DSN = catalogue.network("nin-cifar10"), catalogue.network("dsn-cifar10")

# Kernel, output, parameters.
TABLE = {
    "conv1": (5, (192, 32, 32), 14_592),
    "cccp1": (1, (160, 32, 32), 30_880),
    "cccp2": (1, (96, 32, 32), 15_456),
    "pool1": (3, (96, 16, 16), 0),
    "conv2": (5, (192, 16, 16), 460_992),
    "cccp3": (1, (192, 16, 16), 37_056),
    "cccp4": (1, (192, 16, 16), 37_056),
    "pool2": (3, (192, 8, 8), 0),
    "conv3": (3, (192, 8, 8), 331_968),
    "cccp5": (1, (192, 8, 8), 37_056),
    "cccp6": (1, (10, 8, 8), 1_930),
}


@pytest.mark.parametrize("network", [NIN, DSN], ids=lambda network: network.name)
@pytest.mark.parametrize("address", TABLE)
def test_every_row_of_the_fact_sheet(network, address: str, measure) -> None:
    kernel, shape, params = TABLE[address]
    layer, found = find(network, address), measure(network, address)
    assert (layer.kernel, found.shape, found.weights + found.biases) == (kernel, shape, params)
    if isinstance(layer, Conv):
        assert sides(layer) == (kernel // 2,) * 4 and layer.stride == 1
        assert found.macs == found.weights * shape[1] * shape[2]
    else:
        assert layer == MaxPool(3, stride=2, padding=0, ceil=True)


@pytest.mark.parametrize("network", [NIN, DSN], ids=lambda network: network.name)
def test_order_of_the_layers(network) -> None:
    assert [name for name, _ in network.layers] == [
        "conv1", "cccp1", "cccp2", "pool1", "dropout1",
        "conv2", "cccp3", "cccp4", "pool2", "dropout2",
        "conv3", "cccp5", "cccp6", "pool3",
    ]  # fmt: skip
    assert find(network, "dropout1") == find(network, "dropout2") == Dropout(0.5)
    assert find(network, "pool3") == GlobalAvgPool()


def test_nin_has_a_relu_on_its_scores_dsn_none() -> None:
    acts = {step.path: step.layer.act for step in trace(NIN) if isinstance(step.layer, Conv)}
    assert set(acts.values()) == {RELU}
    supervised = {step.path: step.layer.act for step in trace(DSN) if isinstance(step.layer, Conv)}
    assert supervised == {**acts, "cccp6": None}


def test_dsn_is_nin_but_for_that_and_its_companions() -> None:
    silent = replace_layer(NIN, "cccp6", Conv(CLASSES, 1, bias=True, act=None))
    assert rename(silent, "dsn-cifar10").layers == DSN.layers
    assert NIN.heads == ()


@pytest.mark.parametrize(
    ("conv", "shape", "params"),
    [
        ("conv1", (192, 32, 32), 1_966_090),
        ("conv2", (192, 16, 16), 491_530),
        ("conv3", (192, 8, 8), 122_890),
    ],
)
def test_companions(conv: str, shape: tuple[int, ...], params: int, measure) -> None:
    """On the flattened convolution, before its ReLU."""
    address = f"heads.{conv}.conv"
    [step] = [step for step in trace(DSN) if step.path == address]
    assert (step.shape_in, step.shape_out) == (shape, (10,))
    assert find(DSN, address) == Linear(CLASSES)
    assert sum(measure(DSN, address)[1:3]) == params


def test_the_training_graph() -> None:
    found = cost(DSN)
    assert [name for name, _ in DSN.heads] == ["conv1.conv", "conv2.conv", "conv3.conv"]
    assert (found.params, found.params_with_heads) == (966_986, 3_547_496)


@pytest.mark.parametrize("id", ["nin-cifar10", "dsn-cifar10"])
def test_initial_weights(id: str, begins) -> None:
    """N(0, 0.05); companions uniform in +-sqrt(3 / (10 n)) for n inputs; biases 0."""
    inputs = {"conv1": 192 * 32 * 32, "conv2": 192 * 16 * 16, "conv3": 192 * 8 * 8}
    for address, begin in begins(id).items():
        assert begin.bias == 0
        if address.startswith("heads."):
            bound = (3 / (10 * inputs[address.split(".")[1]])) ** 0.5
            assert begin.distribution == "uniform"
            assert begin.variance == pytest.approx(bound**2 / 3)
        else:
            assert begin.distribution == "normal"
            assert begin.variance == pytest.approx(0.05**2)


def test_nine_layers_deep() -> None:
    assert sum(depth(layer) for _, layer in NIN.layers) == 9
