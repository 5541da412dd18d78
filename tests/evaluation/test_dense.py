"""Dense passes against the ordinary network on windows, and against numpy on the trunk's maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor, nn

from goingdeeper import catalogue, edits
from goingdeeper.errors import ShapeError, UsageError
from goingdeeper.evaluation import dense
from goingdeeper.evaluation.dense import Dense
from goingdeeper.layers import (
    CLASSES,
    AdaptiveAvgPool,
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
    PReLU,
    Residual,
    SpatialPyramid,
)
from goingdeeper.nn.build import Net, build

TOLERANCE = 1e-4  # of the largest logit

# So many layers without shortcuts: where an image is not normalised by its own statistics, values overflow.
BEYOND_FLOAT32 = {"cifar-plain-1202"}


def lively(network: Network) -> Net:
    """In evaluation mode, with weights that let images make a difference, and statistics of its own.

    The papers' initial weights leave some networks with logits that are the same for all images to 1e-6.
    """
    net = build(network)
    if network.name in BEYOND_FLOAT32:
        net.double()
    random = torch.Generator().manual_seed(5)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan = module.weight[0].numel()
            module.weight.data.normal_(0, (2 / fan) ** 0.5, generator=random)
            if module.bias is not None:
                module.bias.data += 0.1 * torch.randn(module.bias.shape, generator=random)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the statistics of the images that follow
            module.bias.data.normal_(0, 0.1, generator=random)
            if module.weight is not None:
                module.weight.data.uniform_(0.5, 1.5, generator=random)
    with torch.no_grad():
        net.train()(pictures(2, *network.input[1:]).to(next(net.parameters())))
    return net.eval()


def pictures(count: int, height: int, width: int) -> Tensor:
    """Noise of a different level in every image, with large spots in it."""
    random = torch.Generator().manual_seed(9)
    coarse = torch.randn(count, 3, 4, 5, generator=random)
    spots = nn.functional.interpolate(coarse, (height, width), mode="nearest")
    return spots + 0.5 * torch.randn(count, 3, height, width, generator=random)


def agree(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE * float(expected.abs().max()))


@torch.inference_mode()
def equals_the_ordinary_network_on_its_own_size(network: Network) -> None:
    net = lively(edits.without_heads(network))
    images = pictures(2, *network.input[1:]).to(next(net.parameters()))
    found, expected = Dense(net)(images), net(images)
    scale = float(expected.abs().max())
    assert float((expected[0] - expected[1]).abs().max()) > 1e-2 * scale  # a wrong window would be seen
    assert found.shape == (2, network.classes, 1, 1)
    agree(found[:, :, 0, 0], expected)


FAMILIES = {
    "alexnet": 1 / 8, "vgg-11": 1 / 8, "prelu-net-a": 1 / 16, "googlenet": 1 / 8,
    "googlenet-torchvision": 1 / 8,
    "bn-inception-caffe": 1 / 8, "bn-inception-released": 1 / 8, "inception-v3": 1 / 8,
    "inception-v2-table1-7x7": 1 / 8, "plain-18": 1 / 4, "resnet-18-a": 1 / 4, "resnet-50": 1 / 8,
    "resnet-50-v1.5": 1 / 8, "resnet-50-signs": 1 / 8, "cifar-plain-20": 1, "cifar-resnet-20-a": 1,
    "cifar-resnet-20-b": 1, "nin-cifar10": 1 / 4, "dsn-cifar10": 1 / 4, "maxout-cifar10": 1 / 4,
    "fitnet-19": 1,
    "highway-19": 1, "highway-19-fc": 1,
}  # fmt: skip


def narrow(id: str) -> Network:
    """The network with fewer filters."""
    network = catalogue.network(id)
    return edits.widen(network, FAMILIES[id]) if FAMILIES[id] != 1 else network


@pytest.mark.parametrize("id", FAMILIES)
def test_one_position_on_the_own_size(id):
    equals_the_ordinary_network_on_its_own_size(narrow(id))


@pytest.mark.slow
@pytest.mark.parametrize("id", catalogue.names())
def test_one_position_on_the_own_size_of_every_network(id):
    equals_the_ordinary_network_on_its_own_size(catalogue.network(id))


# Without padding or windows that hang over, the ordinary network sees in its window what the dense one sees.

TRUNK: dict[str, Layer] = {
    "conv1": Conv(6, 3, padding=0, norm=BatchNorm()),
    "pool1": MaxPool(3, stride=2, padding=0),
    "mixed": Concat({"1x1": Conv(4, 1, bias=True), "two": {"a": Conv(3, 1), "b": Conv(5, 1, act=PReLU())}}),
    "conv2": Conv(8, (3, 2), stride=2, padding=0, bias=True),
    "block": Residual({"conv": Conv(8, 1, norm=BatchNorm(), act=None)}, Identity()),
}  # fmt: skip
STRIDE, OWN = 4, (21, 27)  # 21 -> 19 -> 9 -> 4 rows; 27 -> 25 -> 12 -> 6 columns, no pixel left over
ENDS: dict[str, dict[str, Layer]] = {
    "global average": {"pool": GlobalAvgPool(), "dropout": Dropout(0.5), "fc": Linear(CLASSES)},
    "fully connected": {"fc1": Linear(9, act=PReLU()), "dropout": Dropout(0.5), "fc2": Linear(CLASSES)},
    "class maps": {"conv3": Conv(CLASSES, 1, act=None), "pool": GlobalAvgPool()},
    "pyramid": {"spp": SpatialPyramid((3, 2, 1)), "fc": Linear(CLASSES)},
    "parts": {"parts": AdaptiveAvgPool(2), "conv3": Conv(7, 2, padding=0), "fc": Linear(CLASSES)},
    "whole maximum": {"max": MaxPool((4, 6), stride=6, padding=0), "fc": Linear(CLASSES)},
    "whole mean": {"mean": AvgPool(6, stride=6, padding=0, ceil=True), "fc": Linear(CLASSES)},
    "both": {
        "both": Concat({"mean": GlobalAvgPool(), "max": MaxPool((4, 6), padding=0)}),
        "fc": Linear(CLASSES),
    },
    "convolutions alone": {"conv3": Conv(9, (4, 6), padding=0), "conv4": Conv(CLASSES, 1, act=None)},
}


def windows_of(net: Net, images: Tensor, stride: int, rows: int, columns: int) -> Tensor:
    """The ordinary network's logits on each window of the images, one after another."""
    _, height, width = net.description.input
    assert (rows - 1) * stride + height <= images.shape[2] and (columns - 1) * stride + width <= images.shape[
        3
    ]
    return torch.stack([
        torch.stack([
            net(images[:, :, top : top + height, left : left + width])
            for left in range(0, columns * stride, stride)
        ], 2)
        for top in range(0, rows * stride, stride)
    ], 2)  # fmt: skip


