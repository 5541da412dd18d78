"""Records: values that compare and hash, names that torch can use, and contradictions refused."""

import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.errors import DescriptionError
from goingdeeper.layers import (
    CLASSES,
    LRN,
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Identity,
    Linear,
    MaxPool,
    Network,
    Residual,
    ZeroPad,
    children,
    sides,
)

CONTAINERS = (torch.nn.Module(), torch.nn.ModuleDict(), torch.nn.Sequential(), torch.nn.ModuleList())
TORCHS = sorted({name for module in CONTAINERS for name in dir(module) if not name.startswith("_")})


@pytest.mark.parametrize("name", TORCHS)
def test_a_name_that_torch_uses_is_refused(name: str) -> None:
    with pytest.raises(DescriptionError, match=f"'{name}' cannot be a layer's name: torch uses it itself"):
        Chain({name: Identity()})


@pytest.mark.parametrize("name", ["heads", "shortcut", "_modules", "__class__"])
def test_a_name_that_addresses_use_is_refused(name: str) -> None:
    with pytest.raises(DescriptionError, match=f"'{name}' cannot be a layer's name"):
        Concat({name: Identity()})


@pytest.mark.parametrize("name", ["", " ", "a b", "a\n", "\x1b[31m"])
def test_a_name_with_blanks_is_refused(name: str) -> None:
    with pytest.raises(DescriptionError, match="it is empty or has blanks in it"):
        Chain({name: Identity()})


def test_a_name_with_a_dot_is_refused() -> None:
    with pytest.raises(DescriptionError, match=r"'3\.a': a dot separates levels of an address"):
        Chain({"3.a": Identity()})


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(DescriptionError, match="two layers are called 'a'"):
        Chain((("a", Identity()), ("a", LRN())))


@pytest.mark.parametrize("make", [Chain, Concat, lambda empty: Residual(empty, Identity())])
def test_nothing_is_refused(make) -> None:
    with pytest.raises(DescriptionError, match="an empty chain or branch; use Identity"):
        make({})


def test_what_is_no_layer_is_refused() -> None:
    with pytest.raises(DescriptionError, match="3 is not a layer record"):
        Chain({"a": 3})


def test_names_usable_in_torch_are_taken() -> None:
    module = torch.nn.Module()
    for name in ("3a", "1x1", "conv2_1", "5x5", "proj", "norm"):
        Chain({name: Identity()})
        module.add_module(name, torch.nn.Identity())


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Conv(0, 3), "Conv: filters is 0; it must be at least 1"),
        (lambda: Conv(8, (3, 0)), "Conv: kernel is 0"),
        (lambda: Conv(8, 3, stride=0), "Conv: stride is 0"),
        (lambda: Conv(8, 3, padding=(0, 0, -1, 0)), "Conv: padding is -1; it must be at least 0"),
        (lambda: Conv(8, 3, groups=0), "Conv: groups is 0"),
        (lambda: MaxPool(0), "MaxPool: kernel is 0"),
        (lambda: MaxPool(3, padding=2), "MaxPool: the padding is more than half of the kernel"),
        (lambda: MaxPool((3, 5), padding=2), "MaxPool: the padding is more than half of the kernel"),
        (lambda: AvgPool(2, stride=-1), "AvgPool: stride is -1"),
        (lambda: LRN(size=0), "LRN: size is 0"),
        (lambda: Linear(0), "Linear: features is 0"),
        (lambda: Dropout(1.5), "Dropout: rate is 1.5; it must be at most 1"),
        (lambda: ZeroPad(16, stride=0), "ZeroPad: stride is 0"),
        (lambda: BatchNorm(eps=-1e-5), "BatchNorm: eps is -1e-05"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(make, what: str) -> None:
    with pytest.raises(DescriptionError, match=what):
        make()


@pytest.mark.parametrize(
    ("given", "what"),
    [({"classes": 0}, "0 classes; at least 1"), ({"input": (3, 224)}, "not .channels, height, width"),
     ({"input": (3, 0, 8)}, "not .channels, height, width")],
)  # fmt: skip
def test_a_network_without_input_or_classes_is_refused(given: dict, what: str) -> None:
    with pytest.raises(DescriptionError, match=what):
        Network("none", {"fc": Linear(CLASSES)}, **given)


def test_mappings_become_chains_and_order_counts() -> None:
    conv, pool = Conv(8, 3), MaxPool(3)
    assert Concat({"a": {"conv": conv, "pool": pool}}) == Concat({"a": Chain({"conv": conv, "pool": pool})})
    assert Chain({"conv": conv, "pool": pool}) != Chain({"pool": pool, "conv": conv})


@pytest.mark.parametrize("id", ["googlenet", "resnet-50", "cifar-resnet-1202-a"])
def test_networks_hash_by_value(id: str) -> None:
    network = catalogue.network(id)
    again = Network(network.name, network.layers, network.heads, network.input, network.classes, network.init)
    assert again == network and again is not network
    assert len({network, again}) == 1


@pytest.mark.parametrize(
    ("kernel", "expected"), [(1, (0, 0, 0, 0)), (3, (1, 1, 1, 1)), ((1, 7), (0, 0, 3, 3)), (4, (1, 2, 1, 2))]
)
def test_padding_left_out_keeps_the_size(kernel: int | tuple[int, int], expected: tuple[int, ...]) -> None:
    assert sides(Conv(8, kernel)) == expected


def test_children_of_a_residual_end_with_its_shortcut() -> None:
    block = Residual({"conv1": Conv(8, 3), "conv2": Conv(8, 3)}, Identity())
    assert [name for name, _ in children(block)] == ["conv1", "conv2", "shortcut"]
    assert children(GlobalAvgPool()) == ()
