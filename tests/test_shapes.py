"""What each kind of layer gives for what it is given, against torch or by hand, and what it refuses."""

from __future__ import annotations

import tracemalloc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from goingdeeper.errors import ShapeError, UsageError
from goingdeeper.layers import (
    CLASSES,
    LRN,
    AdaptiveAvgPool,
    AvgPool,
    Concat,
    Conv,
    GlobalAvgPool,
    Highway,
    Identity,
    Layer,
    Linear,
    Maxout,
    MaxPool,
    Network,
    Residual,
    Sigmoid,
    SpatialPyramid,
    ZeroPad,
)
from goingdeeper.notation import from_json, to_json
from goingdeeper.shapes import Field
from goingdeeper.trace import Step, trace

SIDES = st.integers(1, 20)


def step(layer: Layer, input: tuple[int, int, int]) -> Step:
    """The layer's own step in a network that it begins."""
    steps = trace(Network("net", {"it": layer, "fc": Linear(CLASSES)}, input=input, classes=3))
    return next(one for one in steps if one.path == "it")


@settings(deadline=None)
@given(size=st.tuples(SIDES, SIDES), bins=st.integers(1, 8))
def test_adaptive_averages_have_torchs_size_or_are_refused(size: tuple[int, int], bins: int) -> None:
    if min(size) < bins:
        with pytest.raises(
            ShapeError, match=rf"it \({bins}x{bins} parts\) would be given 2x{size[0]}x{size[1]}"
        ):
            step(AdaptiveAvgPool(bins), (2, *size))
        return
    expected = tuple(F.adaptive_avg_pool2d(torch.zeros(1, 2, *size), bins).shape[1:])
    assert step(AdaptiveAvgPool(bins), (2, *size)).shape_out == expected


@settings(deadline=None)
@given(size=st.tuples(SIDES, SIDES), bins=st.lists(st.integers(1, 8), min_size=1, max_size=4))
def test_a_pyramid_is_a_vector_of_all_its_levels_or_refused(size: tuple[int, int], bins: list[int]) -> None:
    if min(size) < max(bins):
        with pytest.raises(ShapeError, match=rf"it \({max(bins)}x{max(bins)} parts\) would be given 2x"):
            step(SpatialPyramid(tuple(bins)), (2, *size))
        return
    images = torch.zeros(1, 2, *size)
    expected = sum(F.adaptive_max_pool2d(images, count).numel() for count in bins)
    assert step(SpatialPyramid(tuple(bins)), (2, *size)).shape_out == (expected,)


def test_the_pyramid_of_the_prelu_paper_has_63_bins_a_channel() -> None:
    """7x7 + 3x3 + 2x2 + 1x1 on 512 channels: 32,256 inputs of the first fully connected layer."""
    assert step(SpatialPyramid((7, 3, 2, 1)), (512, 14, 14)).shape_out == (32_256,)


@pytest.mark.parametrize(
    ("layer", "input", "field"),
    [
        # On 14 rows the middle third is 6 wide, 4 to 10; the first two parts begin 4 apart.
        (AdaptiveAvgPool(7), (3, 14, 14), Field((2, 2), (2, 2))),
        (AdaptiveAvgPool(2), (3, 6, 10), Field((3, 5), (3, 5))),
        (GlobalAvgPool(), (3, 6, 10), Field((6, 10), (1, 1))),
        (SpatialPyramid((2, 1)), (3, 6, 10), Field((6, 10), (1, 1))),
        (Linear(7), (3, 6, 10), Field((6, 10), (1, 1))),
        (Highway(Conv(3, 3), Conv(3, 5, act=Sigmoid())), (3, 9, 9), Field((5, 5), (1, 1))),
        (Highway(Conv(3, (1, 3)), Conv(3, 1, act=Sigmoid())), (3, 9, 9), Field((1, 3), (1, 1))),
    ],
)
def test_fields(layer: Layer, input: tuple[int, int, int], field: Field) -> None:
    assert step(layer, input).field == field


@settings(deadline=None)
@given(size=SIDES, bins=st.integers(1, 8))
def test_parts_see_as_far_as_torchs_widest(size: int, bins: int) -> None:
    """8 pixels in 3 parts: 0 to 3, 2 to 6 and 5 to 8."""
    if size < bins:
        return
    rows = torch.eye(size).reshape(size, 1, size, 1).expand(-1, -1, -1, size)
    seen = (F.adaptive_avg_pool2d(rows.contiguous(), bins)[:, 0, :, 0] > 0).sum(0).max().item()
    assert step(AdaptiveAvgPool(bins), (2, size, size)).field.size == (seen, seen)
    assert step(SpatialPyramid((bins,)), (2, size, size)).field.size == (seen, seen)


def test_a_maxout_leaves_as_many_channels_as_its_layer_is_wide() -> None:
    assert step(Conv(5, 3, act=Maxout(4)), (3, 8, 8)).shape_out == (5, 8, 8)
    assert step(Linear(5, act=Maxout(4)), (3, 8, 8)).shape_out == (5,)


def test_vectors_join_add_and_pass_gates_as_maps_do() -> None:
    assert step(Concat({"a": Linear(5), "b": Linear(6)}), (3, 8, 8)).shape_out == (11,)
    assert step(Residual({"a": Linear(5)}, Linear(5)), (3, 8, 8)).shape_out == (5,)
    inner = Highway(Linear(5), Linear(5, act=Sigmoid()))
    steps = trace(Network("net", {"in": Linear(5), "it": inner, "fc": Linear(CLASSES)}, (), (3, 8, 8), 3))
    assert next(one.shape_out for one in steps if one.path == "it") == (5,)


