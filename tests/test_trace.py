"""Shapes and receptive fields against torch itself, and what is said where they do not fit."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from goingdeeper import catalogue
from goingdeeper.errors import DescriptionError, ShapeError, UsageError
from goingdeeper.layers import (
    CLASSES,
    LRN,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Identity,
    Layer,
    Linear,
    Maxout,
    MaxPool,
    Network,
    Residual,
    ZeroPad,
)
from goingdeeper.shapes import dims
from goingdeeper.trace import find, replace_classes, replace_input, smallest_input, trace

ENDS = {"gap": GlobalAvgPool(), "fc": Linear(CLASSES)}
SIDES = st.integers(1, 14)


def network(layers: dict, input: tuple[int, int, int] = (3, 32, 32), **given: object) -> Network:
    return Network("net", {**layers, **ENDS}, input=input, classes=10, **given)


def shape_of(layer: Layer, input: tuple[int, int, int]) -> tuple[int, ...] | None:
    """What the layer gives, None where it refuses the input as too small."""
    try:
        return trace(network({"it": layer}, input))[0].shape_out
    except ShapeError as problem:
        assert "net cannot take" in str(problem)
        return None


def torch_shape(run, images: torch.Tensor) -> tuple[int, ...] | None:
    try:
        return tuple(run(images).shape[1:])
    except RuntimeError as problem:
        assert "too small" in str(problem) or "can't be greater than actual input" in str(problem)
        return None


@settings(deadline=None, max_examples=300)
@given(size=st.tuples(SIDES, SIDES), kernel=st.tuples(*[st.integers(1, 5)] * 2), stride=st.integers(1, 4),
       share=st.floats(0, 1), ceil=st.booleans())  # fmt: skip
def test_pools_give_what_torch_gives(
    size: tuple[int, int], kernel: tuple[int, int], stride: int, share: float, ceil: bool
) -> None:
    padding = int(share * (min(kernel) // 2 + 0.99))
    images = torch.zeros(1, 2, *size)
    expected = torch_shape(lambda x: F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil), images)
    assert expected == torch_shape(lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil_mode=ceil), images)
    assert shape_of(MaxPool(kernel, stride, padding, ceil), (2, *size)) == expected
    assert shape_of(AvgPool(kernel, stride, padding, ceil), (2, *size)) == expected


@settings(deadline=None, max_examples=300)
@given(size=st.tuples(SIDES, SIDES), kernel=st.tuples(*[st.integers(1, 6)] * 2), stride=st.integers(1, 4),
       padding=st.tuples(*[st.integers(0, 3)] * 4))  # fmt: skip
def test_convolutions_give_what_torch_gives(
    size: tuple[int, int], kernel: tuple[int, int], stride: int, padding: tuple[int, int, int, int]
) -> None:
    top, bottom, left, right = padding
    weights = torch.zeros(4, 2, *kernel)
    expected = torch_shape(
        lambda x: F.conv2d(F.pad(x, (left, right, top, bottom)), weights, stride=stride),
        torch.zeros(1, 2, *size),
    )
    assert shape_of(Conv(4, kernel, stride, padding), (2, *size)) == expected


@settings(deadline=None)
@given(size=st.tuples(SIDES, SIDES), kernel=st.tuples(*[st.integers(1, 7)] * 2))
def test_padding_left_out_keeps_the_size(size: tuple[int, int], kernel: tuple[int, int]) -> None:
    assert shape_of(Conv(4, kernel), (3, *size)) == (4, *size)
    assert shape_of(MaxPool(kernel), (3, *size)) == (3, *size)


@settings(deadline=None)
@given(size=st.tuples(SIDES, SIDES), stride=st.integers(1, 4), more=st.integers(0, 5))
def test_zero_padding_takes_every_stride_th_pixel(size: tuple[int, int], stride: int, more: int) -> None:
    kept = torch.zeros(1, 3, *size)[..., ::stride, ::stride]
    assert shape_of(ZeroPad(3 + more, stride), (3, *size)) == (3 + more, *kept.shape[2:])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(LRN(), (3, 9, 7)), (Dropout(0.5), (3, 9, 7)), (Identity(), (3, 9, 7)), (GlobalAvgPool(), (3, 1, 1))],
)
def test_shapes_of_the_other_layers(layer: Layer, shape: tuple[int, ...]) -> None:
    assert shape_of(layer, (3, 9, 7)) == shape


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 2)), min_size=1, max_size=4))
def test_receptive_fields_are_what_a_gradient_reaches(layers: list[tuple[int, int, int]]) -> None:
    described = {f"conv{i}": Conv(1, (h, w), stride, padding=0) for i, (h, w, stride) in enumerate(layers)}
    size = 96
    images = torch.ones(1, 1, size, size, requires_grad=True)
    values = images
    for h, w, stride in layers:
        values = F.conv2d(values, torch.ones(1, 1, h, w), stride=stride)
    values[0, 0, values.shape[2] // 2, values.shape[3] // 2].backward()
    rows, columns = torch.nonzero(images.grad[0, 0], as_tuple=True)
    seen = tuple(int(axis.max() - axis.min()) + 1 for axis in (rows, columns))
    # A stride wider than its kernel skips pixels inside the field; the extent stays the same.
    assert trace(network(described, (1, size, size)))[len(layers) - 1].field.size == seen


def test_branches_and_shortcuts_see_as_much_as_the_largest_of_them() -> None:
    module = Concat({"1x1": Conv(8, 1), "5x5": Conv(8, 5), "1x7": Conv(8, (1, 7))})
    steps = {step.path: step.field.size for step in trace(network({"stem": Conv(3, 3), "module": module}))}
    assert steps["module.1x1"] == (3, 3)
    assert steps["module"] == (7, 9)


def test_containers_come_after_their_contents_and_heads_last() -> None:
    paths = [step.path for step in trace(catalogue.network("googlenet"))]
    assert paths.index("3a.5x5.reduce") < paths.index("3a.5x5") < paths.index("3a") < paths.index("3b")
    assert paths[-1] == "heads.4d"
    first_head = next(i for i, path in enumerate(paths) if path.startswith("heads."))
    assert paths[first_head - 1] == "fc"


@pytest.mark.parametrize(
    ("id", "bare"),
    [
        ("googlenet", ", 31x31 without its heads"),
        ("resnet-50-signs", ""),
        ("resnet-34-b", ""),
        ("cifar-resnet-20-a", ""),
        ("inception-v3", ", 75x75 without its heads"),  # Keras refuses less than 75, too
    ],
)
def test_the_smallest_input_is_taken_and_one_pixel_less_is_not(id: str, bare: str) -> None:
    described = catalogue.network(id)
    side = smallest_input(described)
    assert trace(described, (3, side, side))
    if side > 1:
        with pytest.raises(ShapeError, match=f"; the smallest input it takes is {side}x{side}{bare}$"):
            trace(described, (3, side - 1, side - 1))


def test_an_input_that_is_too_small_is_refused_where_it_ends() -> None:
    described = network({"conv1": Conv(8, 3, padding=0), "conv2": Conv(8, 5, padding=0)}, (3, 6, 6))
    with pytest.raises(ShapeError) as caught:
        trace(described)
    assert str(caught.value) == (
        "net cannot take 3x6x6: conv2 (conv 5x5) would be given 8x4x4; the smallest input it takes is 7x7"
    )


def test_the_smallest_input_is_found_among_sizes_at_which_branches_do_not_meet() -> None:
    halves = Concat({"floor": MaxPool(2, 2, 0), "ceil": MaxPool(2, 2, 0, ceil=True)})
    described = network({"halves": halves, "conv": Conv(8, 3, padding=0)}, (3, 4, 4))
    with pytest.raises(ShapeError, match=r"conv .conv 3x3. would be given 6x2x2; the smallest .* is 6x6"):
        trace(described)


def test_a_network_that_no_input_fits() -> None:
    described = network({"gap0": GlobalAvgPool(), "conv": Conv(8, 3, padding=0)})
    with pytest.raises(ShapeError, match=r"conv .conv 3x3. would be given 3x1x1; no input fits"):
        trace(described)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            {"conv2_1": Residual({"conv1": Conv(128, 3)}, Conv(64, 1))},
            "conv2_1: the residual gives 128x32x32, the shortcut 64x32x32; widen the shortcut",
        ),
        (
            {"conv2_1": Residual({"conv1": Conv(3, 3, stride=2)}, Identity())},
            "conv2_1: the residual gives 3x16x16, the shortcut 3x32x32; give both the same stride",
        ),
        (
            {"3a": Concat({"1x1": Conv(8, 1), "3x3": Conv(8, 3, stride=2)})},
            "3a: branch 3x3 gives 8x16x16, branch 1x1 8x32x32; "
            "branches join only where their maps are of one size",
        ),
        (
            {"3a": Concat({"1x1": Conv(8, 1), "fc": Linear(8)})},
            "3a: branch fc gives 8, branch 1x1 8x32x32; branches join only where their maps are of one size",
        ),
        (
            {"fc0": Linear(64), "conv": Conv(8, 3)},
            "conv needs a map (channels, height, width); it is given a vector of 64",
        ),
        (
            {"pad": ZeroPad(2)},
            "pad: zero-padding cannot take 3 channels down to 2",
        ),
        (
            {"conv": Conv(8, 3, groups=2)},
            "conv: 3 channels in and 8 filters do not divide into 2 groups",
        ),
    ],
)
def test_shapes_that_do_not_meet_are_named_with_both_shapes_and_a_remedy(layers: dict, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        trace(network(layers))
    assert str(caught.value) == message


def test_a_network_must_end_in_logits() -> None:
    with pytest.raises(DescriptionError, match="conv in net gives a map of 8x32x32, not a vector of logits"):
        trace(Network("net", {"conv": Conv(8, 3)}, input=(3, 32, 32)))


def test_a_network_must_end_in_a_logit_a_class() -> None:
    with pytest.raises(ShapeError, match="pool in net gives 8, not 10 logits"):
        trace(Network("net", {"conv": Conv(8, 3), "pool": GlobalAvgPool()}, input=(3, 32, 32), classes=10))


def test_a_global_average_of_class_maps_is_a_vector_of_logits() -> None:
    found = Network("net", {"conv": Conv(CLASSES, 3), "pool": GlobalAvgPool()}, input=(3, 32, 32), classes=10)
    assert trace(found)[-1].shape_out == (10, 1, 1)


def test_a_head_must_end_in_a_logit_a_class() -> None:
    with pytest.raises(ShapeError, match=r"heads\.conv in net gives 64, not 10 logits"):
        trace(network({"conv": Conv(8, 3)}, heads={"conv": {"fc1": Linear(64)}}))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("con", "'con'; did you mean conv"),
        ("conv.iner", r"'conv.iner'; did you mean conv.inner"),
        ("conv.inner.norm", "unknown address of a head in net: 'conv.inner.norm'"),
        ("conv.inner.weight", "unknown address of a head in net: 'conv.inner.weight'"),
    ],
)
def test_a_head_at_an_unknown_address_suggests(address: str, message: str) -> None:
    described = network({"conv": {"inner": Conv(8, 3)}})
    heads = {address: Linear(CLASSES)}
    with pytest.raises(UsageError, match=message):
        trace(Network("net", described.layers, heads, described.input, 10))


@pytest.mark.parametrize(
    ("address", "shape"),
    [("unit", (4, 8, 8)), ("unit.act", (4, 8, 8)), ("unit.conv", (8, 8, 8)), ("unit.norm", (8, 8, 8))],
)
def test_a_head_may_read_a_part_of_a_unit(address: str, shape: tuple[int, ...]) -> None:
    """Before a maxout of two there are twice as many channels."""
    unit = Conv(4, 3, norm=BatchNorm(), act=Maxout(2))
    found = Network("net", {"unit": unit, "fc": Linear(CLASSES)}, {address: Linear(CLASSES)}, (3, 8, 8), 5)
    assert trace(found)[-1].path == f"heads.{address}"
    assert trace(found)[-1].shape_in == shape


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (("conv", "conv.inner"), "heads at 'conv' and 'conv.inner': one address is within the other"),
        (("conv", "conv"), "two heads read 'conv'"),
        (("conv..inner",), "'' cannot be a layer's name"),
        (("conv.train",), "'train' cannot be a layer's name"),
    ],
)
def test_heads_whose_addresses_cannot_be_are_refused(heads: tuple[str, ...], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        network({"conv": {"inner": Conv(8, 3)}}, heads=tuple((name, Linear(CLASSES)) for name in heads))


@pytest.mark.parametrize(
    ("address", "layer"),
    [
        ("3a.5x5.reduce", Conv(16, 1, bias=True)),
        ("heads.4a.fc2", Linear(CLASSES)),
        ("pool5", GlobalAvgPool()),
    ],
)
def test_find(address: str, layer: Layer) -> None:
    assert find(catalogue.network("googlenet"), address) == layer


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("pool6", "unknown address in googlenet: 'pool6'; did you mean pool"),
        ("3f", "unknown address in googlenet: '3f'; it has: conv1, pool1, norm1, conv2, "),
        (
            "3a.5x5.redcue",
            "googlenet at 3a.5x5: 'redcue'; did you mean reduce? it has: reduce, conv",
        ),
        ("conv1.conv", "unknown address in googlenet at conv1: 'conv'; nothing is inside that layer"),
        ("heads.4b", "unknown address in googlenet: 'heads.4b'; did you mean heads.4"),
        ("", "unknown address in googlenet: ''"),
    ],
)
def test_an_unknown_address_suggests(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        find(catalogue.network("googlenet"), address)


def test_the_shortcut_has_an_address() -> None:
    assert find(catalogue.network("resnet-34-a"), "conv3_1.shortcut") == ZeroPad(128, 2)


def test_another_input_and_other_classes() -> None:
    described = catalogue.network("resnet-34-b")
    assert trace(described, (3, 192, 160))[-2].shape_in == (512, 6, 5)
    assert trace(replace_classes(described, 37))[-1].shape_out == (37,)
    assert replace_input(described, (3, 224, 224)) is described
    assert replace_classes(described, 1000) is described


def test_dims() -> None:
    assert dims((64, 56, 28)) == "64x56x28"
