"""What is told of trained networks' answers: their ensembles, crops, confidence and dropout."""

import numpy as np
import pytest
import torch

import goingdeeper as gd
from goingdeeper.evaluation.evaluate import Member, evaluate
from goingdeeper.recipes import recipe
from goingdeeper.recipes.images import AreaCrop
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.settings import change
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model
from goingdeeper.why.answers import learned, unseen
from goingdeeper.why.evidence import crops, smoothing
from goingdeeper.why.run import show
from goingdeeper.why.trials import Terms, Trained


def test_gaps_and_their_histogram():
    logits = np.random.default_rng(2).normal(0, 6, (500, 10))
    found = smoothing.gaps(torch.tensor(logits).log_softmax(1))
    ordered = np.sort(logits, axis=1)
    assert found.numpy() == pytest.approx(ordered[:, -1] - ordered[:, -2])
    edges = np.arange(smoothing.BINS + 1) * smoothing.WIDTH
    counted, _ = np.histogram(np.minimum(found.numpy(), edges[-1]), edges)
    assert smoothing.histogram(found) == pytest.approx(counted / 5)


def test_what_each_further_crop_gains():
    """GoogLeNet's Table 3: 0.92 by 9 further crops, 2.18 by 143."""
    assert crops.diminished(0.92, 2.18) == pytest.approx(0.1022 - 0.0094, abs=1e-4)


def test_the_arms_are_trained_with_what_they_are_about():
    losses = [change(recipe("scratch"), dict(arm.settings)).loss for arm in smoothing.arms()]
    assert losses == [CrossEntropy(0.0), CrossEntropy(0.1)]
    cropped = change(recipe("scratch"), dict(crops.arm().settings)).augmentation
    assert cropped.crop == AreaCrop() and cropped.flip  # Szegedy et al. 2014, section 6


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[RunFolder, ...]:
    """Three networks that have seen digits for a moment."""
    folder = tmp_path_factory.mktemp("runs")
    options = {"model": "cifar-resnet-20-a", "size": 16, "epochs": 1, "fold": "1/2"}
    trained = [gd.train("digits", seed=seed, out=folder / f"{seed}", **options) for seed in range(3)]
    return tuple(RunFolder(run.path) for run in trained)


@pytest.fixture
def trained(runs, monkeypatch):
    """What `train` gives, whatever it is asked for: a second arm has the same runs in another order."""

    def found(terms, arms, data):
        own = {arm.name: (*runs[place:], *runs[:place]) for place, arm in enumerate(arms)}
        return Trained(own, "digits", 898, 2, terms.seeds)

    monkeypatch.setattr("goingdeeper.why.trials.train", found)


@pytest.mark.slow
def test_answers_are_those_of_an_evaluation(runs):
    """Nothing was left out of the training, so that what it did not learn from is what it held out."""
    assert unseen(runs[0]).error == pytest.approx(runs[0].run()["result"]["top1_error"])
    ten = evaluate([Member(load_model(runs[0].path), runs[0])], None, protocol_name="10crop")
    assert unseen(runs[0], "10crop").error == pytest.approx(ten.score().top1_error)
    assert len(unseen(runs[0], most=100).labels) == 100

    rows = [int(row["class"]) for row in runs[0].split() if row["split"] == "train"]
    assert sorted(learned(runs[0]).labels.tolist()) == sorted(rows)


@pytest.mark.slow
def test_crops_are_shown(runs, trained, monkeypatch):
    monkeypatch.setattr(crops, "IMAGES", 60)
    shown = show("crops", ("training",), terms=Terms())
    error, gains = (chart.series[0] for chart in shown.charts)
    assert error.x == (1, 10, 144)
    assert gains.y == pytest.approx([error.y[0] - error.y[1], error.y[0] - error.y[2]])
    one = [unseen(run, "1crop-resnet", 60).error for run in runs]
    assert error.y[0] == pytest.approx(sum(one) / 3)


@pytest.mark.slow
def test_confidence_is_shown(runs, trained):
    shown = show("smoothing", ("training",), terms=Terms())
    sure = []
    for run in runs:
        said = {answer.path: answer.top[0][1] for answer in gd.load(run.path).predict("digits")}
        paths = [row["path"] for row in run.split() if row["split"] == "train"]
        sure.append(sum(said[path] for path in paths) / len(paths))
    confidence, error = shown.evidence
    assert confidence.seen[0].startswith(f"{sum(sure) / 3:.3g} (")
    assert confidence.seen[1].split()[0] == error.seen[0].split()[0] == "0"  # the same runs in another order
    without, with_, best = shown.charts[0].series
    assert sum(without.y) == pytest.approx(100) and with_.y == pytest.approx(without.y)
    assert best.x[0] == pytest.approx(np.log(91))  # 0.91 against 0.01
