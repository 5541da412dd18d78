"""Initial weights against the rules of the fact sheets, and their independence of everything but the seed."""

from __future__ import annotations

import fnmatch
import math
from dataclasses import replace
from functools import lru_cache

import pytest
import scipy.stats
import torch
from torch import nn

from goingdeeper import catalogue
from goingdeeper.layers import (
    CLASSES,
    RELU,
    Concat,
    Conv,
    Draw,
    Highway,
    Initialisation,
    Linear,
    Network,
    PReLU,
    Sigmoid,
    Start,
    normal,
    truncated,
    uniform,
)
from goingdeeper.nn.build import Net, build, create_model
from goingdeeper.trace import trace

RESIDUAL = ["resnet-18-a", "resnet-34-c", "resnet-50", "resnet-50-v1.5", "plain-18", "cifar-resnet-56-b"]


@lru_cache(maxsize=1)
def built(id: str) -> Net:
    return build(catalogue.network(id), seed=5)


def weights(net: nn.Module, kind: type[nn.Module]) -> dict[str, nn.Module]:
    return {name: module for name, module in net.named_modules() if isinstance(module, kind)}


def fans(weight: torch.Tensor) -> tuple[int, int]:
    area = math.prod(weight.shape[2:])
    return weight.shape[1] * area, weight.shape[0] * area


def check_uniform(weight: torch.Tensor, bound: float) -> None:
    """All of (-bound, bound), evenly: the outermost values, the mean and the spread within five sigma."""
    count = weight.numel()
    assert weight.abs().max() <= bound
    assert weight.abs().max() > bound * (1 - 12 / count)
    assert abs(weight.mean()) < 5 * bound / math.sqrt(3 * count)
    assert weight.square().mean() == pytest.approx(bound**2 / 3, rel=5 * math.sqrt(0.8 / count))


@pytest.mark.parametrize("id", RESIDUAL)
def test_residual_networks_start_as_he_et_al_have_it(id):
    """Zero-mean normal with variance 2 / fan-in; batch norm as the identity."""
    scaled = []
    for name, conv in weights(built(id), nn.Conv2d).items():
        fan_in, _ = fans(conv.weight)
        values = conv.weight.detach() * math.sqrt(fan_in / 2)
        count = values.numel()
        assert conv.bias is None
        assert abs(values.mean()) < 5 / math.sqrt(count), name
        assert values.square().mean() == pytest.approx(1, abs=5 * math.sqrt(2 / count)), name
        scaled.append(values.flatten())
    values = torch.cat(scaled)
    for sigmas, inside in ((1, 0.682689), (2, 0.954500), (3, 0.997300)):
        error = 5 * math.sqrt(inside * (1 - inside) / len(values))
        assert (values.abs() < sigmas).double().mean() == pytest.approx(inside, abs=error)
    for norm in weights(built(id), nn.BatchNorm2d).values():
        assert (norm.weight == 1).all() and (norm.bias == 0).all()
        assert (norm.running_mean == 0).all() and (norm.running_var == 1).all()
        assert norm.num_batches_tracked == 0


@pytest.mark.parametrize("id", RESIDUAL)
def test_their_classifier_has_torchs_weights_and_no_bias(id):
    fc = built(id).get_submodule("fc")
    check_uniform(fc.weight.detach(), 1 / math.sqrt(fc.weight.shape[1]))
    assert (fc.bias == 0).all()


def test_googlenet_starts_as_the_bvlc_replication():
    """Xavier by fan-in: uniform up to sqrt(3 / fan-in); biases 0.2, those of the classifiers 0."""
    net = built("googlenet")
    for name, module in (weights(net, nn.Conv2d) | weights(net, nn.Linear)).items():
        check_uniform(module.weight.detach(), math.sqrt(3 / fans(module.weight)[0]))
        classifies = name in ("fc", "heads.4a.fc2", "heads.4d.fc2")
        assert (module.bias == torch.tensor(0.0 if classifies else 0.2)).all(), name