@torch.inference_mode()
@pytest.mark.parametrize("chained", [False, True], ids=["", "in chains"])
@pytest.mark.parametrize("end", ENDS)
def test_every_position_is_the_networks_on_that_window(end, chained):
    layers = TRUNK | ENDS[end]
    if chained:
        items = list(layers.items())
        layers = {
            "a": Chain({"b": Chain(tuple(items[:2])), "c": Chain(tuple(items[2:-1]))}),
            "d": items[-1][1],
        }
    net = lively(Network("own", layers, input=(3, *OWN), classes=5))
    images = pictures(2, OWN[0] + 2 * STRIDE + 3, OWN[1] + 3 * STRIDE + 1)
    found = Dense(net)(images)
    expected = windows_of(net, images, STRIDE, 3, 4)
    assert float(expected.std((2, 3)).mean()) > 1e-2 * float(expected.abs().max())  # windows differ
    agree(found, expected)
    agree(Dense(net)(images.to(memory_format=torch.channels_last)), expected)


@torch.inference_mode()
def test_windows_may_reach_beyond_the_image_where_the_network_does_not_look():
    """Of 23 x 30 pixels the last 2 and 3 are left over; these images are 1 pixel short of 3 x 4 windows."""
    net = lively(Network("own", TRUNK | ENDS["global average"], input=(3, 23, 30), classes=5))
    images = pictures(2, 23 + 2 * STRIDE - 1, 30 + 3 * STRIDE - 1)
    unknown = nn.functional.pad(images, (0, 1, 0, 1), value=float("nan"))
    expected = windows_of(net, unknown, STRIDE, 3, 4)
    assert expected.isfinite().all()
    agree(Dense(net)(images), expected)


def unpadded(network: Network) -> Network:
    return edits.rewrite(
        network, lambda layer: replace(layer, padding=0) if isinstance(layer, Conv | MaxPool) else layer
    )


