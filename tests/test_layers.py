"""Records: values that compare and hash, names that torch can use, and contradictions refused."""

import dataclasses

import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.errors import DescriptionError
from goingdeeper.layers import (
    CLASSES,
    HE,
    LEAVES,
    LRN,
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Draw,
    Dropout,
    GlobalAvgPool,
    Highway,
    Identity,
    Initialisation,
    Linear,
    Maxout,
    MaxPool,
    Network,
    PReLU,
    ReLU,
    Residual,
    Sigmoid,
    SpatialPyramid,
    Start,
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
    with pytest.raises(DescriptionError, match=r"^a: 3 is not a layer; a record such as"):
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
    ("make", "what"),
    [
        (lambda: Conv(8, True), "Conv: kernel is True; int or (int, int) is expected"),
        (lambda: Conv(8, 3.0), "Conv: kernel is 3.0; int or (int, int) is expected"),
        (lambda: Conv(8, [3, 3]), "Conv: kernel is [3, 3]; int or (int, int) is expected"),
        (lambda: Conv(8, (3, 3, 3)), "Conv: kernel is (3, 3, 3); int or (int, int) is expected"),
        (lambda: Conv(8, (3, True)), "Conv: kernel is (3, True); int or (int, int) is expected"),
        (lambda: Conv(8, None), "Conv: kernel is None; int or (int, int) is expected"),
        (lambda: Conv("8", 3), "Conv: filters is '8'; int or 'classes' is expected"),
        (lambda: Conv(None, 3), "Conv: filters is None; int or 'classes' is expected"),
        (lambda: Conv(8, 3, stride=(2, 2)), "Conv: stride is (2, 2); int is expected"),
        (lambda: Conv(8, 3, padding="same"), "Conv: padding is 'same'; int or (int, int, int, int) or None"),
        (lambda: Conv(8, 3, padding=(1, 1)), "Conv: padding is (1, 1); int or (int, int, int, int) or None"),
        (lambda: Conv(8, 3, groups=2.0), "Conv: groups is 2.0; int is expected"),
        (lambda: Conv(8, 3, bias=1), "Conv: bias is 1; bool is expected"),
        (lambda: Conv(8, 3, norm=True), "Conv: norm is True; BatchNorm(...) or None is expected"),
        (lambda: Conv(8, 3, norm=LRN()), "Conv: norm is LRN(size=5, alpha=0.0001"),
        (lambda: Conv(8, 3, act="relu"), "Conv: act is 'relu'; ReLU(...) or PReLU(...) or Maxout(...) or"),
        (lambda: Conv(8, 3, act=False), "Conv: act is False; ReLU(...) or"),
        (lambda: Conv(8, 3, act=ReLU), "Conv: act is <class 'goingdeeper.layers.parts.ReLU'>; ReLU(...)"),
        (lambda: Conv(8, 3, act=Identity()), "Conv: act is Identity(); ReLU(...)"),
        (lambda: Conv(2**31, 3), "Conv: filters is 2147483648; it must be at most 2147483647"),
        (lambda: Conv(8, 10**9, padding=-(10**60)), "Conv: padding is -10000"),
        (lambda: MaxPool("3"), "MaxPool: kernel is '3'; int or (int, int) is expected"),
        (lambda: MaxPool(3, ceil=None), "MaxPool: ceil is None; bool is expected"),
        (lambda: AvgPool(2.5), "AvgPool: kernel is 2.5; int or (int, int) is expected"),
        (lambda: AvgPool(2, padding=1.0), "AvgPool: padding is 1.0; int or"),
        (lambda: AdaptiveAvgPool((4, 4)), "AdaptiveAvgPool: bins is (4, 4); int is expected"),
        (lambda: AdaptiveAvgPool(0), "AdaptiveAvgPool: bins is 0; it must be at least 1"),
        (lambda: SpatialPyramid(4), "SpatialPyramid: bins is 4; (int, ...) is expected"),
        (lambda: SpatialPyramid([4, 2]), "SpatialPyramid: bins is [4, 2]; (int, ...) is expected"),
        (lambda: SpatialPyramid(()), "SpatialPyramid: no bins"),
        (lambda: SpatialPyramid((4, 0)), "SpatialPyramid: bins is 0; it must be at least 1"),
        (lambda: LRN(size=5.0), "LRN: size is 5.0; int is expected"),
        (lambda: LRN(alpha="small"), "LRN: alpha is 'small'; float is expected"),
        (lambda: Linear([10]), "Linear: features is [10]; int or 'classes' is expected"),
        (lambda: Linear(10, act="softmax"), "Linear: act is 'softmax'; ReLU(...)"),
        (lambda: Dropout("0.5"), "Dropout: rate is '0.5'; float is expected"),
        (lambda: Dropout(True), "Dropout: rate is True; float is expected"),
        (lambda: Dropout(float("nan")), "Dropout: rate is nan; float is expected"),
        (lambda: Dropout(-0.1), "Dropout: rate is -0.1; it must be at least 0"),
        (lambda: ZeroPad("classes"), "ZeroPad: filters is 'classes'; int is expected"),
        (lambda: ZeroPad(16, side="before"), "ZeroPad: side is 'before'; 'after' or 'both' is expected"),
        (lambda: ZeroPad(16, side=["both"]), "ZeroPad: side is ['both']; 'after' or 'both' is expected"),
        (lambda: BatchNorm(eps=None), "BatchNorm: eps is None; float is expected"),
        (lambda: BatchNorm(momentum=2), "BatchNorm: momentum is 2; it must be at most 1"),
        (lambda: BatchNorm(scale=0), "BatchNorm: scale is 0; bool is expected"),
        (lambda: PReLU("channel"), "PReLU: slope is 'channel'; float is expected"),
        (lambda: PReLU(shared=1), "PReLU: shared is 1; bool is expected"),
        (lambda: Maxout(0), "Maxout: pieces is 0; it must be at least 1"),
        (lambda: Maxout(2.0), "Maxout: pieces is 2.0; int is expected"),
        (lambda: Draw("gaussian", 2.0), "Draw: distribution is 'gaussian'; 'normal' or 'truncated' or"),
        (lambda: Draw("normal", -1), "Draw: gain is -1; it must be at least 0"),
        (lambda: Draw("normal", float("inf")), "Draw: gain is inf; float is expected"),
        (lambda: Start(0.5), "Start: weights is 0.5; Draw(...) or None is expected"),
        (lambda: Initialisation("he"), "Initialisation: conv is 'he'; Draw(...) is expected"),
        (lambda: Initialisation(apart=3), "Initialisation: apart is 3; ((str, Start(...)), ...) is expected"),
        (lambda: Initialisation(apart={"fc": HE}), "Initialisation: apart is (('fc', Draw("),
    ],
)  # fmt: skip
def test_a_field_that_holds_something_else_is_refused(make, what: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        make()
    assert str(caught.value).startswith(what)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


class Table:
    """Something whose text has many lines, as an array's has."""

    def __repr__(self) -> str:
        return "[[1, 2],\n [3, 4]]"


def test_a_message_is_one_line_whatever_the_value() -> None:
    with pytest.raises(
        DescriptionError, match=r"^Conv: filters is \[\[1, 2\], \[3, 4\]\]; int or 'classes' is"
    ):
        Conv(Table(), 3)


def test_every_field_of_every_record_is_checked() -> None:
    """With something that no field can hold."""
    kinds = (*LEAVES, BatchNorm, PReLU, Maxout, Draw, Start, Initialisation)
    right = {
        "filters": 8, "kernel": 3, "bins": 2, "features": 8, "rate": 0.5, "distribution": "normal",
        "gain": 1.0, "first": 0, "channels": 2,
    }  # fmt: skip
    for kind in kinds:
        names = [field.name for field in dataclasses.fields(kind)]
        given = {name: right[name] for name in names if name in right}
        given["bins"] = (2,) if kind is SpatialPyramid else 2
        given = {name: value for name, value in given.items() if name in names}
        kind(**given)
        for name in names:
            with pytest.raises(DescriptionError, match=f"^{kind.__name__}: {name} is <object"):
                kind(**{**given, name: object()})


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Chain({"a": Conv}), "a: <class 'goingdeeper.layers.leaves.Conv'> is not a layer; a record"),
        (lambda: Chain({"a": "conv"}), "a: 'conv' is not a layer; a record such as Conv(64, 3) is expected"),
        (lambda: Chain({"a": BatchNorm()}), "a: BatchNorm(eps=1e-05, momentum=0.1, sc... is not a layer; a"),
        (lambda: Chain({"a": {"b": {"c": None}}}), "a.b.c: None is not a layer"),
        (lambda: Chain({"a": [Conv(8, 3)]}), "a: [Conv(filters=8"),
        (lambda: Chain({"a": (Conv(8, 3),)}), "a: (Conv(filters=8, kernel=3, stride=1, ... is not layers"),
        (lambda: Chain(Conv(8, 3)), "Conv(filters=8, kernel=3, stride=1, p... is not layers"),
        (lambda: Chain(3), "3 is not layers by name; a dict such as {'conv': Conv(64, 3)} is expected"),
        (lambda: Chain("abc"), "'abc' is not layers by name"),
        (lambda: Chain({3: Identity()}), "3 cannot be a layer's name: it is no text"),
        (lambda: Concat({"a": {3: Identity()}}), "a: 3 cannot be a layer's name: it is no text"),
        (lambda: Concat({"a": Identity(), "b": {}}), "b: an empty chain or branch; use Identity() where"),
        (lambda: Concat({"a": {"b": {"pop": LRN()}}}), "a.b: 'pop' cannot be a layer's name: torch uses it"),
        (lambda: Concat([Conv(8, 3), Conv(8, 1)]), "[Conv(filters=8"),
        (lambda: Residual({"a": Conv(8, 3)}, None), "shortcut: None is not a layer; a record such as"),
        (lambda: Residual({"a": Conv(8, 3)}, {}), "shortcut: an empty chain or branch; use Identity()"),
        (lambda: Residual({"a": Conv(8, 3)}, {"a": 3}), "shortcut.a: 3 is not a layer"),
        (lambda: Residual(Conv(8, 3), Identity()), "Conv(filters=8, kernel=3, stride=1, p... is not layers"),
        (lambda: Residual({"a": Conv(8, 3)}, Identity(), "relu"), "Residual: act is 'relu'; ReLU(...) or"),
        (lambda: Residual({"a": Conv(8, 3)}, Identity(), PReLU()), "Residual: act is PReLU(slope=0.25"),
        (lambda: Highway(Conv(8, 3), Sigmoid()), "gate: Sigmoid() is not a layer; a record such as"),
        (lambda: Highway({}, Conv(8, 3)), "transform: an empty chain or branch"),
        (lambda: Highway(Conv(8, 3), {"a": -2}), "gate.a: -2 is not a layer"),
    ],
)  # fmt: skip
def test_a_container_of_something_else_is_refused_by_address(make, what: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        make()
    assert str(caught.value).startswith(what)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"name": None}, "Network: name is None; str is expected"),
        ({"layers": {}}, "an empty chain or branch"),
        ({"layers": None}, "None is not layers by name"),
        ({"layers": {"3a": {"1x1": "conv"}}}, "3a.1x1: 'conv' is not a layer"),
        ({"heads": {"fc": 3}}, "heads.fc: 3 is not a layer"),
        ({"heads": {"fc": {}}}, "heads.fc: an empty chain or branch"),
        ({"heads": {"fc": {"a": None}}}, "heads.fc.a: None is not a layer"),
        ({"heads": {3: Linear(CLASSES)}}, "3 cannot be a head's address: it is no text"),
        ({"heads": {"": Linear(CLASSES)}}, "'' cannot be a layer's name: it is empty"),
        ({"heads": ["fc"]}, "heads: ['fc'] is not layers by name"),
        ({"classes": 0}, "none: 0 classes; at least 1 is needed"),
        ({"classes": -1}, "none: -1 classes; at least 1 is needed"),
        ({"classes": 2**31}, "none: 2147483648 classes; at most 2147483647 are possible"),
        ({"classes": "ten"}, "Network: classes is 'ten'; int is expected"),
        ({"classes": 10.0}, "Network: classes is 10.0; int is expected"),
        ({"classes": None}, "Network: classes is None; int is expected"),
        ({"input": (3, 224)}, "none: input (3, 224) is not (channels, height, width), each from 1 to"),
        ({"input": (1, 3, 8, 8)}, "none: input (1, 3, 8, 8) is not (channels, height, width)"),
        ({"input": 224}, "none: input 224 is not (channels, height, width)"),
        ({"input": "3x8x8"}, "none: input '3x8x8' is not (channels, height, width)"),
        ({"input": (3, 8.0, 8)}, "none: input (3, 8.0, 8) is not (channels, height, width)"),
        ({"input": (3, True, 8)}, "none: input (3, True, 8) is not (channels, height, width)"),
        ({"input": (3, 8, None)}, "none: input (3, 8, None) is not (channels, height, width)"),
        ({"input": (0, 8, 8)}, "none: input (0, 8, 8) is not (channels, height, width)"),
        ({"input": (3, -8, 8)}, "none: input (3, -8, 8) is not (channels, height, width)"),
        ({"input": (3, 2**31, 8)}, "none: input (3, 2147483648, 8) is not (channels, height, width)"),
        ({"init": "he"}, "Network: init is 'he'; Initialisation(...) is expected"),
        ({"init": HE}, "Network: init is Draw("),
    ],
)  # fmt: skip
def test_a_network_of_something_else_is_refused(given: dict, what: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        Network(**{"name": "none", "layers": {"fc": Linear(CLASSES)}, **given})
    assert str(caught.value).startswith(what)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_lists_of_pairs_and_numbers_do() -> None:
    given = [("conv", Conv(8, 3)), ("fc", Linear(CLASSES))]
    network = Network("listed", given, [("conv", Linear(CLASSES))], input=[3, 8, 8])
    assert network == Network("listed", dict(given), {"conv": Linear(CLASSES)}, input=(3, 8, 8))
    assert Dropout(0) == Dropout(0.0)


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
