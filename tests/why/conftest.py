"""Runs that nobody trained, for what looks into trained ones."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import open_source
from goingdeeper.layers import Network
from goingdeeper.nn.build import build
from goingdeeper.notation import to_data
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import save_model

LEARNED, HELD_OUT = 60, 20


@pytest.fixture
def untrained(tmp_path: Path) -> Callable[[Network, int], RunFolder]:
    """Makes the folder of a run of a network on the first digits at 32x32, its weights those of the seed."""

    def make(network: Network, seed: int) -> RunFolder:
        digits = open_source("digits")
        network = replace(network, input=(3, 32, 32), classes=10)
        run = RunFolder(tmp_path / f"{network.name}-{seed}")
        run.path.mkdir()
        net = build(network, seed=seed).eval()
        picture = digits.read("digits/0000")
        save_model(run.model, net, net.state_dict(), digits.classes, Preprocessing(32), picture, {})
        run.write_run({
            "status": "finished",
            "description": to_data(network),
            "data": {"location": "digits"},
            "seed": seed,
        })  # fmt: skip
        rows = [
            (item.path, item.label, "train" if number < LEARNED else "val")
            for number, item in enumerate(digits.items[: LEARNED + HELD_OUT])
        ]
        run.write_rows("split.csv", ("path", "class", "split"), rows)
        return run

    return make
