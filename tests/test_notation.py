"""Descriptions as JSON and back, and whatever else JSON may hold refused by place."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goingdeeper import catalogue
from goingdeeper.errors import DescriptionError, UsageError
from goingdeeper.layers import (
    CLASSES,
    LRN,
    RELU,
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
    Layer,
    Linear,
    Maxout,
    MaxPool,
    Network,
    PReLU,
    Residual,
    Sigmoid,
    SpatialPyramid,
    Start,
    ZeroPad,
)
from goingdeeper.notation import from_data, from_file, from_json, to_data, to_json
from goingdeeper.trace import trace

NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,4}", fullmatch=True).map(lambda name: f"n{name}")
COUNTS = st.integers(1, 9)
RATES = st.floats(0, 1)
NORMS = st.none() | st.builds(BatchNorm, st.floats(0, 1), RATES, st.booleans())
ACTIVATIONS = st.one_of(
    st.none(),
    st.just(RELU),
    st.just(Sigmoid()),
    st.builds(PReLU, RATES, st.booleans()),
    st.builds(Maxout, COUNTS),
)
LEAVES = st.one_of(
    st.builds(
        Conv,
        COUNTS | st.just(CLASSES),
        COUNTS | st.tuples(COUNTS, COUNTS),
        COUNTS,
        st.none() | COUNTS | st.tuples(COUNTS, COUNTS, COUNTS, COUNTS),
        COUNTS,
        st.booleans(),
        NORMS,
        ACTIVATIONS,
    ),
    st.builds(MaxPool, COUNTS, COUNTS, st.none() | st.just(0), st.booleans()),
    st.builds(AvgPool, COUNTS, COUNTS, st.none() | st.just(0), st.booleans(), st.booleans()),
    st.builds(LRN, COUNTS, RATES, RATES, RATES),
    st.builds(Linear, COUNTS | st.just(CLASSES), st.booleans(), ACTIVATIONS),
    st.builds(ZeroPad, COUNTS, COUNTS, st.sampled_from(["after", "both"])),
    st.builds(Dropout, RATES),
    st.builds(AdaptiveAvgPool, COUNTS),
    st.builds(SpatialPyramid, st.lists(COUNTS, min_size=1, max_size=3).map(tuple)),
    st.sampled_from([Identity(), GlobalAvgPool()]),
)


def named(layers: st.SearchStrategy[Layer]) -> st.SearchStrategy[dict[str, Layer]]:
    return st.dictionaries(NAMES, layers, min_size=1, max_size=3)


LAYERS: st.SearchStrategy[Layer] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        named(inner).map(Chain),
        named(inner).map(Concat),
        st.builds(Residual, named(inner), inner, st.sampled_from([RELU, None])),
        st.builds(Highway, inner, inner),
    ),
    max_leaves=6,
)
NETWORKS = st.builds(
    Network,
    st.text(),
    named(LAYERS),
    st.just(()) | named(LAYERS),
    st.tuples(COUNTS, COUNTS, COUNTS),
    COUNTS,
    st.builds(
        Initialisation,
        st.builds(
            Draw,
            st.sampled_from(["normal", "truncated", "uniform"]),
            RATES,
            st.sampled_from(["in", "out", "average", "one"]),
        ),
    ),
)
SMALL = Network(
    "small",
    {
        "conv1": Conv(8, 3, norm=BatchNorm()),
        "3a": Concat({"1x1": Conv(4, 1), "3x3": {"reduce": Conv(2, 1), "conv": Conv(4, (3, 3))}}),
        "conv2_1": Residual({"conv1": Conv(8, 3, act=None)}, Identity()),
        "pool": GlobalAvgPool(),
        "dropout": Dropout(0.5),
        "fc": Linear(CLASSES),
    },
    heads={"3a": {"pool": AvgPool(3, 2), "fc": Linear(CLASSES)}},
    input=(3, 8, 8),
    classes=5,
    init=Initialisation(conv=Draw("normal", 2.0, "out"), apart={"heads.*": Start(bias=0.5)}),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=3)
    | st.sampled_from(["Conv", "Chain", "BatchNorm", "classes", "normal"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["kind", "layers", "a", "filters", "body"]), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@pytest.mark.parametrize("id", catalogue.names())
def test_every_network_of_the_catalogue_comes_back(id: str) -> None:
    network = catalogue.network(id)
    again = from_json(to_json(network))
    assert again == network
    assert hash(again) == hash(network)


@settings(deadline=None)
@given(NETWORKS)
def test_any_network_comes_back(network: Network) -> None:
    assert from_json(to_json(network)) == network
    assert from_data(to_data(network)) == network


def test_defaults_are_left_out_and_the_kind_is_there() -> None:
    written = to_data(SMALL)["layers"]
    assert written["3a"]["branches"]["1x1"] == {"kind": "Conv", "filters": 4, "kernel": 1}
    assert written["conv1"]["norm"] == {"kind": "BatchNorm"}
    assert written["fc"] == {"kind": "Linear", "features": "classes"}


def test_heads_and_initialisation_may_be_left_out() -> None:
    data = to_data(SMALL)
    del data["heads"], data["init"]
    read = from_data(data)
    assert (read.heads, read.init) == ((), Initialisation())


def places(data: Any, at: tuple = ()) -> list[tuple]:
    """Every place in plain data, as the keys that lead there."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [at, *(place for key, value in inside for place in places(value, (*at, key)))]