@torch.inference_mode()
@pytest.mark.parametrize(
    ("id", "side", "stride"),
    [("alexnet", 227, 32), ("vgg-11", 224, 32), ("prelu-net-a", 432, 16), ("plain-18", 480, 32)],
)
def test_published_networks_without_their_padding(id, side, stride):
    net = lively(replace(unpadded(narrow(id)), input=(3, side, side)))
    images = pictures(1, side + stride, side + 2 * stride)
    found = Dense(net)(images)
    agree(found, windows_of(net, images, stride, 2, 3))


def bordered(border: float) -> tuple[Net, Tensor]:
    """Layers that see beyond borders in every way, and images 2 and 3 steps larger than the network's own.

    border: factor of the weights of values whose receptive field reaches beyond the network's own 64 pixels.
    conv1: all but 2 to 30 of its 32 do, 3 pixels to both sides; pool1, of windows from twice its number on:
    all but 1 to 14 of 16; conv2, padded below and on the right: all but 1 to 6 of 8; mixed: all but 2 to 5.
    """
    net = lively(Network("bordered", {
        "conv1": Conv(6, 7, stride=2, norm=BatchNorm()),
        "pool1": MaxPool(3, stride=2, padding=0, ceil=True),
        "conv2": Conv(8, 3, stride=2, padding=(0, 1, 0, 1), bias=True),
        "mixed": Concat({"3x3": Conv(4, 3), "pool": {"mean": AvgPool(3, count_padding=False)}}),
        "fc": Linear(CLASSES),
    }, input=(3, 64, 64), classes=5))  # fmt: skip
    weights = net.get_parameter("fc.weight").data.view(5, 12, 8, 8)
    inside = weights[:, :, 2:6, 2:6].clone()
    weights *= border
    weights[:, :, 2:6, 2:6] = inside
    return net, pictures(2, 64 + 2 * 8, 64 + 3 * 8)


@torch.inference_mode()
def test_with_padding_only_values_away_from_the_borders_are_equal():
    net, images = bordered(0)
    agree(Dense(net)(images), windows_of(net, images, 8, 3, 4))
    net, images = bordered(1)
    found, expected = Dense(net)(images), windows_of(net, images, 8, 3, 4)
    assert float((found - expected).abs().mean()) > 1e-2 * float(expected.abs().max())


# On the trunk's maps: windows cut by hand, and what follows in numpy.


def linear(net: Net, name: str, x: np.ndarray) -> np.ndarray:
    """x: (..., features)."""
    layer = net.get_submodule(name)
    return x @ layer.weight.detach().numpy().astype(np.float64).T + layer.bias.detach().numpy()


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def prelu(net: Net, name: str, x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, x * net.get_parameter(f"{name}.act.weight").detach().numpy())


def maxout(x: np.ndarray, pieces: int) -> np.ndarray:
    return x.reshape(*x.shape[:-1], -1, pieces).max(-1)


def flat(windows: np.ndarray) -> np.ndarray:
    return windows.reshape(*windows.shape[:3], -1)


def pyramid(windows: np.ndarray) -> np.ndarray:
    """14 is twice 7; thirds begin at 0, 4, 9 and end before 5, 10, 14."""
    levels = []
    for parts in (
        [(2 * n, 2 * n + 2) for n in range(7)],
        [(0, 5), (4, 10), (9, 14)],
        [(0, 7), (7, 14)],
        [(0, 14)],
    ):
        rows = np.stack([windows[..., a:b, :].max(-2) for a, b in parts], -2)
        levels.append(flat(np.stack([rows[..., a:b].max(-1) for a, b in parts], -1)))
    return np.concatenate(levels, -1)


def prelu_end(net: Net, windows: np.ndarray) -> np.ndarray:
    x = prelu(net, "fc1", linear(net, "fc1", pyramid(windows)))
    return linear(net, "fc3", prelu(net, "fc2", linear(net, "fc2", x)))


def three_layers(net: Net, windows: np.ndarray) -> np.ndarray:
    return linear(net, "fc8", relu(linear(net, "fc7", relu(linear(net, "fc6", flat(windows))))))


def averaged(net: Net, windows: np.ndarray) -> np.ndarray:
    return linear(net, "fc", windows.mean((-2, -1)))


