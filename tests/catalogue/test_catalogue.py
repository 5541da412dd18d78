"""The catalogue: every id there, every count as published to the last unit."""

import pkgutil
from importlib import import_module

import pytest

from goingdeeper import catalogue
from goingdeeper.costs.counts import cost
from goingdeeper.errors import UsageError
from goingdeeper.published import figures

CIFAR_DEPTHS = (20, 32, 44, 56, 110, 1202)
WANTED = [
    "googlenet", "googlenet-separable-stem", "googlenet-naive",
    "plain-18", "resnet-18-a", "resnet-18-b", "resnet-18-c",
    "plain-34", "resnet-34-a", "resnet-34-b", "resnet-34-c",
    *(f"resnet-{depth}{form}" for depth in (50, 101, 152) for form in ("", "-v1.5", "-c")),
    *(f"cifar-plain-{depth}" for depth in CIFAR_DEPTHS),
    *(f"cifar-resnet-{depth}-{option}" for depth in CIFAR_DEPTHS for option in "abc"),
    "resnet-50-signs",
]  # fmt: skip


def test_the_networks_of_the_papers_are_there() -> None:
    assert set(WANTED) <= set(catalogue.names())
    assert len(WANTED) == 45


@pytest.mark.parametrize("id", catalogue.names())
def test_counts_are_the_published_ones(id: str) -> None:
    network, published = catalogue.network(id), figures(id)
    counted = cost(network)
    assert network.name == id
    assert (network.input, network.classes) == (published.input, published.classes)
    assert (counted.weights, counted.biases, counted.norm) == (
        published.weights,
        published.biases,
        published.norm,
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
    assert catalogue.names("vgg-nothing") == []


def test_a_network_is_made_once() -> None:
    assert catalogue.network("googlenet") is catalogue.network("googlenet")


def test_unknown_id_suggests() -> None:
    with pytest.raises(
        UsageError, match=r"unknown network 'resnet-34'; did you mean resnet-34-.*`deeper list`"
    ):
        catalogue.network("resnet-34")
