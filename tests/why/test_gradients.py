"""Gradients and responses by depth, against the same computed with torch alone."""

import pytest
import torch
from torch.nn import functional as F

from goingdeeper.nn.build import build
from goingdeeper.why.evidence import gradients
from goingdeeper.why.noise import noise


def test_noise_is_neither_that_of_weights_nor_of_another_stream():
    """torch's generator drops what is added to a seed beyond 32 bits; equal streams correlate by 1."""
    drawn = [torch.randn(4000, generator=torch.Generator().manual_seed(3))]
    drawn += [noise(3, 4000), noise(3, 4000, stream=1), noise(4, 4000)]
    across = torch.corrcoef(torch.stack(drawn)) - torch.eye(4)
    assert across.abs().max() < 0.1


def test_gradients_and_responses_are_those_of_what_each_layer_is_given():
    found = gradients.by_depth(gradients.residual(4, norm=True), seed=0, batch=16)
    expected = [_by_hand(seed) for seed in range(gradients.SEEDS)]
    norms, spreads = (torch.tensor(values).mean(0) for values in zip(*expected, strict=True))
    assert found.gradients == pytest.approx(norms.tolist(), rel=1e-4)
    assert found.responses == pytest.approx(spreads.tolist(), rel=1e-4)


def _by_hand(seed):
    net = build(gradients.residual(4, norm=True), seed=seed)

    def normed(x, name):
        weight = net.get_parameter(f"{name}.conv.weight").flatten(1)
        return F.batch_norm(x @ weight.T, None, None, training=True)

    x = normed(noise(seed, 16, gradients.WIDTH, 1, 1).flatten(1), "first").relu()
    given = []
    for block in ("block1", "block2"):
        x.retain_grad()
        given.append(x)
        x = (x + normed(normed(x, f"{block}.conv1").relu(), f"{block}.conv2")).relu()
    (x * noise(seed, 16, gradients.WIDTH, stream=1)).sum().backward()
    return [float(one.grad.norm()) for one in given], [float(one.detach().std()) for one in given]
