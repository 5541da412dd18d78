"""FitNets against Romero et al. 2014, Tables 5 and 7, and the counts of their fact sheet."""

import pytest

from goingdeeper import catalogue
from goingdeeper.catalogue.fitnet import fitnet
from goingdeeper.costs.counts import total
from goingdeeper.layers import CLASSES, Conv, Linear, Maxout, MaxPool, Network, sides
from goingdeeper.tables.describe import depth
from goingdeeper.trace import find, trace

BOTH = ("fitnet-19", "fitnet-19-5pieces")

# Widths of the three stages, behind which maps are pooled 2x2, 2x2 and whole.
FITNETS = {
    1: ((16, 16, 16), (32, 32, 32), (48, 48, 64)),
    2: ((16, 32, 32), (48, 64, 80), (96, 96, 128)),
    3: ((32, 48, 64, 64), (80,) * 4, (128,) * 3),
    4: ((32, 32, 32, 48, 48), (80,) * 6, (128,) * 6),
}


def numbered(number: int) -> Network:
    return fitnet(f"fitnet-{number}", tuple(zip(FITNETS[number], (2, 2, 8), strict=True)), pieces=2)


@pytest.mark.parametrize(
    ("number", "weights", "millions"),
    [(1, 249_576, 30.15), (2, 861_928, 107.8), (4, 2_544_712, 381.7)],
)
def test_two_pieces_reproduce_the_published_counts(number: int, weights: int, millions: float) -> None:
    """Table 5: 250K and 30 M, 862K and 108 M, 2.5M and 382 M."""
    found = total(trace(numbered(number)))
    assert found.weights == weights
    assert found.macs / 1e6 == pytest.approx(millions, abs=0.06)


def test_fitnet_3_s_printed_counts_match_neither_reading() -> None:
    """Table 5 prints 1.6M and 392 M."""
    found = total(trace(numbered(3)))
    assert (round(found.weights / 1e6, 2), round(found.macs / 1e6)) == (1.50, 324)


@pytest.mark.parametrize("id", BOTH)
def test_fitnet_19_is_the_fourth(id: str) -> None:
    network = catalogue.network(id)
    out = {step.path: step.shape_out for step in trace(network)}
    for stage, (widths, side) in enumerate(zip(FITNETS[4], (32, 16, 8), strict=True), start=1):
        for index, width in enumerate(widths, start=1):
            conv = find(network, f"conv{stage}_{index}")
            assert conv == Conv(width, 3, bias=True, act=Maxout(2))
            assert sides(conv) == (1, 1, 1, 1)
            assert out[f"conv{stage}_{index}"] == (width, side, side)
        window = (2, 2, 8)[stage - 1]
        assert find(network, f"pool{stage}") == MaxPool(window, stride=window, padding=0)
    assert out["pool3"] == (128, 1, 1)
    assert sum(isinstance(step.layer, Conv) for step in trace(network)) == 17


@pytest.mark.parametrize(("id", "pieces", "weights"), [(BOTH[0], 2, 2_544_712), (BOTH[1], 5, 2_736_712)])
def test_the_fully_connected_layer_has_two_pieces_or_five(
    id: str, pieces: int, weights: int, measure
) -> None:
    network = catalogue.network(id)
    assert find(network, "fc1") == Linear(500, act=Maxout(pieces))
    assert measure(network, "fc1")[:3] == ((500,), 128 * 500 * pieces, 500 * pieces)
    assert find(network, "fc2") == Linear(CLASSES)
    assert total(trace(network)).weights == weights


@pytest.mark.parametrize("id", BOTH)
def test_nineteen_layers_deep(id: str) -> None:
    assert sum(depth(layer) for _, layer in catalogue.network(id).layers) == 19


@pytest.mark.parametrize("id", BOTH)
def test_initial_weights(id: str, begins) -> None:
    for begin in begins(id).values():
        assert (begin.distribution, begin.bias) == ("uniform", 0)
        assert begin.variance == pytest.approx(0.005**2 / 3)