GATE = Conv(3, 3, act=Sigmoid())


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            {"4": Highway(Conv(8, 3), GATE)},
            "4: it is given 3x32x32, its transform gives 8x32x32; a highway layer keeps the shape",
        ),
        (
            {"4": Highway(Conv(3, 3), Conv(3, 3, stride=2, act=Sigmoid()))},
            "4: it is given 3x32x32, its gate gives 3x16x16; a highway layer keeps the shape",
        ),
        (
            {"4": {"inner": Highway(Linear(3), GATE)}},
            "4.inner: it is given 3x32x32, its transform gives 3; a highway layer keeps the shape",
        ),
        (
            {"3a": {"b": Concat({"1x1": Conv(8, 1), "5x5": {"conv": Conv(8, 5, padding=0)}})}},
            "3a.b: branch 5x5 gives 8x28x28, branch 1x1 8x32x32; "
            "branches join only where their maps are of one size",
        ),
        (
            {"3a": Concat({"pyramid": SpatialPyramid((1,)), "1x1": Conv(8, 1)})},
            "3a: branch 1x1 gives 8x32x32, branch pyramid 3; "
            "branches join only where their maps are of one size",
        ),
        (
            {"2": Residual({"fc": Linear(3)}, Identity())},
            "2: the residual gives 3, the shortcut 3x32x32; a map and a vector do not add",
        ),
        (
            {"2": Residual({"conv": Conv(3, 3)}, Conv(8, 1))},
            "2: the residual gives 3x32x32, the shortcut 8x32x32; narrow the shortcut",
        ),
        (
            {"2": Residual({"conv": Conv(8, 3, stride=2)}, ZeroPad(8, 4))},
            "2: the residual gives 8x16x16, the shortcut 8x8x8; give both the same stride",
        ),
        (
            {"fc": Linear(9), "pool": AdaptiveAvgPool(2)},
            "pool needs a map (channels, height, width); it is given a vector of 9",
        ),
        (
            {"fc": Linear(9), "pyramid": SpatialPyramid((2,))},
            "pyramid needs a map (channels, height, width); it is given a vector of 9",
        ),
        (
            {"fc": Linear(9), "norm": LRN()},
            "norm needs a map (channels, height, width); it is given a vector of 9",
        ),
        (
            {"a": Conv(8, 1), "b": {"c": Conv(6, 3, groups=4)}},
            "b.c: 8 channels in and 6 filters do not divide into 4 groups",
        ),
        (
            # Eight linear outputs would divide, but pieces of one unit would lie in two groups.
            {"a": Conv(4, 1), "b": Conv(2, 3, groups=4, act=Maxout(4))},
            "b: 4 channels in and 2 filters do not divide into 4 groups",
        ),
    ],
)
def test_shapes_that_do_not_meet_are_named_with_both_shapes_and_a_remedy(layers: dict, message: str) -> None:
    """From Python and from JSON."""
    made = Network("net", {**layers, "out": Linear(CLASSES)}, input=(3, 32, 32), classes=10)
    for network in (made, from_json(to_json(made))):
        with pytest.raises(ShapeError) as caught:
            trace(network)
        assert str(caught.value) == message


def test_a_head_is_walked_with_what_its_address_gives() -> None:
    layers = {"a": Conv(4, 3, stride=2), "fc": Linear(CLASSES)}
    heads = {"a": {"sum": Residual({"conv": Conv(8, 3)}, Identity()), "fc": Linear(CLASSES)}}
    with pytest.raises(ShapeError) as caught:
        trace(Network("net", layers, heads, (3, 32, 32), 10))
    assert str(caught.value) == (
        "heads.a.sum: the residual gives 8x16x16, the shortcut 4x16x16; widen the shortcut"
    )


@pytest.mark.parametrize("address", ["5a", "a.pool", "fc.act", "fc.inner"])
def test_a_head_at_an_unknown_address_is_refused_in_json_too(address: str) -> None:
    layers = {"a": Conv(4, 3), "fc": Linear(CLASSES)}
    made = Network("net", layers, {address: Linear(CLASSES)}, (3, 8, 8), 10)
    with pytest.raises(UsageError, match=f"^unknown address of a head in net: '{address}'"):
        trace(from_json(to_json(made)))


@pytest.mark.parametrize("side", [10**9, 2**31 - 1])
def test_a_huge_input_is_arithmetic(side: int) -> None:
    """No hang, nothing allocated."""
    layers = {
        "conv": Conv(8, 3, stride=2), "max": MaxPool(3, 2), "mean": AvgPool(2, 2), "lrn": LRN(),
        "way": Highway(Conv(8, 3), Conv(8, 3, act=Sigmoid())), "spp": SpatialPyramid((7, 3, 2, 1)),
    }  # fmt: skip
    tracemalloc.start()
    steps = trace(Network("net", {**layers, "fc": Linear(CLASSES)}, input=(side, side, side), classes=10))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6
    assert steps[0].shape_out == (8, -(-side // 2), -(-side // 2))
    assert steps[-1].shape_in == (8 * 63,)