def changed(data: Any, at: tuple, edit: Any) -> Any:
    """The data with `edit` at a place, or with what was there taken out where `edit` is an ellipsis."""
    copy = dict(data) if isinstance(data, dict) else list(data)
    key, *deeper = at
    if deeper:
        copy[key] = changed(copy[key], tuple(deeper), edit)
    elif edit is ...:
        del copy[key]
    else:
        copy[key] = edit
    return copy


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_a_mutation_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    mutated = to_data(SMALL)
    for _ in range(data.draw(st.integers(1, 2))):
        where = data.draw(st.sampled_from(places(mutated)[1:]))
        mutated = changed(mutated, where, data.draw(JSON | st.just(...)))
    try:
        network = from_json(json.dumps(mutated))
    except DescriptionError as problem:
        assert "\n" not in str(problem)
        return
    assert from_data(to_data(network)) == network
    try:
        trace(network)
    except UsageError:
        pass


@settings(deadline=None)
@given(JSON | st.text())
def test_anything_else_is_refused(anything: Any) -> None:
    with pytest.raises(DescriptionError):
        from_json(json.dumps(anything))
    with pytest.raises(DescriptionError):
        from_data(anything)


@settings(deadline=None)
@given(st.text())
def test_text_that_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(DescriptionError, match="not a network description"):
        from_json(text)


