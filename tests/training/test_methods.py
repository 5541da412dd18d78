"""Optimisers against sequences worked out by hand, and against numpy."""

import math

import numpy as np
import pytest
import torch

from goingdeeper.training import methods
from goingdeeper.training.methods import LAMB, CaffeSGD, RMSProp


def run(make, gradients, rates, **options):
    """The weight after each step."""
    weight = torch.full((3,), 1.0, dtype=torch.float64, requires_grad=True)
    optimiser = make([{"params": [weight]}], rates[0], **options)
    seen = []
    for gradient, rate in zip(gradients, rates, strict=True):
        optimiser.param_groups[0]["lr"] = rate
        weight.grad = torch.full_like(weight, gradient)
        optimiser.step()
        assert weight.detach().unique().numel() == 1
        seen.append(weight[0].item())
    return seen


SLOWER = [0.2, 0.2, 0.02]
"""The rate falls to a tenth before the third step."""


def test_caffes_momentum_by_hand_where_the_rate_changes():
    # m = 1/2, decay 1/10, gradients 1, 2, 1:
    # g = 1 + 0.1      v = 0.2 * 1.1 = 0.22                        w = 1 - 0.22 = 0.78
    # g = 2 + 0.078    v = 0.11 + 0.2 * 2.078 = 0.5256             w = 0.78 - 0.5256 = 0.2544
    # g = 1 + 0.02544  v = 0.2628 + 0.02 * 1.02544 = 0.2833088     w = 0.2544 - 0.2833088 = -0.0289088
    weights = run(CaffeSGD, [1, 2, 1], SLOWER, momentum=0.5, weight_decay=0.1)
    assert weights == pytest.approx([0.78, 0.2544, -0.0289088], rel=1e-12)


def test_torchs_momentum_is_the_same_until_the_rate_changes_and_then_goes_on_more_slowly():
    weights = run(torch.optim.SGD, [1, 2, 1], SLOWER, momentum=0.5, weight_decay=0.1, fused=True)
    # The third: u = 0.5 * 2.628 + 1.02544 = 2.33944, w = 0.2544 - 0.02 * 2.33944 = 0.2076112. The difference
    # is the old step, 0.5 * 2.628 = 1.314, at 0.2 - 0.02 = 0.18: 0.23652.
    assert weights == pytest.approx([0.78, 0.2544, -0.0289088 + 0.23652], rel=1e-12)


