"""The model folder, which people share: weights, description, preprocessing, and a golden image.

Whoever loads it computes the golden image's logits again; a model that gives others is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from goingdeeper.data.decode import Pixels, decode, png
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.edits import without_heads
from goingdeeper.errors import DataError, DescriptionError, GoingDeeperError, RunFolderError
from goingdeeper.layers import Network
from goingdeeper.nn.build import Net
from goingdeeper.notation import from_data, to_data
from goingdeeper.runs.folder import RunFolder, replace_folder, replaced
from goingdeeper.runs.listing import going_on
from goingdeeper.runs.scale import FILE, scale_from_data, scale_to_data, with_tensors
from goingdeeper.runs.stored import (
    check_golden,
    opened_config,
    sealed,
    sha256,
    stored_as,
    stored_from,
    unbroken,
    was_altered,
)
from goingdeeper.trace import trace

SCHEMA = 1
UNSAID = "data that is not said"
"""What provenance has where nobody knows what the weights were trained on."""

FILES = {"model.safetensors", FILE, "golden.png", "config.json", "README.md"}
"""What a model folder may hold."""


@dataclass(frozen=True)
class Model:
    """A loaded model: the network in evaluation mode, and what is needed to use it."""

    net: Net
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    config: dict[str, Any]
    path: Path

    def fit(self, pixels: Pixels) -> Pixels:
        """The image at the size that the network's central square is taken from."""
        return self.preprocessing.fit(pixels)

    def logits(self, fitted: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, classes), of fitted images."""
        with torch.inference_mode():
            found: NDArray[np.float32] = self.net(self.preprocessing.views(fitted)).numpy()
        return found


def save_model(
    path: Path,
    net: Net,
    state: Mapping[str, Tensor],
    classes: tuple[str, ...],
    preprocessing: Preprocessing,
    picture: Pixels,
    facts: Mapping[str, Any],
) -> None:
    """Writes the folder beside its place and renames it there; an older model is replaced.

    A save that is killed between its renames leaves the older model at `.NAME.old`, where it is found.
    Raises ResourceError where the disk is full.

    state: the weights to keep, heads included or not (they are dropped). picture: becomes the golden
    image. facts: scores and provenance for config.json.
    """
    network = without_heads(net.description)
    weights = {name: value.cpu().contiguous() for name, value in state.items() if not _of_head(name)}
    deployed = _filled(network, weights)
    small = picture if max(picture.shape[:2]) <= 512 else preprocessing.fit(picture)
    golden = Model(deployed, classes, preprocessing, {}, path).logits([preprocessing.fit(small)])[0]
    content, image = save(weights, metadata={"format": "pt"}), png(small)
    scale, tensors = scale_to_data(preprocessing)
    config = {
        "schema": SCHEMA,
        "network": network.name,
        "description": to_data(network),
        "classes": list(classes),
        "preprocessing": scale,
        "golden": {"image": "golden.png", "sha256": sha256(image), "logits": golden.tolist()},
        "weights": stored_as("model.safetensors", content),
        **facts,
    }
    replace_folder(path, {
        "model.safetensors": content,
        **({FILE: tensors} if tensors else {}),
        "golden.png": image,
        "config.json": sealed(config),
        "README.md": _readme(config).encode("utf-8"),
    })  # fmt: skip


def load_model(path: Path) -> Model:
    """The model of a run folder, or a model folder itself.

    Raises RunFolderError where there is none, DataError where a file cannot be read or is cut short,
    GateError where one was altered or the golden image does not come out.
    """
    folder = _model_folder(path)
    text, config = opened_config(folder, SCHEMA, "a model")
    if "runtime" in config:
        raise RunFolderError(
            f"{folder} is an export, which predicts and no more; name the run that it was made from"
        )
    try:
        network = from_data(config["description"])
        trace(network)
        preprocessing, tensors = scale_from_data(config["preprocessing"], network, folder)
        classes = tuple(str(name) for name in config["classes"])
        if len(set(classes)) != network.classes or len(classes) != network.classes:
            raise ValueError(f"its class names do not fit a network of {network.classes} classes")
        weights = stored_from(folder, config["weights"])
        golden = np.array([float(value) for value in config["golden"]["logits"]])
        golden_image = folder / Path(config["golden"]["image"]).name
        seal, golden_sha256 = config.get("seal"), config["golden"].get("sha256")
    except (KeyError, TypeError, ValueError, OverflowError, DescriptionError) as problem:
        raise DataError(
            f"{folder / 'config.json'} is damaged: {problem}; restore it or train again"
        ) from None
    # Models of before there was a seal have neither; no one bit makes both disappear.
    older = seal is None and golden_sha256 is None
    altered = [] if older or unbroken(text, seal) else [folder / "config.json"]
    try:
        content = weights.read()
        preprocessing = with_tensors(preprocessing, tensors)
        net = _fitted(network, content, weights.file)
        picture = decode(golden_image)
        altered += [] if older or sha256(golden_image.read_bytes()) == golden_sha256 else [golden_image]
    except GoingDeeperError:
        if altered:  # it names another file wrongly, or its size
            raise was_altered(altered[0]) from None
        raise
    model = Model(net, classes, preprocessing, config, folder)
    found = model.logits([preprocessing.fit(picture)])[0]
    check_golden(folder, found, golden, altered[0] if altered else None)
    if altered:
        raise was_altered(altered[0])
    return model


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model, and nothing else that would be lost with it."""
    if not (folder / "config.json").is_file() or {one.name for one in folder.iterdir()} - FILES:
        return False
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (ValueError, OSError):
        return False
    return isinstance(config, dict) and "description" in config and "golden" in config


