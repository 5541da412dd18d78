"""Several processes of one run on this machine, watched: when one dies, the others end."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import signal
import socket
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from goingdeeper.data.pictures import cpus
from goingdeeper.errors import GoingDeeperError, ResourceError, end_process
from goingdeeper.runs.folder import RunFolder
from goingdeeper.training.events import EpochEnd, Events, Pace
from goingdeeper.training.plan import Wishes
from goingdeeper.training.stopping import StopRequest, stop_requests

PATIENCE, GRACE = 2.0, 20.0
"""Seconds after a process has failed until the others are asked to end, and until they are killed."""


@dataclass
class _Rank:
    """A process of the run, and what it said in the end."""

    process: BaseProcess
    ear: Connection
    problem: Exception | None = None
    folder: str = ""
    deaf: bool = field(default=False, repr=False)

    def listen(self, events: Events) -> None:
        """Passes on what the process tells; at its end that is its error, or the finished run."""
        try:
            while not self.deaf and self.ear.poll():
                kind, content = self.ear.recv()
                match kind:
                    case "failed":
                        self.problem = content
                    case "done":
                        self.folder = content
                    case _:
                        getattr(events, kind)(*content)
        except (EOFError, OSError, pickle.UnpicklingError):  # it was killed in the middle of a word
            self.deaf = True

    def signal(self, number: int) -> None:
        if self.process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


class _Relay(Events):
    """Sends what happens in rank 0 to the process that watches."""

    def __init__(self, mouth: Connection) -> None:
        self.mouth = mouth

    def note(self, text: str) -> None:
        self.mouth.send(("note", (text,)))

    def reading(self, done: int, total: int) -> None:
        self.mouth.send(("reading", (done, total)))

    def step(self, pace: Pace) -> None:
        self.mouth.send(("step", (pace,)))

    def epoch(self, end: EpochEnd) -> None:
        self.mouth.send(("epoch", (end,)))


def train_on_several(wishes: Wishes, out: Path | None, events: Events) -> RunFolder:
    """Trains in `wishes.devices` processes. Raises what the process that failed first of all raised.

    Raises ResourceError where one died without a word; what was saved before is kept.
    """
    context = multiprocessing.get_context("spawn")
    port = _free_port()
    ranks = []
    with stop_requests() as stop:
        for rank in range(wishes.devices):
            ear, mouth = context.Pipe(duplex=False)
            process = context.Process(target=_process, args=(rank, port, wishes, out, mouth), daemon=True)
            process.start()
            mouth.close()  # so that the end of the process is the end of the pipe
            ranks.append(_Rank(process, ear))
        first = _watch(ranks, stop, events)
    if ranks[0].folder:  # it speaks last, when the run is finished
        return RunFolder(Path(ranks[0].folder))
    # A process that loses its partner fails, too; the cause is what has a name of its own, or came first.
    problems = [rank.problem for rank in ranks if rank.problem]
    for kind in (GoingDeeperError, OSError, MemoryError):
        for problem in problems:
            if isinstance(problem, kind):
                raise problem
    if first is not None:
        code = ranks[first].process.exitcode or 0
        if code < 0:
            raise ResourceError(
                f"process {first} of {len(ranks)} was ended by {signal.Signals(-code).name}; "
                "the same command goes on from the last checkpoint"
            )
        raise ranks[first].problem or RuntimeError(f"process {first} left with status {code}")
    raise RuntimeError("the processes of the run ended without a word")


def _watch(ranks: list[_Rank], stop: StopRequest, events: Events) -> int | None:
    """Until all have ended; gives the first that failed. A failure ends the rest in time.

    A signal to stop is passed on once.
    """
    asked = False
    first, failed = None, math.inf
    while any(rank.process.is_alive() for rank in ranks):
        for rank in ranks:
            rank.listen(events)
        if stop and not asked:
            asked = True
            for rank in ranks:
                rank.signal(stop.signal or signal.SIGTERM)
        if first is None and (ended := _failed(ranks)) is not None:
            first, failed = ended, time.monotonic()
        if time.monotonic() - failed > PATIENCE and not asked:
            asked = True
            for rank in ranks:
                rank.signal(signal.SIGTERM)
        if time.monotonic() - failed > GRACE:
            for rank in ranks:
                rank.process.kill()
        time.sleep(0.02)
    for rank in ranks:
        rank.process.join()
        rank.listen(events)
    return _failed(ranks) if first is None else first


def _failed(ranks: list[_Rank]) -> int | None:
    """A process that has failed; of several, one that was killed."""
    codes = {number: rank.process.exitcode for number, rank in enumerate(ranks) if rank.process.exitcode}
    return min(codes, key=lambda number: codes[number] or 0) if codes else None


def _process(rank: int, port: int, wishes: Wishes, out: Path | None, mouth: Connection) -> None:
    """One process of the run."""
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(wishes.devices),
        LOCAL_WORLD_SIZE=str(wishes.devices), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
    )  # fmt: skip
    import torch

    from goingdeeper.training.train import train

    torch.set_num_threads(max(1, cpus() // wishes.devices))
    try:
        folder = train(wishes, out, _Relay(mouth) if rank == 0 else Events())
        mouth.send(("done", str(folder.path)))
        status = 0
    except Exception as problem:
        mouth.send(("failed", _portable(problem)))
        status = getattr(problem, "exit_status", 1)
    end_process(status)


def _portable(problem: Exception) -> Any:
    """The error, or its text where it cannot travel between processes; with its place if it is ours."""
    if not isinstance(problem, GoingDeeperError | OSError | MemoryError):
        problem.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(problem))
    except Exception:
        return RuntimeError(traceback.format_exc())
    return problem


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