def test_caffes_nesterov_momentum_by_hand_where_the_rate_changes():
    # g = 1.1      v = 0.22                            w = 1 - 0.11 - 0.22 = 0.67
    # g = 2.067    v = 0.11 + 0.4134 = 0.5234          w = 0.67 - 0.2617 - 0.4134 = -0.0051
    # g = 0.99949  v = 0.2617 + 0.0199898 = 0.2816898  w = -0.0051 - 0.1408449 - 0.0199898 = -0.1659347
    weights = run(CaffeSGD, [1, 2, 1], SLOWER, momentum=0.5, weight_decay=0.1, nesterov=True)
    assert weights == pytest.approx([0.67, -0.0051, -0.1659347], rel=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_at_a_constant_rate_caffes_and_torchs_momentum_are_one(nesterov):
    gradients = np.random.default_rng(0).normal(size=30).tolist()
    options = {"momentum": 0.9, "weight_decay": 0.05, "nesterov": nesterov}
    ours = run(CaffeSGD, gradients, [0.1] * 30, **options)
    assert ours == pytest.approx(run(torch.optim.SGD, gradients, [0.1] * 30, **options), rel=1e-10)


def test_without_momentum_caffes_form_is_plain_descent():
    # 1 - 0.2 = 0.8; 0.8 - 0.2 * 2 = 0.4; 0.4 - 0.02 = 0.38
    assert run(CaffeSGD, [1, 2, 1], SLOWER, momentum=0.0) == pytest.approx([0.8, 0.4, 0.38])


def test_tensorflows_rmsprop_by_hand_where_the_rate_changes():
    # d = 1/2, m = 1/2, eps = 3, decay 1/2. s from 1. Gradients are such that g comes out as 1, 5, 0:
    # g = 0.5 + 0.5    s = 0.5 + 0.5 = 1      root of 4: 2     v = 0.2 * 1 / 2 = 0.1              w = 0.9
    # g = 4.55 + 0.45  s = 0.5 + 12.5 = 13    root of 16: 4    v = 0.05 + 0.02 * 5 / 4 = 0.075    w = 0.825
    # g = 0            s = 6.5                                 v = 0.0375                         w = 0.7875
    weights = run(
        RMSProp, [0.5, 4.55, -0.4125], [0.2, 0.02, 0.02], decay=0.5, momentum=0.5, eps=3.0, weight_decay=0.5
    )
    assert weights == pytest.approx([0.9, 0.825, 0.7875], rel=1e-12)


def test_rmsprops_first_step_with_the_papers_constants():
    # A small gradient is divided by sqrt(0.9 + 1) = 1.378405, not by 1 as where eps is outside of the root.
    [weight] = run(RMSProp, [1e-3], [0.045])
    assert 1 - weight == pytest.approx(0.045e-3 / 1.378405, rel=1e-6)


def test_rmsprop_from_zero_without_momentum_by_hand():
    # d = 1/2, eps = 1: s = 0.5 * 16 = 8, root of 9: 3, w = 1 - 0.3 * 4 / 3 = 0.6;
    # s = 4 + 0.5 * 22 = 15, root of 16: 4, w = 0.6 - 0.03 * sqrt(22) / 4 = 0.5648219
    weights = run(RMSProp, [4, 22**0.5], [0.3, 0.03], decay=0.5, momentum=0.0, eps=1.0, start=0.0)
    assert weights == pytest.approx([0.6, 0.5648219], rel=1e-7)


def draws(steps=12):
    random = np.random.default_rng(1)
    weights = [random.normal(size=shape) for shape in ((4, 3, 2, 2), (5,), (6, 7))]
    gradients = [[random.normal(size=w.shape) * 10.0**-step for w in weights] for step in range(steps // 4)]
    gradients += [[random.normal(size=w.shape) for w in weights] for _ in range(steps - len(gradients))]
    return weights, gradients, [0.01 * 0.9**step for step in range(steps)]


@pytest.mark.parametrize("adapts", [True, False])
@pytest.mark.parametrize(("beta1", "decay"), [(0.9, 0.02), (0.0, 0.02), (0.9, 0.0)])
def test_lamb_against_numpy(adapts, beta1, decay):
    weights, gradients, rates = draws()
    weights[1][:] = 0  # a layer without a norm takes Adam's step as it is
    tensors = [torch.tensor(w, dtype=torch.float32, requires_grad=True) for w in weights]
    optimiser = LAMB([{"params": tensors}], rates[0], (beta1, 0.999), 1e-6, weight_decay=decay, adapts=adapts)
    means, squares = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    for step, (grads, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        optimiser.param_groups[0]["lr"] = rate
        for index, (w, g) in enumerate(zip(weights, grads, strict=True)):
            tensors[index].grad = torch.tensor(g, dtype=torch.float32)
            means[index] = beta1 * means[index] + (1 - beta1) * g
            squares[index] = 0.999 * squares[index] + 0.001 * g * g
            root = np.sqrt(squares[index] / (1 - 0.999**step)) + 1e-6
            update = means[index] / (1 - beta1**step) / root + decay * w
            ratio = np.linalg.norm(w) / np.linalg.norm(update) if adapts and np.any(w) else 1.0
            w -= rate * ratio * update
        optimiser.step()
        for tensor, w in zip(tensors, weights, strict=True):
            assert tensor.detach().numpy() == pytest.approx(w, rel=2e-5, abs=1e-7)


def test_lambs_step_has_the_length_of_rate_times_weights():
    weight = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    before = weight.detach().clone()
    weight.grad = torch.randn(8, 5, generator=torch.Generator().manual_seed(1)) * 1e-3
    LAMB([{"params": [weight]}], 0.01, weight_decay=0.02).step()
    assert (weight.detach() - before).norm().item() == pytest.approx(0.01 * before.norm().item(), rel=1e-4)


KINDS = [
    (CaffeSGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (CaffeSGD, {"momentum": 0.0}),
    (RMSProp, {"weight_decay": 0.1}),
    (RMSProp, {"momentum": 0.0, "start": 0.0, "eps": 1e-6}),
    (LAMB, {"weight_decay": 0.1}),
    (LAMB, {"adapts": False, "betas": (0.0, 0.99)}),
]


def steps(kind, options, gradients, rate=0.1, flags=None):
    """Weights and state after steps with such gradients; flags: found_inf at each."""
    weights = [torch.linspace(-1, 2, 6).reshape(2, 3).requires_grad_(), torch.ones(4, requires_grad=True)]
    optimiser = kind([{"params": weights}], rate, **options)
    for number, gradient in enumerate(gradients):
        if flags:
            optimiser.found_inf = torch.tensor(float(flags[number]))
        for weight in weights:
            weight.grad = torch.full_like(weight, gradient)
        optimiser.step()
    state = [value for weight in weights for value in optimiser.state[weight].values()]
    return [value.detach().clone() for value in (*weights, *state)]


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, 7.0])
def test_a_flagged_step_is_as_if_it_had_not_been(kind, options, bad):
    whole = steps(kind, options, [0.5, -0.2, 0.3])
    flagged = steps(kind, options, [bad, 0.5, bad, -0.2, 0.3, bad], flags=[1, 0, 1, 0, 0, 1])
    assert all(torch.equal(a, b) for a, b in zip(whole, flagged, strict=True))
    assert not torch.equal(steps(kind, options, [0.5, -0.2])[0], whole[0])


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_rates_as_tensors_do_the_same(kind, options):
    numbers = steps(kind, options, [0.5, -0.2, 0.3], rate=0.125)
    tensors = steps(kind, options, [0.5, -0.2, 0.3], rate=torch.tensor(0.125))
    assert all(torch.equal(a, b) for a, b in zip(numbers, tensors, strict=True))


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_what_has_no_gradient_stays_and_gradients_are_not_changed(kind, options):
    trained, left = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    optimiser = kind(
        [{"params": [trained, left]}, {"params": [torch.ones(2, requires_grad=True)]}], 0.1, **options
    )
    before = [value.clone() for value in optimiser.state[left].values()]
    trained.grad = torch.full((3,), 0.25)
    optimiser.step()
    assert trained.detach().tolist() != [1.0] * 3
    assert left.detach().tolist() == [1.0] * 3
    assert all(torch.equal(a, b) for a, b in zip(before, optimiser.state[left].values(), strict=True))
    assert trained.grad.tolist() == [0.25] * 3


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_memory_formats_make_no_difference_and_are_kept(kind, options):
    found = []
    for format in (torch.contiguous_format, torch.channels_last):
        random = torch.Generator().manual_seed(3)
        weight = torch.randn(4, 3, 2, 2, generator=random).to(memory_format=format).requires_grad_()
        optimiser = kind([{"params": [weight]}], 0.1, **options)
        for _ in range(3):
            (weight * torch.randn(4, 3, 2, 2, generator=random)).sum().backward()
            optimiser.step()
        kept = [value for value in optimiser.state[weight].values() if value.ndim == 4]
        assert all(value.is_contiguous(memory_format=format) for value in (weight, *kept))
        found.append(weight.detach())
    assert torch.allclose(*found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_parts_make_no_difference(kind, options, monkeypatch):
    found = []
    for part in (1, 7, 2**18):
        monkeypatch.setattr(methods, "PART", part)
        found.append(steps(kind, options, [0.5, -0.2, 0.3]))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
