"""What stays as it was: frozen layers to the byte, norms' statistics, the trunk while the head warms up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item, Source
from goingdeeper.errors import UsageError
from goingdeeper.layers import CLASSES, BatchNorm, Conv, Dropout, GlobalAvgPool, Linear, Network
from goingdeeper.nn.build import build
from goingdeeper.recipes import recipe
from goingdeeper.recipes.optimisers import Rule
from goingdeeper.recipes.schedules import Now
from goingdeeper.recipes.settings import change, lasting
from goingdeeper.stopping import StopRequest
from goingdeeper.training.checkpoints import newest_checkpoint
from goingdeeper.training.events import Events
from goingdeeper.training.groups import shares
from goingdeeper.training.job import Job
from goingdeeper.training.loop import Trainer
from goingdeeper.training.optimisers import base_rate
from goingdeeper.training.train import train
from goingdeeper.training.ways import can_capture

NAMES = ("a", "b", "c")
NET = Network(
    "three-stages",
    {
        "one": Conv(4, 3, norm=BatchNorm()),
        "two": Conv(4, 3, stride=2, norm=BatchNorm()),
        "three": Conv(6, 3, stride=2, norm=BatchNorm()),
        "pool": GlobalAvgPool(),
        "dropout": Dropout(0.2),
        "fc": Linear(CLASSES),
    },
    {"two": {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}},
    (3, 8, 8),
    3,
)
OFF = {"norm_frozen": "false", "head_epochs": "0", "stop_after": "0", "epochs": "3", "batch": "8"}


def job(network=NET, **settings):
    draw = np.random.default_rng(0)
    items = tuple(Item(f"{number:02}", NAMES[number % 3]) for number in range(36))
    pixels = {item.path: draw.integers(0, 256, (8, 8, 3), np.uint8) for item in items}
    source = Source("noise", "noise", NAMES, items, bytes, pixels.__getitem__, lambda path: (8, 8), False)
    wanted = change(recipe("finetune"), {**OFF, **settings})
    return Job(
        build(network, seed=3), wanted, Pictures(source, 8, pixels), items[:24], items[24:], NAMES,
        Preprocessing(8), 5, "cpu",
    )  # fmt: skip


def run(trainer, folder, stop=None, events=None):
    trainer.run(stop or StopRequest(), folder, events or Events(), lambda: None)
    return trainer


def bytes_of(net):
    return {name: value.detach().numpy().tobytes() for name, value in net.state_dict().items()}


def changed(folder, **settings):
    """Top-level parts of the network that training changed, and the statistics that it changed."""
    task = job(**settings)
    before = bytes_of(task.net)
    after = bytes_of(run(Trainer(task), folder).net)
    moved = {name for name in before if before[name] != after[name]}
    return {n.rpartition(".")[0].removesuffix(".conv").removesuffix(".norm") for n in moved}, {
        name for name in moved if "running" in name or "tracked" in name
    }


@pytest.mark.parametrize("optimiser", ["SGD", "CaffeSGD", "Adam", "RMSProp", "LAMB"])
@pytest.mark.parametrize(
    ("freeze", "trained"),
    [
        ("none", {"one", "two", "three", "fc", "heads.two.fc"}),
        ("one", {"two", "three", "fc", "heads.two.fc"}),
        ("two", {"three", "fc"}),  # a head that reads what is frozen would train for itself alone
        ("head", {"fc"}),
    ],
)
def test_what_is_frozen_stays_to_the_byte(tmp_path, freeze, trained, optimiser):
    settings = {"freeze": freeze, "optimiser": optimiser, "weight_decay": "0.1", "rate": "0.01"}
    moved, statistics = changed(tmp_path, **settings)
    assert moved == trained
    assert {name.partition(".")[0] for name in statistics} == trained - {"fc", "heads.two.fc"}


def test_frozen_norms_keep_their_statistics_and_train_scale_and_shift(tmp_path):
    task = job(norm_frozen="true")
    before = bytes_of(task.net)
    after = bytes_of(run(Trainer(task), tmp_path).net)
    for name in before:
        kept = "running" in name or "tracked" in name
        assert (before[name] == after[name]) == kept, name


def test_frozen_norms_compute_in_training_as_in_evaluation():
    task = job(norm_frozen="true")
    trainer = Trainer(task)
    images = torch.randn(4, 3, 8, 8)
    trainer.net.train()
    found = trainer.net.until(images, "three")
    torch.testing.assert_close(found, trainer.net.eval().until(images, "three"), rtol=0, atol=0)


def test_the_backward_pass_ends_where_the_network_is_frozen():
    trainer = Trainer(job(freeze="two"))
    trainer.net.train()
    images = torch.randn(4, 3, 8, 8)
    assert not trainer.net.until(images, "two").requires_grad
    assert trainer.net.until(images, "three").requires_grad
    assert set(trainer.update.parameters) == {
        "three.conv.weight", "three.norm.weight", "three.norm.bias", "fc.weight", "fc.bias",
    }  # fmt: skip


def test_while_the_head_warms_up_the_trunk_stays_to_the_byte(tmp_path):
    """Four epochs, of which two are the head's: the trunk moves in the third."""
    task = job(epochs="4", head_epochs="2")
    trainer = Trainer(task)
    seen = []

    class Watch(Events):
        def epoch(self, end):
            seen.append(bytes_of(trainer.net))

    before = bytes_of(task.net)
    run(trainer, tmp_path, events=Watch())
    trunk = [name for name in before if name.startswith(("one", "two", "three"))]
    for name in trunk:
        assert before[name] == seen[0][name] == seen[1][name] != seen[2][name], name
    for name in ("fc.weight", "heads.two.fc.weight"):
        assert before[name] != seen[0][name] != seen[1][name]


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_the_head_has_half_of_the_epochs_at_most(epochs):
    assert job(epochs=str(epochs), head_epochs="5").head_epochs == epochs // 2


