"""A model as a folder that other runtimes run, proven equal before it is there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from goingdeeper.data.decode import centre, decode, png
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.onnx_graph import InputScale, onnx_model
from goingdeeper.deploy.readme import readme
from goingdeeper.deploy.rewrite import ALL, Rewrite, State, rewritten
from goingdeeper.deploy.scale import fold_scale
from goingdeeper.errors import GateError, MissingExtra, UsageError
from goingdeeper.layers import Network
from goingdeeper.runs.folder import replace_folder
from goingdeeper.runs.model import Model
from goingdeeper.runs.stored import sealed, sha256, stored_as
from goingdeeper.version import __version__

if TYPE_CHECKING:
    import onnx

SCHEMA = 1
PARITY = 1e-4
"""Logits may differ by this much from the model's own, relative to the largest of an image."""

FILES = {"model.onnx", "golden.png", "config.json", "README.md"}
PROBES = 4
"""Images that are compared: the golden one, and noise."""


@dataclass(frozen=True)
class Exported:
    """The folder, the names of its files, and the largest difference of a logit from the model's own."""

    path: Path
    files: tuple[str, ...]
    parity: float


def export_onnx(
    model: Model, out: Path, *, rewrites: tuple[Rewrite, ...] = ALL, force: bool = False
) -> Exported:
    """Writes `model.onnx`, with all that is needed to use it, into a folder of its own.

    It takes bytes, (batch, size, size, 3), and gives logits. Compared in ONNX Runtime with the model on its
    golden image and on noise before the folder is there. rewrites: those of `deploy.rewrite` that are made.
    force: an older folder at the place is replaced. Raises UsageError where something is there, MissingExtra
    without onnx and onnxruntime, GateError, with nothing left behind, where logits differ by over `PARITY`.
    """
    if out.is_file() or (out.is_dir() and {one.name for one in out.iterdir()} - FILES):
        raise UsageError(f"{out} is there and is no export alone; -o names another place")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise UsageError(f"{out} is there already; --force replaces it, -o names another place")
    graph = build_onnx(model, rewrites)
    content = graph.SerializeToString()
    square = centre(model.preprocessing.fit(decode(model.path / "golden.png")), model.preprocessing.size)
    probes = np.concatenate([square[None], _noise(square.shape)])
    expected = _own(model, probes)
    found = _run(content, probes)
    parity = float((np.abs(found - expected).max(1) / np.maximum(np.abs(expected).max(1), 1e-12)).max())
    if not parity <= PARITY:
        raise GateError(
            f"the ONNX model of {model.path} gives logits that differ by {parity:.1e} of the largest, over "
            f"the {PARITY:g} that is allowed; nothing was written"
        )
    image = png(square)
    config: dict[str, Any] = {
        "schema": SCHEMA,
        "runtime": "onnx",
        "precision": "float32",
        "network": model.net.description.name,
        "classes": list(model.classes),
        "preprocessing": model.config["preprocessing"],
        "input": {"name": "images", "type": "uint8", "shape": ["batch", *square.shape], "channels": "RGB"},
        "output": {"name": "logits", "type": "float32", "shape": ["batch", len(model.classes)]},
        "golden": {"image": "golden.png", "sha256": sha256(image), "logits": found[0].tolist()},
        "model": stored_as("model.onnx", content),
        "parity": {"relative": parity, "limit": PARITY, "images": len(probes)},
        "of": {"weights": model.config["weights"]["sha256"], "goingdeeper": __version__},
        **{name: model.config[name] for name in ("scores", "provenance") if name in model.config},
    }
    files = {
        "model.onnx": content,
        "golden.png": image,
        "config.json": sealed(config),
        "README.md": readme(config).encode("utf-8"),
    }
    replace_folder(out, files)
    return Exported(out, tuple(files), parity)


def build_onnx(model: Model, rewrites: tuple[Rewrite, ...] = ALL) -> onnx.ModelProto:
    """The graph, rewritten, with the scale of the input folded into it as far as that is exact."""
    network, state = rewritten(model.net.description, model.net.state_dict(), rewrites)
    network, state, scale = _scaled(network, state, model.preprocessing)
    facts = {"classes": list(model.classes), "preprocessing": model.config["preprocessing"]}
    metadata = {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()}
    weights = {name: value.contiguous().numpy() for name, value in state.items()}
    return onnx_model(network, weights, scale=scale, metadata=metadata)


def _scaled(
    network: Network, state: State, preprocessing: Preprocessing
) -> tuple[Network, State, InputScale]:
    """The network's input scale: in the first convolution where it can be, otherwise in front of it."""
    plain = not preprocessing.contrast and not preprocessing.tensors
    if plain:
        try:
            network, state, mean = fold_scale(network, state, preprocessing.mean, preprocessing.std)
        except ValueError:
            pass  # it begins with another layer
        else:
            return network, state, InputScale(offset=None if mean is None else _by_channel(mean))
    std = np.array(preprocessing.std)
    factor = 1 / ((1 if preprocessing.contrast else 255) * std)
    if preprocessing.mean_image is None:
        offset = _by_channel(np.array(preprocessing.mean) / std)
    else:
        offset = (preprocessing.mean_square().numpy() / std[:, None, None]).astype(np.float32)
    whiten = preprocessing.whiten
    return network, state, InputScale(
        preprocessing.contrast, factor.astype(np.float32), offset,
        None if whiten is None else whiten.cpu().numpy(),
    )  # fmt: skip


def _by_channel(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, np.float32).reshape(-1, 1, 1)


def _noise(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (PROBES - 1, *shape), np.uint8)


def _own(model: Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits: NDArray[np.float32] = model.net(model.preprocessing.views(list(pixels))).numpy()
    return logits


def _run(content: bytes, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits by ONNX Runtime."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("onnxruntime is not installed: pip install 'goingdeeper[onnx]'") from None
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(["logits"], {"images": pixels})[0]
    return found
