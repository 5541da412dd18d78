"""Layers that lose most in int8: those that were broken on purpose, and no more work than was said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.calibration import samples
from goingdeeper.deploy.form import Deployed, form_of
from goingdeeper.deploy.sensitivity import MOST, decibels, sensitivity
from goingdeeper.layers import Conv
from goingdeeper.runs.model import load_model


def looked_at(run):
    model = load_model(run)
    form = form_of(model.net.description, model.net.state_dict(), model.preprocessing)
    return sensitivity(Deployed(form), torch.from_numpy(samples(model, count=40).calibration))


def test_the_broken_layer_comes_first_by_far(learned, broken):
    whole, found = looked_at(learned), looked_at(broken)
    assert len(found) == 6 and found[0].layer == "next"
    assert found[0].decibels < 5 < 30 < found[1].decibels
    assert found == sorted(found, key=lambda one: one.decibels)
    assert min(one.decibels for one in whole) > 30


@pytest.mark.parametrize("kernel", [1, 3])
def test_weights_by_channel(kernel, trained):
    """Output channels of other sizes do not hurt each other; input channels do."""
    network = replace(catalogue.network("cifar-plain-20"), input=(3, 8, 8))
    layer = replace(dict(network.layers)["conv1"], kernel=kernel)
    assert isinstance(layer, Conv)
    network = replace(network, layers=(("conv1", layer), *network.layers[1:]))
    net = trained(network)
    with torch.no_grad():
        factor = torch.logspace(-3, 3, 16)
        net.get_submodule("conv1.conv").weight *= factor[:, None, None, None]
        net.get_submodule("conv1.norm").running_mean *= factor
        net.get_submodule("conv1.norm").running_var *= factor.square()
    form = form_of(net.description, net.state_dict(), Preprocessing(8))
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), np.uint8))
    found = {one.layer: one.decibels for one in sensitivity(Deployed(form), pixels)}
    assert len(found) == MOST < 20
    assert found.get("conv1", 99) > 20


def test_the_noisiest_of_many_are_tried(trained):
    """The last convolution of 19, whose input has a channel of 10,000 times the others."""
    net = trained(replace(catalogue.network("cifar-plain-20"), input=(3, 8, 8)))
    *_, before, last = [path for path, module in net.named_modules() if isinstance(module, torch.nn.Conv2d)]
    norm = net.get_submodule(before.removesuffix("conv") + "norm")
    with torch.no_grad():
        norm.weight[3] *= 1e4
        norm.bias[3] = 1e4
        net.get_submodule(last).weight[:, 3] *= 1e-4
    form = form_of(net.description, net.state_dict(), Preprocessing(8))
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), np.uint8))
    assert sensitivity(Deployed(form), pixels)[0].layer == last.removesuffix(".conv")


def test_passes_are_bounded(trained):
    net = trained(replace(catalogue.network("cifar-resnet-56-a"), input=(3, 8, 8)))
    deployed = Deployed(form_of(net.description, net.state_dict(), Preprocessing(8)))
    passes = []
    deployed.register_forward_pre_hook(lambda module, inputs: passes.append(len(inputs[0])))
    sensitivity(deployed, torch.zeros(40, 8, 8, 3, dtype=torch.uint8))
    assert passes == [32] * (1 + MOST)
    assert not any(module._forward_hooks for module in deployed.modules())


def test_decibels():
    signal = torch.tensor([3.0, 4.0])
    assert decibels(signal, signal + torch.tensor([0.3, 0.4])) == pytest.approx(20, abs=1e-4)
    assert decibels(signal, signal) == 99 and decibels(0 * signal, signal) == -99
