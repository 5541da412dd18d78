"""How candidates are compared: interleaved in one process, medians of ratios with a bootstrap interval."""

from __future__ import annotations

import json
import platform
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """seconds: of one call, the median. ratio: the reference's time over this one's (above 1 is faster)."""

    name: str
    seconds: float
    ratio: float
    ratio_95: tuple[float, float]


def compare(
    candidates: Mapping[str, Callable[[], object]],
    reference: str,
    *,
    rounds: int = 15,
    block_seconds: float = 1.0,
    warm_up: int = 3,
) -> list[Comparison]:
    """Runs blocks of calls in the order A B ... B A, so that drift of the machine hits all alike."""
    calls = {}
    for name, call in candidates.items():
        for _ in range(warm_up):
            call()
        start = time.perf_counter()
        call()
        calls[name] = max(1, round(block_seconds / (time.perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds):
        names = list(candidates)
        for name in names if number % 2 == 0 else reversed(names):
            start = time.perf_counter()
            for _ in range(calls[name]):
                candidates[name]()
            times[name].append((time.perf_counter() - start) / calls[name])
    found = []
    random = np.random.default_rng(0)
    for name, taken in times.items():
        ratios = np.array([base / own for base, own in zip(times[reference], taken, strict=True)])
        draws = np.median(random.choice(ratios, (2000, rounds)), axis=1)
        low, high = np.percentile(draws, [2.5, 97.5])
        middle = float(np.median(ratios))
        found.append(Comparison(name, statistics.median(taken), middle, (float(low), float(high))))
    return found


class Worker:
    """A candidate in a process of its own, whose state (an allocator's, say) no other then shares.

    The process says a line when it is ready; then each line it is given is one call, and it answers with a
    line. See `serve`. Raises TimeoutError if it is not ready in time.
    """

    def __init__(self, command: list[str], seconds: float) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.asked, self.answers = self.process.stdin, self.process.stdout
        if not select.select([self.answers], [], [], seconds)[0]:
            self.stop()
            raise TimeoutError(f"not ready in {seconds:.0f} s")
        self._answer()

    def __call__(self) -> None:
        self.asked.write("\n")
        self.asked.flush()
        self._answer()

    def _answer(self) -> None:
        if not self.answers.readline():
            raise RuntimeError(f"{self.process.args}: ended with {self.process.wait()}")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def serve(call: Callable[[], object]) -> None:
    """The other end of `Worker`, after a first call."""
    call()
    print(flush=True)
    for _ in sys.stdin:
        call()
        print(flush=True)


def machine() -> str:
    """The processor, cores and versions that a result belongs to."""
    import torch

    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    model = names[0].split(":")[1].strip() if names else platform.processor()
    python = sys.version.split()[0]
    return f"{model}, {torch.get_num_threads()} threads, torch {torch.__version__}, Python {python}"


def show(title: str, rows: list[Comparison], per_call: int = 1, unit: str = "calls") -> None:
    """A small table, and the same as one line of JSON."""
    print(f"{title}\n{machine()}")
    for row in rows:
        low, high = row.ratio_95
        rate = per_call / row.seconds
        print(f"  {row.name:<28} {rate:10.1f} {unit}/s   {row.ratio:5.2f}x  ({low:.2f} to {high:.2f})")
    record = [{"what": r.name, "seconds": r.seconds, "ratio": r.ratio, "ratio_95": r.ratio_95} for r in rows]
    print(json.dumps({"title": title, "machine": machine(), "rows": record}))
