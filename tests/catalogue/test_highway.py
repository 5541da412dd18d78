"""Highway networks against Srivastava et al. 2015, the release, and the counts of their fact sheet."""

from itertools import pairwise

import pytest

from goingdeeper import catalogue
from goingdeeper.layers import (
    CLASSES,
    RELU,
    Conv,
    Dropout,
    GlobalAvgPool,
    Highway,
    Linear,
    MaxPool,
    Sigmoid,
    sides,
)
from goingdeeper.tables.describe import depth
from goingdeeper.trace import find, trace

IDS = ("highway-19", "highway-19-fc", "highway-32")
THREE = 3, 3, 3, 3, 3
ALTERNATING = 1, 3, 1, 3, 1, 3, 1, 3, 1
# Of each stage: width, kernels of its highway layers, side of its maps.
STAGES = {
    "highway-19": ((32, THREE[:4], 32), (80, THREE, 16), (128, THREE, 8)),
    "highway-19-fc": ((32, THREE[:4], 32), (80, THREE, 16), (128, THREE, 8)),
    "highway-32": ((32, ALTERNATING, 32), (64, ALTERNATING, 16), (96, ALTERNATING, 8)),
}


@pytest.mark.parametrize("id", IDS)
def test_stages(id: str) -> None:
    network = catalogue.network(id)
    out = {step.path: step.shape_out for step in trace(network)}
    for stage, (width, kernels, side) in enumerate(STAGES[id], start=1):
        assert find(network, f"conv{stage}_1") == Conv(width, 3, bias=True)
        for index, kernel in enumerate(kernels, start=2):
            layer = find(network, f"conv{stage}_{index}")
            assert layer == Highway(
                transform=Conv(width, kernel, bias=True, act=RELU),
                gate=Conv(width, kernel, bias=True, act=Sigmoid()),
            )
            assert sides(layer.transform) == (kernel // 2,) * 4
            assert out[f"conv{stage}_{index}"] == (width, side, side)
        assert f"conv{stage}_{len(kernels) + 2}" not in out
    for stage in (1, 2):
        assert find(network, f"pool{stage}") == MaxPool(2, stride=2, padding=0)


@pytest.mark.parametrize(
    ("id", "places"),
    [
        ("highway-19", ["dropout", "dropout1", "dropout2", "dropout3"]),
        ("highway-19-fc", ["dropout", "dropout1", "dropout2"]),  # the sheet's head has none
        ("highway-32", ["dropout", "dropout1", "dropout2", "dropout3"]),
    ],
)
def test_dropout_on_the_image_behind_both_pools_and_in_front_of_the_classifier(
    id: str, places: list[str]
) -> None:
    network = catalogue.network(id)
    names = [name for name, _ in network.layers]
    assert [name for name in names if "dropout" in name] == places
    assert all(find(network, name) == Dropout(0.2) for name in names if "dropout" in name)
    before = [name for name, after in pairwise(names) if "dropout" in after]
    assert names[0] == "dropout"
    assert before == ["pool1", "pool2", "pool3"][: len(places) - 1]


# Parameters of one layer of each kind.
PARTS = {
    "conv1_1": 896, "conv1_2": 18_496, "conv1_5": 18_496,
    "conv2_1": 23_120, "conv2_2": 115_360, "conv2_6": 115_360,
    "conv3_1": 92_288, "conv3_2": 295_168, "conv3_6": 295_168,
}  # fmt: skip


@pytest.mark.parametrize("id", ["highway-19", "highway-19-fc"])
@pytest.mark.parametrize("address", PARTS)
def test_parts_of_highway_19(id: str, address: str, measure) -> None:
    assert sum(measure(id, address)[1:3]) == PARTS[address]


@pytest.mark.parametrize("id", ["highway-19", "highway-32"])
def test_the_averaging_head(id: str, measure) -> None:
    network = catalogue.network(id)
    assert find(network, "conv4") == Conv(100, 1, bias=True)
    assert find(network, "pool3") == GlobalAvgPool()
    assert find(network, "fc") == Linear(CLASSES)
    assert sum(measure(network, "fc")[1:3]) == 1010
    if id == "highway-19":
        assert sum(measure(network, "conv4")[1:3]) == 12_900


def test_the_fully_connected_head(measure) -> None:
    network = catalogue.network("highway-19-fc")
    assert find(network, "pool3") == MaxPool(8, stride=8, padding=0)
    assert find(network, "fc1") == Linear(500, act=RELU)
    assert measure(network, "fc1")[:3] == ((500,), 128 * 500, 500)
    assert find(network, "fc2") == Linear(CLASSES)


def test_highway_19_and_fitnet_19_have_the_same_addresses_but_for_gates() -> None:
    """Table 1 compares the two; the fully connected head is FitNet's."""
    names = {name for name, _ in catalogue.network("highway-19-fc").layers if "dropout" not in name}
    assert names == {name for name, _ in catalogue.network("fitnet-19").layers}


def test_highway_32_alternates_3x3_and_1x1() -> None:
    for stage in (1, 2, 3):
        network = catalogue.network("highway-32")
        layers = [find(network, f"conv{stage}_{index}") for index in range(1, 11)]
        kernels = [layer.transform.kernel if isinstance(layer, Highway) else layer.kernel for layer in layers]
        assert kernels == [3, 1] * 5


@pytest.mark.parametrize("id", IDS)
def test_the_name_counts_the_layers(id: str) -> None:
    """A highway layer is one, although it has two convolutions."""
    assert sum(depth(layer) for _, layer in catalogue.network(id).layers) == int(id.split("-")[1])


@pytest.mark.parametrize("id", IDS)
def test_initial_weights(id: str, begins) -> None:
    """The release: sqrt(2 / fan-in), N(0, 0.05) in the first and the fully connected ones; gates at -2."""
    for address, begin in begins(id).items():
        assert begin.distribution == "normal"
        assert begin.bias == (-2 if address.endswith(".gate") else 0)
    found = begins(id)
    width = STAGES[id][0][0]
    for address in [name for name in found if name.startswith("fc")] + ["conv1_1"]:
        assert found[address].variance == pytest.approx(0.05**2)
    kernel = STAGES[id][0][1][0]
    for address in ("conv1_2.transform", "conv1_2.gate"):
        assert found[address].variance == pytest.approx(2 / (kernel**2 * width))
    assert found["conv2_1"].variance == pytest.approx(2 / (9 * width))
