from dataclasses import replace

import numpy as np
import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.nn.build import build
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.training.objective import Objective


def smoothed_cross_entropy(logits, labels, smoothing):
    """Szegedy et al. 2015 (v3), section 7: the target is (1 - e) * one-hot + e / K."""
    logits = logits.detach().double().numpy()
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    classes = logits.shape[1]
    target = np.full(logits.shape, smoothing / classes)
    target[np.arange(len(labels)), labels] += 1 - smoothing
    return float(-(target * log_p).sum(1).mean())


@pytest.fixture(scope="module")
def googlenet():
    description = replace(catalogue.network("googlenet"), input=(3, 79, 79), classes=5)
    return build(description, seed=1).eval()  # dropout would make two passes differ


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_googlenet_adds_three_tenths_of_each_head(googlenet, smoothing):
    images = torch.randn(4, 3, 79, 79, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([0, 3, 4, 1])
    loss = Objective(googlenet, CrossEntropy(smoothing))(images, labels)

    logits, tapped = googlenet.tap(images, ["heads.4a", "heads.4d"])
    main, first, second = (
        smoothed_cross_entropy(values, labels, smoothing)
        for values in (logits, tapped["heads.4a"], tapped["heads.4d"])
    )
    assert list(loss.parts) == ["main", "4a", "4d"]
    assert [float(loss.parts[name]) for name in loss.parts] == pytest.approx([main, first, second], rel=1e-5)
    assert float(loss.total.detach()) == pytest.approx(main + 0.3 * first + 0.3 * second, rel=1e-5)
    assert int(loss.wrong) == int((logits.argmax(1) != labels).sum())


def test_heads_are_learnt_through_the_objective_alone(googlenet):
    objective = Objective(googlenet)
    loss = objective(torch.randn(2, 3, 79, 79), torch.tensor([0, 1]))
    loss.total.backward()
    for name, parameter in googlenet.named_parameters():
        assert parameter.grad is not None, name
    googlenet.zero_grad()
    assert not any(part.requires_grad for part in loss.parts.values())


def test_a_network_without_heads_has_the_main_loss_only():
    net = build(replace(catalogue.network("cifar-resnet-20-a"), input=(3, 16, 16), classes=3)).eval()
    images, labels = torch.randn(6, 3, 16, 16), torch.tensor([0, 1, 2, 0, 1, 2])
    loss = Objective(net, CrossEntropy(0.2))(images, labels)
    assert list(loss.parts) == ["main"]
    expected = smoothed_cross_entropy(net(images), labels, 0.2)
    assert float(loss.total.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(loss.parts["main"]) == float(loss.total.detach())
