"""torchvision's networks as an oracle: the same weights give the same logits, in auxiliary heads, too.

They run in a process of their own. torchvision's wheel cannot be imported with a CPU build of torch unless
two operators are declared first, and nothing else here should see it.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from goingdeeper import catalogue
from goingdeeper.layers import CLASSES, GlobalAvgPool, Linear, Network
from goingdeeper.nn.build import build
from goingdeeper.trace import replace_input

pytestmark = pytest.mark.skipif(find_spec("torchvision") is None, reason="torchvision is not installed")

PAIRS = {"resnet18": "resnet-18-b", "resnet34": "resnet-34-b", "resnet50": "resnet-50-v1.5"}
SIDE = 97  # odd, so that every rounding of a size counts

# Side of the input; which of their heads reads what. At 299 the head of Inception-v3 ends in a single pixel.
INCEPTIONS = {
    "googlenet": ("googlenet-torchvision", SIDE, {"aux1": "inception4a", "aux2": "inception4d"}),
    "inception_v3": ("inception-v3", 299, {"AuxLogits": "Mixed_6e"}),
}
VGGS = {"vgg11": "vgg-11", "vgg13": "vgg-13", "vgg16": "vgg-16", "vgg19": "vgg-19"}

ORACLE = """
import sys
import torch

library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from safetensors.torch import save_file
from torchvision import models

torch.set_num_threads(1)
folder = sys.argv[1]


def stir(net):
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                torch.nn.init.normal_(module.bias, 0, 0.2)
    return {f"net.{key}": value.clone() for key, value in net.state_dict().items()}


def save(name, parts):
    save_file(parts, f"{folder}/{name}.safetensors")
"""

RESIDUAL = """
for seed, name in enumerate(sys.argv[3:]):
    torch.manual_seed(seed)
    net = getattr(models, name)(weights=None)
    parts = stir(net)
    images = torch.randn(3, 3, int(sys.argv[2]), int(sys.argv[2]))
    with torch.no_grad():
        tested, trained = net.eval()(images), net.train()(images)
    save(name, parts | {"images": images, "tested": tested, "trained": trained})
"""

# In evaluation their heads are silent, and in training dropout is not: heads are called on what they read.
INCEPTION = """
name, side, *heads = sys.argv[2:]
torch.manual_seed(3)
net = getattr(models, name)(weights=None, aux_logits=True, transform_input=False, init_weights=False).eval()
parts = stir(net)
for head, reads in (pair.split("=") for pair in heads):
    def keep(module, given, out, head=head):
        parts[head] = getattr(net, head)(out)
    getattr(net, reads).register_forward_hook(keep)
images = torch.randn(2, 3, int(side), int(side))
with torch.no_grad():
    tested = net(images)
save(name, parts | {"images": images, "tested": tested})
"""

# Without the fully connected layers, which are most of the weights and leave little to get wrong.
VGG = """
for seed, name in enumerate(sys.argv[3:]):
    torch.manual_seed(seed)
    with torch.device("meta"):
        net = getattr(models, name)(weights=None, init_weights=False).features
    net = net.to_empty(device="cpu")
    parts = stir(net)
    images = torch.randn(2, 3, int(sys.argv[2]), int(sys.argv[2]))
    with torch.no_grad():
        tested = net.eval()(images)
    save(name, parts | {"images": images, "tested": tested})
