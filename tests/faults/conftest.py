"""Processes that meet with faults, the run that meets with none, and the tally of trials.

`FAULTS=full` runs the full number of trials, `make faults` does so.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

FULL = os.environ.get("FAULTS", "") == "full"
HERE = Path(__file__).parent

# 3 epochs of 8 steps: 128 of 160 images, in batches of 16.
TRAIN = (
    "train",
    "photos",
    "--model",
    "tiny",
    "--size",
    "8",
    "--epochs",
    "3",
    "--batch",
    "16",
    "--out",
    "run",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`trial` counts up to what the module's TRIALS say: (in CI, in full)."""
    if "trial" in metafunc.fixturenames:
        few, full = metafunc.module.TRIALS[metafunc.function.__name__]
        metafunc.parametrize("trial", range(full if FULL else few))


@dataclass(frozen=True)
class Ended:
    """status: of the exit, or the negative number of the signal. happened: the faults, in words."""

    status: int
    out: str
    err: str
    counts: dict[str, int]
    happened: list[str]
    seconds: float

    @property
    def last(self) -> str:
        return self.err.splitlines()[-1] if self.err else ""


class Forker:
    """A process with torch loaded, which forks one for each job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "forker.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment,
        )  # fmt: skip
        self.lines = b""
        assert self._line(120) == "ready"

    def start(self, job: str, *words: object, cwd: Path, **more: Any) -> int:
        """Starts a job and gives its process id; `end` waits for it."""
        order = {"job": job, "words": words, "cwd": str(cwd), **more}
        order |= {name: str(self.folder / name) for name in ("out", "err", "counts")}
        (self.folder / "counts").unlink(missing_ok=True)
        self.began = time.monotonic()
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.pid = int(self._line(30))
        return self.pid

    def end(self, timeout: float = 60) -> Ended:
        """Waits for the job. One that does not end in time is killed, and the test fails."""
        try:
            status = int(self._line(timeout))
        except TimeoutError:
            self.kill()
            self._line(30)
            pytest.fail(f"no end after {timeout} s: {(self.folder / 'err').read_text()}")
        seconds = time.monotonic() - self.began
        noted = self.folder / "counts"
        found = json.loads(noted.read_text()) if noted.exists() else {"counts": {}, "happened": []}
        out, err = ((self.folder / name).read_text() for name in ("out", "err"))
        return Ended(status, out, err, found["counts"], found["happened"], seconds)

    def kill(self) -> None:
        with suppress(ProcessLookupError):  # it has come to its end
            os.kill(self.pid, signal.SIGKILL)

    def run(self, job: str, *words: object, cwd: Path, timeout: float = 60, **more: Any) -> Ended:
        self.start(job, *words, cwd=cwd, **more)
        return self.end(timeout)

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def _line(self, timeout: float) -> str:
        assert self.process.stdout is not None
        deadline = time.monotonic() + timeout
        while b"\n" not in self.lines:
            if not select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            got = os.read(self.process.stdout.fileno(), 4096)
            assert got, "the forking process has ended"
            self.lines += got
        line, _, self.lines = self.lines.partition(b"\n")
        return line.decode()


@pytest.fixture(scope="session")
def forker(tmp_path_factory) -> Iterator[Forker]:
    made = Forker(tmp_path_factory.mktemp("forker"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """160 pictures of 10x10 in four classes."""
    root = tmp_path_factory.mktemp("data") / "photos"
    for number, name in enumerate(("ant", "bee", "cow", "dog")):
        (root / name).mkdir(parents=True)
        for index in range(40):
            pixels = np.random.default_rng([number, index]).integers(0, 200, (10, 10, 3), np.uint8)
            pixels[:, :, number % 3] += 20 + 10 * number
            Image.fromarray(pixels).save(root / name / f"{index:02}.png")
    return root


@pytest.fixture
def here(tmp_path, photos) -> Path:
    """A working folder with the pictures in `photos`."""
    (tmp_path / "photos").symlink_to(photos)
    return tmp_path


def outcome(run: Path) -> dict[str, Any]:
    """All of a finished run that must not depend on what it met with."""
    with (run / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    timing = {"images_per_second", "data_wait", "seconds"}
    return {
        "weights": hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest(),
        "metrics": [{key: value for key, value in row.items() if key not in timing} for row in rows],
        "predictions": (run / "predictions.csv").read_text(),
        "split": (run / "split.csv").read_text(),
        "status": json.loads((run / "run.json").read_text())["status"],
    }


@pytest.fixture(scope="session")
def ended() -> Callable[[Path], dict[str, Any]]:
    return outcome


@dataclass(frozen=True)
class Whole:
    """The uninterrupted run: what it gives, how long it takes, and the points it passes."""

    outcome: dict[str, Any]
    seconds: float
    counts: dict[str, int]


@pytest.fixture(scope="session")
def whole(forker, photos, tmp_path_factory) -> Whole:
    here = tmp_path_factory.mktemp("whole")
    (here / "photos").symlink_to(photos)
    done = forker.run("deeper", *TRAIN, cwd=here)
    assert done.status == 0, done
    return Whole(outcome(here / "run"), done.seconds, done.counts)


@pytest.fixture
def times() -> int:
    """How often the same thing is done where it must come out the same."""
    return 5 if FULL else 2


@pytest.fixture(scope="session")
def words() -> tuple[str, ...]:
    """The command."""
    return TRAIN


@pytest.fixture
def train(forker, here) -> Callable[..., Ended]:
    """The run that is meant to be whole, with whatever is to happen to it."""
    return lambda **more: forker.run("deeper", *TRAIN, cwd=here, **more)


@pytest.fixture
def finish(train, here, whole) -> Callable[..., Ended]:
    """Goes on with the run by the same command; its end must be that of the uninterrupted one."""

    def go_on(**more: Any) -> Ended:
        done = train(**more)
        if "holds a finished run" not in done.last:  # the fault came after the end
            assert done.status == 0, done
        assert outcome(here / "run") == whole.outcome
        return done

    return go_on


@pytest.fixture
def steps_saved() -> Callable[[Path], int]:
    """The finished steps that a run's newest checkpoint holds; an epoch has eight."""

    def count(run: Path) -> int:
        newest = max((run / "checkpoints").glob("step-*"))
        progress = json.loads((newest / "progress.json").read_text())
        return 8 * (int(progress["epoch"]) - 1) + int(progress["step"])

    return count


# The tally


def pytest_terminal_summary(terminalreporter: Any) -> None:
    tally: dict[str, list[float]] = defaultdict(list)
    failed: dict[str, int] = defaultdict(int)
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            if report.when == "call" and "tests/faults/" in report.nodeid:
                name = report.nodeid.partition("[")[0].rpartition("/")[2]
                counted = int(dict(report.user_properties).get("trials", 1))
                tally[name] += [report.duration] + [0.0] * (counted - 1)
                failed[name] += outcome == "failed"
    if FULL and tally:
        terminalreporter.section("faults")
        for name, seconds in tally.items():
            terminalreporter.write_line(
                f"{name:<72} {len(seconds):>5} trials {failed[name]:>3} failed {sum(seconds):7.1f} s "
                f"(longest {max(seconds):.1f})"
            )
