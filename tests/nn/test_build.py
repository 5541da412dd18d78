"""Built networks against the published counts and sizes, and what they take and refuse."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

import goingdeeper as gd
from goingdeeper import catalogue
from goingdeeper.errors import DescriptionError, ShapeError, UsageError
from goingdeeper.layers import (
    CLASSES,
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Identity,
    Layer,
    Linear,
    MaxPool,
    Network,
    Residual,
)
from goingdeeper.nn.build import Net, build, create_model
from goingdeeper.published import figures
from goingdeeper.trace import find, replace_classes, replace_input, trace

NETWORKS = catalogue.names()


def slow_if_huge(id: str) -> object:
    return pytest.param(id, marks=pytest.mark.slow) if "1202" in id else id


@lru_cache(maxsize=8)
def shell(network: Network) -> Net:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return Net(network)


def nothing(network: Network, count: int = 1) -> torch.Tensor:
    return torch.empty(count, *network.input, device="meta")


def small(layers: dict[str, Layer]) -> Network:
    return Network("small", {**layers, "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}, (), (3, 8, 8), 4)


@pytest.mark.parametrize("id", [slow_if_huge(id) for id in NETWORKS])
def test_torch_counts_the_published_operations_and_parameters(id):
    net, published = shell(catalogue.network(id)), figures(id)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        logits = net.eval()(nothing(net.description))
    assert counter.get_total_flops() == 2 * published.macs
    trunk = sum(value.numel() for name, value in net.named_parameters() if not name.startswith("heads."))
    assert trunk == published.params
    assert logits.shape == (1, published.classes)


def test_torch_counts_the_published_operations_of_the_heads():
    net, published = shell(catalogue.network("googlenet")), figures("googlenet")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval().tap(nothing(net.description), ["heads.4a", "heads.4d"])
    assert counter.get_total_flops() == 2 * published.macs_with_heads == 2 * 1_591_044_096
    assert sum(value.numel() for value in net.parameters()) == published.params_with_heads
    for name, params in (("4a", 3_188_840), ("4d", 3_190_888)):
        assert sum(value.numel() for value in net.heads.get_submodule(name).parameters()) == params


@pytest.mark.parametrize("id", [slow_if_huge(id) for id in NETWORKS])
def test_forward_gives_logits_in_training_too(id):
    net = shell(catalogue.network(id)).train()
    logits = net(nothing(net.description, 2))
    assert type(logits) is torch.Tensor
    assert logits.shape == (2, figures(id).classes)


GOOGLENET = {
    "conv1": (64, 112), "pool1": (64, 56), "norm1": (64, 56), "conv2.reduce": (64, 56), "conv2": (192, 56),
    "norm2": (192, 56), "pool2": (192, 28), "3a": (256, 28), "3b": (480, 28), "pool3": (480, 14),
    "4a": (512, 14), "4b": (512, 14), "4c": (512, 14), "4d": (528, 14), "4e": (832, 14), "pool4": (832, 7),
    "5a": (832, 7), "5b": (1024, 7), "pool5": (1024, 1), "heads.4a.pool": (512, 4), "heads.4d.conv": (128, 4),
}  # fmt: skip
STEM = {"conv1": (64, 112), "pool1": (64, 56)}
BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def ends(counts: tuple[int, ...], filters: int, side: int) -> dict[str, tuple[int, int]]:
    """Each stage's last block: twice the filters on half the map of the one before."""
    names = (f"conv{stage}_{count}" for stage, count in enumerate(counts, start=2))
    return {name: (filters << i, side >> i) for i, name in enumerate(names)}


SIZES = {"googlenet": GOOGLENET}
for depth, counts in BASIC.items():
    for id in (f"plain-{depth}", *(f"resnet-{depth}-{option}" for option in "abc")):
        SIZES[id] = STEM | ends(counts, 64, 56)
for depth, counts in BOTTLENECK.items():
    for id in (f"resnet-{depth}", f"resnet-{depth}-v1.5", f"resnet-{depth}-c"):
        SIZES[id] = STEM | ends(counts, 256, 56)
for depth in (20, 32, 44, 56, 110, 1202):
    n = (depth - 2) // 6
    for id in (f"cifar-plain-{depth}", *(f"cifar-resnet-{depth}-{option}" for option in "abc")):
        SIZES[id] = {"conv1": (16, 32)} | ends((n, n, n), 16, 32)
SIZES["resnet-50-signs"] = {
    "conv1": (64, 32), "pool1": (64, 15), "conv2_3": (256, 15), "conv3_1": (512, 8), "conv3_4": (512, 8),
    "conv4_6": (1024, 4), "conv5_3": (2048, 2), "pool5": (2048, 1),
}  # fmt: skip


