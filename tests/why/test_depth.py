"""Networks of six depths, where their loss is least, and whether held-out images agree."""

import pytest

from goingdeeper.catalogue import network
from goingdeeper.layers import Residual
from goingdeeper.trace import trace
from goingdeeper.why.evidence import depth
from goingdeeper.why.evidence.layers import longest


def test_networks_are_as_deep_as_they_say():
    for kind in ("plain", "residual"):
        arms = depth.arms(kind)
        assert [longest(arm.network.layers) for arm in arms] == [8, 14, 20, 32, 44, 56]
        assert len({arm.network.name for arm in arms}) == 6
        has = {any(isinstance(layer, Residual) for _, layer in arm.network.layers) for arm in arms}
        assert has == {kind == "residual"}


@pytest.mark.parametrize("layers", [20, 32, 44, 56])
def test_published_depths_are_the_published_networks(layers):
    for kind, name in (("plain", f"cifar-plain-{layers}"), ("residual", f"cifar-resnet-{layers}-a")):
        (arm,) = (one for one in depth.arms(kind) if one.name == f"{kind} {layers}")
        assert arm.network == network(name)


def test_digits_are_small_and_other_images_are_not():
    assert {arm.size for arm in depth.arms("plain")} == {16}
    assert {arm.size for arm in depth.arms("plain", "photos")} == {None}
    assert trace(depth.arms("plain")[0].network)


def test_the_least_is_found_for_each_seed():
    losses = [[0.9, 0.5], [0.2, 0.4], [0.3, 0.4], [0.5, 0.3], [0.6, 0.2], [0.7, 0.1]]
    assert depth.shallowest_least(losses) == [14.0, 56.0]


def test_agreement_is_spearmans():
    """1 - 6 sum(d^2) / (n (n^2 - 1)), by hand: ranks 1 2 3 4 against 1 2 4 3, and against 4 3 2 1."""
    losses = [[0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.4, 0.4]]
    errors = [[1.0, 9.0], [2.0, 7.0], [4.0, 3.0], [3.0, 1.0]]
    assert depth.agreement(losses, errors) == pytest.approx([1 - 6 * 2 / 60, -1.0])
