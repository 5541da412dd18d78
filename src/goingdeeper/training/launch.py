"""Several processes of one run on this machine, watched: when one dies, the others end."""

from __future__ import annotations

import math
import signal
import socket
import time
from pathlib import Path

from goingdeeper.data.processors import cpus
from goingdeeper.errors import GoingDeeperError
from goingdeeper.runs.folder import RunFolder
from goingdeeper.stopping import StopRequest, stop_requests
from goingdeeper.training.children import Child, start
from goingdeeper.training.events import Events
from goingdeeper.training.plan import Wishes

PATIENCE, GRACE = 2.0, 20.0
"""Seconds after a process has failed until the others are asked to end, and until they are killed."""


def train_on_several(wishes: Wishes, out: Path | None, events: Events) -> RunFolder:
    """Trains in `wishes.devices` processes. Raises what the process that failed first of all raised.

    Raises ResourceError where one died without a word; what was saved before is kept.
    """
    ranks, threads = [], max(1, cpus() // wishes.devices)
    place = {
        "WORLD_SIZE": str(wishes.devices), "LOCAL_WORLD_SIZE": str(wishes.devices),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()),
    }  # fmt: skip
    with stop_requests() as stop:
        for rank in range(wishes.devices):
            own = {**place, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            ranks.append(start(wishes, out, threads, own, speaks=rank == 0))
        first = _watch(ranks, stop, events)
    if ranks[0].folder:  # it speaks last, when the run is finished
        return RunFolder(ranks[0].folder)
    # A process that loses its partner fails, too; the cause is what has a name of its own, or came first.
    problems = [rank.problem for rank in ranks if rank.problem]
    for kind in (GoingDeeperError, OSError, MemoryError):
        for problem in problems:
            if isinstance(problem, kind):
                raise problem
    cause = ranks[first].death(f"process {first} of {len(ranks)}") if first is not None else None
    raise cause or RuntimeError("the processes of the run ended without a word")


def _watch(ranks: list[Child], stop: StopRequest, events: Events) -> int | None:
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


def _failed(ranks: list[Child]) -> int | None:
    """A process that has failed; of several, one that was killed."""
    codes = {number: rank.process.exitcode for number, rank in enumerate(ranks) if rank.process.exitcode}
    return min(codes, key=lambda number: codes[number] or 0) if codes else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
