"""The catalogue: every id there, every count as published to the last unit."""

import pkgutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from goingdeeper import catalogue
from goingdeeper.costs.counts import cost
from goingdeeper.errors import DescriptionError, UsageError
from goingdeeper.published import figures

CATALOGUE = sorted(Path(catalogue.__file__).parent.glob("*.py"))
CIFAR_DEPTHS = (20, 32, 44, 56, 110, 1202)
# The ids of the published figures.
WANTED = [
    "googlenet", "googlenet-separable-stem", "googlenet-torchvision", "bn-googlenet",
    *(f"bn-inception-{reading}" for reading in ("table-literal", "released", "plain-stem", "caffe")),
    "inception-v2-released-modules", "inception-v2-table1-7x7", "inception-v2-table1-3x3",
    "inception-v3", "inception-v3-keras",
    "plain-18", "resnet-18-a", "resnet-18-b", "resnet-18-c",
    "plain-34", "resnet-34-a", "resnet-34-b", "resnet-34-c",
    *(f"resnet-{depth}{form}" for depth in (50, 101, 152) for form in ("", "-v1.5", "-c")),
    "resnet-50-signs",
    *(f"cifar-resnet-{depth}-{option}" for depth in CIFAR_DEPTHS for option in "abc"),
    "alexnet", "alexnet-ungrouped",
    *(f"vgg-{column}" for column in ("11", "13", "16-c", "16", "19")),
    *(f"prelu-net-{model}" for model in "abc"),
    "maxout-cifar10", "nin-cifar10", "dsn-cifar10", "fitnet-19", "fitnet-19-5pieces",
    "highway-19", "highway-19-fc", "highway-32",
]  # fmt: skip
# Networks that the tables' rows and comparisons need besides.
FURTHER = [
    "googlenet-naive", "inception-v2-factorized-7x7", *(f"cifar-plain-{depth}" for depth in CIFAR_DEPTHS),
]  # fmt: skip
# Auxiliary heads and companions: the addresses that they read.
HEADS = {
    **{f"googlenet{form}": ["4a", "4d"] for form in ("", "-separable-stem", "-naive", "-torchvision")},
    **{f"inception-v2-{reading}": ["mixed6e"] for reading in ("released-modules", "factorized-7x7")},
    **{f"inception-v2-{reading}": ["mixed6f"] for reading in ("table1-7x7", "table1-3x3")},
    "inception-v3": ["mixed6e"],
    "dsn-cifar10": ["conv1.conv", "conv2.conv", "conv3.conv"],
}


def test_the_networks_of_the_papers_are_there_and_no_others() -> None:
    assert len(WANTED) == 67  # the 68th, googlenet-with-aux, is googlenet's training graph
    assert sorted(WANTED + FURTHER) == sorted(catalogue.names())


@pytest.mark.parametrize("id", catalogue.names())
def test_heads_are_where_the_papers_have_them(id: str) -> None:
    assert [address for address, _ in catalogue.network(id).heads] == HEADS.get(id, [])


@pytest.mark.parametrize("file", CATALOGUE, ids=lambda file: file.name)
def test_no_file_is_over_200_lines(file: Path) -> None:
    assert len(file.read_text("utf-8").splitlines()) <= 200


@pytest.mark.parametrize("id", catalogue.names())
def test_counts_are_the_published_ones(id: str) -> None:
    network, published = catalogue.network(id), figures(id)
    counted = cost(network)
    assert network.name == id
    assert (network.input, network.classes) == (published.input, published.classes)
    assert (counted.weights, counted.biases, counted.norm, counted.slopes) == (
        published.weights,
        published.biases,
        published.norm,
        published.slopes,
    )
    assert counted.params == published.params
    assert counted.macs == published.macs


@pytest.mark.parametrize("id", [id for id in catalogue.names() if figures(id).params_with_heads])
def test_counts_with_heads_are_the_published_ones(id: str) -> None:
    counted, published = cost(catalogue.network(id)), figures(id)
    assert counted.params_with_heads == published.params_with_heads
    if published.macs_with_heads is not None:
        assert counted.macs_with_heads == published.macs_with_heads
    if published.head_params:
        assert tuple(head.params for _, head in counted.heads) == published.head_params


def test_no_id_is_described_twice() -> None:
    files = [
        import_module(f"goingdeeper.catalogue.{m.name}") for m in pkgutil.iter_modules(catalogue.__path__)
    ]
    assert sum(len(file.NETWORKS) for file in files) == len(catalogue.names())


def test_names_match_patterns_in_the_order_of_the_catalogue() -> None:
    assert catalogue.names("resnet-34-*") == ["resnet-34-a", "resnet-34-b", "resnet-34-c"]
    assert catalogue.names("highway-19*") == ["highway-19", "highway-19-fc"]
    assert catalogue.names("vgg-nothing") == []


def test_a_network_is_made_once() -> None:
    assert catalogue.network("googlenet") is catalogue.network("googlenet")


def test_unknown_id_suggests() -> None:
    with pytest.raises(
        UsageError, match=r"unknown network 'resnet-34'; did you mean resnet-34-.*`deeper list`"
    ):
        catalogue.network("resnet-34")


@pytest.mark.parametrize("what", [3, None, ["alexnet"]])
def test_what_is_no_id_is_refused(what) -> None:
    with pytest.raises(UsageError, match=r"is not the id of a network; one is a text such as 'googlenet'$"):
        catalogue.network(what)


