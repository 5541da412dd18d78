"""A small folder of photographs to train on, and runs of a few steps."""

from __future__ import annotations

import csv
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from goingdeeper.stopping import AGAIN
from goingdeeper.training.events import Events, Pace
from goingdeeper.training.plan import Wishes


@pytest.fixture(scope="session")
def pets(tmp_path_factory) -> Path:
    """Three classes of twelve 20x20 pictures, each class with more of one colour."""
    root = tmp_path_factory.mktemp("data") / "pets"
    for number, name in enumerate(("cat", "dog", "owl")):
        (root / name).mkdir(parents=True)
        for index in range(12):
            pixels = np.random.default_rng([number, index]).integers(0, 150, (20, 20, 3), np.uint8)
            pixels[:, :, number] += 80
            Image.fromarray(pixels).save(root / name / f"{index:02}.png")
    return root


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty working folder, where `runs/` goes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def wishes(pets) -> Wishes:
    """Three epochs of two steps: 28 of the 36 images, in batches of 12."""
    return Wishes(str(pets), "cifar-resnet-20-a", epochs=3, batch=12, size=16)


class Signals(Events):
    """Sends a signal to this process after so many steps, and keeps what it is told."""

    def __init__(self, after: int = 0, number: int = signal.SIGINT, times: int = 1) -> None:
        self.after, self.number, self.times = after, number, times
        self.notes: list[str] = []
        self.paces: list[Pace] = []
        self.closed = 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def step(self, pace: Pace) -> None:
        self.paces.append(pace)
        if len(self.paces) == self.after:
            for again in range(self.times):
                if again:
                    time.sleep(AGAIN)
                signal.raise_signal(self.number)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def signals() -> type[Signals]:
    return Signals


def _outcome(run: Path) -> dict[str, Any]:
    """All of a finished run that must not depend on when it was interrupted."""
    with (run / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    timing = {"images_per_second", "data_wait", "seconds"}
    config = json.loads((run / "model" / "config.json").read_text())
    return {
        "weights": (run / "model" / "model.safetensors").read_bytes(),
        "golden": config["golden"],
        "scores": config["scores"],
        "metrics": [{key: value for key, value in row.items() if key not in timing} for row in rows],
        "predictions": (run / "predictions.csv").read_text(),
        "split": (run / "split.csv").read_text(),
        "gradients": (run / "gradients.csv").read_text(),
    }


@pytest.fixture
def outcome() -> Callable[[Path], dict[str, Any]]:
    return _outcome
