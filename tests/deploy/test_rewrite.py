"""Rewrites: descriptions by hand-worked counts, and the logits of the network that was given."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.deploy import rewrite as r
from goingdeeper.deploy.scale import fold_scale
from goingdeeper.layers import (
    AvgPool,
    BatchNorm,
    Bias,
    Chain,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Linear,
    Network,
    PReLU,
    Residual,
    Slice,
)
from goingdeeper.nn.build import Net
from goingdeeper.trace import trace

SMALL = [name for name in catalogue.names() if "1202" not in name]
SLOW = [name for name in SMALL if name.startswith(("vgg", "prelu", "alexnet", "googlenet-naive"))]


def filled(network, state):
    with torch.device("meta"):
        net = Net(network)
    net.load_state_dict(state, assign=True)
    return net.eval()


def logits(net, images):
    with torch.inference_mode():
        return net(images)


@pytest.fixture
def assert_same(trained):
    return partial(_assert_same, trained)


def _assert_same(trained, network, rewrites=r.ALL, within=1e-5):
    """The rewritten network with equal logits, to a part of the largest."""
    net = trained(network)
    images = torch.randn(2, *network.input, generator=torch.Generator().manual_seed(1))
    made, state = r.rewritten(network, net.state_dict(), rewrites)
    expected, found = logits(net, images), logits(filled(made, state), images)
    assert expected.abs().max() > 0
    assert (expected - found).abs().max() <= within * expected.abs().max()
    return made


def kinds(network, kind):
    return [step for step in trace(network) if isinstance(step.layer, kind)]


@pytest.mark.parametrize(
    "name", [n if n not in SLOW else pytest.param(n, marks=pytest.mark.slow) for n in SMALL]
)
def test_every_network_of_the_catalogue(name, small, assert_same):
    made = assert_same(small(name), within=1e-4)  # over a hundred layers roundings add up
    assert not kinds(made, Dropout)
    assert all(step.layer.norm is None for step in kinds(made, Conv))


@pytest.mark.parametrize(
    ("name", "before", "after", "why"),
    [
        ("googlenet", 57, 39, "9 modules, whose three 1x1 become one"),
        ("inception-v3", 94, 66, "3 in each of 9 modules and 1 in the second reduction"),
        ("resnet-50", 53, 49, "a projection in each of 4 stages"),
        ("resnet-50-v1.5", 53, 52, "the projection of the first stage, which has the block's stride"),
        ("resnet-18-b", 20, 20, "3x3 beside 1x1"),
    ],
)
def test_convolutions_that_are_left(name, before, after, why):
    network = r.without_heads(catalogue.network(name))
    assert len(kinds(network, Conv)) == before
    with torch.device("meta"):
        shapes = Net(network).state_dict()
    state = {key: torch.zeros(value.shape) for key, value in shapes.items()}
    assert len(kinds(r.rewritten(network, state, r.ALL)[0], Conv)) == after, why


def test_a_module_of_googlenet():
    """Figure 2(b): 3a has a 1x1 of 64 and reductions to 96 and 16; the pool's has another input."""
    network = r.without_heads(catalogue.network("googlenet"))
    with torch.device("meta"):
        state = {key: torch.zeros(value.shape) for key, value in Net(network).state_dict().items()}
    made, _ = r.rewritten(network, state, r.ALL)
    module = dict(made.layers)["3a"]
    assert isinstance(module, Concat) and [name for name, _ in module.branches] == ["merged", "pool"]
    merged = dict(module.branches)["merged"]
    assert dict(merged.layers)["conv"] == Conv(176, 1, bias=True)
    fork = dict(dict(merged.layers)["fork"].branches)
    assert fork["1x1"] == Slice(0, 64)
    assert fork["3x3"].layers[0][1] == Slice(64, 96)
    assert fork["5x5"].layers[0][1] == Slice(160, 16)


def block(count_padding, **pool):
    norm = BatchNorm(eps=1e-3)
    return Network("module", {
        "stem": Conv(6, 3, norm=norm),
        "mixed": Concat({
            "1x1": Conv(4, 1, norm=norm),
            "3x3": {"reduce": Conv(3, 1, norm=norm), "conv": Conv(5, 3, norm=norm)},
            "pool": {"avg": AvgPool(3, count_padding=count_padding, **pool), "proj": Conv(7, 1, norm=norm)},
        }),
        "average": GlobalAvgPool(), "fc": Linear(5),
    }, input=(3, 9, 11), classes=5)  # fmt: skip


@pytest.mark.parametrize("count_padding", [True, False])
def test_pools_and_projections_change_places_with_padding(count_padding, assert_same):
    made = assert_same(block(count_padding))
    (pool,) = kinds(made, AvgPool)
    assert pool.shape_in[0] == 7  # and not 6
    assert len(kinds(made, Conv)) == 3 and len(kinds(made, Bias)) == 1


