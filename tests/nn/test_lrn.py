"""Local response normalisation in parts, against torch's own: values, gradients, layouts."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from goingdeeper.nn import lrn
from goingdeeper.nn.lrn import LocalResponseNorm

NORMS = [
    (5, 1e-4, 0.75, 1.0),
    (5, 0.3, 0.75, 2.0),
    (3, 0.1, 0.5, 1.0),
    (4, 0.5, 1.2, 1.0),
    (1, 0.5, 0.75, 1.0),
]


def both(norm: tuple[int, float, float, float], x: Tensor, above: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(value, gradient) by ours, in float32, and by torch's in float64."""
    found = []
    for values, computed in ((x, LocalResponseNorm(*norm)), (x.double(), torch.nn.LocalResponseNorm(*norm))):
        given = values.detach().requires_grad_()
        value = computed(given)
        value.backward(above.to(values.dtype))
        found.append((value.detach().double(), given.grad.double()))
    return found


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("channels", [1, 2, 4, 9])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "every other row", "every other channel"])
def test_values_and_gradients(norm, channels, layout, monkeypatch):
    monkeypatch.setattr(lrn, "PART", 37)
    x = 5 * torch.randn(3, channels, 4, 6)
    match layout:
        case "channels_last":
            x = x.to(memory_format=torch.channels_last)
        case "every other row":
            x = torch.randn(3, channels, 8, 6).to(memory_format=torch.channels_last)[:, :, ::2]
        case "every other channel":
            x = torch.randn(3, 2 * channels, 4, 6)[:, ::2]
    (value, gradient), (expected, slope) = both(norm, x, torch.randn(3, channels, 4, 6))
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, slope, rtol=1e-4, atol=1e-6)


def test_the_layout_stays():
    for memory in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 6, 4, 4).to(memory_format=memory).requires_grad_()
        value = LocalResponseNorm(5)(x)
        value.sum().backward()
        assert value.is_contiguous(memory_format=memory) and x.grad.is_contiguous(memory_format=memory)


def test_the_gradient_of_a_gradient():
    """As of a penalty on the gradient, by differences of the first."""
    norm = LocalResponseNorm(3, 0.5, 0.75, 1.0)
    x = torch.randn(1, 5, 2, 2, requires_grad=True)

    def first(at: Tensor) -> Tensor:
        return torch.autograd.grad(norm(at).square().sum(), at, create_graph=True)[0]

    toward = torch.randn_like(x)
    (second,) = torch.autograd.grad((first(x) * toward).sum(), x)
    step = 1e-2 * toward
    around = first((x + step).detach().requires_grad_()) - first((x - step).detach().requires_grad_())
    torch.testing.assert_close(second, around.detach() / 2e-2, rtol=2e-2, atol=2e-3)


def test_what_records_sees_torchs_own():
    x = torch.randn(1, 6, 3, 3)
    expected = F.local_response_norm(x, 5)
    with warnings.catch_warnings(action="ignore"):  # deprecated, and that shapes are taken as they are
        traced = torch.jit.trace(LocalResponseNorm(5), x)
    assert "avg_pool3d" in str(traced.inlined_graph)
    exported = torch.export.export(LocalResponseNorm(5), (x,))
    torch.testing.assert_close(exported.module()(x), expected)
    torch.testing.assert_close(torch.func.grad(lambda at: LocalResponseNorm(5)(at).sum())(x).shape, x.shape)
