"""A run in a process of its own on this machine, and what it tells the process that watches it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from goingdeeper.errors import GoingDeeperError, Interrupted, ResourceError, end_process
from goingdeeper.training.events import EpochEnd, Events, Pace
from goingdeeper.training.plan import Wishes


@dataclass
class Child:
    """The process, and what it said in the end: a problem, or the folder of the finished run."""

    process: BaseProcess
    ear: Connection
    problem: Exception | None = None
    folder: Path | None = None
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

    def death(self, name: str) -> Exception | None:
        """Why it ended without a folder; name: what to call it."""
        code = self.process.exitcode
        if self.problem is not None or not code:
            return self.problem
        if code < 0:
            return ResourceError(
                f"{name} was ended by {signal.Signals(-code).name}; "
                "the same command goes on from the last checkpoint"
            )
        return RuntimeError(f"{name} left with status {code}")


def start(
    wishes: Wishes, out: Path | None, threads: int, environment: Mapping[str, str] = {}, speaks: bool = True
) -> Child:
    """Begins a run in a new process. speaks: whether it tells of its steps, and not of its end alone."""
    context = multiprocessing.get_context("spawn")
    ear, mouth = context.Pipe(duplex=False)
    process = context.Process(
        target=_run, args=(wishes, out, threads, dict(environment), speaks, mouth), daemon=True
    )
    process.start()
    mouth.close()  # so that the end of the process is the end of the pipe
    return Child(process, ear)


class _Relay(Events):
    """Sends what happens to the process that watches."""

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


def _run(
    wishes: Wishes,
    out: Path | None,
    threads: int,
    environment: dict[str, str],
    speaks: bool,
    mouth: Connection,
) -> None:
    """The life of the process."""
    os.environ.update(environment)
    for number in (signal.SIGINT, signal.SIGTERM):  # before training, and after it; it has its own
        signal.signal(number, _leave)
    import torch

    from goingdeeper.training.train import train

    torch.set_num_threads(threads)
    try:
        folder = train(wishes, out, _Relay(mouth) if speaks else Events())
        told: tuple[str, Any] = ("done", folder.path)
    except Exception as problem:
        _deafen()
        told = ("failed", _portable(_first(problem)))
    _deafen()
    with suppress(BrokenPipeError):  # nobody watches any more
        mouth.send(told)
    end_process(0 if told[0] == "done" else getattr(told[1], "exit_status", 1))


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted("interrupted", number)


def _deafen() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _first(problem: Exception) -> Exception:
    """What ended the run, where the same Ctrl-C came once more, from the process that watches, meanwhile."""
    while isinstance(problem, Interrupted) and isinstance(problem.__context__, Interrupted):
        problem = problem.__context__
    return problem


def _portable(problem: Exception) -> Any:
    """The error, or its text where it cannot travel between processes; with its place if it is ours."""
    if not isinstance(problem, GoingDeeperError | OSError | MemoryError):
        problem.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(problem))
    except Exception:
        return RuntimeError(traceback.format_exc())
    return problem
