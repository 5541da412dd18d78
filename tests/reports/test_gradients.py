"""Which layers' gradients are drawn, and how."""

from __future__ import annotations

import math

import pytest

from goingdeeper import catalogue
from goingdeeper.layers import CLASSES, Conv, GlobalAvgPool, Linear, Network
from goingdeeper.reports.gradients import gradients
from goingdeeper.reports.plots import draw


def network(count: int) -> Network:
    layers = {f"conv{n}": Conv(4, 3) for n in range(1, count + 1)}
    heads = {"conv1": {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}}
    return Network("deep", {**layers, "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}, heads, (3, 8, 8), 3)


def rows(layers: dict[str, list[float]]) -> list[tuple[int, str, float]]:
    epochs = len(next(iter(layers.values())))
    return [(n + 1, name, norms[n]) for n in range(epochs) for name, norms in layers.items()]


def test_a_block_has_the_norm_of_all_its_weights_and_heads_have_no_line():
    trunk = {"conv1.conv": [3.0, 6.0], "conv1.norm": [4.0, 8.0], "fc": [1.0, 2.0]}
    (plot,) = gradients(rows(trunk | {"heads.conv1.fc": [9.0, 9.0]}), network(1), 2)
    assert [(line.label, line.values) for line in plot.lines] == [("conv1", (5.0, 10.0)), ("fc", (1.0, 2.0))]
    assert (plot.epochs, plot.best) == ((1.0, 2.0), 2)
    assert plot.unit == "L2 norm, log scale"
    assert "conv1 from 5 to 10, fc from 1 to 2" in plot.alternative


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, ["conv1", "fc"]),
        (4, ["conv1", "conv2", "conv3", "conv4", "fc"]),
        (8, ["conv1", "conv3", "conv5", "conv7", "fc"]),
        (100, ["conv1", "conv26", "conv51", "conv76", "fc"]),
    ],
)
def test_a_few_layers_are_drawn_from_the_first_to_the_last(count, expected):
    layers = {f"conv{n}.conv": [1.0] for n in range(count, 0, -1)} | {"fc": [1.0]}
    (plot,) = gradients(rows(layers), network(count), None)
    assert [line.label for line in plot.lines] == expected
    assert len({line.look for line in plot.lines}) == len(expected)


def test_of_googlenet_there_are_modules_in_order_of_depth():
    net = catalogue.network("googlenet")
    (plot,) = gradients([(1, f"{name}.conv", 1.0) for name, _ in net.layers if "pool" not in name], net, None)
    names = [name for name, _ in net.layers]
    drawn = [line.label for line in plot.lines]
    assert drawn == sorted(drawn, key=names.index)
    assert (drawn[0], drawn[-1]) == ("conv1", "fc")


def test_layers_that_did_not_train_and_gradients_of_0_are_gaps():
    """conv1 was frozen in the first epoch; conv2 is dead."""
    first = [(1, "fc", 1.0), (1, "conv2.conv", 0.0)]
    second = [(2, "conv1.conv", 1e-9), (2, "conv2.conv", 0.0), (2, "fc", 2.0)]
    (plot,) = gradients(first + second, network(2), None)
    assert [line.label for line in plot.lines] == ["conv1", "conv2 (0)", "fc"]
    frozen, dead, last = (line.values for line in plot.lines)
    assert math.isnan(frozen[0]) and frozen[1] == 1e-9
    assert all(map(math.isnan, dead))
    assert last == (1.0, 2.0)
    assert "conv1 from 1e-09 to 1e-09" in plot.alternative
    assert "conv2 (0) without a value" in plot.alternative
    assert "<svg" in draw(plot)


@pytest.mark.parametrize("norms", [[0.5], [0.5, 0.5], [1.0, 1.1], [1e-12, 1e3]])
def test_any_range_is_drawn(norms):
    (plot,) = gradients(rows({"conv1.conv": norms, "fc": norms}), network(1), None)
    assert plot.log
    assert "<svg" in draw(plot)


def test_nothing_is_drawn_without_rows():
    assert gradients([], network(2), None) == []
    assert gradients([(1, "heads.conv1.fc", 1.0)], network(2), None) == []