"""


def asked(folder: Path, script: str, *words: str) -> Path:
    """The folder, with what the script put there."""
    command = [sys.executable, "-c", ORACLE + script, str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def check(mine: torch.Tensor, theirs: torch.Tensor) -> None:
    """Equal but for rounding, and not for want of anything to compare."""
    scale = float(theirs.abs().max())
    assert theirs.std() > 1e-3 * scale > 0
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-4 * scale)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("torchvision")
    return asked(folder, RESIDUAL, str(SIDE), *PAIRS)


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
    check(tested, found["tested"])
    check(trained, found["trained"])


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


ADDRESSES = {
    "conv2": "conv2.reduce", "conv3": "conv2.conv",
    "aux1.conv": "heads.4a.conv", "aux1.fc1": "heads.4a.fc1", "aux1.fc2": "heads.4a.fc2",
    "aux2.conv": "heads.4d.conv", "aux2.fc1": "heads.4d.fc1", "aux2.fc2": "heads.4d.fc2",
    "Conv2d_1a_3x3": "conv1a", "Conv2d_2a_3x3": "conv2a", "Conv2d_2b_3x3": "conv2b",
    "Conv2d_3b_1x1": "conv3b", "Conv2d_4a_3x3": "conv4a",
    "AuxLogits.conv0": "heads.mixed6e.conv1", "AuxLogits.conv1": "heads.mixed6e.conv2",
    "AuxLogits.fc": "heads.mixed6e.fc", "conv1": "conv1", "fc": "fc",
}  # fmt: skip
BRANCHES = {
    "branch1": "1x1", "branch2.0": "3x3.reduce", "branch2.1": "3x3.conv",
    "branch3.0": "5x5.reduce", "branch3.1": "5x5.conv", "branch4.1": "pool.proj",
    "branch1x1": "1x1", "branch_pool": "pool.proj",
    "branch5x5_1": "5x5.reduce", "branch5x5_2": "5x5.conv", "branch3x3": "3x3",
    "branch3x3dbl_1": "double3x3.reduce", "branch3x3dbl_2": "double3x3.conv1",
    "branch3x3dbl_3": "double3x3.conv2",
    "branch7x7_1": "7x7.reduce", "branch7x7_2": "7x7.1x7", "branch7x7_3": "7x7.7x1",
    "branch7x7dbl_1": "double7x7.reduce", "branch7x7dbl_2": "double7x7.7x1_1",
    "branch7x7dbl_3": "double7x7.1x7_1", "branch7x7dbl_4": "double7x7.7x1_2",
    "branch7x7dbl_5": "double7x7.1x7_2",
    "branch3x3_1": "3x3.reduce", "branch3x3_2": "3x3.conv",
    "branch7x7x3_1": "7x7.reduce", "branch7x7x3_2": "7x7.1x7", "branch7x7x3_3": "7x7.7x1",
    "branch7x7x3_4": "7x7.conv",
    "branch3x3_2a": "3x3.fork.1x3", "branch3x3_2b": "3x3.fork.3x1",
    "branch3x3dbl_3a": "double3x3.fork.1x3", "branch3x3dbl_3b": "double3x3.fork.3x1",
}  # fmt: skip


def inception_address(key: str) -> str:
    """`inception3a.branch2.1.bn.weight` is our `3a.3x3.conv.norm.weight`."""
    *place, part = key.removeprefix("net.").split(".")
    unit = {"conv": ".conv", "bn": ".norm"}.get(place[-1], "")
    inside = ".".join(place[:-1] if unit else place)
    return f"{ADDRESSES.get(inside) or within(*inside.split('.'))}{unit}.{part}"


def within(module: str, *branch: str) -> str:
    """`Mixed_7b` and `branch3x3dbl_2`: the last 8x8 modules fork behind it, others go on."""
    name = module.removeprefix("inception").replace("Mixed_", "mixed")
    inside = BRANCHES[".".join(branch)]
    if name in ("mixed7b", "mixed7c"):
        inside = inside.replace("double3x3.conv1", "double3x3.conv")
    return f"{name}.{inside}"


@pytest.mark.slow
@pytest.mark.parametrize("theirs", INCEPTIONS)
def test_inceptions_give_the_same_logits_and_their_heads_too(theirs, tmp_path):
    ours, side, heads = INCEPTIONS[theirs]
    pairs = [f"{head}={reads}" for head, reads in heads.items()]
    found = load_file(asked(tmp_path, INCEPTION, theirs, str(side), *pairs) / f"{theirs}.safetensors")
    net = build(replace_input(catalogue.network(ours), (3, side, side)), seed=99)
    net.load_state_dict({inception_address(k): v for k, v in found.items() if k.startswith("net.")})
    addresses = dict(zip(heads, [f"heads.{address}" for address, _ in net.description.heads], strict=True))
    with torch.no_grad():
        logits, taps = net.eval().tap(found["images"], addresses.values())
    check(logits, found["tested"])
    for head, place in addresses.items():
        check(taps[place], found[head])


@pytest.fixture(scope="module")
def vgg_oracle(tmp_path_factory) -> Path:
    return asked(tmp_path_factory.mktemp("vgg"), VGG, "64", *VGGS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "id"), VGGS.items())
def test_vggs_give_the_same_features(vgg_oracle, name, id):
    found = load_file(vgg_oracle / f"{name}.safetensors")
    network = catalogue.network(id)
    features = tuple(takewhile(lambda one: not isinstance(one[1], Linear), network.layers))
    small = (*features, ("pool", GlobalAvgPool()), ("fc", Linear(CLASSES)))
    net = build(replace(network, layers=small, input=(3, 64, 64), classes=2))
    theirs = sorted(  # net.10.weight comes after net.8.bias, as our layers do
        (key for key in found if key.startswith("net.")),
        key=lambda key: (int(key.split(".")[1]), key.endswith("bias")),
    )
    ours = [key for key in net.state_dict() if not key.startswith("fc.")]
    net.load_state_dict(
        {a: found[b] for a, b in zip(ours, theirs, strict=True)}
        | net.get_submodule("fc").state_dict(prefix="fc.")
    )
    with torch.no_grad():
        check(net.eval().forward_features(found["images"]), found["tested"])