# The trunk's last address and its map's size at the network's own input; an image and its rows and columns.
REFERENCES = {
    "alexnet": ("pool5", 6, (267, 340), (2, 4), three_layers),
    "vgg-11": ("pool5", 7, (256, 341), (2, 4), three_layers),
    "prelu-net-a": ("conv4_5", 14, (256, 341), (3, 8), prelu_end),
    "googlenet": ("5b", 7, (256, 341), (2, 4), averaged),
    "bn-inception-released": ("5b", 7, (256, 341), (2, 4), averaged),
    "bn-inception-caffe": ("5b", 7, (256, 320), (2, 4), averaged),
    "inception-v3": ("mixed7c", 8, (342, 455), (2, 5), averaged),
    "resnet-18-a": ("conv5_2", 7, (256, 341), (2, 5), averaged),
    "resnet-50": ("conv5_3", 7, (341, 256), (5, 2), averaged),
    "resnet-50-signs": ("conv5_3", 2, (96, 130), (2, 3), averaged),
    "cifar-resnet-20-b": ("conv4_3", 8, (40, 48), (3, 5), averaged),
    "highway-19": ("conv4", 8, (40, 48), (3, 5), averaged),
    "highway-19-fc": ("conv3_6", 8, (40, 48), (3, 5), lambda net, windows: linear(
        net, "fc2", relu(linear(net, "fc1", windows.max((-2, -1)))))),
    "nin-cifar10": ("cccp6", 8, (40, 48), (3, 5), lambda _, windows: windows.mean((-2, -1))),
    "maxout-cifar10": ("pool3", 5, (40, 48), (2, 3), lambda net, windows: linear(
        net, "fc2", maxout(linear(net, "fc1", flat(windows)), 5))),
    "fitnet-19": ("conv3_6", 8, (40, 48), (3, 5), lambda net, windows: linear(
        net, "fc2", maxout(linear(net, "fc1", windows.max((-2, -1))), 2))),
}  # fmt: skip


@torch.inference_mode()
@pytest.mark.parametrize("id", REFERENCES)
def test_windows_of_the_trunks_map(id):
    last, side, image, positions, end = REFERENCES[id]
    net = lively(edits.without_heads(narrow(id)))
    images = pictures(2, *image)
    map = net.until(images, last).numpy().astype(np.float64)
    windows = sliding_window_view(map, (side, side), (2, 3)).transpose(0, 2, 3, 1, 4, 5)
    expected = torch.from_numpy(end(net, windows)).permute(0, 3, 1, 2).float()
    net_dense = Dense(net)
    assert expected.shape[2:] == positions == net_dense.positions(*image)
    agree(net_dense(images), expected)


@torch.inference_mode()
@pytest.mark.parametrize(("rows_at_once", "counts"), [(2, [8, 4]), (0.5, [4, 4, 4])])
def test_windows_that_do_not_fit_into_memory_come_in_parts(rows_at_once, counts, monkeypatch):
    net = lively(narrow("vgg-11"))
    images = pictures(2, 300, 260)
    whole = Dense(net)(images)
    assert whole.shape[2:] == (3, 2)
    monkeypatch.setattr(dense, "AT_ONCE", int(rows_at_once * 2 * 2 * 64 * 49))  # two images, two columns
    found: list[int] = []
    net.get_submodule("fc6").register_forward_hook(lambda _, given, __: found.append(len(given[0])))
    agree(Dense(net)(images), whole)
    assert found == counts


@torch.inference_mode()
def test_the_network_is_shared():
    net = lively(Network("own", TRUNK | ENDS["fully connected"], input=(3, *OWN), classes=5))
    run = Dense(net)
    assert [value.data_ptr() for value in run.parameters()] == [
        value.data_ptr() for value in net.parameters()
    ]
    assert not run.training
    net.get_parameter("fc2.bias").data.add_(1)
    images = pictures(1, *OWN)
    agree(run(images)[:, :, 0, 0], net(images))


def test_dropout_and_heads_are_off(small_network):
    net = lively(replace(small_network, layers=(*small_network.layers[:-1], ("dropout", Dropout(0.5)),
                                                small_network.layers[-1])))  # fmt: skip
    ran = []
    net.heads.get_submodule("conv").register_forward_hook(lambda *_: ran.append(1))
    run = Dense(net.train())
    images = pictures(2, 10, 10)
    with pytest.raises(UsageError, match=r"a dense pass is for evaluation; call eval\(\)"):
        run(images)
    run.eval()
    assert not net.training
    assert torch.equal(run(images), run(images)) and not ran


# Averages


