"""Stages of real networks, as their papers' tables group the layers, and what freezing them holds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest

from goingdeeper import catalogue
from goingdeeper.errors import UsageError
from goingdeeper.layers import CLASSES, Chain, Conv, GlobalAvgPool, Linear, Network
from goingdeeper.stages import classifier, depth_of, depths, frozen, last_map, under


def stages(id: str) -> list[str]:
    """Layers with weights by stage, first stage first, as the top-level names of the description."""
    network = catalogue.network(id)
    found = defaultdict(dict)
    weighted = {name for name, layer in network.layers if not type(layer).__name__.endswith(("Pool", "LRN"))}
    for path, depth in depths(network).items():
        if path in weighted and path not in ("dropout", "dropout6", "dropout7"):
            found[depth][path] = True
    return [" ".join(found[depth]) for depth in sorted(found, reverse=True)]


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        # He et al. 2015, table 1; the paper's stages are conv1 to conv5_x.
        (
            "resnet-18-b",
            ["conv1", "conv2_1 conv2_2", "conv3_1 conv3_2", "conv4_1 conv4_2", "conv5_1 conv5_2 fc"],
        ),
        # Szegedy et al. 2014, table 1, by output size: 112, 56, 28, 14, 7.
        ("googlenet", ["conv1", "conv2", "3a 3b", "4a 4b 4c 4d 4e", "5a 5b fc"]),
        # Section 4.2: maps of 32, 16 and 8.
        (
            "cifar-resnet-20-a",
            ["conv1 conv2_1 conv2_2 conv2_3", "conv3_1 conv3_2 conv3_3", "conv4_1 conv4_2 conv4_3 fc"],
        ),
        (
            "vgg-11",
            ["conv1_1", "conv2_1", "conv3_1 conv3_2", "conv4_1 conv4_2", "conv5_1 conv5_2", "fc6 fc7 fc8"],
        ),
    ],
)  # fmt: skip
def test_stages_are_those_of_the_papers_tables(id, expected):
    assert stages(id) == expected


def test_all_of_a_block_is_of_the_stage_that_it_opens():
    """conv4_1 of ResNet-50 v1.5 has its stride in conv2, and its first convolution works on conv3's maps."""
    found = depths(catalogue.network("resnet-50-v1.5"))
    assert {found[f"conv4_1.{part}"] for part in ("conv1", "conv2", "conv3", "shortcut")} == {1}
    assert depth_of("conv4_1.conv1.norm.running_mean", found) == 1
    assert depth_of("heads.4a.fc1.weight", depths(catalogue.network("googlenet"))) == 0


def test_chains_are_seen_through():
    inside = {"a": Conv(4, 3), "b": Conv(4, 3, stride=2), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}
    network = Network("chained", {"all": Chain(inside)}, (), (3, 8, 8), 2)
    assert classifier(network) == "all.fc"
    found = depths(network)
    assert (found["all.a"], found["all.b"], found["all.fc"]) == (1, 0, 0)


def held(id: str, freeze: str) -> set[str]:
    network = catalogue.network(id)
    still = frozen(network, freeze)
    return {path for path in (name for name, _ in network.layers) if under(path, still)}


def test_levels():
    everything = {name for name, _ in catalogue.network("resnet-18-b").layers}
    assert held("resnet-18-b", "none") == set()
    assert held("resnet-18-b", "head") == everything - {"fc"}
    assert held("resnet-18-b", "conv3") == {"conv1", "pool1", "conv2_1", "conv2_2", "conv3_1", "conv3_2"}
    assert held("resnet-18-b", "conv3_1") == {"conv1", "pool1", "conv2_1", "conv2_2", "conv3_1"}
    assert held("googlenet", "4") >= {"conv1", "3b", "4e"} and "5a" not in held("googlenet", "4")
    assert held("cifar-resnet-110-a", "conv2_1") == {"conv1", "conv2_1"}  # not conv2_10 to conv2_18


def test_head_leaves_the_classifier_within_a_container():
    layers = {"body": Conv(4, 3), "top": Chain({"pool": GlobalAvgPool(), "fc": Linear(CLASSES)})}
    still = frozen(Network("nested", layers, (), (3, 8, 8), 2), "head")
    assert under("body.conv.weight", still) and not under("top.fc.weight", still)


@pytest.mark.parametrize(
    ("freeze", "said"),
    [
        ("conv6", "unknown value of freeze for resnet-18-b: 'conv6'; did you mean"),
        ("fc", "the classifier of resnet-18-b, fc, would not train; freeze=head leaves it alone"),
    ],
)
def test_levels_that_cannot_be(freeze, said):
    with pytest.raises(UsageError, match=said):
        frozen(catalogue.network("resnet-18-b"), freeze)


@pytest.mark.parametrize(
    ("id", "layer"),
    [
        ("vgg-16", "conv5_3"),  # as Selvaraju et al. 2017 take it, before the last pool
        ("googlenet", "5b"),
        ("resnet-50", "conv5_3"),
        ("alexnet", "conv5"),
        ("nin-cifar10", "cccp6"),  # the maps of the classes themselves
    ],
)
def test_the_last_map_of_several_places(id, layer):
    assert last_map(catalogue.network(id)) == layer


def test_a_map_of_one_place_shows_nothing():
    """Of 32x32 the last stage of ResNet-50 has maps of 1x1; a chain may hold everything, logits too."""
    assert last_map(replace(catalogue.network("resnet-50"), input=(3, 32, 32))) == "conv4_6"
    chain = Chain({"a": Conv(4, 3), "b": Conv(4, 3), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)})
    assert last_map(Network("chain", {"all": chain}, (), (3, 8, 8), 2)) == "all.b"
    assert last_map(Network("flat", {"fc": Linear(CLASSES)}, (), (3, 8, 8), 2)) is None
