"""On a GPU: runs whose step is a captured graph, and runs on resident images, against the ordinary path's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.data.pictures import survey
from goingdeeper.data.preprocessing import prepare_input
from goingdeeper.data.sources import open_source
from goingdeeper.errors import GateError
from goingdeeper.nn.build import build
from goingdeeper.recipes import recipe
from goingdeeper.recipes.settings import change
from goingdeeper.stopping import StopRequest
from goingdeeper.training.checkpoints import newest_checkpoint
from goingdeeper.training.events import Events
from goingdeeper.training.job import Job
from goingdeeper.training.loop import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="captured graphs need a CUDA GPU")

DIGITS = open_source("digits")
NET = replace(catalogue.network("cifar-resnet-20-a"), input=(3, 8, 8), classes=10)
CASES = {
    "CaffeSGD": ("resnet-cifar", {"iterations": "60", "clip": "5"}),
    "SGD, average": ("cifar-strong", {"epochs": "3", "average": "0.9", "cutout": "0.25"}),
    "Adam": ("cifar-strong", {"epochs": "3", "optimiser": "Adam", "rate": "0.001"}),
    "RMSProp": ("cifar-strong", {"epochs": "3", "optimiser": "RMSProp", "rate": "0.001"}),
    "LAMB": ("cifar-strong", {"epochs": "3", "optimiser": "LAMB", "rate": "0.001"}),
    "bfloat16": ("resnet-cifar", {"iterations": "60", "precision": "bfloat16"}),
}


@pytest.fixture(scope="module")
def pictures():
    return survey(DIGITS, 8).pictures


@pytest.fixture
def job(pictures):
    def made(name, **settings):
        wanted = change(recipe(name), {"batch": "64", "rate": "0.01", **settings})
        items = DIGITS.items[:1797]
        scale = prepare_input(wanted.input, pictures, items[:1500], 8)
        return Job(
            build(NET, seed=3), wanted, pictures, items[:1500], items[1500:], DIGITS.classes, scale, 5, "cuda"
        )

    return made


@pytest.fixture(autouse=True)
def deterministic():
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = before


def run(trainer, folder, stop=None):
    trainer.run(StopRequest() if stop is None else stop, folder, Events(), lambda: None)
    return trainer


@pytest.mark.parametrize("way", ["resident", "captured"])
@pytest.mark.parametrize("name", CASES)
def test_a_run_gives_the_ordinary_path_s_numbers(job, tmp_path, name, way):
    preset, settings = CASES[name]
    ordinary = run(Trainer(job(preset, **settings), way="loaded"), tmp_path / "loaded")
    other = run(Trainer(job(preset, **settings), way=way), tmp_path / way)
    if way == "captured":
        assert other.captured.failure == "" and other.captured.graph is not None
    near = 0.05 if name == "bfloat16" else 0.01
    for one, two in zip(ordinary.progress.rows, other.progress.rows, strict=True):
        for column in ("train_loss", "val_loss"):
            assert two[column] == pytest.approx(one[column], rel=near)
        assert two["learning_rate"] == one["learning_rate"]
    theirs = ordinary.update.tensors()
    for part, value in other.update.tensors().items():
        if part.startswith("objective."):
            distance = (value.double() - theirs[part].double()).norm()
            assert distance <= near * theirs[part].double().norm() + 1e-3, part


def test_the_capture_leaves_no_trace(job, tmp_path):
    """The first captured step gives the weights of the first ordinary one, though others came before."""
    settings = {"iterations": "1", "average": "0.9"}
    ordinary, captured = (
        run(Trainer(job("resnet-cifar", **settings), way=way), tmp_path / way)
        for way in ("loaded", "captured")
    )
    theirs = ordinary.update.tensors()
    for name, value in captured.update.tensors().items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-5)


def test_a_gpu_is_given_captured_steps(job):
    assert Trainer(job("resnet-cifar")).captured is not None


class StopAtLook(StopRequest):
    """Asks to stop when it is looked at for the n-th time."""

    def __init__(self, look):
        self.left = look

    def __bool__(self):
        self.left -= 1
        return self.left < 0


def test_stopped_and_gone_on_is_the_same_run_bit_for_bit(job, tmp_path):
    work = ("cifar-strong", {"epochs": "3", "average": "0.9"})
    whole = run(Trainer(job(work[0], **work[1]), way="captured"), tmp_path / "whole")
    run(Trainer(job(work[0], **work[1]), way="captured"), tmp_path / "parts", StopAtLook(31))
    checkpoint = newest_checkpoint(tmp_path / "parts", pytest.fail)
    again = run(Trainer(job(work[0], **work[1]), checkpoint, way="captured"), tmp_path / "parts")
    theirs = whole.update.tensors()
    for name, value in again.update.tensors().items():
        assert torch.equal(value.cpu(), theirs[name].cpu()), name


def test_a_loss_that_is_no_number_stops_and_leaves_the_weights(job, tmp_path):
    trainer = Trainer(job("resnet-cifar", iterations="20"), way="captured")
    with torch.no_grad():
        trainer.net.get_parameter("fc.weight")[0, 0] = float("nan")
    before = {name: value.detach().clone() for name, value in trainer.net.named_parameters()}
    with pytest.raises(GateError, match=r"the loss is nan at step 1 of epoch 1, first in fc;"):
        run(trainer, tmp_path)
    for name, value in trainer.net.named_parameters():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)
