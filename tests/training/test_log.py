"""log.jsonl: every event of a run on a line of its own, whatever ended it."""

import json
import resource

import pytest

from goingdeeper.errors import GateError, Interrupted, ResourceError
from goingdeeper.training.events import Events
from goingdeeper.training.log import Log
from goingdeeper.training.train import train


def lines(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]


def test_a_run_that_was_interrupted_and_gone_on_tells_it_in_order(here, wishes, signals):
    with pytest.raises(Interrupted):
        train(wishes, here / "run", signals(after=3))
    folder = train(wishes, here / "run")
    log = lines(folder.path)
    told = [line["event"] for line in log if line["event"] != "note"]
    assert told == ["started", "epoch", "interrupted", "resumed", "epoch", "epoch", "finished"]
    assert [line["epoch"] for line in log if line["event"] == "epoch"] == [1, 2, 3]
    assert log[0]["command"].startswith("deeper train ")
    assert set(log[0]["versions"]) == {"goingdeeper", "python", "torch"}
    [finished] = [line for line in log if line["event"] == "finished"]
    assert finished["top1_error"] == folder.run()["result"]["top1_error"]
    times = [line["time"] for line in log]
    assert times == sorted(times)


def test_notes_are_there_and_reach_the_watcher_too(here, wishes, signals):
    watcher = signals()
    log = lines(train(wishes, here / "run", watcher).path)
    assert [line["text"] for line in log if line["event"] == "note"] == watcher.notes
    assert any("from scratch" in text for text in watcher.notes)
    assert len(watcher.paces) == 6
    assert watcher.closed == 1


def test_a_run_that_diverges_says_why(here, wishes):
    from dataclasses import replace

    with pytest.raises(GateError) as caught:
        train(replace(wishes, settings=(("rate", "1e30"), ("warmup_epochs", "0"))), here / "run")
    assert lines(here / "run")[-1]["event"] == "stopped"
    assert lines(here / "run")[-1]["reason"] == str(caught.value)


@pytest.mark.parametrize("room", [0, 90])
def test_a_line_that_does_not_fit_leaves_no_part_of_itself(tmp_path, room):
    log = Log(tmp_path / "log.jsonl", Events())
    log.write("started")
    before = log.file.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, limits[1]))
    try:
        with pytest.raises(
            ResourceError, match=r"the disk is full at .*log\.jsonl, where [\d,]+ bytes are needed"
        ):
            log.write("note", text="x" * 200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert log.file.read_bytes() == before
