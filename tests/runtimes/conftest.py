"""A small model, and its exports."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from goingdeeper import catalogue
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.export import export
from goingdeeper.nn.build import build
from goingdeeper.runs.model import load_model, save_model

CLASSES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu")


@pytest.fixture(scope="session")
def exports(tmp_path_factory) -> Path:
    """A folder with `model`, `onnx` and `openvino`, whose images are fitted to 40 for an input of 32."""
    place = tmp_path_factory.mktemp("exports")
    network = replace(catalogue.network("cifar-resnet-20-b"), classes=len(CLASSES), heads=())
    net = build(network, seed=1).eval()
    scale = Preprocessing(32, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), shorter=40)
    picture = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    save_model(place / "model", net, net.state_dict(), CLASSES, scale, picture, {})
    model = load_model(place / "model")
    for to in ("onnx", "openvino"):
        export(model, place / to, to=to)
    return place


@pytest.fixture
def copied(exports, tmp_path):
    """A function that copies one of the exports, to damage it."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(exports / name, tmp_path / name))

    return copy
