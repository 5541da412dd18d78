"""Deviations behind batch norm, against hooks on the network."""

import pytest
import torch

from goingdeeper.catalogue import network
from goingdeeper.runs.model import load_model
from goingdeeper.why import taps
from goingdeeper.why.evidence import responses
from goingdeeper.why.evidence.degradation import arms
from goingdeeper.why.trials import Terms, Trained


@pytest.mark.parametrize("kind", ["cifar-plain-20", "cifar-resnet-20-a"])
def test_deviations_are_of_what_batch_norm_gives(untrained, monkeypatch, kind):
    monkeypatch.setattr(taps, "BATCH", 3)
    monkeypatch.setattr(responses, "IMAGES", 8)
    run = untrained(network(kind), 0)
    model, seen = load_model(run.path), {}
    for name, part in model.net.named_modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.register_forward_hook(lambda *args, name=name: seen.update({name: args[-1].clone()}))
    with torch.inference_mode():
        images = [model.fit(image.read()) for image in taps.images_of(run, False, 8)]
        model.net(model.preprocessing.views(images))
    assert len(seen) == 19
    expected = [float(values.std(correction=0)) for values in seen.values()]
    assert responses.deviations(run) == pytest.approx(expected, rel=1e-4)
    assert responses.norms_of(model.net.description) == [*seen]


def test_projections_are_no_3x3_layers():
    names = responses.norms_of(network("cifar-resnet-20-b"))
    assert len(names) == 19 and not any("shortcut" in name for name in names)


def test_the_topic_is_shown_from_its_runs(untrained, monkeypatch):
    """Networks of 20 layers stand for those of 56, whose means are set here."""
    monkeypatch.setattr(responses, "deviations", lambda run: _deviations(run.path.name))
    runs = {arm.name: tuple(untrained(network(str(arm.network)), seed) for seed in (0, 1)) for arm in arms()}
    found = Trained(runs, "digits", 60, 2, (0, 1))
    monkeypatch.setattr("goingdeeper.why.trials.train", lambda terms, arms, data: found)
    part = responses.training(Terms(seeds=(0, 1)))
    (one,) = part.evidence
    assert one.verdict == "right"
    assert [text.split()[0] for text in one.seen] == ["-1", "-2", "-0.5"]
    lines, bars = part.charts
    assert [len(series.x) for series in lines.series] == [3] * 4
    assert bars.groups == ("residual 20", "residual 56", "plain 20", "plain 56")


def _deviations(name):
    """Of three layers: the middle one has the mean. Seeds shift all alike, and differ a little besides."""
    kind, depth, seed = name.replace("-a", "").removeprefix("cifar-").split("-")
    base = {"plain20": 2.0, "resnet20": 1.0, "plain56": 2.5, "resnet56": 0.5}[kind + depth]
    mean = base * (1 + int(seed) / 1000) + int(seed)
    return [mean - 0.25, mean, mean + 0.25]
