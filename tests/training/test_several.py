"""Runs side by side: each as it would be alone, and none in the way of another."""

import os
import signal
import threading
from dataclasses import replace

import pytest
import torch

import goingdeeper as gd
from goingdeeper.errors import GoingDeeperError, Interrupted, UsageError
from goingdeeper.training.events import Events
from goingdeeper.training.several import siblings, train_siblings
from goingdeeper.training.train import train

NETWORK = "cifar-resnet-20-a"
pytestmark = pytest.mark.slow


@pytest.fixture
def single(monkeypatch):
    """Threads as in each of two processes on two processors."""
    monkeypatch.setattr("goingdeeper.training.several.cpus", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_each_is_what_it_is_alone(here, pets, wishes, single, outcome):
    options = {"epochs": 3, "batch": 12, "size": 16}
    runs = gd.train_several(pets, models=[NETWORK], seeds=[4, 1, 2], jobs=2, out="all", **options)
    assert [str(run.path) for run in runs] == ["all/seed-4", "all/seed-1", "all/seed-2"]
    for seed in (1, 4):
        alone = train(replace(wishes, seed=seed), here / f"alone-{seed}")
        assert outcome(here / "all" / f"seed-{seed}") == outcome(alone.path)
    assert len({str(outcome(run.path)["weights"]) for run in runs}) == 3
    assert all(run.report.is_file() for run in runs)


def test_a_problem_of_one_leaves_the_others(here, pets):
    """GoogLeNet takes no images of 16 pixels."""
    with pytest.raises(GoingDeeperError, match=r"1 of 2 runs failed; googlenet: googlenet cannot") as caught:
        gd.train_several(pets, models=["googlenet", NETWORK], epochs=1, size=16, out="all")
    assert caught.value.exit_status == 2
    assert gd.load(f"all/{NETWORK}").score["images"] == 7


def test_a_problem_of_all_is_said_once(here, pets):
    with pytest.raises(UsageError, match=r"^googlenet cannot take"):
        gd.train_several(pets, models=["googlenet"], seeds=[0, 1], size=16)
    assert not (here / "runs").exists()


def test_an_unknown_network_is_refused_before_others_train(here, pets):
    with pytest.raises(UsageError, match=r"^unknown network 'resnet-1'"):
        gd.train_several(pets, models=[NETWORK, "resnet-1"], epochs=1, size=16)
    assert not (here / "runs").exists()


@pytest.mark.parametrize("out", [True, False])
def test_after_an_interruption_the_command_that_is_named_goes_on(
    here, wishes, single, monkeypatch, signals, outcome, out
):
    class Stop(Events):
        """Once the first has ended and the second has begun to train."""

        def step(self, pace):
            if runs[0].folder and not sent:
                sent.append(threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM)))
                sent[0].start()

    monkeypatch.setattr("goingdeeper.training.several.cpus", lambda: 1)
    sent = []
    wishes = replace(wishes, epochs=6)
    place = here / "all" if out else None
    runs = siblings(wishes, [NETWORK], [0, 1, 2], place)
    with pytest.raises(Interrupted, match=r"1 of 3 runs are finished\. Go on with: ") as caught:
        train_siblings(runs, [Stop() for _ in runs])
    assert caught.value.exit_status == 143
    assert str(caught.value).endswith(f" --model {NETWORK} --seed 0,1,2" + (f" --out {place}" if out else ""))
    assert [bool(run.folder) for run in runs] == [True, False, False]
    begun = {path.name for path in here.glob("all/*" if out else "runs/*")}
    assert len(begun) == 2
    again = siblings(wishes, [NETWORK], [0, 1, 2], place)
    heard = [signals() for _ in again]
    train_siblings(again, heard)
    assert again[0].folder.path.resolve() == runs[0].folder.path.resolve()
    assert heard[0].notes == [f"finished before, in {again[0].folder.path}"]
    assert again[0].child is None  # it is not trained again
    made = {path.name for path in here.glob("all/*" if out else "runs/*")}
    assert begun < made
    assert len(made) == 3
    alone = train(replace(wishes, model=NETWORK, seed=1), here / "alone")
    assert outcome(again[1].folder.path) == outcome(alone.path)


def test_one_that_is_killed(here, wishes):
    class Kill(Events):
        def step(self, pace):
            runs[0].child.process.kill()

    runs = siblings(wishes, [NETWORK], [0, 1], here / "all")
    train_siblings(runs, [Kill(), Events()])
    assert "seed 0 was ended by SIGKILL; the same command goes on" in str(runs[0].problem)
    assert runs[1].folder.run()["status"] == "finished"


def test_options_that_are_not(pets):
    with pytest.raises(UsageError, match="train_several has no option seed; it has seeds and models"):
        gd.train_several(pets, seed=1)
