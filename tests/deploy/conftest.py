"""Networks as if they had been trained."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from goingdeeper import catalogue
from goingdeeper.data.decode import decode
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources.digits import digits
from goingdeeper.layers import BatchNorm, Conv, GlobalAvgPool, Identity, Linear, MaxPool, Network, Residual
from goingdeeper.nn.build import build
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model, save_model


@pytest.fixture(scope="session")
def small():
    return _small


@pytest.fixture(scope="session")
def trained():
    return _trained


def _small(name):
    """A network of the catalogue without heads, at a small input where its linear layers allow it."""
    network = replace(catalogue.network(name), heads=())
    if any(isinstance(layer, Linear) for _, layer in network.layers[:-1]):
        return network
    side = 75 if name.startswith("inception") else min(network.input[1], 64)
    return replace(network, input=(network.input[0], side, side))


def _trained(network, seed=0):
    """A built network whose norms and biases are those of no fresh one."""
    net = build(network, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
                if module.weight is not None:
                    module.weight.uniform_(0.5, 1.5, generator=generator)
            elif isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                module.bias.uniform_(-0.1, 0.1, generator=generator)
    return net.eval()


@pytest.fixture
def one_processor():
    """Runtimes that use all processors wait for each other where those are busy."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture(scope="session")
def learned(tmp_path_factory):
    """A run folder of a small network that has learned the embedded digits in a second."""
    source = digits()
    random = np.random.default_rng(0)
    items = [source.items[index] for index in random.permutation(len(source.items))]
    pixels = torch.from_numpy(np.stack([source.read(item.path) for item in items]))
    labels = torch.tensor([source.classes.index(item.label) for item in items])
    norm = BatchNorm()
    network = Network("small", {
        "stem": Conv(16, 3, norm=norm), "next": Conv(24, 3, norm=norm), "pool": MaxPool(2, 2, padding=0),
        "block": Residual({"conv1": Conv(24, 3, norm=norm), "conv2": Conv(24, 3, norm=norm, act=None)},
                              Identity()),
        "last": Conv(32, 3, norm=norm), "average": GlobalAvgPool(), "fc": Linear(10),
    }, input=(3, 8, 8), classes=10)  # fmt: skip
    net = build(network, seed=0).train()
    preprocessing = Preprocessing(8, (0.3,) * 3, (0.4,) * 3)
    images = preprocessing.normalise(pixels)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for step in range(60):
        part = slice(step * 128 % 1280, step * 128 % 1280 + 128)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(images[part]), labels[part]).backward()
        optimiser.step()
    folder = RunFolder(tmp_path_factory.mktemp("learned") / "run")
    folder.path.mkdir()
    save_model(
        folder.model, net.eval(), net.state_dict(), source.classes, preprocessing, pixels[0].numpy(), {}
    )
    folder.write_run({"schema": 1, "status": "finished", "seed": 5, "data": {"location": "digits"}})
    rows = [(item.path, item.label, "train" if n < 1280 else "val") for n, item in enumerate(items)]
    folder.write_rows("split.csv", ("path", "class", "split"), rows)
    return folder.path


@pytest.fixture
def broken(learned, tmp_path):
    """The same run, with a channel of 10,000 times the others between the first two layers: as functions
    both are the same, but no range of bytes has room for all channels of it."""
    model = load_model(learned)
    state = {name: value.clone() for name, value in model.net.state_dict().items()}
    for name in ("stem.norm.weight", "stem.norm.bias"):
        state[name][3] *= 1e4
    state["stem.norm.bias"][3] = state["stem.norm.bias"][3].abs() + 1e4
    state["next.conv.weight"][:, 3] *= 1e-4
    shutil.copytree(learned, tmp_path / "broken")
    net = build(model.net.description, seed=0)
    net.load_state_dict(state)
    save_model(
        tmp_path / "broken/model", net.eval(), state, model.classes, model.preprocessing,
        decode(learned / "model/golden.png"), {},
    )  # fmt: skip
    return tmp_path / "broken"
