"""Stacks that learn the identity, against the same with torch alone."""

import pytest
import torch
from torch.nn import functional as F

from goingdeeper.nn.build import build
from goingdeeper.trace import trace
from goingdeeper.why.evidence import identity
from goingdeeper.why.noise import source
from goingdeeper.why.trials import Terms


@pytest.mark.parametrize("kind", identity.KINDS)
@pytest.mark.parametrize("depth", identity.DEPTHS)
def test_a_stack_has_as_many_layers_as_its_depth(kind, depth):
    network, last = identity.stack(kind, depth)
    kinds = [type(step.layer).__name__ for step in trace(network)]
    assert kinds.count("Conv") == depth
    assert kinds.count("Residual") == (depth // 2 if kind == "residual" else 0)
    assert [step.path for step in trace(network)][-3] == last


@pytest.mark.parametrize("kind", identity.KINDS)
def test_the_loss_is_the_share_of_the_variance_that_is_left(kind, monkeypatch):
    monkeypatch.setattr(identity, "STEPS", 1)
    network, _ = identity.stack(kind, 2)
    net = build(network, seed=3)
    first, second = (weight for name, weight in net.named_parameters() if name.endswith("conv.weight"))
    images = torch.randn(16, 16, 8, 8, generator=source(3)).clamp(min=0)
    inner = F.batch_norm(F.conv2d(images, first, padding=1), None, None, training=True).relu()
    made = F.batch_norm(F.conv2d(inner, second, padding=1), None, None, training=True)
    made = (made + images if kind == "residual" else made).relu()
    expected = float(((made - images) ** 2).mean().detach() / images.var())
    assert identity.reproduced(identity.stack(kind, 2), 0.01, 3) == pytest.approx([expected], rel=1e-4)


def test_each_kind_takes_its_better_rate_and_seeds_are_paired(monkeypatch):
    monkeypatch.setattr(identity, "reproduced", lambda stack, rate, seed: [_loss(*stack, rate, seed)] * 10)
    monkeypatch.setattr(identity, "STEPS", 10)
    part = identity.training(Terms(seeds=(1, 2)))
    (found,) = part.evidence
    assert found.verdict == "right"
    assert [text.split()[0] for text in found.seen] == ["3", "3", "8"]
    ends = {series.label: series.y[-1] for series in part.charts[0].series}
    assert ends["plain, 4 layers"] == pytest.approx(3 * 4 * 2**1.5, rel=1e-4)
    assert ends["residual, 16 layers"] == pytest.approx(16 * 2**1.5, rel=1e-4)


def _loss(network, last, rate, seed):
    """Layers times two to the power of the seed, thrice that of plain ones, and more at the worse rate.

    Seeds differ a little besides, as they do.
    """
    kinds = [type(step.layer).__name__ for step in trace(network)]
    times, better = (1, 0.03) if "Residual" in kinds else (3, 0.01)
    layers, own = kinds.count("Conv"), 2**seed
    return layers * own * times * (1 + times * layers * seed / 1e6) * (1 if rate == better else 5)
