"""One save each, below the working folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from goingdeeper import catalogue
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.export import export as write_export
from goingdeeper.nn.build import build
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model, save_model
from goingdeeper.trace import replace_classes
from goingdeeper.training.checkpoints import save_checkpoint


def checkpoint(step: int, value: float) -> None:
    """A checkpoint of `step` in run/checkpoints, all of whose numbers are `value`."""
    tensors = {"net.a": torch.full((50, 2), value), "best.a": torch.full((50, 2), value)}
    save_checkpoint(Path("run/checkpoints"), step, {"value": value}, tensors)


def model(seed: int) -> None:
    """A model with the initial weights of that seed in run/model."""
    net = build(replace_classes(catalogue.network("tiny"), 3), seed=seed).eval()
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    facts = {"provenance": {"data": str(seed)}}
    save_model(Path("run/model"), net, net.state_dict(), ("a", "b", "c"), Preprocessing(8), picture, facts)


def export() -> None:
    """The model in run/model, for ONNX Runtime, in run/export/onnx."""
    write_export(load_model(Path("run/model")), Path("run/export/onnx"), force=True)


def tables(value: int) -> None:
    """run.json and metrics.csv that hold `value`."""
    folder = RunFolder(Path("run"))
    folder.write_run({"value": value, "text": "x" * 100})
    folder.write_rows("metrics.csv", ("epoch", "value"), [(1, value), (2, value)])
