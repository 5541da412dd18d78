"""Differences between networks against the fact sheets, the published counts, and arithmetic by hand."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goingdeeper import catalogue
from goingdeeper.comparisons.diff import Change, diff
from goingdeeper.comparisons.tellings import briefly, by_block
from goingdeeper.costs.counts import cost
from goingdeeper.errors import ShapeError, UsageError
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
    Highway,
    Identity,
    Initialisation,
    Layer,
    Linear,
    MaxPool,
    Network,
    PReLU,
    Residual,
    Sigmoid,
    ZeroPad,
    normal,
)
from goingdeeper.published import figures
from goingdeeper.trace import trace

MODULES = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")


def found(a: Network | str, b: Network | str) -> dict[str, Change]:
    """The changes by path; no path may have two."""
    changes = diff(a, b).changes
    assert len({change.path for change in changes}) == len(changes)
    return {change.path: change for change in changes}


def network(layers: dict[str, Layer], **given: object) -> Network:
    """Layers on 8x8 images of four channels, and a classifier."""
    settings = {"input": (4, 8, 8), "classes": 7, **given}
    return Network("small", {**layers, "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}, **settings)


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_v1_5_moves_the_stride_of_three_blocks(depth: int) -> None:
    changes = found(f"resnet-{depth}", f"resnet-{depth}-v1.5")
    assert list(changes) == [f"conv{stage}_1.conv{index}" for stage in (3, 4, 5) for index in (1, 2)]
    for stage, filters, side in ((3, 128, 28), (4, 256, 14), (5, 512, 7)):
        first, second = changes[f"conv{stage}_1.conv1"], changes[f"conv{stage}_1.conv2"]
        assert (first.a, first.b) == (
            f"conv 1x1/2, {filters}, batch norm, ReLU",
            f"conv 1x1, {filters}, batch norm, ReLU",
        )
        # The 1x1 runs on the whole map instead of a quarter of it.
        assert (first.params, first.macs) == (0, 2 * filters * filters * 3 * side * side)
        assert (second.params, second.macs) == (0, 0)
        assert second.a == f"conv 3x3, {filters}, batch norm, ReLU; {side}x{side}x{filters} in"
        assert second.b == f"conv 3x3/2, {filters}, batch norm, ReLU; {2 * side}x{2 * side}x{filters} in"
    # The fact sheet: "+231,211,008, whatever the depth".
    assert (diff_of := diff(f"resnet-{depth}", f"resnet-{depth}-v1.5")).macs == 231_211_008
    assert diff_of.params == 0


def test_three_3x3_for_the_7x7() -> None:
    whole = diff("inception-v2-released-modules", "inception-v3")
    stem, rest = whole.changes[:3], whole.changes[3:]
    assert [(change.path_a, change.path_b) for change in stem] == [
        ("conv1", "conv1a"),
        (None, "conv2a"),
        (None, "conv2b"),
    ]
    # The fact sheet: 28,512 weights for 9,408, 616,627,296 MACs for 203,297,472; norm of 64 filters more.
    assert sum(change.params for change in stem) == 19_104 + 128
    assert sum(change.macs for change in stem) == 413_329_824
    trunk = [change for change in rest if not change.head]
    assert {change.macs for change in rest} == {change.params for change in trunk} == {0}
    assert {change.b for change in trunk} == {"avg pool 3x3, padding counted", "dropout 50 %"}
    [head] = [change for change in rest if change.head]
    assert head.path == "heads.mixed6e.conv2"
    assert head.params == 2 * 768 - 768


def test_naive_against_reduced() -> None:
    whole = diff("googlenet-naive", "googlenet")
    assert whole.params == 6_998_552 - 97_526_008
    assert whole.macs == 1_582_671_872 - 12_568_061_056
    changes = {change.path: change for change in whole.changes}
    added = {change.path for change in whole.changes if change.kind == "only in b"}
    assert added == {
        f"{module}.{name}" for module in MODULES for name in ("3x3.reduce", "5x5.reduce", "pool.proj")
    }
    # 3a is given the same in both; 3b gets 416 channels for 256 (the sheet's stacked naive modules).
    assert changes["3a.3x3.conv"].kind == changes["3b.1x1"].kind == "other input"
    assert "3a.1x1" not in changes
    assert changes["3b.1x1"].a == "conv 1x1, 128, bias, ReLU; 416 in"
    assert changes["3b.1x1"].b == "conv 1x1, 128, bias, ReLU; 256 in"
    assert changes["3b.1x1"].params == (256 - 416) * 128
    assert changes["3a.3x3.conv"].params == (96 - 192) * 9 * 128


def test_the_library_variant_of_googlenet() -> None:
    whole = diff("googlenet", "googlenet-torchvision")
    # The fact sheet, section 1.7.
    assert (whole.params, whole.macs) == (6_624_904 - 6_998_552, 1_498_376_192 - 1_582_671_872)
    assert whole.params_with_heads == 13_004_888 - 13_378_280
    changes = {change.path: change for change in whole.changes}
    assert {path for path, change in changes.items() if change.b is None} == {"norm1", "norm2"}
    assert not [path for path, change in changes.items() if change.a is None]
    smaller = {path for path, change in changes.items() if change.macs}
    assert smaller == {f"{module}.5x5.conv" for module in MODULES}
    assert changes["3a.5x5.conv"].macs == -16 * 16 * 32 * 28 * 28
    assert (changes["pool4"].a, changes["pool4"].b) == (
        "max pool 3x3/2, pad 0, ceil",
        "max pool 2x2/2, pad 0, ceil",
    )
    assert (changes["dropout"].a, changes["dropout"].b) == ("dropout 40 %", "dropout 20 %")
    assert (changes["heads.4a.pool"].b, changes["heads.4a.pool"].head) == ("average to 4x4", True)
    # Batch norm has gamma and beta where there was a bias.
    assert changes["conv1"].params == 64
    assert "initial weights are drawn by different rules" in whole.notes


def test_plain_against_residual() -> None:
    changes = found("plain-34", "resnet-34-a")
    blocks = [
        f"conv{stage}_{n}" for stage, count in ((2, 3), (3, 4), (4, 6), (5, 3)) for n in range(1, count + 1)
    ]
    assert list(changes) == [f"{block}.{part}" for block in blocks for part in ("conv2", "shortcut")]
    assert changes["conv3_2.conv2"].a == "conv 3x3, 128, batch norm, ReLU"
    assert changes["conv3_2.conv2"].b == "conv 3x3, 128, batch norm"
    assert (changes["conv3_2.shortcut"].a, changes["conv3_2.shortcut"].b) == (
        None,
        "identity, added, then ReLU",
    )
    assert changes["conv3_1.shortcut"].b == "zero-padding to 128 /2, added, then ReLU"
    assert {(change.params, change.macs) for change in changes.values()} == {(0, 0)}


def test_blocks() -> None:
    whole = diff("resnet-34-a:conv3_1", "resnet-34-b:conv3_1")
    [change] = whole.changes
    assert (change.path, change.b) == ("shortcut", "conv 1x1/2, 128, batch norm")
    assert (change.params, change.macs) == (64 * 128 + 256, 64 * 128 * 28 * 28)
    assert whole.a.name == "resnet-34-a:conv3_1"

    normed = diff("googlenet:3a", "bn-googlenet:3a")
    assert [change.path for change in normed.changes] == [
        "1x1", "3x3.reduce", "3x3.conv", "5x5.reduce", "5x5.conv", "pool.proj",
    ]  # fmt: skip
    assert (normed.params, normed.macs) == (368, 0)  # the sheet's biases of 3a

    wider = diff("googlenet", "googlenet", "3a", "4a")
    assert wider.params == (375_552 + 624) - (163_328 + 368)
    assert wider.macs == 73_608_192 - 128_049_152
    assert wider.notes == ("inputs differ: 28x28x192 in googlenet:3a, 14x14x480 in googlenet:4a",)


def test_stages_heads_and_single_layers_are_blocks() -> None:
    longer = diff("resnet-50:conv4_x", "resnet-101:conv4_x")
    assert [change.path for change in longer.changes] == [f"conv4_{n}" for n in range(7, 24)]
    assert {change.kind for change in longer.changes} == {"only in b"}
    # Table 1: 17 blocks more, each 1024 x 256 twice and 3 x 3 x 256 x 256, with batch norm, on 14x14.
    weights = 2 * 1024 * 256 + 9 * 256 * 256
    assert (longer.params, longer.macs) == (17 * (weights + 2 * (256 + 256 + 1024)), 17 * weights * 14 * 14)

    [head] = diff("googlenet:heads.4a", "googlenet:heads.4d").changes
    assert (head.kind, head.params) == ("other input", 3_190_888 - 3_188_840)
    [stem] = diff("googlenet:conv1", "googlenet-separable-stem:conv1").changes
    assert (stem.params, stem.macs) == (2_712 - 9_408, 34_019_328 - 118_013_952)
    assert (stem.path, stem.kind, stem.b) == ("conv1", "changed", "7x7/2, 24, 3 groups -> 1x1, 64")


FREE = [
    (MaxPool(3), AvgPool(3), "max pool 3x3", "avg pool 3x3"),
    (MaxPool(3, stride=2), MaxPool(2, stride=2), "max pool 3x3/2", "max pool 2x2/2"),
    (MaxPool(3, stride=2, padding=0, ceil=True), MaxPool(3, stride=2, padding=0),
     "max pool 3x3/2, pad 0, ceil", "max pool 3x3/2, pad 0"),
    (MaxPool(3, stride=2, padding=0, ceil=True), MaxPool(3, stride=2, padding=(0, 1, 0, 1)),
     "max pool 3x3/2, pad 0, ceil", "max pool 3x3/2, pad 0/1/0/1"),
    (AvgPool(3), AvgPool(3, count_padding=False),
     "avg pool 3x3, padding counted", "avg pool 3x3, padding not counted"),
    (Dropout(0.4), Dropout(0.2), "dropout 40 %", "dropout 20 %"),
    (LRN(), LRN(alpha=1e-3, beta=0.5, k=2.0),
     "LRN 5, alpha 0.0001, beta 0.75, k 1", "LRN 5, alpha 0.001, beta 0.5, k 2"),
    (ZeroPad(6), ZeroPad(6, side="both"), "zero-padding to 6, zeros after", "zero-padding to 6, zeros both"),
    (Conv(4, 3, norm=BatchNorm()), Conv(4, 3, norm=BatchNorm(eps=1e-3)),
     "conv 3x3, 4, batch norm, ReLU, norm eps 1e-05", "conv 3x3, 4, batch norm, ReLU, norm eps 0.001"),
    (Conv(4, 3, norm=BatchNorm()), Conv(4, 3, norm=BatchNorm(momentum=0.01)),
     "conv 3x3, 4, batch norm, ReLU, norm momentum 0.1", "conv 3x3, 4, batch norm, ReLU, norm momentum 0.01"),
    (Conv(4, 3, act=PReLU()), Conv(4, 3, act=PReLU(slope=0.1)),
     "conv 3x3, 4, PReLU, slope 0.25", "conv 3x3, 4, PReLU, slope 0.1"),
    (Conv(4, 3), Conv(4, 3, act=None), "conv 3x3, 4, ReLU", "conv 3x3, 4"),
    (Conv(4, 3, stride=2), Conv(4, 3, stride=2, padding=(0, 1, 0, 1)),
     "conv 3x3/2, 4, ReLU", "conv 3x3/2, 4, pad 0/1/0/1, ReLU"),
    (Conv(4, (1, 3)), Conv(4, (3, 1)), "conv 1x3, 4, ReLU", "conv 3x1, 4, ReLU"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "a", "b"), FREE)
def test_a_change_that_costs_nothing_shows(one: Layer, other: Layer, a: str, b: str) -> None:
    change = found(network({"x": one}), network({"x": other}))["x"]
    assert (change.a, change.b, change.params, change.macs) == (a, b, 0, 0)


def test_several_fields_at_once_are_all_named() -> None:
    one = Conv(4, 3, norm=BatchNorm())
    other = Conv(6, 3, norm=BatchNorm(eps=1e-3, scale=False))
    change = found(network({"x": one}), network({"x": other}))["x"]
    assert change.a == "conv 3x3, 4, batch norm, ReLU, norm eps 1e-05, gamma"
    assert change.b == "conv 3x3, 6, batch norm, ReLU, norm eps 0.001, no gamma"


def test_batch_norm_without_gamma_counts() -> None:
    one, other = (Conv(5, 1, norm=BatchNorm(scale=scale)) for scale in (True, False))
    assert found(network({"x": one}), network({"x": other}))["x"].params == -5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Conv(4, 3), Conv(4, (3, 3), padding=1)),
        (Conv(4, 3), Conv(4, 3, padding=(1, 1, 1, 1))),
        (MaxPool(2), MaxPool((2, 2), padding=(0, 1, 0, 1))),
        (AvgPool(2, padding=0), AvgPool(2, padding=0, count_padding=False)),
        (Conv(CLASSES, 1), Conv(7, 1)),
    ],
)
def test_two_ways_to_write_a_layer_are_no_difference(one: Layer, other: Layer) -> None:
    assert not diff(network({"x": one}), network({"x": other})).changes


def test_the_addition_of_a_residual_block() -> None:
    one, other = (Residual({"conv": Conv(4, 3)}, Identity(), act) for act in (None, Conv(1, 1).act))
    change = found(network({"x": one}), network({"x": other}))["x"]
    assert (change.a, change.b) == ("residual block, no ReLU after it", "residual block, then ReLU")


def test_order() -> None:
    a = network({"conv": Conv(4, 3), "pool1": MaxPool(3), "norm1": LRN()})
    b = network({"conv": Conv(4, 3), "norm1": LRN(), "pool1": MaxPool(3)})
    [change] = diff(a, b).changes
    assert (change.kind, change.path, change.a, change.b) == ("moved", "norm1", "after pool1", "after conv")
    one, other = Conv(2, 1), {"reduce": Conv(2, 1), "conv": Conv(2, 3)}
    [change] = diff(
        network({"m": Concat({"1x1": one, "3x3": other})}), network({"m": Concat({"3x3": other, "1x1": one})})
    ).changes
    assert (change.kind, change.path, change.a, change.b) == ("moved", "m.3x3", "after 1x1", "first")


def test_other_names() -> None:
    a = network(
        {"a": Conv(4, 3), "m": Concat({"1x1": Conv(2, 1), "5x5": {"r": Conv(2, 1), "c": Conv(2, 5)}})}
    )
    b = network(
        {"b": Conv(4, 3), "m": Concat({"1x1": Conv(2, 1), "3x3": {"r": Conv(2, 1), "c": Conv(2, 3)}})}
    )
    renamed, smaller = diff(a, b).changes
    assert (renamed.kind, renamed.path_a, renamed.path_b, renamed.a) == (
        "renamed",
        "a",
        "b",
        "conv 3x3, 4, ReLU",
    )
    assert (smaller.kind, smaller.path_a, smaller.path_b) == ("changed", "m.5x5.c", "m.3x3.c")
    assert smaller.params == -2 * 2 * 16


def test_a_chain_of_one_is_its_layer() -> None:
    a, b = network({"x": Conv(4, 3)}), network({"x": Chain({"conv": Conv(5, 3)})})
    there, back = found(a, b)["x"], found(b, a)["x.conv"]
    assert (there.kind, there.path_b, there.params) == ("changed", "x.conv", 9 * 4)
    assert (back.kind, back.path_b, back.params) == ("changed", "x", -9 * 4)
    [same] = diff(a, network({"x": Chain({"conv": Conv(4, 3)})})).changes
    assert (same.kind, same.params) == ("renamed", 0)


def test_what_is_on_one_side_only_is_one_row() -> None:
    highway = Highway(Conv(4, 3, bias=True), Conv(4, 3, bias=True, act=Sigmoid()))
    a, b = network({}), network({"gated": highway})
    [there], [back] = diff(a, b).changes, diff(b, a).changes
    assert (there.path, there.kind, there.a, there.b) == ("gated", "only in b", None, "highway 3x3, 4")
    assert (there.params, there.macs) == (2 * (4 * 4 * 9 + 4), 2 * 4 * 4 * 9 * 64)
    assert (back.path, back.kind, back.a, back.b) == ("gated", "only in a", "highway 3x3, 4", None)
    assert (back.params, back.macs) == (-there.params, -there.macs)
    assert (there.shapes_a, there.shapes_b) == (None, ((4, 8, 8), (4, 8, 8)))


def test_heads() -> None:
    head = {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}
    a = network({"x": Conv(4, 3), "y": Conv(4, 3)}, heads={"x": head})
    b = network({"x": Conv(4, 3), "y": Conv(4, 3)}, heads={"y": head})
    [change] = diff(a, b).changes
    assert (change.kind, change.path, change.a, change.b, change.head) == (
        "moved", "heads.x", "head that reads x", "head that reads y", True,
    )  # fmt: skip
    gone = diff(a, replace(a, heads=()))
    [change] = gone.changes
    assert (change.path, change.kind, change.params, change.head) == (
        "heads.x",
        "only in a",
        -(4 * 7 + 7),
        True,
    )
    assert (gone.params, gone.params_with_heads, gone.macs_with_heads) == (0, -35, -28)


def test_notes() -> None:
    a = network({"x": Conv(4, 3)})
    b = replace(a, input=(4, 9, 8), classes=5, init=Initialisation(conv=normal(0.01)))
    whole = diff(a, b)
    assert whole.notes == (
        "classes differ: 7 in small (first), 5 in small (second)",
        "inputs differ: 8x8x4 in small (first), 9x8x4 in small (second)",
        "initial weights are drawn by different rules",
    )
    assert [change.path for change in whole.changes] == ["x", "pool", "fc"]
    assert whole.changes[0].b == "conv 3x3, 4, ReLU; 9x8x4 in"
    # The layers are the same as a whole, but each that is given another shape is named.
    assert [change.path for change in diff(a, replace(a, input=(4, 9, 8))).changes] == ["x", "pool"]
    only_rules = diff(a, replace(a, init=Initialisation(conv=normal(0.01))))
    assert (only_rules.changes, len(only_rules.notes)) == ((), 1)


def test_an_edit_and_its_original_are_told_apart() -> None:
    original = catalogue.network("resnet-34-a")
    edited = replace(original, layers=(*original.layers, ("extra", Dropout(0.5))))
    whole = diff(original, edited)
    assert (whole.a.name, whole.b.name) == ("resnet-34-a (first)", "resnet-34-a (second)")
    said = str(whole)
    assert said.startswith("from resnet-34-a (first) to resnet-34-a (second)\n")
    assert "\nresnet-34-a (first) " in said
    assert "\nresnet-34-a (second) " in said
    blocks = diff(original, edited, "conv2_1", "conv2_1")
    assert blocks.b.name == "resnet-34-a:conv2_1 (second)"
    # Other names, or one and the same description, need no rank.
    assert diff(original, edited, "conv2_1", "conv2_2").b.name == "resnet-34-a:conv2_2"
    assert diff(original, "resnet-34-a").b.name == "resnet-34-a"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        # conv1 of AlexNet's eight layers stands at an address that the other has, too.
        ("alexnet", "resnet-50", 1 / 8),
        ("resnet-50", "alexnet", 1 / 8),
        # Only the linear layer of the smaller one's 69 convolutions and one linear layer has its like.
        ("bn-inception-caffe", "inception-v3", 1 / 70),
        ("resnet-18-b", "resnet-152", 1),
        ("cifar-resnet-20-a", "cifar-resnet-1202-a", 1),
        ("googlenet", "googlenet-torchvision", 1),
    ],
)
def test_shared(a: str, b: str, expected: float) -> None:
    assert diff(a, b).shared == pytest.approx(expected)


def test_shared_counts_the_same_layer_at_another_address() -> None:
    a = network({"x": Conv(4, 3), "y": Conv(5, 1)})
    b = network({"u": Conv(4, 3), "v": Conv(6, 1)})
    assert diff(a, b).shared == pytest.approx(2 / 3)  # u for x, fc; not v for y


def test_another_input_for_both() -> None:
    # v1.5 at twice the side: four times the work.
    assert diff("resnet-50", "resnet-50-v1.5", input=(3, 448, 448)).macs == 4 * 231_211_008
    with pytest.raises(ShapeError, match="smallest input"):
        diff("alexnet", "googlenet", input=(3, 4, 4))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("resnet-5", "resnet-50", "unknown network 'resnet-5'; did you mean resnet-50"),
        ("googlenet:3a", "bn-googlenet", "googlenet:3a is a block and bn-googlenet a whole network"),
        ("googlenet:3a", "googlenet:3c", "unknown address in googlenet: '3c'; it has: conv1, pool1"),
        ("resnet-50:conv33_1", "resnet-50", "resnet-50:conv33_1 is a block and resnet-50 a whole network"),
        (
            "resnet-50:conv33_1",
            "resnet-50:fc",
            "unknown address in resnet-50: 'conv33_1'; did you mean conv3_1",
        ),
        ("googlenet:", "googlenet:3a", "'googlenet:' names no block behind the colon"),
        (":3a", "googlenet:3a", "':3a' names no network before the colon"),
        ("googlenet:3a.7x7", "googlenet:3a", "unknown address in googlenet at 3a: '7x7'"),
    ],
)
def test_refusals(a: str, b: str, message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        diff(a, b)
    assert str(refusal.value).startswith(message)


PAIRS = [
    *itertools.permutations(("googlenet", "googlenet-naive", "googlenet-torchvision", "bn-googlenet"), 2),
    *itertools.permutations(("bn-inception-released", "bn-inception-caffe", "googlenet", "inception-v3"), 2),
    ("inception-v2-released-modules", "inception-v2-table1-3x3"), ("inception-v3", "inception-v3-keras"),
    ("plain-18", "resnet-34-c"), ("resnet-18-b", "resnet-50"), ("resnet-50", "resnet-50-signs"),
    ("resnet-101-c", "resnet-152"), ("cifar-resnet-20-a", "cifar-resnet-110-b"), ("vgg-11", "vgg-16-c"),
    ("vgg-19", "prelu-net-a"), ("highway-19", "fitnet-19"), ("nin-cifar10", "dsn-cifar10"),
    ("alexnet", "alexnet-ungrouped"), ("alexnet", "resnet-34-a"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_changes_sum_to_the_published_difference(a: str, b: str) -> None:
    before, after, whole = figures(a), figures(b), diff(a, b)
    assert whole.params == after.params - before.params
    assert whole.macs == after.macs - before.macs
    check_account(catalogue.network(a), catalogue.network(b))


@pytest.mark.parametrize("id", catalogue.names())
def test_a_network_does_not_differ_from_itself(id: str) -> None:
    whole = diff(id, id)
    assert (whole.changes, whole.notes, whole.params, whole.macs_with_heads) == ((), (), 0, 0)


def check_account(a: Network, b: Network) -> None:
    """Changes sum to the differences of the totals, and what no change covers is the same on both sides."""
    whole, before, after = diff(a, b), cost(a), cost(b)
    trunk = [change for change in whole.changes if not change.head]
    for changes, of in (
        (trunk, ("params", "macs")),
        (whole.changes, ("params_with_heads", "macs_with_heads")),
    ):
        for name, total in zip(("params", "macs"), of, strict=True):
            assert sum(getattr(one, name) for one in changes) == getattr(after, total) - getattr(
                before, total
            )
    for tell in (briefly, by_block):
        assert sum(one.params for one in tell(trunk, whole)) == whole.params
        assert sum(one.macs for one in tell(whole.changes, whole)) == whole.macs_with_heads
    told = [change for change in whole.changes if change.kind != "moved"]
    left_a, left_b = (
        {
            step.path: (counted(step.layer, net.classes), step.shape_in, step.shape_out)
            for step in trace(net)
            if step.leaf and not any(f"{step.path}.".startswith(f"{path}.") for path in paths)
        }
        for net, paths in (
            (a, [change.path_a for change in told if change.path_a]),
            (b, [change.path_b for change in told if change.path_b]),
        )
    )
    assert len(left_a) == len(left_b)
    assert sorted(map(str, left_a.values())) == sorted(map(str, left_b.values()))
    for path in left_a.keys() & left_b.keys():
        assert left_a[path] == left_b[path], path
    for change in told:
        assert change.a != change.b or change.kind == "renamed"


def counted(layer: Layer, classes: int) -> Layer:
    if isinstance(layer, Linear) and layer.features == CLASSES:
        return replace(layer, features=classes)
    return replace(layer, filters=classes) if isinstance(layer, Conv) and layer.filters == CLASSES else layer


NAMES = st.permutations(["a", "b", "c", "d", "e"])
LEAVES = st.sampled_from([
    Conv(2, 1), Conv(4, 3), Conv(4, 3, bias=True), Conv(3, 5, norm=BatchNorm()), MaxPool(3), AvgPool(3),
    LRN(), Dropout(0.5), Identity(),
])  # fmt: skip


def _named(layers: st.SearchStrategy[Layer]) -> st.SearchStrategy[dict[str, Layer]]:
    return st.builds(
        lambda names, found: dict(zip(names, found, strict=False)),
        NAMES,
        st.lists(layers, min_size=1, max_size=4),
    )


def _containers(layers: st.SearchStrategy[Layer]) -> st.SearchStrategy[Layer]:
    def residual(body: dict[str, Layer]) -> Layer:
        return Residual({**body, "last": Conv(3, 1)}, Conv(3, 1))

    return st.one_of(_named(layers).map(Chain), _named(layers).map(Concat), _named(layers).map(residual))


NETWORKS = _named(st.recursive(LEAVES, _containers, max_leaves=6)).map(network)


@settings(max_examples=150, deadline=None)
@given(NETWORKS, NETWORKS)
def test_any_two_networks(a: Network, b: Network) -> None:
    check_account(a, b)
    check_account(b, a)
    assert not diff(a, a).changes
