"""PReLU-nets against He et al. 2015, "Delving deep into rectifiers", Table 3, and their fact sheet."""

import pytest

from goingdeeper import catalogue
from goingdeeper.costs.counts import total
from goingdeeper.layers import Conv, Dropout, Linear, MaxPool, PReLU, SpatialPyramid, sides
from goingdeeper.tables.describe import depth
from goingdeeper.trace import find, trace

# Filters on the maps of 56, 28 and 14 pixels, and how many layers there are on each.
TABLE_3 = {
    "prelu-net-a": (5, (256, 512, 512)),
    "prelu-net-b": (6, (256, 512, 512)),
    "prelu-net-c": (6, (384, 768, 896)),
}


@pytest.mark.parametrize("id", TABLE_3)
def test_columns_of_table_3(id: str) -> None:
    count, widths = TABLE_3[id]
    network = catalogue.network(id)
    out = {step.path: step.shape_out for step in trace(network)}
    expected = ["conv1"]
    assert out["conv1"] == (96, 112, 112)
    for stage, (filters, side) in enumerate(zip(widths, (56, 28, 14), strict=True), start=2):
        expected += [f"pool{stage - 1}", *(f"conv{stage}_{index}" for index in range(1, count + 1))]
        assert find(network, f"pool{stage - 1}") == MaxPool(2, stride=2, padding=0)
        for name in expected[-count:]:
            conv = find(network, name)
            assert (conv.kernel, conv.filters, conv.stride, sides(conv)) == (3, filters, 1, (1, 1, 1, 1))
            assert out[name] == (filters, side, side)
    names = [name for name, _ in network.layers]
    assert names == [*expected, "spp", "fc1", "dropout1", "fc2", "dropout2", "fc3"]


@pytest.mark.parametrize("id", TABLE_3)
def test_the_first_layer_is_7x7_with_96_filters(id: str, measure) -> None:
    conv = find(catalogue.network(id), "conv1")
    assert (conv.kernel, conv.stride, sides(conv)) == (7, 2, (3, 3, 3, 3))
    assert measure(id, "conv1").weights == 7 * 7 * 3 * 96


@pytest.mark.parametrize(("id", "inputs"), list(zip(TABLE_3, (32_256, 32_256, 56_448), strict=True)))
def test_the_pyramid_has_63_bins_a_channel(id: str, inputs: int, measure) -> None:
    assert find(catalogue.network(id), "spp") == SpatialPyramid((7, 3, 2, 1))
    assert measure(id, "spp").shape == (inputs,)
    assert inputs == 63 * TABLE_3[id][1][-1]
    assert measure(id, "fc1").weights == inputs * 4096


@pytest.mark.parametrize(("id", "slopes"), list(zip(TABLE_3, (14_688, 15_968, 20_576), strict=True)))
def test_a_slope_a_channel_behind_every_hidden_layer(id: str, slopes: int) -> None:
    steps = [step for step in trace(catalogue.network(id)) if isinstance(step.layer, Conv | Linear)]
    assert [step.layer.act for step in steps] == [PReLU(0.25)] * (len(steps) - 1) + [None]
    assert total(steps).slopes == slopes


@pytest.mark.parametrize(("id", "billions"), list(zip(TABLE_3, (18.91, 23.07, 53.21), strict=True)))
def test_convolutions_alone(id: str, billions: float) -> None:
    macs = total(step for step in trace(catalogue.network(id)) if isinstance(step.layer, Conv)).macs
    assert round(macs / 1e9, 2) == billions


@pytest.mark.parametrize(
    ("id", "params"), list(zip(TABLE_3, (178_017_384, 183_327_080, 330_603_368), strict=True))
)
def test_parameters_without_slopes(id: str, params: int) -> None:
    found = total(trace(catalogue.network(id)))
    assert found.weights + found.biases == params


@pytest.mark.parametrize(("id", "layers"), list(zip(TABLE_3, (19, 22, 22), strict=True)))
def test_depth_of_table_3(id: str, layers: int) -> None:
    assert sum(depth(layer) for _, layer in catalogue.network(id).layers) == layers


@pytest.mark.parametrize("id", TABLE_3)
def test_half_of_the_first_two_fully_connected_layers_is_dropped(id: str) -> None:
    assert find(catalogue.network(id), "dropout1") == find(catalogue.network(id), "dropout2") == Dropout(0.5)


@pytest.mark.parametrize("id", TABLE_3)
def test_initial_weights(id: str, begins) -> None:
    """Equation 15: standard deviation sqrt(2 / ((1 + 0.25^2) k^2 c)), biases 0."""
    found = begins(id)
    assert {begin.distribution for begin in found.values()} == {"normal"}
    assert {begin.bias for begin in found.values()} == {0}
    for name, inputs in (("conv1", 7 * 7 * 3), ("conv2_1", 9 * 96), ("fc2", 4096)):
        assert found[name].variance == pytest.approx(2 / (1.0625 * inputs))
