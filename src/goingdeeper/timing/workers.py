"""A candidate in a process of its own, so that none shares another's allocator, threads or memory.

Blocks are asked for in turn; a process that is not asked waits and takes no processor.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from goingdeeper.errors import GoingDeeperError, ResourceError, end_process
from goingdeeper.timing.side_by_side import WARM_UP, block

Opener = Callable[..., Callable[[], Any]]
"""Makes what is called, from arguments that are sent to the process; of a module, and no lambda."""

LONGEST = 4.0
"""Seconds after which no warm-up goes on, once three calls are made: a call may take one itself."""

CHILD = "from goingdeeper.timing.workers import work; work()"


@dataclass
class Worker:
    """A process that waits for requests, pickled, on its standard input."""

    name: str
    process: subprocess.Popen[bytes]
    seconds: float = 0.0
    """From the opener's start to the first answer."""
    answer: Any = None
    memory: int | None = None
    """What it took at most, in bytes, beyond Python and NumPy; known after a block."""

    def block(self, seconds: float) -> Sequence[float]:
        """The seconds of each call. Raises ResourceError where a call fails or the process has ended."""
        self.send(seconds)
        taken, self.memory = self.heard()
        return list(taken)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):  # of a request that it did not live to read
                stream.close()

    def send(self, what: object) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # where it has ended, which `heard` tells
            pickle.dump(what, self.process.stdin)
            self.process.stdin.flush()

    def heard(self) -> tuple[Any, Any]:
        assert self.process.stdout is not None
        try:
            kind, *said = pickle.load(self.process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            code = self.process.wait()
            how = signal.Signals(-code).name if code < 0 else f"status {code}"
            raise ResourceError(
                f"{self.name} was ended by {how}; where memory is short, close others"
            ) from None
        if kind == "failed":
            problem: GoingDeeperError = said[0]
            raise problem
        return said[0], said[1]


def start(name: str, opener: Opener, about: Sequence[Any], threads: int, patience: float = 900) -> Worker:
    """Begins a process, and returns when it has given its first answer and is warm.

    name: for messages. threads: for those libraries that read it from the environment. Raises what the
    opener raised, ResourceError where the process ended or did not answer in `patience` seconds.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    # Not by multiprocessing, which would import the main module's libraries into every candidate's memory.
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    worker = Worker(name, process)
    late = threading.Timer(patience, process.kill)
    late.start()
    try:
        worker.send((sys.path, _module(opener), opener.__name__))
        worker.send(tuple(about))
        worker.seconds, worker.answer = worker.heard()
        return worker
    except BaseException:
        worker.stop()
        raise
    finally:
        late.cancel()


def _module(opener: Opener) -> str:
    """The name that another process imports it by."""
    if opener.__module__ != "__main__":
        return opener.__module__
    return Path(str(sys.modules["__main__"].__file__)).stem


def work() -> None:
    """The life of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    sys.path[:], module, name = pickle.load(asked)
    before = _memory("VmRSS")
    begun = time.perf_counter()
    try:
        call = getattr(import_module(module), name)(*pickle.load(asked))
        answer = call()
        took = time.perf_counter() - begun
        warm_up(call)
        _say(answers, "", took, answer)
        while (seconds := _asked(asked)) is not None:
            taken = block(call, seconds)
            most = _memory("VmHWM")
            _say(answers, "", taken, None if most is None or before is None else most - before)
    except Exception as problem:
        with suppress(BrokenPipeError):  # nobody listens any more
            _say(answers, "failed", _portable(problem))
        end_process(1)
    end_process(0)


def _asked(asked: IO[bytes]) -> float | None:
    """The seconds of the next block, None where nobody asks any more."""
    try:
        seconds: float = pickle.load(asked)
    except (EOFError, OSError):
        return None
    return seconds


def _say(answers: IO[bytes], *what: object) -> None:
    pickle.dump(what, answers)
    answers.flush()


def warm_up(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> None:
    """Ten calls; of slow ones as many as begin in `LONGEST` seconds, but three."""
    begun = clock()
    for number in range(WARM_UP):
        if number >= 3 and clock() - begun >= LONGEST:
            return
        call()


def _memory(what: str) -> int | None:
    """Bytes: VmRSS what the process holds, VmHWM what it held at most. None where Linux does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(what)), None)


def _portable(problem: Exception) -> GoingDeeperError:
    """The error, or its first line where it cannot travel between processes or is no one's message."""
    if isinstance(problem, GoingDeeperError):
        return problem
    first = next(iter(str(problem).strip().splitlines()), "")
    if isinstance(problem, MemoryError):
        what = f"memory is short ({first})" if first else "memory is short"
        return ResourceError(f"{what}; close others, or give a smaller --batch")
    return ResourceError(f"{type(problem).__name__}: {first}" if first else type(problem).__name__)