@pytest.mark.parametrize("id", [slow_if_huge(id) for id in SIZES])
def test_maps_have_the_papers_sizes(id):
    net = shell(catalogue.network(id)).eval()
    _, found = net.tap(nothing(net.description), SIZES[id])
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        name: (1, channels, side, side) for name, (channels, side) in SIZES[id].items()
    }


def test_every_family_has_its_sizes_checked():
    assert set(NETWORKS) - set(SIZES) == {"googlenet-naive", "googlenet-separable-stem"}


@pytest.mark.parametrize("id", ["googlenet", "resnet-34-b", "resnet-50-signs", "cifar-plain-20"])
def test_keys_of_the_weights_are_addresses(id):
    network = catalogue.network(id)
    for key in shell(network).state_dict():
        address, part, _ = (*key.rsplit(".", 2), "")[:3]
        if part not in ("conv", "norm"):
            address = key.rpartition(".")[0]
        assert isinstance(find(network, address), Conv | Linear)


SIDES, WINDOW = st.tuples(*[st.integers(0, 2)] * 4), st.tuples(st.integers(1, 5), st.integers(1, 5))


@settings(deadline=None, max_examples=400)
@given(
    kind=st.sampled_from((Conv, MaxPool, AvgPool)),
    kernel=WINDOW,
    stride=st.integers(1, 4),
    padding=st.none() | st.integers(0, 2) | SIDES,
    ceil=st.booleans(),
    count_padding=st.booleans(),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_any_window_gives_the_shape_that_was_traced(kind, kernel, stride, padding, ceil, count_padding, size):
    """And only numbers: no window may lie in the padding alone."""
    options = {
        Conv: {"filters": 4},
        MaxPool: {"ceil": ceil},
        AvgPool: {"ceil": ceil, "count_padding": count_padding},
    }
    try:
        layer = kind(kernel=kernel, stride=stride, padding=padding, **options[kind])
        network = Network("one", {"it": layer, "fc": Linear(CLASSES)}, input=(2, *size), classes=3)
        expected = trace(network)[0].shape_out
    except DescriptionError:
        return
    _, found = build(network).tap(torch.randn(2, 2, *size), ["it"])
    assert tuple(found["it"].shape[1:]) == expected
    assert found["it"].isfinite().all()


@pytest.mark.parametrize(
    ("id", "input", "classes"),
    [
        ("cifar-resnet-20-a", (3, 8, 8), 2),
        ("cifar-resnet-20-b", (1, 41, 33), 1),
        ("cifar-plain-20", (3, 5, 64), 100),
        ("resnet-18-a", (3, 33, 33), 7),
        ("resnet-18-c", (4, 50, 21), 3),
        ("plain-18", (3, 32, 32), 1),
        ("googlenet", (3, 100, 81), 11),
        ("resnet-50-signs", (3, 65, 80), 24),
    ],
)
def test_any_input_and_class_count(id, input, classes):
    net = build(replace_classes(replace_input(catalogue.network(id), input), classes))
    addresses = [f"heads.{name}" for name in dict(net.description.heads)]
    logits, heads = net.tap(torch.randn(2, *input), addresses)
    for value in (logits, *heads.values()):
        assert value.shape == (2, classes)
        assert value.isfinite().all()


@pytest.mark.parametrize(
    ("id", "smallest"),
    # GoogLeNet's heads pool 5x5 from 4a's map: 79 > 40 > 20 > 10 > 5. The signs network pools 2x2 at the
    # end: 37 > 19 > 9 > 9 > 5 > 3 > 2.
    [("googlenet", 79), ("googlenet-naive", 79), ("googlenet-separable-stem", 79), ("resnet-50-signs", 37)],
)
def test_too_small_an_input_is_refused_naming_the_smallest(id, smallest):
    network = catalogue.network(id)
    fitting = replace_input(network, (3, smallest, smallest))
    assert shell(fitting).eval()(nothing(fitting)).shape == (1, network.classes)
    with pytest.raises(ShapeError, match=f"smallest input it takes is {smallest}x{smallest}"):
        build(replace_input(network, (3, smallest - 1, smallest - 1)))


def test_the_smallest_input_really_runs():
    for id, smallest in (("resnet-50-signs", 37), ("googlenet", 79)):
        net = create_model(id, size=smallest, num_classes=2)
        addresses = [f"heads.{name}" for name in dict(net.description.heads)]
        logits, heads = net.tap(torch.randn(2, 3, smallest, smallest), addresses)
        assert all(value.isfinite().all() and value.shape == (2, 2) for value in (logits, *heads.values()))


def test_create_model_takes_what_people_know():
    net = create_model("googlenet", num_classes=5, in_chans=1, drop_rate=0.25, size=96)
    assert (net.description.classes, net.description.input) == (5, (1, 96, 96))
    assert net.get_submodule("dropout").p == 0.25
    assert net.get_submodule("heads.4a.dropout").p == 0.7
    assert net(torch.zeros(1, 1, 96, 96)).shape == (1, 5)
    assert create_model("cifar-resnet-20-a").description == catalogue.network("cifar-resnet-20-a")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"num_classes": 0}, "num_classes is 0; at least 1 is needed"),
        ({"in_chans": 0}, r"input \(0, 224, 224\)"),
        ({"size": 0}, r"input \(3, 0, 0\)"),
        ({"size": -5}, r"input \(3, -5, -5\)"),
        ({"drop_rate": 1.5}, "rate is 1.5; it must be at most 1"),
        ({"size": 70}, "the smallest input it takes is 79x79"),
    ],
)
def test_create_model_refuses_what_cannot_be(options, what):
    with pytest.raises(UsageError, match=what):
        create_model("googlenet", **options)


