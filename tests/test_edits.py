"""Variants as edits: what changes, what stays, and the papers' facts about both."""

import pytest

from goingdeeper import catalogue, edits
from goingdeeper.costs.counts import cost
from goingdeeper.errors import DescriptionError, UsageError
from goingdeeper.layers import CLASSES, Chain, Concat, Conv, Dropout, Identity, Layer, Linear, Residual
from goingdeeper.trace import find, trace


@pytest.mark.parametrize(
    ("residual", "plain"),
    [("resnet-18-a", "plain-18"), ("resnet-34-a", "plain-34"), ("cifar-resnet-56-a", "cifar-plain-56")],
)
def test_a_plain_network_is_its_residual_counterpart_without_shortcuts(residual: str, plain: str) -> None:
    """He et al. 2015, section 3.3: the same layers, and with option A the same cost."""
    edited = edits.without_shortcuts(catalogue.network(residual))
    assert edited == edits.rename(catalogue.network(plain), residual)
    assert cost(edited) != cost(catalogue.network("resnet-34-b"))
    assert (cost(edited).params, cost(edited).macs) == (
        cost(catalogue.network(residual)).params,
        cost(catalogue.network(residual)).macs,
    )


def test_addresses_survive_when_shortcuts_go() -> None:
    residual = catalogue.network("resnet-34-b")
    gone = {s.path for s in trace(residual)} - {s.path for s in trace(edits.without_shortcuts(residual))}
    assert gone == {s.path for s in trace(residual) if s.path.endswith(".shortcut")}


def test_the_last_convolution_gets_its_relu_back() -> None:
    block = Residual({"conv1": Conv(8, 3), "conv2": Conv(8, 3, act=None)}, Identity())
    assert edits.plain(block) == Chain({"conv1": Conv(8, 3), "conv2": Conv(8, 3)})
    linear = Residual({"conv1": Conv(8, 3, act=None)}, Identity(), act=None)
    assert edits.plain(linear) == Chain({"conv1": Conv(8, 3, act=None)})


def test_a_block_without_a_convolution_for_the_relu_is_refused() -> None:
    block = Residual({"conv": Conv(8, 3), "dropout": Dropout(0.5)}, Identity())
    with pytest.raises(DescriptionError, match="'dropout' ends a residual block but is no convolution"):
        edits.plain(block)


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_the_stride_moves_once(depth: int) -> None:
    moved = edits.stride_on_3x3(catalogue.network(f"resnet-{depth}"))
    assert edits.rename(moved, "later") == edits.rename(catalogue.network(f"resnet-{depth}-v1.5"), "later")
    assert edits.stride_on_3x3(moved) == moved


@pytest.mark.parametrize("id", ["resnet-34-b", "plain-34", "googlenet"])
def test_networks_without_bottlenecks_have_no_v1_5(id: str) -> None:
    assert edits.stride_on_3x3(catalogue.network(id)) == catalogue.network(id)


def test_heads_go_for_deployment() -> None:
    network = catalogue.network("googlenet")
    deployed = edits.without_heads(network)
    assert deployed.heads == ()
    assert deployed.layers == network.layers
    assert cost(deployed).params_with_heads == 6_998_552


def test_a_top_level_layer_is_exchanged_in_its_place() -> None:
    network = catalogue.network("googlenet")
    wider = edits.replace_layer(network, "conv1", Conv(64, 7, stride=2, bias=True, groups=1, act=None))
    assert [name for name, _ in wider.layers] == [name for name, _ in network.layers]
    assert find(wider, "conv1") != find(network, "conv1")
    assert wider.layers[1:] == network.layers[1:]


def test_exchanging_an_unknown_layer_suggests() -> None:
    with pytest.raises(UsageError, match="unknown layer of googlenet: 'con1'; did you mean conv1"):
        edits.replace_layer(catalogue.network("googlenet"), "con1", Identity())


@pytest.mark.parametrize("id", ["googlenet", "resnet-50", "cifar-resnet-20-c"])
def test_rewriting_with_nothing_changes_nothing(id: str) -> None:
    assert edits.rewrite(catalogue.network(id), lambda layer: layer) == catalogue.network(id)


def test_rewriting_goes_from_the_inside_out() -> None:
    seen: list[type[Layer]] = []

    def look(layer: Layer) -> Layer:
        seen.append(type(layer))
        return layer

    inner = Residual({"conv": Conv(8, 1, act=None)}, Identity())
    edits.rewrite_layer(Concat({"a": {"block": inner}, "b": Linear(CLASSES)}), look)
    assert seen == [Conv, Identity, Residual, Chain, Linear, Concat]


def test_rewriting_leaves_heads_alone() -> None:
    network = catalogue.network("googlenet")
    edited = edits.rewrite(network, lambda layer: Identity() if isinstance(layer, Conv) else layer)
    assert edited.heads == network.heads
    assert edited.layers != network.layers


def test_naive_modules_have_no_reductions_and_no_projections() -> None:
    """Szegedy et al. 2014, Figure 2(a)."""
    names = {
        step.path.split(".", 1)[-1]
        for step in trace(catalogue.network("googlenet-naive"))
        if step.path[0] in "345"
    }
    assert {"1x1", "3x3.conv", "5x5.conv", "pool.max"} <= names
    assert not any(name.endswith(("reduce", "proj")) for name in names)