def test_the_signs_network_starts_glorot_uniform():
    """Uniform up to sqrt(6 / (fan-in + fan-out)), biases 0."""
    net = built("resnet-50-signs")
    for module in (weights(net, nn.Conv2d) | weights(net, nn.Linear)).values():
        check_uniform(module.weight.detach(), math.sqrt(6 / sum(fans(module.weight))))
        assert (module.bias == 0).all()


def test_the_same_seed_gives_the_same_weights():
    one, same, other = (
        create_model("googlenet", num_classes=3, seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not any(torch.equal(one[key], other[key]) for key in one if key.endswith("weight"))


def test_no_two_layers_start_alike():
    found = [
        module.weight.flatten()[:8] for module in weights(built("cifar-resnet-56-b"), nn.Conv2d).values()
    ]
    assert len({tuple(values.tolist()) for values in found}) == len(found)


def test_torchs_random_state_is_neither_used_nor_moved():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one = create_model("cifar-resnet-20-b")
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    two = create_model("cifar-resnet-20-b")
    assert all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    )


def test_other_networks_with_the_same_first_layers_start_alike():
    """Weights are drawn in the order of the description, so the class count changes only the classifier."""
    one, two = (create_model("cifar-resnet-20-a", num_classes=count).state_dict() for count in (3, 10))
    assert {key for key in one if not torch.equal(one[key], two[key])} == {"fc.weight", "fc.bias"}


TWO = {"1": Conv(64, 3, bias=True), "2": Conv(64, 3, bias=True, act=PReLU(0.1))}
LAYERS = {
    "conv1": Conv(64, 3, bias=True),
    "3a": Concat({"1x1": Conv(64, 1, bias=True), "3x3": TWO}),
    "gated": Highway(Conv(128, 3, bias=True), Conv(128, 3, bias=True, act=Sigmoid())),
    "fc": Linear(CLASSES),
}
HEADS = {
    "3a.1x1.conv": {"fc1": Linear(64, act=RELU), "fc2": Linear(CLASSES)},
    "conv1": Linear(CLASSES),
}


def biases(init: Initialisation) -> dict[str, float]:
    """The bias of each layer by its key, all of one layer being equal."""
    net = build(Network("ruled", LAYERS, HEADS, (3, 8, 8), 10, init))
    found = {name: value for name, value in net.state_dict().items() if name.endswith("bias")}
    assert all((value == value[0]).all() for value in found.values())
    return {name.removesuffix(".bias"): round(float(value[0]), 6) for name, value in found.items()}


def test_the_first_pattern_that_matches_counts():
    rules = {"3a.3x3.2": Start(bias=4.0), "3a.3x3.*": Start(bias=5.0), "3a.*": Start(bias=6.0)}
    one, other = (
        biases(Initialisation(apart=rules)),
        biases(Initialisation(apart=dict(reversed(rules.items())))),
    )
    assert (one["3a.1x1.conv"], one["3a.3x3.1.conv"], one["3a.3x3.2.conv"]) == (6, 5, 4)
    assert (other["3a.1x1.conv"], other["3a.3x3.1.conv"], other["3a.3x3.2.conv"]) == (6, 6, 6)
    assert {name for name, bias in one.items() if bias} == {name for name in one if name.startswith("3a")}


def test_heads_are_told_by_their_addresses():
    """And a pattern for the trunk's layer does not reach the head that reads it."""
    found = biases(
        Initialisation(
            bias=1.0,
            classifier_bias=2.0,
            apart={
                "heads.3a.1x1.conv.fc1": Start(bias=3.0),
                "heads.conv1": Start(bias=4.0),
                "conv1": Start(bias=5.0),
                "*.gate": Start(bias=-2.0),
            },
        )
    )
    assert found == {
        "conv1.conv": 5, "3a.1x1.conv": 1, "3a.3x3.1.conv": 1, "3a.3x3.2.conv": 1,
        "gated.transform.conv": 1, "gated.gate.conv": -2, "fc": 2,
        "heads.3a.1x1.conv.fc1": 3, "heads.3a.1x1.conv.fc2": 2, "heads.conv1": 4,
    }  # fmt: skip


def test_an_exception_changes_only_what_it_names():
    """Weights without biases, biases without weights: the rest keeps the network's rule."""
    rule = Initialisation(conv=normal(0.01), linear=normal(0.01), bias=1.0)
    apart = {"conv1": Start(weights=uniform(0.5)), "3a.1x1": Start(bias=7.0)}
    net = build(Network("ruled", LAYERS, HEADS, (3, 8, 8), 10, replace(rule, apart=apart)))
    assert biases(replace(rule, apart=apart))["conv1.conv"] == 1
    check_uniform(net.get_parameter("conv1.conv.weight").detach(), 0.5)
    assert net.get_parameter("3a.1x1.conv.weight").detach().std() == pytest.approx(0.01, rel=0.1)


def drawn(draw: Draw) -> torch.Tensor:
    """147,456 weights of 256 filters on 64 channels in windows of 3x3."""
    layers = {"in": Conv(64, 1), "conv": Conv(256, 3), "fc": Linear(CLASSES)}
    net = build(Network("drawn", layers, input=(3, 4, 4), classes=2, init=Initialisation(conv=draw)))
    return net.get_parameter("conv.conv.weight").detach().double()


FANS = {"in": 64 * 9, "out": 256 * 9, "average": (64 * 9 + 256 * 9) / 2, "one": 1}


@pytest.mark.parametrize("fan", FANS)
@pytest.mark.parametrize("distribution", ["normal", "truncated", "uniform"])
def test_a_draw_has_the_variance_gain_by_fan(distribution, fan):
    """Of the truncated one 1 - 4 phi(2) / (2 Phi(2) - 1) is left, and nothing beyond two deviations."""
    values = drawn(Draw(distribution, 1.7, fan)) / math.sqrt(1.7 / FANS[fan])
    cut = scipy.stats.truncnorm(-2, 2)
    variance, fourth, largest = {
        "normal": (1, 3, 7),
        "truncated": (cut.var(), cut.moment(4), 2),
        "uniform": (1, 9 / 5, math.sqrt(3)),
    }[distribution]
    error = 5 * math.sqrt((fourth - variance**2) / values.numel())
    assert float(values.square().mean()) == pytest.approx(variance, abs=error)
    assert abs(float(values.mean())) < 5 * math.sqrt(variance / values.numel())
    assert float(values.abs().max()) <= largest * (1 + 1e-6)
    if distribution != "normal":
        assert float(values.abs().max()) > largest * 0.999


def test_a_truncated_draw_is_a_normal_one_cut_off():
    """The share within one deviation: erf(1 / sqrt 2) / erf(2 / sqrt 2); not one that is clamped."""
    values = drawn(truncated(0.05)) / 0.05
    inside = math.erf(1 / math.sqrt(2)) / math.erf(math.sqrt(2))
    error = 5 * math.sqrt(inside * (1 - inside) / values.numel())
    assert float((values.abs() < 1).double().mean()) == pytest.approx(inside, abs=error)
    assert len(values.unique()) > 0.9 * values.numel()


@pytest.mark.parametrize(("draw", "std"), [(normal(0.3), 0.3), (uniform(0.3), 0.3 / math.sqrt(3))])
def test_fixed_deviations_and_bounds_are_those_of_every_layer(draw, std):
    net = build(Network("ruled", LAYERS, HEADS, (3, 8, 8), 10, Initialisation(conv=draw, linear=draw)))
    for name, module in (weights(net, nn.Conv2d) | weights(net, nn.Linear)).items():
        count = module.weight.numel()
        assert float(module.weight.detach().std()) == pytest.approx(std, rel=5 / math.sqrt(count)), name


def test_slopes_start_as_the_record_has_them_and_take_nothing_from_the_seed():
    net = build(Network("ruled", LAYERS, HEADS, (3, 8, 8), 10))
    assert (net.get_parameter("3a.3x3.2.act.weight") == torch.tensor(0.1)).all()
    plain = {**LAYERS, "3a": Concat({"1x1": Conv(64, 1, bias=True), "3x3": {
        "1": Conv(64, 3, bias=True), "2": Conv(64, 3, bias=True)
    }})}  # fmt: skip
    other = build(Network("ruled", plain, HEADS, (3, 8, 8), 10)).state_dict()
    assert all(torch.equal(value, other[name]) for name, value in net.state_dict().items() if name in other)
    assert net.state_dict().keys() - other.keys() == {"3a.3x3.2.act.weight"}


def test_truncated_draws_come_from_the_seed_alone():
    """`trunc_normal_` would take them from torch's global state if it were not given the generator."""
    init = Initialisation(conv=truncated(0.1), linear=truncated(0.1))
    network = Network("ruled", LAYERS, HEADS, (3, 8, 8), 10, init)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = build(network, seed=4).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    same, other = build(network, seed=4).state_dict(), build(network, seed=5).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one if name.endswith(".conv.weight"))


