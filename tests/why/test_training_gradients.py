"""Gradients through training, against the same computed with autograd alone."""

import pytest
import torch
from torch.nn import functional as F

from goingdeeper.catalogue import network
from goingdeeper.nn.build import build
from goingdeeper.why.evidence import training_gradients as topic
from goingdeeper.why.evidence.degradation import arms
from goingdeeper.why.evidence.gradients import WIDTH, layers_of
from goingdeeper.why.noise import source
from goingdeeper.why.trials import Terms, Trained


@pytest.fixture
def short(monkeypatch):
    for name, value in (("DEPTH", 4), ("STEPS", 2), ("EVERY", 1), ("IMAGES", 80), ("SIDE", 8)):
        monkeypatch.setattr(topic, name, value)


@pytest.mark.parametrize("kind", topic.KINDS)
def test_the_gradients_are_autograds(short, kind):
    images, labels, _ = topic._images("digits")
    net = topic._classifying(topic.KINDS[kind](), 10)
    norms, end = topic.follow(net, images, labels, 3)
    built, random = build(net, seed=3).double(), source(3)
    for step in range(2):
        part = torch.randint(len(images), (topic.BATCH,), generator=random)
        names = layers_of(net)[:-1]
        logits, found = built.tap(images[part], names)
        first = built.get_parameter("first.conv.weight")
        loss = F.cross_entropy(logits, labels[part])
        parameters = list(built.parameters())
        gradients = torch.autograd.grad(loss, [*parameters, *(found[name] for name in names)])
        own = dict(zip([name for name, _ in built.named_parameters()], gradients, strict=False))
        assert norms[step] == pytest.approx(float(own["first.conv.weight"].norm()), rel=1e-6)
        assert own["first.conv.weight"].shape == first.shape
        length = float(torch.stack([one.norm() for one in own.values()]).norm())
        with torch.no_grad():
            for parameter, gradient in zip(parameters, own.values(), strict=True):
                parameter -= topic.RATE * gradient * min(1, topic.CLIP / (length + 1e-6))
    assert end.gradients == pytest.approx(
        [float(one.norm()) for one in gradients[len(parameters) :]], rel=1e-5
    )
    assert end.responses == pytest.approx([float(found[name].detach().std()) for name in names], rel=1e-5)


def test_images_are_normalised_and_labelled(short):
    from sklearn.datasets import load_digits

    images, labels, name = topic._images("digits")
    assert (tuple(images.shape), name) == ((80, 3, 8, 8), "digits")
    assert float(images.mean()) == pytest.approx(0, abs=1e-9) and float(images.std()) == pytest.approx(1)
    assert labels.bincount().tolist() == [8] * 10
    grey, classes = load_digits(return_X_y=True)
    nearest = [
        ((grey - 16 * _scaled(image)) ** 2).sum(1).argmin() for image in images[:10, 0].flatten(1).numpy()
    ]
    assert classes[nearest].tolist() == labels[:10].tolist()


def _scaled(values):
    return (values - values.min()) / (values.max() - values.min())


def test_the_first_layer_sees_the_whole_image():
    net = topic._classifying(topic.KINDS["ReLU", "He"](), 7)
    weight = build(net).get_parameter(f"{topic.first_of(net)}.weight")
    assert weight.shape == (WIDTH, 3, topic.SIDE, topic.SIDE)
    assert net.classes == 7


def test_what_a_run_keeps_is_that_of_its_first_layer(untrained):
    run = untrained(network("cifar-resnet-20-a"), 0)
    rows = [(1, "conv1.conv", 3.5), (1, "conv1.norm", 0.25), (2, "conv1.conv", 1.5), (2, "fc.linear", 9)]
    run.write_rows("gradients.csv", ("epoch", "layer", "norm"), rows)
    assert topic.recorded(run) == [3.5, 1.5]


def test_the_topic_is_shown_from_its_runs(short, untrained, monkeypatch):
    runs = {}
    for arm in arms():
        runs[arm.name] = tuple(untrained(network(str(arm.network)), seed) for seed in (0, 1))
        for seed, run in enumerate(runs[arm.name]):
            rows = [(epoch, "conv1.conv", 10.0 ** (seed - epoch)) for epoch in (1, 2)]
            run.write_rows("gradients.csv", ("epoch", "layer", "norm"), rows)
    found = Trained(runs, "digits", 60, 2, (0, 1))
    monkeypatch.setattr("goingdeeper.why.trials.train", lambda terms, arms, data: found)
    part = topic.training(Terms(seeds=(0, 1)))
    small, published = part.evidence
    assert (small.claim.id, published.claim.id) == ("training-gradients", "training-gradients-published")
    assert [text.split()[0] for text in published.seen] == ["0.1", "0.1"]
    assert [len(chart.series) for chart in part.charts] == [4, 6, 6, 6, 4]
    assert part.charts[-1].series[0].y == pytest.approx((10**-0.5, 10**-1.5))
