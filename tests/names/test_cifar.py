"""The CIFAR repository's networks, written down again here: it is no package, so its own code cannot be run.

Facts from its `resnet.py` and `trainer.py`: option A takes every second pixel and puts a quarter of the new
width in zeros before and after the channels; inputs have ImageNet's mean and deviation; files are saved from
a data-parallel wrapper, by a torch that did not count batches yet.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from goingdeeper.names import namings

NAMINGS = {naming.model: naming for naming in namings("cifar")}


class Block(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.narrows = stride == 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.narrows:
            zeros = torch.zeros_like(x[:, : x.shape[1] // 2, ::2, ::2])
            x = torch.cat([zeros, x[:, :, ::2, ::2], zeros], 1)
        return F.relu(y + x)


class Theirs(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        count = (depth - 2) // 6
        channels = 16
        for number, width in enumerate((16, 32, 64), start=1):
            first = Block(channels, width, 1 if width == 16 else 2)
            rest = [Block(width, width, 1) for _ in range(count - 1)]
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
            channels = width
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(F.avg_pool2d(x, x.shape[3]).flatten(1))


def stirred(net, residual):
    """Random values everywhere; gammas of residuals small, so that a thousand of them stay finite."""
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            low, high = (0.5, 1.5) if name.endswith("bn1") else (0.5 * residual, 1.5 * residual)
            nn.init.uniform_(module.weight, low, high)
            nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return net.eval()


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110, pytest.param(1202, marks=pytest.mark.slow)])
def test_the_same_logits(depth, prove):
    torch.manual_seed(depth)
    net = stirred(Theirs(depth), residual=(20 / depth) ** 0.5)
    raw = torch.rand(2, 3, 32, 32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        logits = net((raw - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    theirs = {f"module.{key}": value for key, value in net.state_dict().items() if "num_batches" not in key}
    assert len(theirs) == 5 * (depth - 1) + 2  # 97 in the file of ResNet-20
    prove(NAMINGS[f"resnet{depth}"], theirs, raw, logits)