@pytest.mark.parametrize(
    ("where", "edit", "message"),
    [
        ("layers", ..., "a network description needs the field 'layers'"),
        ("name", 3, "Network: name is 3; str is expected"),
        ("classes", "5", "Network: classes is '5'; int is expected"),
        ("classes", True, "Network: classes is True; int is expected"),
        ("input", [3, 224], "small: input (3, 224) is not (channels, height, width), each from 1 to "),
        ("input", "333", "small: input '333' is not (channels, height, width)"),
        ("init", 3, "Network: init is 3; Initialisation(...) is expected"),
        (
            "init conv fan",
            "out ",
            "init.conv: Draw: fan is 'out '; 'in' or 'out' or 'average' or 'one' is expected",
        ),
        ("init apart heads.* bias", "x", "init.heads.*: Start: bias is 'x'; float or None is expected"),
        ("init conv gain", -1, "init.conv: Draw: gain is -1; it must be at least 0"),
        ("color", "red", "a network description has no field 'color'"),
        ("heads", [], "heads: layers by name are expected, not []"),
        ("heads 3a layers fc", 0, "heads.3a.fc: 0 is no kind of layer"),
        ("layers conv1 kind", "Konv", "layers.conv1: 'Konv' is no kind of layer; the kinds are Conv, "),
        ("layers conv1 kind", ["Conv"], "layers.conv1: ['Conv'] is no kind of layer"),
        ("layers conv1 kind", "BatchNorm", "layers.conv1: 'BatchNorm' is no kind of layer"),
        ("layers conv1 filtres", 8, "layers.conv1: Conv has no field 'filtres'; it has filters, "),
        ("layers conv1 filters", ..., "layers.conv1: Conv needs the field 'filters'"),
        ("layers conv1 filters", "many", "layers.conv1: Conv: filters is 'many'; int or 'classes' is"),
        ("layers conv1 stride", 0, "layers.conv1: Conv: stride is 0; it must be at least 1"),
        (
            "layers conv1 norm",
            {"kind": "Identity"},
            "layers.conv1: Conv: norm is Identity(); BatchNorm(...) or",
        ),
        (
            "layers 3a branches 3x3 layers conv kernel",
            [[3], 3],
            "layers.3a.3x3.conv: Conv: kernel is ([3], 3); int or (int, int) is expected",
        ),
        ("layers 3a branches", {}, "layers.3a: an empty chain or branch"),
        ("layers 3a branches 3x3 layers", {}, "layers.3a.3x3: an empty chain or branch"),
        ("layers 3a branches 1x1 act", "relu", "layers.3a.1x1: Conv: act is 'relu'; ReLU(...) or"),
        ("layers 3a branches 1x1 act", {"kind": "Relu"}, "layers.3a.1x1.act: 'Relu' is no kind of layer"),
        ("layers 3a branches 1x1 bins", 3, "layers.3a.1x1: Conv has no field 'bins'; it has filters, kernel"),
        ("layers 3a branches 1x1 bias", 1, "layers.3a.1x1: Conv: bias is 1; bool is expected"),
        ("layers conv2_1 shortcut", [], "layers.conv2_1: shortcut: an empty chain or branch"),
        ("layers conv2_1 shortcut", [3], "layers.conv2_1: shortcut: (3,) is not layers by name"),
        ("layers conv2_1 shortcut", 3, "layers.conv2_1: shortcut: 3 is not a layer"),
        ("layers conv2_1 act", {"kind": "Sigmoid"}, "layers.conv2_1: Residual: act is Sigmoid(); ReLU(...)"),
        ("layers conv1 filters", 10**40, "layers.conv1: Conv: filters is 1000"),
        ("classes", 2**31, "small: 2147483648 classes; at most 2147483647 are possible"),
        ("input", [3, 2**31, 1], "small: input (3, 2147483648, 1) is not (channels, height, width)"),
        ("layers conv1 filters", 2.0, "layers.conv1: Conv: filters is 2.0; int or 'classes' is expected"),
        ("classes", 0, "small: 0 classes; at least 1 is needed"),
        ("classes", -3, "small: -3 classes; at least 1 is needed"),
        ("input", [3, 0, 8], "small: input (3, 0, 8) is not (channels, height, width), each from 1 to "),
        ("input", [3, 8.0, 8], "small: input (3, 8.0, 8) is not (channels, height, width)"),
        ("input", None, "small: input None is not (channels, height, width)"),
        ("layers conv2_1 shortcut", ..., "layers.conv2_1: Residual needs the field 'shortcut'"),
        ("layers dropout rate", float("nan"), "layers.dropout: Dropout: rate is nan; float is expected"),
        ("layers dropout rate", float("inf"), "layers.dropout: Dropout: rate is inf; float is expected"),
        ("layers type", {"kind": "Identity"}, "'type' cannot be a layer's name"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(where: str, edit: Any, message: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        from_json(json.dumps(changed(to_data(SMALL), tuple(where.split()), edit)))
    assert message in str(caught.value)


def test_a_name_given_twice_is_refused() -> None:
    text = to_json(SMALL).replace('"dropout"', '"pool"')
    with pytest.raises(DescriptionError, match="'pool' is there twice in one object"):
        from_json(text)


@pytest.mark.parametrize("levels", [400, 5_000, 100_000])
def test_nesting_without_end_is_refused(levels: int) -> None:
    deep = '{"kind":"Chain","layers":{"a":' * levels + '{"kind":"Identity"}' + "}}" * levels
    limit = sys.getrecursionlimit()
    for more in (0, 10_000):  # other packages raise it
        sys.setrecursionlimit(limit + more)
        try:
            with pytest.raises(DescriptionError, match="not a network description"):
                from_json(f'{{"name":"deep","layers":{{"a":{deep}}}}}')
        finally:
            sys.setrecursionlimit(limit)


CALLED = '{"name": "mine", "layers": {"same": {"kind": "Identity"}}}'


def test_a_file_is_a_network_wherever_an_id_is(tmp_path):
    file = tmp_path / "mine.json"
    mine = Network("mine", {"conv": Conv(4, 3), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)})
    file.write_text(to_json(mine), "utf-8")
    assert from_file(file) == catalogue.network(str(file)) == catalogue.described(str(file)) == mine
    assert str(file) not in catalogue.names()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine.json: not a network description"),
        ("[1]", "mine.json: not a network description: an object with 'name' and 'layers' is expected"),
        ('{"name": "a", "layers": {"c": {"kind": "Cnv"}}}', "mine.json: layers.c: 'Cnv' is no kind of layer"),
        (CALLED.replace("mine", "../a"), "mine.json: the name is '../a'; .* take letters, digits"),
        (CALLED.replace("mine", "."), r"mine.json: the name is '\.'; "),
        (CALLED.replace("mine", "a b"), "mine.json: the name is 'a b'; "),
        (CALLED.replace("mine", "a" * 81), "mine.json: the name is 'aaaa"),
        (CALLED.replace('"mine"', "5"), "mine.json: Network: name is 5; str is expected"),
        ("\xff", "mine.json: not a network description, which is text in UTF-8"),
    ],
)
def test_a_file_that_is_no_network_is_named_with_the_place(tmp_path, text, message):
    file = tmp_path / "mine.json"
    file.write_text(text, "latin-1")
    with pytest.raises(DescriptionError, match=message):
        from_file(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "folder.json").mkdir()
    for name in ("none.json", "folder.json"):
        with pytest.raises(UsageError, match=f"there is no file .*{name}; goingdeeper.to_json writes"):
            catalogue.network(str(tmp_path / name))
