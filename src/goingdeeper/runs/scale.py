"""The scale of the input in a model folder: numbers in config.json, tensors in a file beside the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.errors import DataError
from goingdeeper.layers import Network
from goingdeeper.runs.stored import Stored, stored_as, stored_from

FILE = "preprocessing.safetensors"

MOST = 4096
"""Pixels that the shorter side is resized to at most, so that no config.json fills the memory."""


def scale_to_data(preprocessing: Preprocessing) -> tuple[dict[str, Any], bytes]:
    """The entry of config.json, and the content of `FILE`, empty where there are no tensors."""
    tensors = {name: value.cpu().contiguous() for name, value in preprocessing.tensors.items()}
    content = save(tensors, metadata={"format": "pt"}) if tensors else b""
    kind, channels = _in_words(preprocessing)
    side = "shorter" if preprocessing.shorter else "size"
    data = {
        "kind": kind,
        "size": preprocessing.size,
        **({"shorter": preprocessing.shorter} if preprocessing.shorter else {}),
        "mean": preprocessing.mean,
        "std": preprocessing.std,
        "contrast": preprocessing.contrast,
        **({"tensors": stored_as(FILE, content)} if tensors else {}),
        "resize": f"shorter side to `{side}`, bilinear, antialiased, on bytes",
        "crop": "centre, size x size",
        "channels": channels,
    }
    return data, content


def scale_from_data(
    data: Mapping[str, Any], network: Network, folder: Path
) -> tuple[Preprocessing, Stored | None]:
    """What config.json says, and the file of tensors, if any, for `with_tensors`.

    Models saved before there were kinds have neither `contrast` nor `tensors`; only imported ones have
    `shorter`. Raises KeyError, TypeError or
    ValueError where it does not fit the network.
    """
    mean, std = (tuple(float(value) for value in data[name]) for name in ("mean", "std"))
    if len(mean) != network.input[0] or len(std) != network.input[0] or min(std) <= 0:
        raise ValueError(f"mean {mean} and std {std} do not fit {network.input[0]} channels")
    if (data["size"], data["size"]) != network.input[1:]:
        raise ValueError(f"size {data['size']} is not the network's input")
    contrast = float(data["contrast"])
    if not 0 <= contrast < math.inf:
        raise ValueError(f"a contrast of {contrast} is no scale")
    shorter = data.get("shorter")
    if shorter is not None and (not isinstance(shorter, int) or not data["size"] <= shorter <= MOST):
        raise ValueError(f"a shorter side of {shorter} does not fit an input of {data['size']}")
    stored = stored_from(folder, data["tensors"]) if "tensors" in data else None
    return Preprocessing(data["size"], mean, std, contrast, shorter=shorter), stored


def with_tensors(preprocessing: Preprocessing, stored: Stored | None) -> Preprocessing:
    """With what the file holds. Raises the errors of `Stored.read`, DataError for tensors of other shapes."""
    if stored is None:
        return preprocessing
    content = stored.read()
    values = 3 * preprocessing.size**2
    try:
        tensors = load(content)
        for name, value in tensors.items():
            shape, side = tuple(value.shape), value.shape[-1] if value.dim() else 0
            fitting = {"mean_image": (3, side, side), "whiten": (values, values)}.get(name)
            if not side or shape != fitting or value.dtype != torch.float32:
                raise ValueError(f"{name}, {value.dtype} of shape {shape}")
    except (SafetensorError, ValueError) as problem:
        first = str(problem).splitlines()[0]
        raise DataError(f"{stored.file} does not hold this model's mean image or ZCA: {first}") from None
    return replace(preprocessing, mean_image=tensors.get("mean_image"), whiten=tensors.get("whiten"))


def _in_words(preprocessing: Preprocessing) -> tuple[str, str]:
    """A name for people, and the arithmetic in order."""
    names, steps = [], ["RGB", "divided by 255"]
    if preprocessing.contrast:
        names.append("contrast")
        steps.append("minus the image's mean, divided by its L2 norm, times contrast (one colour: zeros)")
    if preprocessing.mean_image is not None:
        names.append("mean image")
        steps.append("minus mean_image (resized to size, if it is larger)")
    else:
        steps.append("minus mean")
    steps.append("divided by std")
    if preprocessing.whiten is not None:
        names.append("ZCA")
        steps.append("times whiten, values in the order channel, row, column")
    return " + ".join(names) or "by channel", ", ".join(steps)
