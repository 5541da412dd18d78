"""The networks of Cadene/pretrained-models.pytorch, written down again here: the package is not installed.

Facts from its `bninception.py` and `cafferesnet.py`: layers, widths, names, epsilon, pools, BGR bytes minus a
mean.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from goingdeeper.names import namings

NAMINGS = {naming.model: naming for naming in namings("cadene")}

# 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, projection; 0 where a module has no such layer.
MODULES = {
    "3a": (64, 64, 64, 64, 96, 32),
    "3b": (64, 64, 96, 64, 96, 64),
    "3c": (0, 128, 160, 64, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128),
    "4c": (160, 128, 160, 128, 160, 128),
    "4d": (96, 128, 192, 160, 192, 128),
    "4e": (0, 128, 192, 192, 256, 0),
    "5a": (352, 192, 320, 160, 224, 128),
    "5b": (352, 192, 320, 192, 224, 128),
}


class Drawn:
    """Weights, made up at their first use; what is asked for with `bias` has one."""

    def __init__(self, bias):
        self.state = {}
        self.bias = bias
        self.random = torch.Generator().manual_seed(5)

    def normal(self, *shape):
        return torch.randn(shape, generator=self.random)

    def conv(self, name, norm, x, width, kernel, stride=1):
        fan = x.shape[1] * kernel**2
        self.state[f"{name}.weight"] = self.normal(width, x.shape[1], kernel, kernel) * (2 / fan) ** 0.5
        if self.bias:
            self.state[f"{name}.bias"] = 0.2 * self.normal(width)
        parts = ("weight", "bias", "running_mean", "running_var")
        drawn = (1 + 0.2 * self.normal(width), *(0.2 * self.normal(width) for _ in "ab"))
        for part, value in zip(parts, (*drawn, 1 + 0.2 * self.normal(width).abs()), strict=True):
            self.state[f"{norm}.{part}"] = value
        gamma, beta, mean, variance = (self.state[f"{norm}.{part}"] for part in parts)
        y = F.conv2d(
            x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"), stride, (kernel - 1) // 2
        )
        return F.batch_norm(y, mean, variance, gamma, beta, eps=1e-5)

    def unit(self, name, x, width, kernel, stride=1):
        return F.relu(self.conv(name, f"{name}_bn", x, width, kernel, stride))

    def classifier(self, x):
        self.state["last_linear.weight"] = self.normal(1000, x.shape[1]) / x.shape[1] ** 0.5
        self.state["last_linear.bias"] = 0.2 * self.normal(1000)
        return F.linear(x, self.state["last_linear.weight"], self.state["last_linear.bias"])


def bninception(drawn, x):
    x = F.max_pool2d(drawn.unit("conv1_7x7_s2", x, 64, 7, 2), 3, 2, ceil_mode=True)
    x = drawn.unit("conv2_3x3", drawn.unit("conv2_3x3_reduce", x, 64, 1), 192, 3)
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    for module, (first, reduce, single, double_reduce, double, projection) in MODULES.items():
        name = f"inception_{module}"
        stride = 1 if first else 2
        y = drawn.unit(f"{name}_3x3", drawn.unit(f"{name}_3x3_reduce", x, reduce, 1), single, 3, stride)
        z = drawn.unit(f"{name}_double_3x3_reduce", x, double_reduce, 1)
        z = drawn.unit(f"{name}_double_3x3_1", z, double, 3)
        z = drawn.unit(f"{name}_double_3x3_2", z, double, 3, stride)
        if stride == 2:
            x = torch.cat([y, z, F.max_pool2d(x, 3, 2, ceil_mode=True)], 1)
            continue
        pooled = (
            F.max_pool2d(x, 3, 1, 1)
            if module == "5b"
            else F.avg_pool2d(x, 3, 1, 1, ceil_mode=True, count_include_pad=True)
        )
        ones = drawn.unit(f"{name}_1x1", x, first, 1)
        x = torch.cat([ones, y, z, drawn.unit(f"{name}_pool_proj", pooled, projection, 1)], 1)
    return drawn.classifier(x.mean((2, 3)))


def cafferesnet101(drawn, x):
    x = F.relu(drawn.conv("conv1", "bn1", x, 64, 7, 2))
    x = F.max_pool2d(x, 3, 2, padding=0, ceil_mode=True)
    for stage, (count, width) in enumerate(zip((3, 4, 23, 3), (64, 128, 256, 512), strict=True), start=1):
        for index in range(count):
            name = f"layer{stage}.{index}"
            stride = 2 if stage > 1 and index == 0 else 1
            y = F.relu(drawn.conv(f"{name}.conv1", f"{name}.bn1", x, width, 1, stride))
            y = F.relu(drawn.conv(f"{name}.conv2", f"{name}.bn2", y, width, 3))
            y = drawn.conv(f"{name}.conv3", f"{name}.bn3", y, 4 * width, 1)
            if index == 0:
                down = f"{name}.downsample"
                x = drawn.conv(f"{down}.0", f"{down}.1", x, 4 * width, 1, stride)
            x = F.relu(x + y)
    return drawn.classifier(x.mean((2, 3)))


@pytest.mark.parametrize(
    ("model", "compute", "bias", "bgr_mean"),
    [
        ("bninception", bninception, True, (104, 117, 128)),
        pytest.param(
            "cafferesnet101", cafferesnet101, False, (102.9801, 115.9465, 122.7717),
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_the_same_logits(model, compute, bias, bgr_mean, prove):
    raw = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(3))
    pixels = 255 * raw.flip(1) - torch.tensor(bgr_mean).view(3, 1, 1)
    drawn = Drawn(bias)
    logits = compute(drawn, pixels)
    prove(NAMINGS[model], drawn.state, raw, logits)
