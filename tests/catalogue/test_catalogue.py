"""The catalogue: every id there, every count as published to the last unit."""

import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

from goingdeeper import catalogue
from goingdeeper.costs.counts import cost
from goingdeeper.errors import UsageError
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
