"""Initial weights against the rules of the fact sheets, and their independence of everything but the seed."""

from __future__ import annotations

import math
from functools import lru_cache

import pytest
import torch
from torch import nn

from goingdeeper import catalogue
from goingdeeper.nn.build import Net, build, create_model

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
