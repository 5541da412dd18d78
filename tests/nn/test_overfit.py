"""A batch of 32 real images is learned by heart, to zero error, by each family."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from goingdeeper.nn.build import Net, create_model


@torch.no_grad()
def wrong(net: Net, images: torch.Tensor, labels: torch.Tensor) -> int:
    """Errors in evaluation mode, batch norm having the exact statistics of these images.

    He et al. 2015 measure theirs anew after training, too; a moving average would lag behind a few steps.
    """
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    if norms:
        net.train()(images)
    for norm in norms:
        norm.momentum = 0.1
    return int((net.eval()(images).argmax(1) != labels).sum())


@pytest.mark.parametrize(
    ("id", "size", "rate", "steps"),
    [
        ("cifar-plain-20", 32, 3e-3, 60),
        ("cifar-resnet-20-a", 32, 3e-3, 60),
        ("cifar-resnet-20-c", 32, 3e-3, 60),
        ("plain-18", 32, 1e-3, 60),
        ("resnet-18-a", 32, 1e-3, 60),
        pytest.param("resnet-18-b", 32, 1e-3, 60, marks=pytest.mark.slow),
        pytest.param("resnet-50", 32, 1e-3, 60, marks=pytest.mark.slow),
        pytest.param("resnet-50-v1.5", 32, 1e-3, 60, marks=pytest.mark.slow),
        pytest.param("resnet-50-signs", 64, 1e-3, 60, marks=pytest.mark.slow),
        pytest.param("googlenet", 79, 3e-4, 250, marks=pytest.mark.slow),
    ],
)
def test_a_batch_is_learned_by_heart(id, size, rate, steps, real_images):
    """With dropout and, in GoogLeNet's case, its heads' losses."""
    images, labels = real_images(32, size)
    images = 4 * (
        images - images.mean(0)
    )  # much alike as they are, GoogLeNet would look long for a difference
    net = create_model(id, num_classes=10, size=size)
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    torch.manual_seed(0)  # dropout
    for step in range(1, steps + 1):
        logits, heads = net.train().tap(images, [f"heads.{name}" for name in dict(net.description.heads)])
        loss = F.cross_entropy(logits, labels)
        for head in heads.values():
            loss = loss + 0.3 * F.cross_entropy(head, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 5 == 0 and wrong(net, images, labels) == 0:
            return
    assert wrong(net, images, labels) == 0