def _fitted(network: Network, content: bytes, file: Path) -> Net:
    try:
        return _filled(network, load(content))
    except (SafetensorError, RuntimeError) as problem:
        first = str(problem).splitlines()[0]
        raise DataError(f"{file} does not hold this network's weights: {first}") from None


def _model_folder(path: Path) -> Path:
    if path.is_file():
        raise RunFolderError(f"{path} is a file; `deeper import` makes a model of a file of weights")
    folder = RunFolder(path)
    for place in (path, replaced(path), folder.model, replaced(folder.model)):
        if (place / "config.json").is_file():
            return place
    run = folder.run()
    if run.get("status") != "finished":
        command = going_on(folder, run)
        raise RunFolderError(f"{path} is unfinished and has no model yet; go on with: {command}")
    raise RunFolderError(f"{path} has no model (no model/config.json); restore it or train again")


def _filled(network: Network, weights: Mapping[str, Tensor]) -> Net:
    with torch.device("meta"):
        net = Net(network)
    net.load_state_dict(dict(weights), assign=True)
    return net.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def _of_head(name: str) -> bool:
    return name.startswith("heads.")


def _readme(config: Mapping[str, Any]) -> str:
    scores = config.get("scores", {})
    origin = config.get("provenance", {})
    data = origin.get("data", "images")
    lines = [f"# {config['network']}" + (f" on {data}" if data != UNSAID else ""), ""]
    if "library" in origin:
        lines += [
            f"{origin['library']}'s {origin['model']}, imported from {origin['source']} "
            f"(sha256 {origin['sha256']}). Licence of the weights: {origin['licence']}.",
            "",
        ]
    if scores:
        low, high = scores["interval_95"]
        lines += [
            f"Validation error {scores['top1_error']:.2f} % (95 %: {low:.2f} to {high:.2f}, "
            f"n = {scores['images']}, {scores['protocol']}).",
            "",
        ]
    lines += [
        f"{len(config['classes'])} classes: {', '.join(config['classes'][:20])}"
        + (", ..." if len(config["classes"]) > 20 else ""),
        "",
        "```python",
        "import goingdeeper as gd",
        "",
        'gd.load("this folder").predict(["image.jpg"])',
        "```",
        "",
        "`config.json` holds the network's description, the class names, the preprocessing and the golden",
        "image's logits; whoever loads the model computes them again.",
    ]
    if "tensors" in config["preprocessing"]:
        lines += ["", f"`{FILE}` holds the preprocessing's mean image or ZCA matrix."]
    return "\n".join(lines) + "\n"
