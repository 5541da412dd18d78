"""Other libraries' definitions, run in a process of their own, and what our weights must make of theirs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from goingdeeper.layers import Network
from goingdeeper.names import Naming, entries
from goingdeeper.names.recognise import recognise
from goingdeeper.nn.build import Net, build
from goingdeeper.trace import replace_input
from goingdeeper.weights.forms import to_ours, to_theirs

# torchvision's wheel needs two operators that a CPU build of torch lacks; timm imports torchvision.
PRELUDE = """
import sys
import torch
from safetensors.torch import save_file

library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

torch.set_num_threads(1)
folder, side, *models = sys.argv[1:]


def stir(net):
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.num_batches_tracked.fill_(7)
        elif isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                torch.nn.init.normal_(module.bias, 0, 0.2)
    return net.eval()


def save(model, net, mean, std, more):
    # `more` is read after the pass, which may have filled it.
    raw = torch.rand(2, 3, int(side), int(side))
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        logits = net((raw - mean) / std)
    state = {f"net.{key}": value.clone() for key, value in net.state_dict().items()}
    more = {key: value.clone() for key, value in more.items()}
    save_file(state | {"raw": raw, "logits": logits} | more, f"{folder}/{model}.safetensors")
"""


@pytest.fixture(scope="session")
def oracle(tmp_path_factory) -> Callable[..., dict[str, dict[str, Tensor]]]:
    """What a script saved of models of another library at one side: (script, side, *models)."""

    def ask(script: str, side: int, *models: str) -> dict[str, dict[str, Tensor]]:
        folder = tmp_path_factory.mktemp("oracle")
        command = [sys.executable, "-c", PRELUDE + script, str(folder), str(side), *models]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        found = {}
        for model in models:
            file = Path(folder, f"{model}.safetensors")
            found[model] = load_file(file)
            file.unlink()
        return found

    return ask


@pytest.fixture
def prove() -> Callable[..., Net]:
    return proven


def proven(
    naming: Naming,
    theirs: dict[str, Tensor],
    raw: Tensor,
    logits: Tensor,
    *,
    seen: Network | None = None,
) -> Net:
    """Their tensors, known by their keys, give their logits in ours, and become theirs again to the bit.

    raw: (N, 3, H, W), RGB, bytes / 255. seen: the network with the heads and class count that the file has.
    """
    match = recognise({key: tuple(value.shape) for key, value in theirs.items()}, library=naming.library)
    assert match.naming == naming
    assert match.network == (seen or naming.network())
    assert match.left == () and match.notes == ()
    made = entries(naming, match.network)
    assert match.entries == tuple(made)

    side = raw.shape[-1]
    small = replace_input(replace(match.network, heads=()), (3, side, side))
    net = build(match.network if side == match.network.input[-1] else small, seed=99).eval()
    ours = to_ours(made, theirs)
    wanted = net.state_dict()
    net.load_state_dict({key: value for key, value in ours.items() if key in wanted})
    scale = naming.scale
    mean, std = torch.tensor(scale.mean).view(3, 1, 1), torch.tensor(scale.std).view(3, 1, 1)
    with torch.no_grad():
        mine = net((raw - mean) / std)
    largest = float(logits.abs().max())
    assert logits.std() > 1e-3 * largest > 0
    error = float((mine - logits).abs().max()) / largest
    print(f"{naming.library} {naming.model}: {error:.1e}")
    assert error < 1e-4

    back = to_theirs(made, ours)
    assert set(theirs) <= set(back)
    for key, value in theirs.items():
        assert back[key].dtype == value.dtype
        assert back[key].shape == value.shape
        assert back[key].numpy().tobytes() == value.numpy().tobytes(), key
    assert all(key.endswith("num_batches_tracked") for key in set(back) - set(theirs))
    return net
