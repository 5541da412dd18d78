"""Two processes against one: the same samples in the same order, the same losses, stopped and gone on."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from goingdeeper.errors import Interrupted, ResourceError, UsageError
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.listing import list_runs
from goingdeeper.training.events import Events
from goingdeeper.training.train import train

LOOP = """
import json, os, sys
from pathlib import Path
import numpy as np, torch
from goingdeeper.data.batches import Preprocessing
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.sources import Item, Source
from goingdeeper.errors import end_process
from goingdeeper.layers import CLASSES, Conv, GlobalAvgPool, Linear, MaxPool, Network
from goingdeeper.nn.build import build
from goingdeeper.recipes import SCRATCH
from goingdeeper.recipes.settings import change
from goingdeeper.training.checkpoints import newest_checkpoint
from goingdeeper.training.engine import Engine
from goingdeeper.training.events import Events
from goingdeeper.training.job import Job
from goingdeeper.training.loop import Trainer
from goingdeeper.stopping import StopRequest
from goingdeeper.training import update

folder, stop_at = Path(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(1)
draw = np.random.default_rng(0)
items = [Item(f"{i:03}", "abc"[i % 3]) for i in range(61)]
pixels = {item.path: draw.integers(0, 256, (8, 8, 3), np.uint8) for item in items}
source = Source(
    "noise", "noise", tuple("abc"), tuple(items), bytes, pixels.__getitem__, lambda path: (8, 8), False,
)
net = Network(
    "plain-small",
    {"conv1": Conv(8, 3, bias=True), "pool1": MaxPool(2, 2, 0), "conv2": Conv(16, 3, bias=True),
     "pool2": GlobalAvgPool(), "fc": Linear(CLASSES)},
    input=(3, 8, 8), classes=3,
)
engine = Engine("cpu")
recipe = change(SCRATCH, {"epochs": "3", "batch": "12", "rate": "0.05", "average": "0.9"})
train, val = items[:48], items[48:]
preprocessing = Preprocessing(8)
job = Job(build(net, seed=1), recipe, Pictures(source, 8, pixels), train, val, "abc", preprocessing, 7, "cpu")
seen, losses = [], []
whole = update.Updater.__call__

def watched(self, batch, now, place):
    seen.append(batch.images.sum((1, 2, 3)).tolist())
    values = whole(self, batch, now, place)
    losses.append(values["loss"])
    return values

update.Updater.__call__ = watched
trainer = Trainer(job, newest_checkpoint(folder, print), engine)
stop = StopRequest()

class Stopper(Events):
    def step(self, pace):
        if len(losses) == stop_at and engine.main:
            stop.signal = 15

trainer.run(stop, folder, Stopper(), lambda: None)
engine.wait()
weights = {n: v.flatten().tolist() for n, v in trainer.net.state_dict().items()}
facts = {"seen": seen, "losses": losses, "rows": trainer.progress.rows, "weights": weights}
(folder.parent / f"{folder.name}-{engine.rank}.json").write_text(json.dumps(facts))
engine.close()
end_process(0)
"""


def loop(folder, ranks, stop_at=0):
    """The loop above, in so many processes; what each of them saw."""
    folder.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = []
    for rank in range(ranks):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_PORT": port}
        extra = {key: str(value) for key, value in place.items()} | {"MASTER_ADDR": "127.0.0.1"}
        running.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", LOOP, str(folder), str(stop_at)],
                env={**os.environ, **(extra if ranks > 1 else {})},
            )
        )
    assert [process.wait(120) for process in running] == [0] * ranks
    return [json.loads((folder.parent / f"{folder.name}-{r}.json").read_text()) for r in range(ranks)]


def close(first, second):
    return first == pytest.approx(second, rel=1e-5, abs=1e-6)


def without_clocks(rows):
    clocks = ("seconds", "images_per_second", "data_wait")
    return [{key: row[key] for key in row if key not in clocks} for row in rows]


@pytest.mark.slow
def test_two_processes_see_what_one_sees_and_learn_the_same(tmp_path):
    """Without batch norm; each takes its half of the same batches, in order."""
    (one,), (first, second) = loop(tmp_path / "one", 1), loop(tmp_path / "two", 2)
    joined = [a + b for a, b in zip(first["seen"], second["seen"], strict=True)]
    assert joined == one["seen"]
    assert all(len(a) == len(b) == 6 for a, b in zip(first["seen"], second["seen"], strict=True))
    summed = [a + b for a, b in zip(first["losses"], second["losses"], strict=True)]
    assert len(summed) == 12 and close(summed, one["losses"])
    for own, rows in zip(without_clocks(one["rows"]), without_clocks(first["rows"]), strict=True):
        assert close(list(rows.values()), list(own.values())) and list(rows) == list(own)
    for name, values in one["weights"].items():
        assert first["weights"][name] == second["weights"][name]
        assert close(first["weights"][name], values)


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [2, 5])
def test_two_processes_stopped_and_gone_on_end_as_if_they_had_not_been(tmp_path, stop_at):
    whole, _ = loop(tmp_path / "whole", 2)
    stopped, _ = loop(tmp_path / "parts", 2, stop_at)
    assert len(stopped["losses"]) == stop_at
    rest, _ = loop(tmp_path / "parts", 2)
    assert stopped["losses"] + rest["losses"] == whole["losses"]
    assert rest["weights"] == whole["weights"]
    assert without_clocks(rest["rows"]) == without_clocks(whole["rows"])


class Killer(Events):
    """After some steps, sends a signal to a process of the run, or to this one, which watches."""

    def __init__(self, steps, number, rank=None):
        self.steps, self.number, self.rank, self.done = steps, number, rank, 0

    def step(self, pace):
        self.done += 1
        if self.done == self.steps:
            threading.Thread(target=os.kill, args=(self._whom(), self.number)).start()

    def _whom(self):
        if self.rank is None:
            return os.getpid()
        return sorted(child.pid for child in multiprocessing.active_children())[self.rank]


@pytest.fixture
def pair(wishes):
    return replace(wishes, devices=2)


@pytest.mark.slow
def test_a_process_that_dies_ends_the_others_and_the_run_goes_on(here, pair, outcome):
    whole = train(pair)
    begun = time.monotonic()
    with pytest.raises(ResourceError, match=r"process 1 of 2 was ended by SIGKILL; the same command goes on"):
        train(replace(pair, seed=0), here / "killed", Killer(3, signal.SIGKILL, 1))
    assert time.monotonic() - begun < 60
    folder = train(pair, here / "killed")
    assert outcome(folder.path) == outcome(whole.path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_one_that_watches_stops_all_and_saves(here, pair, outcome, number):
    whole = train(pair)
    with pytest.raises(Interrupted, match=r"everything is saved up to .*--devices 2.* --out ") as caught:
        train(pair, here / "stopped", Killer(3, number))
    assert caught.value.exit_status == 128 + number
    assert RunFolder(here / "stopped").run()["status"] == "interrupted"
    assert outcome(train(pair, here / "stopped").path) == outcome(whole.path)


@pytest.mark.slow
def test_what_one_process_finds_wrong_is_said_once(here, pair):
    with pytest.raises(UsageError, match="unknown network 'resnet-1'"):
        train(replace(pair, model="resnet-1"))
    assert not (here / "runs").exists() or not list_runs()


@pytest.mark.slow
def test_torchrun_starts_the_same_run(here, pair, outcome):
    whole = train(pair)
    words = ["train", pair.source, "--model", pair.model, "--epochs", "3", "--batch", "12", "--size", "16"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
         "goingdeeper", *words, "--out", "run", "--json"],
        capture_output=True, text=True, timeout=200, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == "run"
    assert outcome(here / "run") == outcome(whole.path)
