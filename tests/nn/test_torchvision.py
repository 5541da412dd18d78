"""torchvision's residual networks as an oracle: the same weights give the same logits.

They run in a process of their own. torchvision's wheel cannot be imported with a CPU build of torch unless
two operators are declared first, and nothing else here should see it.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from goingdeeper import catalogue
from goingdeeper.layers import Network
from goingdeeper.nn.build import build
from goingdeeper.trace import replace_input

pytestmark = pytest.mark.skipif(find_spec("torchvision") is None, reason="torchvision is not installed")

PAIRS = {"resnet18": "resnet-18-b", "resnet34": "resnet-34-b", "resnet50": "resnet-50-v1.5"}
SIDE = 97  # odd, so that every rounding of a size counts

ORACLE = """
import sys
import torch

library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from safetensors.torch import save_file
from torchvision import models

torch.set_num_threads(1)
folder, side, *names = sys.argv[1:]
for seed, name in enumerate(names):
    torch.manual_seed(seed)
    net = getattr(models, name)(weights=None)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    weights = {key: value.clone() for key, value in net.state_dict().items()}
    images = torch.randn(3, 3, int(side), int(side))
    with torch.no_grad():
        tested, trained = net.eval()(images), net.train()(images)
    parts = {f"net.{key}": value for key, value in weights.items()}
    parts |= {"images": images, "tested": tested, "trained": trained}
    save_file(parts, f"{folder}/{name}.safetensors")
"""


@pytest.fixture(scope="module")
def oracle(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("torchvision")
    words = [sys.executable, "-c", ORACLE, str(folder), str(SIDE), *PAIRS]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def address(key: str) -> str:
    """`layer2.0.downsample.1.weight` is our `conv3_1.shortcut.norm.weight`."""
    *block, unit, part = key.split(".")
    if not block:
        return {"conv1": "conv1.conv", "bn1": "conv1.norm", "fc": "fc"}[unit] + f".{part}"
    place = f"conv{int(block[0][-1]) + 1}_{int(block[1]) + 1}"
    if block[-1] == "downsample":
        return f"{place}.shortcut.{('conv', 'norm')[int(unit)]}.{part}"
    return f"{place}.conv{unit[-1]}.{'conv' if unit.startswith('conv') else 'norm'}.{part}"


def sized(id: str) -> Network:
    return replace_input(catalogue.network(id), (3, SIDE, SIDE))


@pytest.mark.slow
@pytest.mark.parametrize(("theirs", "ours"), PAIRS.items())
def test_the_same_weights_give_the_same_logits(oracle, theirs, ours):
    found = load_file(oracle / f"{theirs}.safetensors")
    net = build(sized(ours), seed=99)
    net.load_state_dict({address(key[4:]): value for key, value in found.items() if key.startswith("net.")})
    with torch.no_grad():
        tested, trained = net.eval()(found["images"]), net.train()(found["images"])
    for mine, other in ((tested, found["tested"]), (trained, found["trained"])):
        scale = float(other.abs().max())
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-4 * max(1.0, scale))


@pytest.mark.slow
def test_the_paper_s_stride_would_not_do(oracle):
    """v1 and v1.5 have the same weights but another stride: the test above can tell them apart."""
    found = load_file(oracle / "resnet50.safetensors")
    net = build(sized("resnet-50"))
    net.load_state_dict({address(key[4:]): value for key, value in found.items() if key.startswith("net.")})
    with torch.no_grad():
        assert (net.eval()(found["images"]) - found["tested"]).abs().max() > 0.01 * found[
            "tested"
        ].abs().max()