@torch.inference_mode()
def test_pooling_the_whole_map_is_another_thing():
    """It weights border cells more: windows of 7 cover a cell of an 8x11 map 1 to 2 times by 1 to 5 times."""
    net = lively(narrow("resnet-50"))
    images = pictures(2, 256, 341)
    map = net.until(images, "conv5_3").numpy().astype(np.float64)
    rows, columns = [1, 2, 2, 2, 2, 2, 2, 1], [1, 2, 3, 4, 5, 5, 5, 4, 3, 2, 1]
    covered = np.outer(rows, columns)
    weighted = linear(net, "fc", (map * covered).sum((2, 3)) / covered.sum())
    logits = Dense(net)(images)
    agree(logits.mean((2, 3)), torch.from_numpy(weighted).float())
    at_once = net(images)
    agree(at_once, torch.from_numpy(linear(net, "fc", map.mean((2, 3)))).float())
    assert float((at_once - logits.mean((2, 3))).abs().max()) > 1e-2 * float(at_once.abs().max())


# What cannot be


def shell(network: Network) -> Dense:
    with torch.device("meta"):
        return Dense(Net(network))


@pytest.mark.parametrize(
    "id", [pytest.param(id, marks=pytest.mark.slow) if "1202" in id else id for id in catalogue.names()]
)
def test_every_network_of_the_catalogue_can_be_run_densely(id):
    run = shell(catalogue.network(id))
    _, height, width = run.net.description.input
    assert run.positions(height, width) == (1, 1)
    rows, columns = run.positions(2 * height, 3 * width)
    assert 1 < rows < columns


@pytest.mark.parametrize(
    ("layers", "first"),
    [
        ({"fc1": Linear(4), "fc2": Linear(CLASSES)}, "fc1"),
        ({"dropout": Dropout(0.2), "pool": MaxPool(2, stride=2), "mlp": {"fc": Linear(CLASSES)}}, "mlp.fc"),
        ({"gate": Concat({"a": {"b": Conv(3, 1), "c": GlobalAvgPool()}}), "fc": Linear(CLASSES)}, "gate"),
    ],
)  # fmt: skip
def test_without_a_convolution_there_is_nothing_to_share(layers, first):
    message = f"own cannot be run densely: {first} takes in the whole image, no convolution comes before it"
    with pytest.raises(UsageError, match=message):
        shell(Network("own", layers, input=(3, 8, 8), classes=5))


@pytest.mark.parametrize("size", [(223, 300), (300, 223)])
def test_an_image_that_is_too_small(size):
    run = shell(catalogue.network("resnet-50")).eval()
    message = (
        f"resnet-50 cannot be run densely on {size[0]}x{size[1]} pixels; make the image at least 224x224"
    )
    with pytest.raises(ShapeError, match=message):
        run(torch.empty(1, 3, *size, device="meta"))


def meets(side: int) -> bool:
    """Halved by conv1, rounded up, and by two pools, rounded down; 3c's and 4e's branches round both ways."""
    return -(-side // 2) // 2 // 2 % 4 == 0


def test_sizes_that_some_networks_cannot_take():
    run = shell(catalogue.network("bn-inception-caffe")).eval()
    message = (
        r"bn-inception-caffe cannot be run densely on 256x341 pixels: 4e: branch pool gives 608x8x10, .*; "
        "256x326 is the largest size that fits"
    )
    with pytest.raises(ShapeError, match=message):
        run(torch.empty(1, 3, 256, 341, device="meta"))
    for side in range(225, 420, 7):
        largest = max(s for s in range(224, side + 1) if meets(s))
        assert run.fitting(side, 256) == (largest, 256)
        assert run.fitting(230, side) == (230, largest)
    assert run.fitting(100, 300) == (224, 294)
    assert run(torch.empty(1, 3, 256, run.fitting(256, 341)[1], device="meta")).shape == (1, 1000, 2, 4)


def test_a_pool_that_pads_is_a_step_of_the_trunk():
    """It comes down from 2x2 to 1x1, but by its stride, with convolutions behind it."""
    block = Residual({"conv": Conv(3, 3)}, Identity())
    layers = {
        "block": block,
        "pool": MaxPool(3, stride=2, padding=1),
        "conv": Conv(5, 3),
        "mean": GlobalAvgPool(),
    }
    run = shell(Network("own", {**layers, "fc": Linear(CLASSES)}, input=(3, 2, 2), classes=5))
    assert run.positions(2, 2) == (1, 1)
    assert run.positions(4, 6) == (2, 3)


def test_a_convolution_within_a_block_is_enough():
    block = Residual({"conv": Conv(3, 3)}, Identity())
    run = shell(Network("own", {"block": block, "fc": Linear(CLASSES)}, input=(3, 4, 4), classes=5))
    assert run.positions(5, 6) == (2, 3)


def test_sizes_that_any_other_can_take():
    run = shell(catalogue.network("inception-v3"))
    assert all(run.fitting(side, 2 * side) == (side, 2 * side) for side in range(299, 340))
