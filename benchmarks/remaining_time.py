"""How far the remaining time that training shows after its first minute is from what was left.

Runs of several lengths and networks on the embedded digits; for each, the estimate at the end of the first
minute against the seconds from there to the end of the last epoch. Prints a table and one JSON document:

    python benchmarks/remaining_time.py [--runs 10] [--minutes 3]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch

import goingdeeper as gd
from goingdeeper.training.events import EpochEnd, Events, Pace

MINUTE = 60.0
CASES = [("cifar-resnet-20-a", 32), ("cifar-resnet-20-a", 64), ("cifar-resnet-32-a", 32), ("resnet-18-b", 64)]


class Watcher(Events):
    """Keeps the first estimate after a minute of training, and when the last epoch ended."""

    def __init__(self) -> None:
        self.begun: float | None = None
        self.estimate: tuple[float, float] | None = None
        self.ended = 0.0

    def step(self, pace: Pace) -> None:
        now = time.perf_counter()
        self.begun = self.begun or now
        if self.estimate is None and now - self.begun >= MINUTE and pace.seconds_left is not None:
            self.estimate = (now, pace.seconds_left)

    def epoch(self, end: EpochEnd) -> None:
        self.ended = time.perf_counter()


def one(number: int, minutes: float) -> dict[str, float | str]:
    model, size = CASES[number % len(CASES)]
    watcher = Watcher()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        gd.train(
            "digits",
            model=model,
            size=size,
            seed=number,
            time=f"{round(60 * minutes)}s",
            out=out,
            events=watcher,
        )
    if watcher.estimate is None:
        raise SystemExit(f"{model} at {size} ended within a minute; give more --minutes")
    seen, estimated = watcher.estimate
    left = watcher.ended - seen
    return {
        "model": model,
        "size": size,
        "estimated": estimated,
        "left": left,
        "error": 100 * abs(estimated - left) / left,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=10)
    options.add_argument("--first", type=int, default=0, help="number of the first run, which is its seed")
    options.add_argument("--minutes", type=float, default=3.0)
    asked = options.parse_args()
    rows = []
    print(f"{'network':<20} {'size':>4} {'estimated s':>12} {'left s':>8} {'error %':>8}", flush=True)
    for number in range(asked.first, asked.first + asked.runs):
        row = one(number, asked.minutes)
        rows.append(row)
        numbers = f"{row['estimated']:>12.0f} {row['left']:>8.0f} {row['error']:>8.1f}"
        print(f"{row['model']:<20} {row['size']:>4} {numbers}", flush=True)
    median = statistics.median(float(row["error"]) for row in rows)
    print(f"median error {median:.1f} % over {len(rows)} runs (target: under 20)")
    machine = {"threads": torch.get_num_threads(), "torch": torch.__version__, "machine": platform.machine()}
    print(json.dumps({"benchmark": "remaining_time", **machine, "rows": rows, "median_error": median}))


if __name__ == "__main__":
    main()