def test_schedules_begin_after_the_head():
    """2 of 6 epochs of 10 steps; then WarmupCosine over 40 steps with one epoch of climbing, by hand."""
    wanted = change(
        recipe("finetune"), {"rate": "1", "head_epochs": "2", "epochs": "6", "warmup_epochs": "1"}
    )
    at = {step: base_rate(wanted, Now(step, 60, 10)) for step in (0, 19, 20, 29, 30, 45, 59)}
    assert at[0] == at[19] == 1
    assert at[20] == pytest.approx(1 / 11) and at[29] == pytest.approx(10 / 11)
    assert at[30] == pytest.approx(1) and at[45] == pytest.approx(0.5)
    assert at[59] == pytest.approx(0.5 * (1 + np.cos(np.pi * 29 / 30)))


def test_rates_fall_by_stage_from_the_classifier():
    """ResNet-18 at 0.5 a stage: conv5 1, conv4 1/2, conv3 1/4, conv2 1/8, conv1 1/16; the classifier 10."""
    network = catalogue.network("resnet-18-b")
    names = [
        "conv1.conv.weight", "conv2_2.conv1.norm.bias", "conv3_1.shortcut.conv.weight",
        "conv4_1.conv1.conv.weight", "conv5_2.conv2.conv.weight", "fc.weight", "fc.bias",
    ]  # fmt: skip
    wanted = change(recipe("finetune"), {"stage_rate": "0.5"})
    found = shares(names, network, replace(wanted, rules=(Rule("classifier", rate=10.0),)))
    assert [found[name].rate for name in names] == [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 10, 10]
    plain = shares(names, network, replace(wanted, rules=(), stage_rate=1.0))
    assert {share.rate for share in plain.values()} == {1.0}


def test_heads_go_as_fast_as_the_classifier():
    network = catalogue.network("googlenet")
    found = shares(["heads.4a.fc1.weight", "4a.1x1.conv.weight"], network, recipe("finetune"))
    stage = recipe("finetune").stage_rate
    assert [share.rate for share in found.values()] == [10, pytest.approx(stage)]


def with_errors(trainer, errors):
    """Each epoch's validation error as told; its loss falls, so that equal errors do become better."""
    given, evaluate = iter(errors), trainer._evaluate

    def told(stop):
        return replace(evaluate(stop), top1_error=next(given), cross_entropy=1.0)

    trainer._evaluate = told
    return trainer


@pytest.mark.parametrize(
    ("errors", "patience", "last"),
    [
        ([50, 40, 45, 40, 41, 39, 30], 3, 5),  # 40 at epoch 2, nothing better in 3, 4, 5
        ([50, 40, 45, 39, 41, 42, 30], 3, 7),  # 39 came in time, and so does 30
        ([50, 60, 70, 80, 90, 20, 10], 1, 2),
        ([50, 60, 70, 80, 90, 20, 10], 0, 7),
    ],
)
def test_training_ends_where_it_has_waited_long_enough(tmp_path, errors, patience, last):
    trainer = with_errors(Trainer(job(epochs="7", stop_after=str(patience))), errors)
    run(trainer, tmp_path)
    assert [row["epoch"] for row in trainer.progress.rows] == list(range(1, last + 1))
    assert trainer.progress.best_error == min(errors[:last])
    assert trainer.done


