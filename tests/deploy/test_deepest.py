"""The networks of 1202 layers, rewritten and exported, with norms under which signals keep their size.

With those of other tests a rounding would grow beyond all logits on so long a way.
"""

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from torch import nn

from goingdeeper import catalogue
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.form import Deployed, form_of
from goingdeeper.deploy.onnx_graph import onnx_model
from goingdeeper.deploy.rewrite import ALL, FOLDED
from goingdeeper.layers import Residual
from goingdeeper.nn.build import build
from goingdeeper.trace import trace

DEEPEST = [name for name in catalogue.names() if "1202" in name]
LIMIT = 1e-4


def calm(network):
    """No norm is a fresh one's; what a block adds is small."""
    net = build(network)
    last = {
        f"{step.path}.{step.layer.body[-1][0]}.norm"
        for step in trace(network)
        if isinstance(step.layer, Residual)
    }
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, norm in net.named_modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.01, generator=generator)
                norm.running_var.uniform_(0.9, 1.1, generator=generator)
                norm.bias.normal_(0, 0.01, generator=generator)
                norm.weight.uniform_(0.9, 1.1, generator=generator)
                if name in last:
                    norm.weight.mul_(0.05)
    return net.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEPEST)
def test_rewritten_and_in_both_runtimes(name):
    network = catalogue.network(name)
    net = calm(network)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    scale = Preprocessing(32)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    images = (images - torch.tensor(scale.mean)[:, None, None]) / torch.tensor(scale.std)[:, None, None]
    with torch.inference_mode():
        expected = net(images).numpy()
    largest = np.abs(expected).max()
    assert np.isfinite(expected).all() and 1e-3 < largest < 1e6

    def same(found):
        assert np.abs(found - expected).max() <= LIMIT * largest

    with torch.inference_mode():
        same(Deployed(form_of(network, net.state_dict(), scale, ALL))(torch.from_numpy(pixels)).numpy())
    form = form_of(network, net.state_dict(), scale, FOLDED)
    weights = {key: value.contiguous().numpy() for key, value in form.state.items()}
    model = onnx_model(form.network, weights, scale=form.scale, metadata={})
    onnx.checker.check_model(model, full_check=True)
    written = model.SerializeToString()
    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    same(session.run(None, {"images": pixels})[0])
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    same(core.compile_model(core.read_model(written), "CPU", settings)(pixels)[0])
