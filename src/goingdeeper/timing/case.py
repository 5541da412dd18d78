"""What is measured, as files that processes of their own open: the network, its weights, images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.onnx_graph import onnx_model
from goingdeeper.deploy.rewrite import without_training
from goingdeeper.edits import without_heads
from goingdeeper.layers import Network
from goingdeeper.nn.build import Net, build
from goingdeeper.notation import from_data, to_data
from goingdeeper.runs.model import Model
from goingdeeper.runs.scale import FILE, scale_from_data, scale_to_data, with_tensors


def random_model(network: Network, seed: int = 0) -> Model:
    """The network without heads, with random weights, and norms and biases as training leaves them.

    Fresh ones are 0 and 1, which would hide a rewrite that loses them. Its path is empty.
    """
    net = build(without_heads(network), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
                if module.weight is not None:
                    module.weight.uniform_(0.5, 1.5, generator=generator)
            elif isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                module.bias.uniform_(-0.1, 0.1, generator=generator)
    channels, size, _ = network.input
    preprocessing = Preprocessing(size, (0.5,) * channels, (0.25,) * channels)
    classes = tuple(f"class {number}" for number in range(network.classes))
    config = {"preprocessing": scale_to_data(preprocessing)[0]}
    return Model(net.eval(), classes, preprocessing, config, Path())


def noise(model: Model, count: int) -> NDArray[np.uint8]:
    """Images of random bytes, (count, height, width, channels)."""
    channels, height, wide = model.net.description.input
    return np.random.default_rng(0).integers(0, 256, (count, height, wide, channels), np.uint8)


def write_case(folder: Path, model: Model, pixels: NDArray[np.uint8]) -> None:
    """What `read_case` reads, and the images as bytes and as a rival takes them: NCHW floats, normalised."""
    network = model.net.description
    (folder / "network.json").write_text(json.dumps(to_data(network)), "utf-8")
    save_file({name: value.contiguous() for name, value in model.net.state_dict().items()}, folder / WEIGHTS)
    scale, tensors = scale_to_data(model.preprocessing)
    (folder / "scale.json").write_text(json.dumps(scale), "utf-8")
    if tensors:
        (folder / FILE).write_bytes(tensors)
    np.save(folder / "pixels.npy", pixels)
    floats = model.preprocessing.normalise(torch.from_numpy(pixels))
    np.save(folder / "images.npy", np.ascontiguousarray(floats.numpy()))


WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Case:
    """The network as published, and its weights."""

    network: Network
    state: Mapping[str, Tensor]
    preprocessing: Preprocessing


def read_case(folder: Path) -> Case:
    """What `write_case` has written."""
    network = from_data(json.loads((folder / "network.json").read_text("utf-8")))
    scale: dict[str, Any] = json.loads((folder / "scale.json").read_text("utf-8"))
    preprocessing = with_tensors(*scale_from_data(scale, network, folder))
    return Case(network, load_file(folder / WEIGHTS), preprocessing)


def write_plain_graph(file: Path, model: Model) -> None:
    """The network as people export it: `images`, (N, channels, height, width) normalised floats, to logits.

    Nothing is merged; batch norms are there. Raises MissingExtra without onnx.
    """
    network, state = without_training(model.net.description, model.net.state_dict())
    weights = {name: value.contiguous().numpy() for name, value in state.items()}
    graph = onnx_model(replace(network, heads=()), weights)
    nodes = graph.graph.node
    assert [node.op_type for node in nodes[:2]] == ["Cast", "Transpose"]
    first = nodes[1].output[0]
    del nodes[:2]
    for node in nodes:
        for place, name in enumerate(node.input):
            if name == first:
                node.input[place] = "images"
    kind = graph.graph.input[0].type.tensor_type
    kind.elem_type = 1  # float32
    for place, side in enumerate(network.input, 1):
        kind.shape.dim[place].dim_value = side
    file.write_bytes(graph.SerializeToString())


def build_plain(case: Case, memory: torch.memory_format) -> Net:
    """The network as published, for evaluation, of torch's own modules alone."""
    with torch.device("meta"):
        net = Net(case.network)
    net.load_state_dict(dict(case.state), assign=True)
    for place, module in list(net.named_modules()):
        if isinstance(module, nn.LocalResponseNorm):  # ours is faster
            torchs = nn.LocalResponseNorm(module.size, module.alpha, module.beta, module.k)
            net.set_submodule(place, torchs)
    return net.to(memory_format=memory).eval()  # type: ignore[call-overload, no-any-return]
