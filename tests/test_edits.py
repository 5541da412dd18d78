"""Variants as edits: what changes, what stays, and the papers' facts about both."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goingdeeper import catalogue, edits
from goingdeeper.costs.counts import cost
from goingdeeper.errors import DescriptionError, UsageError
from goingdeeper.layers import (
    CLASSES,
    LRN,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Dropout,
    Highway,
    Identity,
    Layer,
    Linear,
    MaxPool,
    Network,
    Residual,
    Sigmoid,
    ZeroPad,
)
from goingdeeper.trace import find, trace

GROUPED = [
    id
    for id in catalogue.names()
    if any(isinstance(step.layer, Conv) and step.layer.groups > 1 for step in trace(catalogue.network(id)))
]
QUICK = [id for id in catalogue.names() if "1202" not in id]


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
    seen.clear()
    edits.rewrite_layer(Highway(Conv(8, 3), Conv(8, 3, act=Sigmoid())), look)
    assert seen == [Conv, Conv, Highway]


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


def test_layers_of_a_kind_go_and_the_others_stay_in_order() -> None:
    network = catalogue.network("googlenet")
    gone = [name for name, layer in network.layers if isinstance(layer, LRN)]
    assert gone == ["norm1", "norm2"]
    assert edits.without(network, LRN).layers == tuple(one for one in network.layers if one[0] not in gone)
    assert edits.without(network, LRN).heads == network.heads
    assert edits.without(network, ZeroPad) == network
    inside = {name for name, layer in edits.without(network, MaxPool).layers if isinstance(layer, Concat)}
    assert find(edits.without(network, MaxPool), "3a.pool.max") == MaxPool(3)
    assert inside == {"3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"}


def test_batch_norm_goes_in_front_of_every_activation_of_the_trunk() -> None:
    norm = BatchNorm(eps=0.01, scale=False)
    network = catalogue.network("googlenet")
    edited = edits.with_batch_norm(network, norm)
    for step in trace(edited):
        if isinstance(step.layer, Conv) and not step.path.startswith("heads."):
            before = find(network, step.path)
            assert (step.layer.norm, step.layer.bias) == (norm, False)
            assert (step.layer.filters, step.layer.kernel, step.layer.act) == (
                before.filters,
                before.kernel,
                before.act,
            )
        elif isinstance(step.layer, Linear):
            assert step.layer == find(network, step.path)
    assert edited.heads == network.heads


def widths(network: Network) -> dict[str, int]:
    """Of every layer that has one of its own and does not classify."""
    found = {}
    for step in trace(network):
        match step.layer:
            case Conv(filters=width) | Linear(features=width) | ZeroPad(filters=width):
                if width != CLASSES:
                    found[step.path] = width
    return found


@pytest.mark.parametrize("id", catalogue.names())
def test_once_as_wide_is_the_same(id: str) -> None:
    assert edits.widen(catalogue.network(id), 1) == catalogue.network(id)


@pytest.mark.parametrize("id", catalogue.names())
def test_twice_as_wide_has_every_width_doubled(id: str) -> None:
    network = catalogue.network(id)
    before, after = widths(network), widths(edits.widen(network, 2))
    assert after == {path: 2 * width for path, width in before.items()}
    assert [s.path for s in trace(edits.widen(network, 2))] == [s.path for s in trace(network)]


@pytest.mark.parametrize("factor", [0.5, 1.3, 1.5])
@pytest.mark.parametrize("id", QUICK)
def test_widths_follow_the_factor(id: str, factor: float) -> None:
    """Exactly where the product is a whole number of groups, else to the nearest."""
    network = catalogue.network(id)
    before, after = widths(network), widths(edits.widen(network, factor))
    for path, width in before.items():
        assert abs(after[path] - factor * width) <= (1.5 if id in GROUPED else 0.5), path


@given(st.sampled_from(QUICK), st.floats(0.05, 3))
def test_shapes_meet_at_any_factor(id: str, factor: float) -> None:
    """Shortcuts, highway layers and groups stay consistent; only the classifiers keep their width."""
    network = catalogue.network(id)
    wider = edits.widen(network, factor)
    steps = trace(wider)
    assert steps[-1].shape_out[0] == network.classes
    assert [name for name, _ in wider.heads] == [name for name, _ in network.heads]
    for step in steps:
        if isinstance(step.layer, Conv):
            assert step.layer.groups == find(network, step.path).groups


@given(st.floats(0.05, 3))
def test_towers_stay_towers(factor: float) -> None:
    """What feeds two groups divides by two, too, though it has but one group itself."""
    assert {"alexnet", "googlenet-separable-stem"} <= set(GROUPED)
    wider = widths(edits.widen(catalogue.network("alexnet"), factor))
    assert not any(wider[f"conv{layer}"] % 2 for layer in range(1, 6))


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf])
def test_factors_that_make_no_network_are_refused(factor: float) -> None:
    with pytest.raises(DescriptionError, match=re.escape(f"googlenet cannot be made {factor} times as wide")):
        edits.widen(catalogue.network("googlenet"), factor)


def test_a_wider_googlenet_computes_heads_too() -> None:
    import torch

    from goingdeeper.nn.build import build
    from goingdeeper.trace import replace_input

    wider = edits.widen(replace_input(catalogue.network("googlenet"), (3, 80, 80)), 1.25)
    assert widths(wider)["heads.4d.fc1"] == 1280
    net = build(wider).eval()
    with torch.no_grad():
        logits, taps = net.tap(torch.zeros(2, 3, 80, 80), ["heads.4a", "heads.4d", "3a.5x5.reduce", "5b"])
    assert [tuple(one.shape) for one in (logits, taps["heads.4a"], taps["heads.4d"])] == [(2, 1000)] * 3
    assert (taps["3a.5x5.reduce"].shape[1], taps["5b"].shape[1]) == (20, 1280)


@pytest.mark.parametrize(
    "edit",
    [
        lambda given: edits.rename(given, "other"),
        edits.without_heads,
        lambda given: edits.rewrite(given, lambda layer: layer),
        lambda given: edits.without(given, LRN),
        lambda given: edits.with_batch_norm(given, BatchNorm()),
        lambda given: edits.widen(given, 2),
        lambda given: edits.widen(given, -1),
        lambda given: edits.replace_layer(given, "conv1", Identity()),
        edits.without_shortcuts,
        edits.stride_on_3x3,
    ],
)
def test_an_id_in_place_of_a_network_is_refused_with_the_way_to_one(edit) -> None:
    with pytest.raises(
        UsageError, match=r"^'vgg-16' is not a Network; take goingdeeper\.network\('vgg-16'\)$"
    ):
        edit("vgg-16")
    with pytest.raises(UsageError, match=r"^3 is not a Network; take one$"):
        edit(3)
