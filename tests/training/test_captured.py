"""Captured steps give the ordinary path's numbers; here on the CPU, where the same function is called."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from goingdeeper import catalogue
from goingdeeper.data.pictures import survey
from goingdeeper.data.preprocessing import prepare_input
from goingdeeper.data.resident import can_reside
from goingdeeper.data.sources import open_source
from goingdeeper.errors import GateError
from goingdeeper.layers import CLASSES, BatchNorm, Conv, Dropout, GlobalAvgPool, Linear, Network
from goingdeeper.nn.build import build
from goingdeeper.recipes import SCRATCH, recipes
from goingdeeper.recipes.schedules import UntilLearning
from goingdeeper.recipes.settings import change
from goingdeeper.stopping import StopRequest
from goingdeeper.training import loop
from goingdeeper.training.budget import epochs_within
from goingdeeper.training.checkpoints import newest_checkpoint
from goingdeeper.training.engine import Engine
from goingdeeper.training.events import Events
from goingdeeper.training.job import Job
from goingdeeper.training.loop import Trainer
from goingdeeper.training.ways import can_capture, choose_way

DIGITS = open_source("digits")
RECIPES = recipes()
SMALL = Network(
    "small",
    {"conv": Conv(4, 3, norm=BatchNorm()), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)},
    input=(3, 8, 8),
    classes=10,
)
RESNET = replace(catalogue.network("cifar-resnet-20-a"), input=(3, 8, 8), classes=10)


@pytest.fixture(scope="module")
def pictures():
    return survey(DIGITS, 8).pictures


@pytest.fixture
def job(pictures):
    def made(network=SMALL, recipe=SCRATCH, train=44, **settings):
        wanted = change(recipe, {"epochs": "3", "batch": "8", **settings})
        items = DIGITS.items[: train + 30]
        scale = prepare_input(wanted.input, pictures, items[:train], 8)
        return Job(
            build(network, seed=3), wanted, pictures, items[:train], items[train:], DIGITS.classes, scale, 5,
            "cpu",
        )  # fmt: skip

    return made


class StopAtLook(StopRequest):
    """Asks to stop when it is looked at for the n-th time."""

    def __init__(self, look):
        self.left = look

    def __bool__(self):
        self.left -= 1
        return self.left < 0


def run(trainer, folder, stop=None, events=None):
    trainer.run(StopRequest() if stop is None else stop, folder, events or Events(), lambda: None)
    return trainer


def tensors(trainer):
    best = {f"best.{name}": value for name, value in trainer.best.items()}
    return {name: value.clone() for name, value in (trainer.update.tensors() | best).items()}


def rows(trainer):
    clocks = ("seconds", "images_per_second", "data_wait")
    return [{key: row[key] for key in row if key not in clocks} for row in trainer.progress.rows]


def same(one, other):
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert rows(one) == rows(other)
    assert one.progress.gradients == other.progress.gradients


CASES = {
    "clip": (SCRATCH, {"clip": "0.5"}),
    "no clip": (SCRATCH, {}),
    "Caffe's momentum, norm groups, a mean image": (RECIPES["resnet-cifar"], {"iterations": "13"}),
    "sampling, cutout, bfloat16": (
        SCRATCH, {"balance": "sampling", "cutout": "0.5", "precision": "bfloat16"}
    ),
    "weighted loss": (SCRATCH, {"balance": "loss"}),
}  # fmt: skip


@pytest.mark.parametrize("way", ["resident", "captured"])
@pytest.mark.parametrize("name", CASES)
def test_a_run_is_the_ordinary_one_bit_for_bit(job, tmp_path, name, way):
    recipe, settings = CASES[name]
    ordinary = run(Trainer(job(recipe=recipe, **settings), way="loaded"), tmp_path / "ordinary")
    assert ordinary.progress.epoch > 3
    same(run(Trainer(job(recipe=recipe, **settings), way=way), tmp_path / "other"), ordinary)


@pytest.mark.parametrize("name", ["resnet-cifar", "cifar-strong"])
def test_resnet_20_is_the_ordinary_one(job, tmp_path, name):
    """The running mean is moved by other kernels, which round otherwise."""
    settings = {"batch": "16", "clip": "2", "average": "0.9", "cutout": "0.25"}
    settings |= {"iterations": "6"} if name == "resnet-cifar" else {"epochs": "3"}
    ordinary, captured = (
        run(Trainer(job(RESNET, RECIPES[name], **settings), way=way), tmp_path / way)
        for way in ("loaded", "captured")
    )
    mine, theirs = tensors(captured), tensors(ordinary)
    assert mine.keys() == theirs.keys()
    for part, value in mine.items():
        exact = not part.startswith(("average.", "best."))
        torch.testing.assert_close(value, theirs[part], rtol=0 if exact else 1e-5, atol=0 if exact else 1e-6)
    for one, other in zip(rows(captured), rows(ordinary), strict=True):
        assert one == pytest.approx(other, rel=1e-4)
        assert (one["train_loss"], one["train_error"]) == (other["train_loss"], other["train_error"])


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "RMSProp", "LAMB"])
def test_other_optimisers_move_alike_within_rounding(job, tmp_path, kind):
    settings = {"optimiser": "Adam" if kind == "AdamW" else kind, "rate": "0.01"}
    settings |= {"decoupled": "true"} if kind == "AdamW" else {}
    ordinary, captured = (
        run(Trainer(job(**settings), way=way), tmp_path / way) for way in ("loaded", "captured")
    )
    for name, value in tensors(captured).items():
        torch.testing.assert_close(value, tensors(ordinary)[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("look", range(1, 24))
def test_stopped_anywhere_and_gone_on_is_the_same_run_bit_for_bit(job, tmp_path, monkeypatch, look):
    monkeypatch.setattr(loop, "LOOK", 3)  # five steps an epoch: looked at after three and after two
    whole = run(Trainer(job(average="0.5"), way="captured"), tmp_path / "whole")
    first = run(Trainer(job(average="0.5"), way="captured"), tmp_path / "parts", StopAtLook(look))
    assert not first.done or look > 20
    checkpoint = newest_checkpoint(tmp_path / "parts", pytest.fail)
    same(run(Trainer(job(average="0.5"), checkpoint, way="captured"), tmp_path / "parts"), whole)


def test_how_often_the_losses_are_looked_at_changes_nothing(job, tmp_path, monkeypatch):
    whole = run(Trainer(job(), way="captured"), tmp_path / "50")
    monkeypatch.setattr(loop, "LOOK", 2)
    same(run(Trainer(job(), way="captured"), tmp_path / "2"), whole)


@pytest.mark.parametrize("optimiser", ["SGD", "CaffeSGD", "Adam", "RMSProp", "LAMB"])
def test_a_loss_that_is_no_number_leaves_the_weights_of_the_step_before(job, tmp_path, optimiser):
    """Step 3 of 5 meets an image that is no number; the host looks after step 5."""
    settings = {"optimiser": optimiser, "rate": "0.01", "clip": "1", "epochs": "1", "average": "0.5"}
    before = run(Trainer(job(**settings), way="captured"), tmp_path / "two", StopAtLook(3))
    assert before.progress.step == 2
    trainer = Trainer(job(**settings), way="captured")
    compose, calls = trainer.resident.compose, []

    def broken(turn):
        images = compose(turn)
        calls.append(turn.images.tolist())
        if calls[-1] in calls[2:3]:
            images[0, 0, 0, 0] = math.nan
        return images

    trainer.resident.compose = broken
    with pytest.raises(
        GateError, match=r"the loss is nan at step 3 of epoch 1, first in conv.conv;.*--set rate="
    ):
        run(trainer, tmp_path / "broken")
    assert len(calls) == 6 and calls[5] == calls[2]
    assert newest_checkpoint(tmp_path / "broken", pytest.fail) is None
    mine, theirs = trainer.update.tensors(), before.update.tensors()
    kept = [n for n in mine if n.startswith("optimiser.") or n in {f"objective.net.{w}" for w in
            dict(trainer.net.named_parameters())}]  # fmt: skip
    assert len(kept) >= 5
    for name in kept:
        assert torch.equal(mine[name], theirs[name]), name


def test_a_gradient_that_is_no_number_names_its_layer(job, tmp_path):
    trainer = Trainer(job(epochs="1"), way="captured")
    weight = trainer.net.get_parameter("conv.conv.weight")
    weight.register_hook(lambda gradient: gradient * math.inf)
    before = {name: value.detach().clone() for name, value in trainer.net.named_parameters()}
    what = r"the gradient of conv.conv.weight is not finite at step 1 of epoch 1;"
    with pytest.raises(GateError, match=what):
        run(trainer, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in trainer.net.named_parameters())


def test_a_rate_that_waits_for_learning_changes_at_the_same_step(job, tmp_path):
    work = job(rate="0.05", epochs="4")
    recipe = replace(work.recipe, until_learning=UntilLearning(0.1, 88.0, over=3))
    ordinary, captured = (
        run(Trainer(replace(job(rate="0.05", epochs="4"), recipe=recipe), way=way), tmp_path / way)
        for way in ("loaded", "captured")
    )
    assert ordinary.progress.learnt and ordinary.progress.learnt % 5
    assert captured.progress.learnt == ordinary.progress.learnt
    same(captured, ordinary)


def test_a_set_smaller_than_a_batch_is_one_step_an_epoch(job, tmp_path):
    ordinary, captured = (
        run(Trainer(job(train=6), way=way), tmp_path / way) for way in ("loaded", "captured")
    )
    same(captured, ordinary)


def test_a_time_is_fitted_by_trying_captured_steps(job, monkeypatch):
    made = []

    class Captured(Trainer):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options, way="captured")
            made.append(self)

    monkeypatch.setattr("goingdeeper.training.budget.Trainer", Captured)
    epochs, each = epochs_within(job(), 60.0)
    assert epochs >= 1 and each > 0
    assert made[0].update.norms.steps == 5  # all of the epoch's


DROPOUT = replace(SMALL, layers={"pool": GlobalAvgPool(), "dropout": Dropout(0.5), "fc": Linear(CLASSES)})


@pytest.mark.parametrize(
    ("network", "settings", "can"),
    [
        (SMALL, {}, True), (SMALL, {"precision": "bfloat16", "clip": "1", "average": "0.9"}, True),
        (replace(SMALL, input=(3, 64, 64)), {}, True), (replace(SMALL, input=(3, 65, 65)), {}, False),
        (DROPOUT, {}, False), (RESNET, {"stochastic_depth": "0.2"}, False),
        (SMALL, {"precision": "float16"}, False), (SMALL, {"compile": "true"}, False),
        (SMALL, {"accumulate": "2"}, False), (RESNET, {"recompute": "1"}, False),
        (SMALL, {"mixup": "0.2"}, False), (SMALL, {"cutmix": "1"}, False),
    ],
)  # fmt: skip
def test_what_can_be_captured(network, settings, can):
    assert can_capture(build(network), change(SCRATCH, settings)) == can


def test_maxout_s_bound_and_momentum_are_not_captured():
    assert not can_capture(build(SMALL), replace(SCRATCH, rules=RECIPES["maxout"].rules))
    schedule = RECIPES["maxout"].momentum_schedule
    assert not can_capture(build(SMALL), replace(SCRATCH, momentum_schedule=schedule))


def test_the_ordinary_path_is_the_cpu_s(job):
    work = job()
    assert choose_way(work.net, work.recipe, work.pictures, work.train, Engine("cpu")) == "loaded"
    assert Trainer(work).captured is None and Trainer(work).resident is None


class Capture(TorchDispatchMode):
    """Refuses what CUDA refuses to capture: reading numbers back, and copying them from the host."""

    REFUSED = ("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "equal", "is_nonzero")

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name = function.overloadpacket.__name__
        if name in self.REFUSED or "unique" in name:
            raise AssertionError(f"{name} cannot be captured")
        return function(*arguments, **(options or {}))


WHOLE_RECIPES = [
    name
    for name, one in RECIPES.items()
    if can_reside(one.augmentation, [(8, 8)]) and can_capture(build(SMALL), one)
]


@pytest.mark.parametrize("scale", ["Standardise", "Contrast", "MeanImage"])
@pytest.mark.parametrize("name", WHOLE_RECIPES)
def test_a_step_does_nothing_that_cannot_be_captured(job, name, scale):
    settings = {"input": scale, "clip": "1", "average": "0.9", "cutout": "0.5", "balance": "loss"}
    trainer = Trainer(job(RESNET, RECIPES[name], **settings), way="captured")
    trainer.captured.draw(1)
    trainer.captured.run(range(1), trainer._now(), 1)
    with Capture():
        trainer.captured._step()
    with Capture(), pytest.raises(AssertionError, match="_local_scalar_dense cannot be captured"):
        trainer.captured._position.item()
    with Capture(), pytest.raises(AssertionError, match="lift_fresh cannot be captured"):
        torch.tensor([1.0, 2.0])


@pytest.mark.parametrize("kind", ["SGD", "CaffeSGD", "Adam", "RMSProp", "LAMB"])
def test_no_optimiser_does_what_cannot_be_captured(job, kind):
    trainer = Trainer(job(RESNET, optimiser=kind, precision="bfloat16"), way="captured")
    trainer.captured.draw(1)
    trainer.captured.run(range(1), trainer._now(), 1)
    with Capture():
        trainer.captured._step()
