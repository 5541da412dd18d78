"""Every scale of the input through a whole run: trained, resumed, gone on from, evaluated, predicted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from goingdeeper.data.decode import decode
from goingdeeper.errors import Interrupted, UsageError
from goingdeeper.evaluation.evaluate import Member, evaluate
from goingdeeper.prediction.predictor import predict
from goingdeeper.runs.model import load_model
from goingdeeper.training.train import train

KINDS = {
    "mean image": {"input": "MeanImage"},
    "range": {"input": "Range"},
    "contrast": {"input": "Contrast"},
    "contrast + mean image": {"input": "Contrast", "input.mean_image": "true"},
    "zca": {"input": "Contrast", "input.whiten": "0.1"},
}
ZCA = tuple(KINDS["zca"].items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_s_images_are_scaled_alike_everywhere(here, wishes, kind):
    """The last epoch's validation, evaluate on the same images and predict on the files agree."""
    folder = train(replace(wishes, epochs=1, settings=tuple(KINDS[kind].items())), here / "run")
    model = load_model(folder.path)
    score = evaluate([Member(model, folder)], None).score()
    (row,) = folder.metrics()
    assert score.cross_entropy == pytest.approx(row["val_loss"], rel=1e-4)
    rows = folder.predictions()
    answers = predict(model, [Path(wishes.source, row["path"]) for row in rows], top=3)
    for row, answer in zip(rows, answers, strict=True):
        assert dict(answer.top)[row["true"]] == pytest.approx(float(row["probability_true"]), abs=1e-5)


def test_the_scale_is_fitted_to_the_training_images_alone(here, wishes):
    folder = train(replace(wishes, epochs=1, size=20, settings=(("input", "MeanImage"),)), here / "run")
    paths = [row["path"] for row in folder.split() if row["split"] == "train"]
    assert 0 < len(paths) < 36
    expected = np.mean([decode(Path(wishes.source, path)) for path in paths], axis=0) / 255
    found = load_model(folder.path).preprocessing.mean_image.permute(1, 2, 0)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["zca", "contrast + mean image"])
def test_interrupted_it_ends_the_same(here, wishes, signals, outcome, kind):
    asked = replace(wishes, settings=tuple(KINDS[kind].items()))
    train(asked, here / "whole")
    with pytest.raises(Interrupted):
        train(asked, here / "parts", signals(3))
    train(asked, here / "parts")
    assert outcome(here / "parts") == outcome(here / "whole")
    tensors = [here / run / "model" / "preprocessing.safetensors" for run in ("parts", "whole")]
    assert tensors[0].read_bytes() == tensors[1].read_bytes()


def test_going_on_from_a_run_keeps_its_scale(here, wishes):
    first = train(replace(wishes, epochs=1, settings=ZCA), here / "first").path
    on = replace(wishes, model=None, size=None, from_run=str(first), epochs=1)
    again = train(on, here / "again").path
    assert load_model(again).preprocessing == load_model(first).preprocessing
    with pytest.raises(UsageError, match="whitens images of 16x16, which cannot be done at 20x20; leave out"):
        train(replace(on, size=20), here / "other")
    assert not (here / "other").exists()


def test_a_zca_that_is_too_large_leaves_nothing_behind(here, wishes):
    with pytest.raises(UsageError, match="ZCA of 48x48 images takes a matrix of 6,912 x 6,912"):
        train(replace(wishes, size=48, settings=ZCA))
    assert not list(here.iterdir())
