"""Curves for TensorBoard, read back with its own reader."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from goingdeeper.errors import Interrupted
from goingdeeper.training.train import train


def curves(folder):
    reader = EventAccumulator(str(folder / "tensorboard"))
    reader.Reload()
    return {
        tag: [(point.step, point.value) for point in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]
    }


def test_every_epoch_is_there_once_also_after_an_interruption(here, wishes, signals):
    with pytest.raises(Interrupted):
        train(replace(wishes, tensorboard=True), here / "run", signals(after=3))
    folder = train(replace(wishes, tensorboard=True), here / "run")
    found = curves(folder.path)
    for name in ("val_error", "train_loss", "learning_rate"):
        points = found[f"epoch/{name}"]
        assert [step for step, _ in points] == [1, 2, 3]
        expected = [row[name] for row in folder.metrics()]
        assert [value for _, value in points] == pytest.approx(expected, rel=1e-4)


def test_it_changes_nothing_else(here, wishes, outcome, signals):
    """A run begun without it goes on with it, and ends the same."""
    whole = train(wishes, here / "whole")
    with pytest.raises(Interrupted):
        train(wishes, here / "run", signals(after=2))
    folder = train(replace(wishes, tensorboard=True), here / "run")
    assert outcome(folder.path) == outcome(whole.path)
    assert [step for step, _ in curves(folder.path)["epoch/val_error"]] == [2, 3]
