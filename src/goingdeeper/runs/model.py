"""The model folder, which people share: weights, description, preprocessing, and a golden image.

Whoever loads it computes the golden image's logits again; a model that gives others is refused.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from goingdeeper.data.decode import Pixels, decode, fit, png
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.edits import without_heads
from goingdeeper.errors import DataError, DescriptionError, GateError, RunFolderError
from goingdeeper.layers import Network
from goingdeeper.nn.build import Net
from goingdeeper.notation import from_data, to_data
from goingdeeper.runs.folder import RunFolder, write_whole
from goingdeeper.runs.listing import going_on
from goingdeeper.trace import trace

SCHEMA = 1
TOLERANCE = 1e-3
"""Golden logits may differ by this much, relative to the largest: kernels differ between machines."""


@dataclass(frozen=True)
class Model:
    """A loaded model: the network in evaluation mode, and what is needed to use it."""

    net: Net
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    config: dict[str, Any]
    path: Path


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

    state: the weights to keep, heads included or not (they are dropped). picture: becomes the golden
    image. facts: scores and provenance for config.json.
    """
    network = without_heads(net.description)
    weights = {name: value.cpu().contiguous() for name, value in state.items() if not _of_head(name)}
    deployed = _filled(network, weights)
    small = picture if max(picture.shape[:2]) <= 512 else fit(picture, preprocessing.size)
    golden = _logits(deployed, small, preprocessing)
    content = save(weights, metadata={"format": "pt"})
    config = {
        "schema": SCHEMA,
        "network": network.name,
        "description": to_data(network),
        "classes": list(classes),
        "preprocessing": {
            **asdict(preprocessing),
            "resize": "shorter side to `size`, bilinear, antialiased, on bytes",
            "crop": "centre, size x size",
            "channels": "RGB, divided by 255, minus mean, divided by std",
        },
        "golden": {"image": "golden.png", "logits": golden.tolist()},
        "weights": {
            "file": "model.safetensors",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        },
        **facts,
    }
    aside = path.with_name(f".{path.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    write_whole(aside / "model.safetensors", content)
    write_whole(aside / "golden.png", png(small))
    write_whole(aside / "config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    write_whole(aside / "README.md", _readme(config))
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    try:
        aside.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def load_model(path: Path) -> Model:
    """The model of a run folder, or a model folder itself.

    Raises RunFolderError where there is none, DataError where a file cannot be read or is cut short,
    GateError where the weights were altered or the golden image does not come out.
    """
    folder = _model_folder(path)
    config = _config(folder)
    try:
        network = from_data(config["description"])
        trace(network)
        preprocessing = _preprocessing(config["preprocessing"], network)
        classes = tuple(str(name) for name in config["classes"])
        if len(set(classes)) != network.classes or len(classes) != network.classes:
            raise ValueError(f"its class names do not fit a network of {network.classes} classes")
        # Names alone: a folder from elsewhere must not point outside of itself.
        weights_file = folder / Path(config["weights"]["file"]).name
        expected, digest = int(config["weights"]["bytes"]), config["weights"]["sha256"]
        golden = torch.tensor([float(value) for value in config["golden"]["logits"]])
        golden_image = folder / Path(config["golden"]["image"]).name
    except (KeyError, TypeError, ValueError, OverflowError, DescriptionError) as problem:
        raise DataError(
            f"{folder / 'config.json'} is damaged: {problem}; restore it or train again"
        ) from None
    if not weights_file.is_file():
        raise RunFolderError(f"{folder} has no {weights_file.name}; restore it or train again")
    try:
        content = weights_file.read_bytes()
    except OSError as problem:
        raise DataError(f"{weights_file} cannot be read: {problem.strerror or problem}") from None
    if len(content) < expected:
        raise DataError(
            f"{weights_file} is cut short: {len(content):,} of {expected:,} bytes; restore it or train again"
        )
    if hashlib.sha256(content).hexdigest() != digest:
        raise GateError(f"{weights_file} was altered after it was saved; restore it or train again")
    try:
        net = _filled(network, load(content))
    except (SafetensorError, RuntimeError) as problem:
        first = str(problem).splitlines()[0]
        raise DataError(f"{weights_file} does not hold this network's weights: {first}") from None
    logits = _logits(net, decode(golden_image), preprocessing)
    if logits.shape != golden.shape or not _close(logits, golden):
        raise GateError(
            f"{folder} does not prove itself: its golden image gives other logits than when it was saved; "
            "a file was altered, or this machine computes differently; train or export again"
        )
    return Model(net, classes, preprocessing, config, folder)


def _model_folder(path: Path) -> Path:
    if (path / "config.json").is_file():
        return path
    folder = RunFolder(path)
    if (folder.model / "config.json").is_file():
        return folder.model
    run = folder.run()
    if run.get("status") != "finished":
        command = going_on(folder, run)
        raise RunFolderError(f"{path} is unfinished and has no model yet; go on with: {command}")
    raise RunFolderError(f"{path} has no model (no model/config.json); restore it or train again")


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text("utf-8"))
    except (ValueError, OSError, RecursionError) as problem:
        raise DataError(f"{file} cannot be read: {problem}; restore it or train again") from None
    if not isinstance(config, dict) or config.get("schema") != SCHEMA:
        raise DataError(f"{file} is not a model of this version (schema {SCHEMA})")
    return config


def _preprocessing(data: Mapping[str, Any], network: Network) -> Preprocessing:
    mean, std = (tuple(float(value) for value in data[name]) for name in ("mean", "std"))
    if len(mean) != network.input[0] or len(std) != network.input[0] or min(std) <= 0:
        raise ValueError(f"mean {mean} and std {std} do not fit {network.input[0]} channels")
    if (data["size"], data["size"]) != network.input[1:]:
        raise ValueError(f"size {data['size']} is not the network's input")
    return Preprocessing(data["size"], mean, std)


def _filled(network: Network, weights: Mapping[str, Tensor]) -> Net:
    with torch.device("meta"):
        net = Net(network)
    net.load_state_dict(dict(weights), assign=True)
    return net.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def _logits(net: Net, picture: Pixels, preprocessing: Preprocessing) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = net(preprocessing.views([fit(picture, preprocessing.size)]))[0]
    return logits


def _close(found: Tensor, expected: Tensor) -> bool:
    scale = max(1.0, float(expected.abs().max()))
    return bool(((found - expected).abs() <= TOLERANCE * scale).all())


def _of_head(name: str) -> bool:
    return name.startswith("heads.")


def _readme(config: Mapping[str, Any]) -> str:
    scores = config.get("scores", {})
    lines = [f"# {config['network']} on {config.get('provenance', {}).get('data', 'images')}", ""]
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
    return "\n".join(lines) + "\n"