def test_epochs_of_the_head_alone_are_not_waited_for(tmp_path):
    """The best of the head's three epochs is the first; waiting begins with the fourth."""
    errors = [50, 60, 60, 55, 55, 10, 5]
    trainer = with_errors(Trainer(job(epochs="7", head_epochs="3", stop_after="2")), errors)
    run(trainer, tmp_path)
    assert len(trainer.progress.rows) == 5


def test_it_says_why_it_ended(tmp_path):
    notes = []

    class Notes(Events):
        def note(self, text):
            notes.append(text)

    run(with_errors(Trainer(job(epochs="7", stop_after="2")), [50, 60, 70]), tmp_path, events=Notes())
    assert notes == [
        "ended after epoch 3: no better validation error for 2 epochs; --set stop_after=0 goes on"
    ]


def test_waiting_is_stretched_with_the_length():
    wanted = change(recipe("finetune"), {"stop_after": "6", "epochs": "30"})
    assert lasting(wanted, 10, 5).stop_after == 2


class StopAtLook(StopRequest):
    def __init__(self, left):
        self.left = left

    def __bool__(self):
        self.left -= 1
        return self.left < 0


ALL = {
    "epochs": "4", "head_epochs": "2", "freeze": "one", "norm_frozen": "true", "average": "0.9",
    "stop_after": "2",
}  # fmt: skip


@pytest.mark.parametrize("look", range(0, 24, 2))
def test_stopped_anywhere_and_gone_on_is_the_same_run_bit_for_bit(tmp_path, look):
    def outcome(trainer):
        clocks = ("seconds", "images_per_second", "data_wait")
        rows = [{k: v for k, v in row.items() if k not in clocks} for row in trainer.progress.rows]
        best = {name: value.numpy().tobytes() for name, value in trainer.best.items()}
        return bytes_of(trainer.net), best, rows, trainer.progress.best_epoch

    whole = run(Trainer(job(**ALL)), tmp_path / "whole")
    run(Trainer(job(**ALL)), tmp_path / "parts", StopAtLook(look))
    checkpoint = newest_checkpoint(tmp_path / "parts", pytest.fail)
    again = run(Trainer(job(**ALL), checkpoint), tmp_path / "parts")
    assert outcome(again) == outcome(whole)


def test_an_end_that_came_early_is_no_other_when_it_is_gone_on_from(tmp_path):
    errors = [50, 40, 45, 46, 1]
    run(with_errors(Trainer(job(epochs="5", stop_after="2")), errors), tmp_path)
    again = Trainer(job(epochs="5", stop_after="2"), newest_checkpoint(tmp_path, pytest.fail))
    assert again.done
    assert len(run(again, tmp_path).progress.rows) == 4


def test_a_captured_step_holds_what_is_frozen_but_no_head_that_warms_up(tmp_path):
    plain = replace(NET, layers={name: layer for name, layer in NET.layers if name != "dropout"}, heads=())
    frozen, warming = job(plain, freeze="two", norm_frozen="true"), job(plain, head_epochs="1")
    assert can_capture(frozen.net, frozen.recipe)
    assert not can_capture(warming.net, warming.recipe)
    ordinary = run(Trainer(frozen, way="loaded"), tmp_path / "ordinary")
    captured = run(
        Trainer(job(plain, freeze="two", norm_frozen="true"), way="captured"), tmp_path / "captured"
    )
    assert bytes_of(captured.net) == bytes_of(ordinary.net)


def test_settings_that_leave_nothing_to_train():
    network = replace(NET, layers={"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}, heads=())
    with pytest.raises(UsageError, match="unknown value of freeze for three-stages: 'one'"):
        Trainer(job(network, freeze="one"))


@pytest.mark.slow
def test_two_processes_learn_what_one_does_also_while_the_head_warms_up(tmp_path, wishes):
    first = train(replace(wishes, epochs=1), tmp_path / "first").path
    settings = (("norm_frozen", "true"), ("head_epochs", "2"), ("stop_after", "0"))
    tuned = replace(
        wishes, model=None, size=None, recipe="finetune", weights=str(first), epochs=4, settings=settings
    )
    one, two = (train(replace(tuned, devices=n), tmp_path / str(n)) for n in (1, 2))
    for own, theirs in zip(one.metrics(), two.metrics(), strict=True):
        for name in ("train_loss", "val_loss"):
            assert float(own[name]) == pytest.approx(float(theirs[name]), rel=1e-4), own["epoch"]
