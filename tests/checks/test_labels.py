"""Suspected labels: the rule of confident learning, and a trained run that doubts what was swapped."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

import goingdeeper as gd
from goingdeeper.checks.labels import confident_errors
from goingdeeper.errors import DataError


def by_hand(probabilities, labels):
    """The rule again, image by image."""
    classes = range(len(probabilities[0]))
    thresholds = {}
    for name in classes:
        own = [row[name] for row, label in zip(probabilities, labels, strict=True) if label == name]
        if own:
            thresholds[name] = sum(own) / len(own)
    found = []
    for number, (row, label) in enumerate(zip(probabilities, labels, strict=True)):
        reached = [
            (row[name], -name)
            for name in thresholds
            if (row[name] >= thresholds[name] or row[name] >= row[label] + 0.5)
        ]
        if reached:
            likeliest = -max(reached)[1]
            if likeliest != label and row[likeliest] > row[label]:
                found.append((row[label] - row[likeliest], number, likeliest))
    return [(number, likeliest) for _, number, likeliest in sorted(found)]


@pytest.mark.parametrize("seed", range(5))
def test_the_rule_of_confident_learning(seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, 200)
    logits = random.normal(0, 1.2, (200, 5))
    logits[np.arange(200), labels] += 2
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = confident_errors(probabilities, labels)
    assert found == by_hand(probabilities.tolist(), labels.tolist())
    assert 5 < len(found) < 100
    assert not any(other == 4 for _, other in found)  # a class without images is never suggested


def test_a_class_that_is_always_doubted_has_a_low_threshold():
    """Images 2 and 3 are taken for class 0, but not as surely as its own images are."""
    probabilities = np.array([[0.9, 0.1], [0.95, 0.05], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]])
    assert confident_errors(probabilities, np.array([0, 0, 1, 1, 0])) == [(4, 1)]


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """Red and blue pictures that a small net tells apart at once."""
    root = tmp_path_factory.mktemp("labels") / "colours"
    random = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (root / name).mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 90, (16, 16, 3), np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def run(coloured, tmp_path_factory):
    return gd.train(coloured, epochs=5, batch=12, size=16, out=tmp_path_factory.mktemp("run") / "colours")


def test_a_run_doubts_the_labels_that_were_swapped(coloured, run, tmp_path):
    wrong = shutil.copytree(coloured, tmp_path / "wrong")
    (wrong / "red/03.png").rename(wrong / "blue/from-red.png")
    (wrong / "green/05.png").rename(wrong / "red/from-green.png")
    steps = []
    health = gd.check(wrong, run=run.path, progress=lambda *step: steps.append(step), out=tmp_path / "out")
    assert health.suspects is not None
    assert {(s.path, s.label, s.predicted) for s in health.suspects} == {
        ("blue/from-red.png", "blue", "red"),
        ("red/from-green.png", "red", "green"),
    }
    margins = [s.probability_predicted - s.probability for s in health.suspects]
    assert margins == sorted(margins, reverse=True) and margins[-1] > 0.3
    first = health.document()["suspects"][0]
    assert first.keys() == {"path", "class", "probability", "predicted", "probability_predicted"}
    assert steps[-1] == (60, 60) and len(steps) > 60
    page = (tmp_path / "out/check.html").read_text("utf-8")
    assert "Suspected labels" in page and "blue/from-red.png" in page
    assert gd.check(coloured, run=run).suspects == ()
    assert gd.check(coloured).suspects is None


def test_classes_are_matched_by_name(coloured, run, tmp_path):
    other = shutil.copytree(coloured, tmp_path / "other")
    (other / "green").rename(other / "teal")
    (other / "red/04.png").rename(other / "blue/from-red.png")
    (other / "teal/cut.png").write_bytes(b"")
    health = gd.check(other, run=run)
    assert health.unknown == {"teal": 20} and health.document()["unknown_classes"] == {"teal": 20}
    assert health.suspects is not None
    assert [(one.path, one.predicted) for one in health.suspects] == [("blue/from-red.png", "red")]
    assert gd.check(coloured, run=run).unknown == {}
    for old, new in (("red", "crimson"), ("blue", "navy")):
        (other / old).rename(other / new)
    with pytest.raises(
        DataError, match="other: the model has none of its classes; it knows blue, green, red"
    ):
        gd.check(other, run=run)
