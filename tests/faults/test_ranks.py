"""One of two processes that share each batch is killed: the other ends in time, and the run goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TRIALS = {"test_one_of_two_dies": (1, 20)}
COMMAND = (
    "train", "photos", "--model", "cifar-resnet-20-a", "--size", "8", "--epochs", "4", "--batch", "16",
    "--devices", "2", "--out",
)  # fmt: skip


def start(here: Path, out: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "goingdeeper", *COMMAND, out], cwd=here, text=True, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def to_its_end(process: subprocess.Popen[str]) -> None:
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said


def ranks(process: subprocess.Popen[str]) -> list[int]:
    """The two processes of a run, in the order that they were started in."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    names = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return [pid for pid, name in names.items() if b"spawn_main" in name]


@pytest.fixture(scope="session")
def two(photos, tmp_path_factory) -> tuple[Path, float]:
    """The run that nothing happens to, and its seconds."""
    here = tmp_path_factory.mktemp("two")
    (here / "photos").symlink_to(photos)
    begun = time.monotonic()
    to_its_end(start(here, "run"))
    return here / "run", time.monotonic() - begun


@pytest.mark.slow
def test_one_of_two_dies(here, two, ended: Callable[[Path], dict[str, Any]], trial):
    whole, seconds = two
    chance = random.Random(trial)
    process = start(here, "run")
    deadline = time.monotonic() + 300
    while not list(here.glob("run/checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(chance.uniform(0, seconds / 20))
    running = ranks(process)
    victim = running[trial % len(running)] if running else None
    if victim:
        os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    said = process.communicate(timeout=60)[1]
    assert time.monotonic() - killed < 60
    if process.returncode:  # it may have come to its end before
        assert process.returncode == 5, said
        assert f"process {trial % 2} of 2 was ended by SIGKILL" in said.splitlines()[-1]
        assert not [pid for pid in running if Path(f"/proc/{pid}").exists()]
        if json.loads((here / "run" / "run.json").read_text())["status"] != "finished":
            to_its_end(start(here, "run"))
    assert ended(here / "run") == ended(whole)