def test_an_unknown_name_suggests_close_ones():
    with pytest.raises(UsageError, match=r"unknown network 'resnet50'; did you mean .*resnet-50"):
        create_model("resnet50")


@pytest.mark.parametrize(
    ("id", "shape"),
    [("googlenet", (1024, 7, 7)), ("resnet-50", (2048, 7, 7)), ("cifar-resnet-20-a", (64, 8, 8))],
)
def test_features_are_the_last_map(id, shape):
    net = shell(catalogue.network(id)).eval()
    assert tuple(net.forward_features(nothing(net.description)).shape[1:]) == shape


@pytest.mark.parametrize("name", ["tap", "forward_features", "run_parts", "description"])
def test_a_layer_cannot_take_a_name_that_the_module_uses(name):
    with pytest.raises(DescriptionError, match=f"'{name}' cannot be a layer's name: modules use it"):
        build(small({name: Conv(3, 3)}))


@pytest.mark.parametrize("make", [Chain, Concat, lambda names: Residual(names, Identity())])
@pytest.mark.parametrize("name", ["tap", "description", "relu", "conv", "parts", "classes", "bias"])
def test_other_names_are_free_inside_blocks(make, name):
    net = build(small({"block": make({name: Conv(3, 3)})}))
    assert net(torch.zeros(1, 3, 8, 8)).shape == (1, 4)


def test_batch_norm_without_scale():
    net = build(small({"conv": Conv(4, 3, norm=BatchNorm(eps=1e-3, scale=False))}))
    assert [name for name in net.state_dict() if name.startswith("conv.norm")] == [
        f"conv.norm.{name}" for name in ("bias", "running_mean", "running_var", "num_batches_tracked")
    ]
    images = torch.randn(16, 3, 8, 8)
    _, found = net.tap(images, ["conv.conv", "conv.norm"])
    values = found["conv.conv"]
    mean, var = values.mean((0, 2, 3), keepdim=True), values.var((0, 2, 3), keepdim=True, unbiased=False)
    torch.testing.assert_close(found["conv.norm"], (values - mean) / (var + 1e-3).sqrt())
    assert gd.cost(net.description).params == sum(value.numel() for value in net.parameters())


@pytest.mark.parametrize("id", ["cifar-resnet-20-b", "googlenet", "resnet-50-signs"])
def test_memory_format_and_batch_size_do_not_change_the_logits(id, real_images):
    size = {"googlenet": 96, "cifar-resnet-20-b": 32, "resnet-50-signs": 64}[id]
    net = create_model(id, size=size, num_classes=10)
    images, _ = real_images(12, size)
    with torch.no_grad():
        net(images)  # batch norm now has statistics of its own
        net.eval()
        whole = net(images)
        parts = torch.cat([net(part) for part in images.split([1, 4, 7])])
        other = net.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    tolerance = 1e-5 * max(1.0, float(whole.abs().max()))
    torch.testing.assert_close(parts, whole, rtol=0, atol=tolerance)
    torch.testing.assert_close(other, whole, rtol=0, atol=tolerance)


def test_dropout_acts_in_training_alone():
    net = build(small({"drop": Dropout(0.5)}))
    ones = torch.ones(4, 3, 8, 8)
    _, found = net.train().tap(ones, ["drop"])
    assert set(found["drop"].unique().tolist()) == {0.0, 2.0}
    _, found = net.eval().tap(ones, ["drop"])
    assert torch.equal(found["drop"], ones)
