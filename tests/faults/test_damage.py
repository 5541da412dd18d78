"""A checkpoint or model file that was cut short, or one bit of which was flipped."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest

from goingdeeper.errors import DataError, GateError
from goingdeeper.runs.model import load_model

TRIALS = {"test_a_damaged_checkpoint": (20, 200), "test_a_damaged_model": (20, 200)}

CHECKPOINT = ("tensors.safetensors", "progress.json", "manifest.json")
MODEL = ("model.safetensors", "config.json", "golden.png")  # README.md is for people, who may add to it


def damage(file: Path, chance: random.Random, cut: bool) -> None:
    content = bytearray(file.read_bytes())
    if cut:
        del content[chance.randrange(len(content)) :]
    else:
        place = chance.randrange(8 * len(content))
        content[place // 8] ^= 1 << place % 8
    file.write_bytes(content)


@pytest.fixture(scope="session")
def killed(forker, photos, tmp_path_factory) -> Path:
    """A run that was killed in its third epoch, with the checkpoints of steps 8 and 16."""
    here = tmp_path_factory.mktemp("killed")
    (here / "photos").symlink_to(photos)
    words = ("train", "photos", "--model", "tiny", "--size", "8", "--epochs", "3", "--batch", "16")
    done = forker.run(
        "deeper", *words, "--out", "run", cwd=here, fault={"at": "step", "number": 20, "act": "kill"}
    )
    assert done.status == -9
    assert {path.name for path in (here / "run" / "checkpoints").iterdir()} == {
        "step-00000008",
        "step-00000016",
    }
    return here / "run"


@pytest.mark.slow
def test_a_damaged_checkpoint(here, killed, finish, trial):
    """It is named, the one before is used; where that is damaged too, training says so and begins again."""
    chance = random.Random(trial)
    shutil.copytree(killed, here / "run")
    newest, before = (here / "run" / "checkpoints" / f"step-{step:08}" for step in (16, 8))
    damaged = [newest / CHECKPOINT[trial % 3]] + [before / chance.choice(CHECKPOINT)] * (trial % 10 == 9)
    for file in damaged:
        damage(file, chance, cut=trial % 2 == 0)
    done = finish()
    for file in damaged:
        # A bit of the manifest may speak against another file.
        name = r"\S+" if file.name == "manifest.json" else re.escape(file.name)
        folder = re.escape(str(file.parent.relative_to(here)))
        assert re.search(
            rf"{folder}/{name} is damaged; the checkpoint {file.parent.name} is passed", done.err
        )
    if len(damaged) == 1:
        assert "going on from the end of epoch 1" in done.err
    else:
        assert "no checkpoint in run/checkpoints is whole; starting again from the first step" in done.err


@pytest.fixture(scope="session")
def model(forker, tmp_path_factory) -> Path:
    here = tmp_path_factory.mktemp("model")
    (here / "run").mkdir()
    assert forker.run("save", "model", 1, cwd=here).status == 0
    load_model(here / "run" / "model")
    return here / "run" / "model"


def test_a_damaged_model(tmp_path, model, trial):
    file = tmp_path / "model" / MODEL[trial % 3]
    shutil.copytree(model, tmp_path / "model")
    before = file.read_bytes()
    damage(file, random.Random(trial), cut=trial % 2 == 0)
    with pytest.raises((DataError, GateError), match=re.escape(file.name)) as caught:
        load_model(tmp_path / "model")
    assert "\n" not in str(caught.value)
    file.write_bytes(before)
    load_model(tmp_path / "model")