def test_a_pool_with_a_stride_stays_where_it_is(assert_same):
    network = Network("strided", {
        "stem": Conv(6, 3, bias=True),
        "pool": Chain({"avg": AvgPool(3, stride=2), "proj": Conv(7, 1, bias=True)}),
        "average": GlobalAvgPool(), "fc": Linear(5),
    }, input=(3, 9, 9), classes=5)  # fmt: skip
    (pool,) = kinds(assert_same(network), AvgPool)
    assert pool.shape_in[0] == 6


def test_what_is_not_alike_is_not_merged(assert_same):
    """Another stride, a slope to be learned, groups, padding: each is left alone."""
    network = Network("unlike", {
        "stem": Conv(8, 3, bias=True),
        "mixed": Concat({
            "a": Conv(4, 1, bias=True), "prelu": Conv(4, 1, bias=True, act=PReLU()),
            "groups": Conv(4, 1, groups=2, bias=True),
            "wide": Conv(4, 3, bias=True),
        }),
        "block": Residual(
            {"conv1": Conv(16, 1, stride=2, bias=True)}, Conv(16, 3, stride=2, bias=True, act=None)
        ),
        "average": GlobalAvgPool(), "fc": Linear(5),
    }, input=(3, 8, 8), classes=5)  # fmt: skip
    assert len(kinds(assert_same(network), Conv)) == len(kinds(network, Conv))


def test_without_biases_and_with_activations_that_differ(assert_same):
    network = Network("bare", {
        "stem": Conv(8, 3),
        "mixed": Concat({"a": Conv(4, 1, act=None), "b": Conv(3, 1), "c": Conv(2, 1, bias=True)}),
        "average": GlobalAvgPool(), "fc": Linear(5),
    }, input=(3, 8, 8), classes=5)  # fmt: skip
    made = assert_same(network, (r.merge_siblings,))
    conv = next(step.layer for step in kinds(made, Conv) if step.path == "mixed.conv")
    assert conv == Conv(9, 1, bias=True, act=None)


@pytest.mark.parametrize(("first", "then"), [("reduce", "conv"), ("conv", "add"), ("add", "conv")])
def test_names_that_rewrites_give_are_taken_already(first, then, assert_same):
    """By what lies behind the convolution that is merged, in a block and in a branch."""
    network = Network("named", {
        "stem": Conv(6, 3, bias=True),
        "block": Residual(
            {first: Conv(5, 1, bias=True), then: Conv(5, 3, bias=True), "up": Conv(8, 1, act=None)},
            Conv(8, 1, bias=True, act=None),
        ),
        "mixed": Concat({
            "conv": {"reduce": Conv(3, 1, bias=True), "conv": Conv(4, 3, bias=True)},
            "fork": {"reduce": Conv(2, 1, bias=True), "fork": Conv(5, 3, bias=True)},
            "merged": Conv(4, 1, bias=True),
        }),
        "average": GlobalAvgPool(), "fc": Linear(5),
    }, input=(3, 8, 8), classes=5)  # fmt: skip
    assert len(kinds(assert_same(network), Conv)) == len(kinds(network, Conv)) - 3


def test_one_rewrite_alone(assert_same):
    made = assert_same(catalogue.network("cifar-resnet-20-b"), (r.fold_batch_norm,))
    assert len(kinds(made, Conv)) == len(kinds(catalogue.network("cifar-resnet-20-b"), Conv))


@pytest.mark.parametrize(("padding", "left"), [(0, None), (1, (123.675, 116.28, 103.53))])
def test_the_scale_goes_into_the_first_convolution(padding, left, trained):
    """The mean, in bytes, only where no padding is."""
    network = Network("scaled", {
        "inner": Chain({"conv": Conv(6, 3, padding=padding)}), "average": GlobalAvgPool(), "fc": Linear(5),
    }, input=(3, 8, 8), classes=5)  # fmt: skip
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    net = trained(network)
    made, state, offset = fold_scale(network, net.state_dict(), mean, std)
    assert offset is None if left is None else offset == pytest.approx(left)
    pixels = torch.randint(0, 256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(2)).float()
    expected = logits(
        net, (pixels / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    )
    taken = pixels if offset is None else pixels - torch.tensor(offset)[:, None, None]
    found = logits(filled(made, state), taken)
    assert torch.allclose(found, expected, rtol=0, atol=float(1e-5 * expected.abs().max()))


def test_a_network_that_begins_otherwise_keeps_its_scale():
    network = Network("pooled", {"pool": GlobalAvgPool(), "fc": Linear(5)}, input=(3, 8, 8), classes=5)
    with pytest.raises(ValueError, match="pooled does not begin with a convolution"):
        fold_scale(network, {}, (0.5,) * 3, (0.5,) * 3)
