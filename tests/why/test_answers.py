"""What is told of trained networks' answers: their ensembles, crops, confidence and dropout."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

import goingdeeper as gd
from goingdeeper.costs.counts import cost
from goingdeeper.errors import UsageError
from goingdeeper.evaluation.evaluate import Member, evaluate
from goingdeeper.layers import Dropout
from goingdeeper.recipes import recipe
from goingdeeper.recipes.images import AreaCrop
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.settings import change
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model
from goingdeeper.why.answers import learned, unseen
from goingdeeper.why.evidence import crops, dropout, ensembles, smoothing
from goingdeeper.why.intervals import over_images
from goingdeeper.why.run import show
from goingdeeper.why.trials import Terms, Trained


@pytest.mark.parametrize(
    ("images", "better", "worse", "low", "high"),
    [
        # What the program of Fagerland et al. 2017, Statistical analysis of contingency tables, prints.
        (161, 6, 16, -0.1195, -0.0032),
    ],
)
def test_an_interval_over_images_of_the_literature(images, better, worse, low, high):
    found = over_images([1.0] * better + [-1.0] * worse + [0.0] * (images - better - worse))
    assert found.mean == pytest.approx(100 * (better - worse) / images)
    assert [found.low, found.high] == pytest.approx([100 * low, 100 * high], abs=0.0051)


@pytest.mark.parametrize("images", range(1, 12))
def test_a_handful_of_images_settles_what_the_sign_test_does(images):
    found = over_images([1.0] * images + [0.0] * 400)
    assert (found.low > 0) == (binomtest(images, images).pvalue < 0.05)


PROBABILITIES = np.random.default_rng(0).dirichlet(np.ones(4), (4, 50))
LABELS = np.random.default_rng(1).integers(0, 4, 50)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(("join", "joined"), [("mean", np.mean), ("maximum", np.max)])
def test_all_ensembles_of_a_size_are_counted(size, join, joined):
    found = ensembles.wrong(torch.tensor(PROBABILITIES), torch.tensor(LABELS), size, join)
    groups = list(combinations(PROBABILITIES, size))
    by_hand = sum(joined(np.array(group), axis=0).argmax(axis=1) != LABELS for group in groups) / len(groups)
    assert found.numpy() == pytest.approx(by_hand)


def test_the_maximum_asks_the_most_confident_network_alone():
    says = torch.tensor([[[0.8, 0.2]], [[0.25, 0.75]], [[0.25, 0.75]]])
    assert ensembles.wrong(says, torch.tensor([1]), 3, "mean").tolist() == [0]
    assert ensembles.wrong(says, torch.tensor([1]), 3, "maximum").tolist() == [1]


def test_mistakes_that_another_network_makes_too():
    wrong = PROBABILITIES.argmax(axis=2) != LABELS
    pairs = [(one, other) for one in range(4) for other in range(4) if one != other]
    both = sum((wrong[one] & wrong[other]).sum() for one, other in pairs)
    assert ensembles.shared(torch.tensor(PROBABILITIES), torch.tensor(LABELS)) == pytest.approx(
        both / (3 * wrong.sum())
    )
    assert ensembles.shared(torch.eye(2)[None].repeat(2, 1, 1), torch.tensor([0, 1])) == 1


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


def test_networks_with_and_without_dropout_differ_in_nothing_else():
    with_, without = dropout.narrow(), dropout.undropped()
    assert dict(with_.layers)["dropout"] == Dropout(0.4)
    assert tuple(pair for pair in with_.layers if pair[0] != "dropout") == without.layers
    assert cost(with_).params == cost(without).params
    assert without.heads == with_.heads == () and without.init == with_.init


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
def test_ensembles_are_shown(runs, trained):
    shown = show("ensembles", ("training",), terms=Terms())
    together = evaluate([Member(load_model(run.path), run) for run in runs], None)
    assert shown.charts[0].series[0].y[-1] == pytest.approx(together.score().top1_error)
    alone = [run.run()["result"]["top1_error"] for run in runs]
    assert shown.charts[0].series[0].y[0] == shown.charts[0].series[1].y[0] == pytest.approx(sum(alone) / 3)
    assert [one.claim.id for one in shown.evidence] == [
        "ensembles-measured", "ensembles-diminishing", "ensembles-maximum"
    ]  # fmt: skip
    with pytest.raises(UsageError, match="give --seed 0,1,2"):
        show("ensembles", ("training",), terms=Terms(seeds=(0, 1)))


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


@pytest.mark.slow
def test_dropout_is_shown(trained):
    shown = show("dropout", ("training",), terms=Terms())
    assert [chart.name for chart in shown.charts] == ["dropout-validation", "dropout-training"]
    assert shown.evidence[0].seen[0].split()[0] == "0"
