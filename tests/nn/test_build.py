"""Built networks against the published counts and sizes, and what they take and refuse."""

from __future__ import annotations

import re
from functools import lru_cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import goingdeeper as gd
from goingdeeper import catalogue
from goingdeeper.errors import DescriptionError, ResourceError, ShapeError, UsageError
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
from goingdeeper.trace import find, replace_classes, replace_input, trace


@lru_cache(maxsize=8)
def shell(network: Network) -> Net:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return Net(network)


def nothing(network: Network, count: int = 1) -> torch.Tensor:
    return torch.empty(count, *network.input, device="meta")


def small(layers: dict[str, Layer]) -> Network:
    return Network("small", {**layers, "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}, (), (3, 8, 8), 4)


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
        ({"num_classes": 0}, "googlenet: 0 classes; at least 1 is needed"),
        ({"num_classes": -2}, "googlenet: -2 classes; at least 1 is needed"),
        ({"num_classes": "6"}, "classes is '6'; int is expected"),
        ({"num_classes": True}, "classes is True; int is expected"),
        ({"in_chans": None}, r"input \(None, 224, 224\) is not \(channels, height, width\)"),
        ({"in_chans": -1}, r"input \(-1, 224, 224\)"),
        ({"in_chans": 3.0}, r"input \(3.0, 224, 224\)"),
        ({"size": "96"}, r"input \(3, '96', '96'\)"),
        ({"size": (96, 96)}, r"input \(3, \(96, 96\), \(96, 96\)\)"),
        ({"size": 2**31}, r"input \(3, 2147483648, 2147483648\) is not \(channels, .* 1 to 2147483647"),
        ({"drop_rate": -0.1}, "rate is -0.1; it must be at least 0"),
        ({"drop_rate": "half"}, "rate is 'half'; float is expected"),
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


def test_a_drop_rate_for_a_network_without_dropout_is_refused():
    with pytest.raises(UsageError, match=r"^cifar-resnet-20-a has no dropout; leave drop_rate out$"):
        create_model("cifar-resnet-20-a", drop_rate=0.5)
    assert create_model("cifar-resnet-20-a", drop_rate=0.0)


@pytest.mark.parametrize(
    ("id", "options"),
    [
        ("vgg-16", {"size": 10**9}),
        ("vgg-16", {"size": 100_000}),
        ("cifar-resnet-20-a", {"in_chans": 2**31 - 1}),
        ("cifar-resnet-20-a", {"num_classes": 2**31 - 1}),
    ],
)
def test_weights_beyond_the_machines_memory_are_refused_before_they_are_made(id, options):
    with pytest.raises(
        ResourceError, match=rf"^{id} has [\d,]+ parameters: [\d,]+ GiB, more than this machine's"
    ):
        create_model(id, **options)


def test_an_unknown_name_suggests_close_ones():
    with pytest.raises(UsageError, match=r"unknown network 'resnet50'; did you mean .*resnet-50"):
        create_model("resnet50")


@pytest.mark.parametrize("make", [create_model, build])
@pytest.mark.parametrize("what", [3, None, ["vgg-16"], {}])
def test_what_is_neither_an_id_nor_a_description_is_refused(make, what):
    with pytest.raises(
        UsageError, match=f"^{re.escape(repr(what))} is not the id of a network; one is a text"
    ):
        make(what)


def test_an_id_builds_what_its_description_does():
    by_id, by_description = (
        build(what, seed=3) for what in ("nin-cifar10", catalogue.network("nin-cifar10"))
    )
    assert by_id.description == by_description.description
    for one, other in zip(by_id.parameters(), by_description.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("id", "shape"),
    [("googlenet", (1024, 7, 7)), ("resnet-50", (2048, 7, 7)), ("cifar-resnet-20-a", (64, 8, 8))],
)
def test_features_are_the_last_map(id, shape):
    net = shell(catalogue.network(id)).eval()
    assert tuple(net.forward_features(nothing(net.description)).shape[1:]) == shape


@pytest.mark.parametrize("name", ["tap", "forward_features", "in_turn", "description"])
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