HEAD = """from goingdeeper.layers import CLASSES, RELU, Chain, Conv, GlobalAvgPool, Linear, Network

def mine():
    return Network("mine", {
        "conv": Conv(8, 3),
        "pool": GlobalAvgPool(), "fc": Linear(CLASSES),
    }, input=(3, 32, 32))

"""


@pytest.fixture
def added(tmp_path, monkeypatch) -> Iterator[Callable[[str], None]]:
    """Puts a text into the catalogue as its file `mine.py`."""

    def forget() -> None:
        catalogue._catalogue.cache_clear()
        catalogue._built.cache_clear()
        sys.modules.pop("goingdeeper.catalogue.mine", None)

    def add(text: str) -> None:
        (tmp_path / "mine.py").write_text(text, "utf-8")
        monkeypatch.setattr(catalogue, "__path__", [*catalogue.__path__, str(tmp_path)])
        forget()

    yield add
    forget()


def test_one_more_file_adds_its_networks(added) -> None:
    added(HEAD + "NETWORKS = {'mine': mine}")
    assert sorted(WANTED + FURTHER + ["mine"]) == sorted(catalogue.names())
    assert cost(catalogue.network("mine")).params == 3 * 9 * 8 + 8 * 1000 + 1000


def test_an_id_that_another_file_has_is_refused_with_both_files(added) -> None:
    added(HEAD + "NETWORKS = {'alexnet': mine}")
    with pytest.raises(
        DescriptionError,
        match=r"^catalogue/alexnet\.py and catalogue/mine\.py both describe 'alexnet'; rename",
    ):
        catalogue.names()


def test_a_key_that_is_not_the_networks_name_is_refused_with_both(added) -> None:
    added(HEAD + "NETWORKS = {'other': mine}")
    assert cost(catalogue.network("alexnet")).params == 60_965_224
    with pytest.raises(
        DescriptionError, match=r"^catalogue/mine\.py: NETWORKS has 'other' for a Network called 'mine'; give"
    ):
        catalogue.network("other")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x = (\n", "catalogue/mine.py, line 1: SyntaxError: '(' was never closed"),
        ("x = 1\n  y = 2\n", "catalogue/mine.py, line 2: IndentationError: unexpected indent"),
        ("\nimport no_such_thing", "catalogue/mine.py, line 2: ModuleNotFoundError: No module named"),
        (f"{HEAD}NETWORKS = {{'mine': mime}}", "mine.py, line 9: NameError: name 'mime' is not defined"),
        (f"{HEAD}\nBLOCK = Conv(8, -3)", "mine.py, line 10: Conv: kernel is -3; it must be at least 1"),
        (HEAD, "catalogue/mine.py has no NETWORKS; a dict of ids and functions such as"),
        (
            "from goingdeeper.catalogue import network\nnetwork('vgg-16')",
            "catalogue/mine.py, line 2: catalogue/mine.py has no NETWORKS; a dict of ids and functions such "
            "as {'lenet': lenet} is expected, and other networks of the catalogue are asked for in functions",
        ),
        (f"{HEAD}NETWORKS = [mine]", "catalogue/mine.py: NETWORKS is [<function mine"),
        (f"{HEAD}NETWORKS = {{'mine': mine()}}", "mine.py: NETWORKS has 'mine': Network(name='mine'"),
        (f"{HEAD}NETWORKS = {{1: mine}}", "catalogue/mine.py: NETWORKS has 1: <function mine"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named_with_the_line(added, text: str, what: str) -> None:
    added(text)
    with pytest.raises(DescriptionError) as refused:
        catalogue.names("alex*")
    assert what in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("right", "wrong", "what"),
    [
        ("Conv(8, 3)", "Conv(8, 3, strides=2)", "keyword argument 'strides'; did you mean stride?"),
        ("Conv(8, 3)", "Conv(8, 3, zzz=2)", "'zzz'; it has filters, kernel, stride, padding, groups, bias"),
        ("Conv(8, 3)", "Conv(8)", "Conv() missing 1 required positional argument: 'kernel'"),
        ("Conv(8, 3)", "Conv('8', 3)", "Conv: filters is '8'; int or 'classes' is expected"),
        ("Conv(8, 3)", "Conv(8, -3)", "Conv: kernel is -3; it must be at least 1"),
        ("Conv(8, 3)", "Chain({})", "an empty chain or branch; use Identity() where nothing happens"),
        ("Conv(8, 3)", "Comv(8, 3)", "NameError: name 'Comv' is not defined"),
    ],
)  # fmt: skip
def test_an_error_in_building_names_network_file_and_line(added, right: str, wrong: str, what: str) -> None:
    added(HEAD.replace(right, wrong) + "NETWORKS = {'mine': mine}")
    assert len(catalogue.names("alex*")) == 2  # the file can be read
    with pytest.raises(DescriptionError) as refused:
        catalogue.network("mine")
    assert str(refused.value).startswith("catalogue/mine.py, line 5: mine: ")
    assert what in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_function_that_returns_nothing_is_refused(added) -> None:
    added(HEAD.replace("return ", "") + "NETWORKS = {'mine': mine}")
    with pytest.raises(
        DescriptionError, match=r"^catalogue/mine\.py: the function of 'mine' returns None, not a"
    ):
        catalogue.network("mine")
