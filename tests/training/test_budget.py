"""Training within a time: how it is written, and how many epochs fit."""

from dataclasses import replace

import pytest
import torch

from goingdeeper.errors import Interrupted, UsageError
from goingdeeper.training import budget
from goingdeeper.training.train import train


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("10m", 600), ("1h", 3600), ("1h30m", 5400), ("2m5s", 125), (" 1H1S ", 3601)],
)
def test_times(text, expected):
    assert budget.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "10", "0m", "m", "1.5h", "-3m", "10m1h", "ten minutes", "1 m"])
def test_other_text_is_no_time(text):
    with pytest.raises(UsageError, match="not a time such as 90s, 10m or 1h30m"):
        budget.seconds(text)


def test_the_epochs_are_recorded_with_their_reason(here, wishes):
    run = train(replace(wishes, epochs=None, time="1s"), here / "short").run()
    [reason] = [reason for reason in run["reasons"] if reason["what"] == "epochs"]
    assert reason["value"] == str(run["recipe"]["epochs"]) == str(run["result"]["epochs"])
    assert reason["why"].startswith("--time 1s at ")
    assert "--time 1s" in run["command"]


def test_the_trial_leaves_no_trace(here, wishes):
    """With as many epochs as the trial found, a run without it is the same."""
    state = torch.get_rng_state()
    timed = train(replace(wishes, epochs=None, time="2s"), here / "timed")
    assert torch.equal(torch.get_rng_state(), state)
    plain = train(replace(wishes, epochs=timed.run()["recipe"]["epochs"]), here / "plain")
    weights = [(run.model / "model.safetensors").read_bytes() for run in (timed, plain)]
    assert weights[0] == weights[1]


def test_interrupted_it_goes_on_for_the_epochs_it_began_with(here, wishes, signals, monkeypatch):
    asked = replace(wishes, epochs=None, time="1h")
    monkeypatch.setattr("goingdeeper.training.train.epochs_within", lambda job, budget, engine: (3, 1.0))
    with pytest.raises(Interrupted):
        train(asked, here / "run", signals(after=3))
    monkeypatch.setattr("goingdeeper.training.train.epochs_within", lambda job, budget, engine: (9, 1.0))
    assert train(asked, here / "run").run()["result"]["epochs"] == 3


def test_time_and_epochs_contradict(here, wishes):
    with pytest.raises(UsageError, match="--time 10m and 3 epochs: give one of them"):
        train(replace(wishes, time="10m"), here / "run")
    assert not (here / "run").exists()