def applied(network: Network) -> set[str]:
    """The patterns of a network's rule that a layer goes by."""
    patterns = [pattern for pattern, _ in network.init.apart]
    paths = [step.path for step in trace(network) if isinstance(step.layer, Conv | Linear)]
    first = {next((p for p in patterns if fnmatch.fnmatchcase(path, p)), "") for path in paths}
    return first - {""}


def test_every_exception_of_the_catalogue_applies_to_a_layer():
    """One that matches nothing, or only what an earlier one does, is a mistake.

    Variants share a rule: an exception for heads stays with a network whose heads were dropped.
    """
    networks = [catalogue.network(id) for id in catalogue.names()]
    for init in {network.init for network in networks}:
        sharing = [network for network in networks if network.init == init]
        used = set().union(*map(applied, sharing))
        assert {pattern for pattern, _ in init.apart} == used, [network.name for network in sharing]


def test_an_exception_that_matches_nothing_is_seen():
    rules = {"conv1": Start(bias=1.0), "conv?": Start(bias=2.0), "conv9": Start(bias=3.0)}
    network = Network("ruled", LAYERS, HEADS, (3, 8, 8), 10, Initialisation(apart=rules))
    assert applied(network) == {"conv1"}


# Of the fact sheets: standard deviations, or bounds of uniform draws, and biases.
SHEETS = {
    "alexnet": {
        "conv1": (0.01, 0), "conv2": (0.01, 1), "conv3": (0.01, 0), "conv4": (0.01, 1), "conv5": (0.01, 1),
        "fc6": (0.01, 1), "fc7": (0.01, 1), "fc8": (0.01, 0),
    },
    "nin-cifar10": {"conv1": (0.05, 0), "cccp4": (0.05, 0), "cccp6": (0.05, 0)},
    "dsn-cifar10": {
        "conv3": (0.05, 0),
        "heads.conv1.conv": (math.sqrt(1 / (10 * 196_608)), 0),
        "heads.conv3.conv": (math.sqrt(1 / (10 * 12_288)), 0),
    },
    "maxout-cifar10": {name: (0.005 / math.sqrt(3), 0) for name in ("conv1", "conv3", "fc1", "fc2")},
    "fitnet-19": {name: (0.005 / math.sqrt(3), 0) for name in ("conv1_1", "conv3_6", "fc1", "fc2")},
    "highway-19": {
        "conv1_1": (0.05, 0), "conv1_2.transform": (math.sqrt(2 / 288), 0),
        "conv3_3.gate": (math.sqrt(2 / 1152), -2), "conv4": (math.sqrt(2 / 128), 0), "fc": (0.05, 0),
    },
    "prelu-net-a": {
        "conv1": (math.sqrt(2 / 1.0625 / 147), 0), "conv4_5": (math.sqrt(2 / 1.0625 / 4608), 0),
        "fc3": (math.sqrt(2 / 1.0625 / 4096), 0),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "id",
    [pytest.param(id, marks=pytest.mark.slow) if id.startswith(("alex", "prelu")) else id for id in SHEETS],
)
def test_other_networks_start_as_their_sheets_have_it(id):
    net = build(catalogue.network(id), seed=5)
    for path, (std, bias) in SHEETS[id].items():
        module = net.get_submodule(path)
        inner = module.get_submodule("conv") if hasattr(module, "conv") else module
        values = inner.weight.detach().double()
        tolerance = 5 / math.sqrt(values.numel())
        assert float(values.square().mean().sqrt()) == pytest.approx(std, rel=tolerance), path
        assert (inner.bias == bias).all(), path
