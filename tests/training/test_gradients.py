"""Gradients before the update: norm, bound, and the layer that is named where they are no numbers."""

import math
from dataclasses import replace

import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.nn.build import build
from goingdeeper.training.gradients import LayerNorms, NotFinite, bounded, first_not_finite

NET = replace(catalogue.network("cifar-resnet-20-b"), classes=3)


def parameters(**gradients):
    """Weights by name with these gradients, in the order of the network."""
    found = {}
    for name, gradient in gradients.items():
        value = torch.zeros(len(gradient), requires_grad=True)
        value.grad = torch.tensor(gradient)
        found[name] = value
    return found


def test_the_norm_is_that_of_all_gradients_together():
    assert bounded(parameters(a=[3.0, 0.0], b=[0.0, 4.0])).total == pytest.approx(5.0)


@pytest.mark.parametrize(("clip", "expected"), [(0.0, 4.0), (5.0, 4.0), (6.0, 4.0), (1.0, 0.8), (2.5, 2.0)])
def test_gradients_are_scaled_down_to_the_bound_and_never_up(clip, expected):
    """Pascanu et al. 2013, algorithm 1: g <- g clip / norm where the norm, 5 here, is above."""
    found = parameters(a=[3.0, 0.0], b=[0.0, 4.0])
    assert bounded(found, clip).total == pytest.approx(5.0)
    assert found["b"].grad[1] == pytest.approx(expected)
    torch.testing.assert_close(found["a"].grad, torch.tensor([expected * 0.75, 0.0]))


def test_torch_clips_alike():
    net, reference = (build(NET, seed=1) for _ in range(2))
    for module in (net, reference):
        module(
            torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(2))
        ).square().sum().backward()
    norm = torch.nn.utils.clip_grad_norm_(reference.parameters(), 2.0)
    assert bounded(dict(net.named_parameters()), 2.0).total == pytest.approx(float(norm), rel=1e-5)
    for ours, theirs in zip(net.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_layer_nearest_to_the_loss_is_named(value):
    """Backpropagation goes from the last to the first: what is wrong in `b` has spread to `a`."""
    with pytest.raises(NotFinite, match=r"^the gradient of b is not finite$"):
        bounded(parameters(a=[value], b=[1.0, value], c=[1.0]))


def test_finite_gradients_whose_norm_is_not_are_refused():
    with pytest.raises(NotFinite, match="beyond the range"):
        bounded(parameters(a=[3e38], b=[3e38]))


def test_parameters_without_a_gradient_are_passed_over():
    found = parameters(a=[3.0, 4.0])
    found["unused"] = torch.zeros(1, requires_grad=True)
    assert bounded(found).total == pytest.approx(5.0)


@pytest.mark.parametrize("address", ["conv1.conv", "conv3_1.conv2.norm", "conv3_1.shortcut.conv", "fc"])
def test_the_first_layer_that_gives_no_number_is_found(address):
    net = build(NET, seed=1)
    with torch.no_grad():
        net.get_parameter(f"{address}.weight").view(-1)[0] = math.inf
    assert first_not_finite(net, torch.ones(2, 3, 32, 32)) == address


def test_a_healthy_network_has_no_such_layer():
    assert first_not_finite(build(NET, seed=1), torch.ones(2, 3, 32, 32)) == ""


def test_the_norm_of_a_layer_is_the_root_mean_square_over_the_steps():
    """Two steps: weight and bias of `a` with norms (3, 4), then (0, 12); `b` with 1, then 7."""
    norms = LayerNorms()
    for a_weight, a_bias, b_weight in ((3.0, 4.0, 1.0), (0.0, 12.0, 7.0)):
        found = {"a.weight": [a_weight, 0.0], "a.bias": [a_bias], "b.weight": [0.0, b_weight]}
        norms.add(bounded(parameters(**found)))
    assert norms.by_layer() == pytest.approx({"a": math.sqrt((25 + 144) / 2), "b": 5.0})
    assert norms.by_layer() == {}


def test_norms_are_taken_before_they_are_bounded():
    norms = LayerNorms()
    norms.add(bounded(parameters(**{"a.weight": [3.0, 4.0]}), clip=1.0))
    assert norms.by_layer() == pytest.approx({"a": 5.0})


def test_norms_saved_in_the_middle_of_an_epoch_go_on():
    """A file of tensors gives them back in another order."""
    first, whole = LayerNorms(), LayerNorms()
    for norms in (first, whole):
        norms.add(bounded(parameters(**{"b.weight": [3.0], "a.weight": [6.0]})))
    second = LayerNorms()
    second.restore(dict(sorted(first.tensors().items())), ["b.weight", "a.weight"], 1)
    for norms in (second, whole):
        norms.add(bounded(parameters(**{"b.weight": [4.0], "a.weight": [8.0]})))
    found = second.by_layer()
    assert found == whole.by_layer() == pytest.approx({"b": math.sqrt(12.5), "a": math.sqrt(50)})
    assert list(found) == ["b", "a"]
