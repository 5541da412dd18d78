"""Several runs side by side, each in a process of its own: other seeds, other networks."""

from __future__ import annotations

import json
import os
import shlex
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

import torch

from goingdeeper import catalogue
from goingdeeper.data.processors import cpus
from goingdeeper.errors import DataError, GoingDeeperError, Interrupted, RunFolderError, UsageError
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.listing import list_runs
from goingdeeper.stopping import stop_requests
from goingdeeper.training.children import Child, start
from goingdeeper.training.events import Events
from goingdeeper.training.place import RUNS
from goingdeeper.training.plan import Wishes, choose_device
from goingdeeper.training.record import command, wished

ON_A_GPU = 4
"""Runs at a time on a GPU; a captured step of a small net leaves most of it idle."""


@dataclass
class Sibling:
    """One of the runs: its name among them, its wishes, and its folder or problem once it has ended."""

    name: str
    wishes: Wishes
    out: Path | None
    child: Child | None = None
    folder: RunFolder | None = None
    problem: Exception | None = None

    @property
    def ended(self) -> bool:
        return self.folder is not None or self.problem is not None

    def look(self, events: Events) -> None:
        """Hears what it has told; notes its end."""
        if self.child is None or self.ended:
            return
        alive = self.child.process.is_alive()  # asked first, so that nothing told before is missed
        self.child.listen(events)
        if alive:
            return
        events.close()
        self.child.process.join()
        if self.child.folder:
            self.folder = RunFolder(self.child.folder)
        else:
            self.problem = self.child.death(self.name) or RuntimeError(f"{self.name} ended without a word")


def siblings(
    wishes: Wishes, models: Sequence[str | None], seeds: Sequence[int], out: Path | None
) -> list[Sibling]:
    """A run of each network with each seed; of several, each has a folder of its name in `out`.

    Raises UsageError where one is named twice.
    """
    # An unknown network is refused before the others train.
    names = [None if model is None else catalogue.network(model).name for model in models]
    named: dict[str, Sequence[str | int | None]] = {"network": names, "seed": seeds}
    for what, values in named.items():
        for value in values:
            if values.count(value) > 1:
                raise UsageError(f"{what} {value} is named twice")
    found = []
    for model, network in zip(models, names, strict=True):
        for seed in seeds:
            parts = [network or ""] if len(models) > 1 else []
            parts += [f"seed {seed}"] if len(seeds) > 1 else []
            name = " ".join(parts)
            own = out / name.replace(" ", "-") if out and name else out
            found.append(Sibling(name, replace(wishes, model=model, seed=seed), own))
    return found


def side_by_side(runs: int, device: str, jobs: int | None = None) -> int:
    """How many of so many runs are trained at a time: `jobs`, or what suits the device."""
    return min(runs, jobs or (cpus() if choose_device(device).value == "cpu" else ON_A_GPU))


def train_siblings(
    runs: Sequence[Sibling],
    events: Sequence[Events],
    jobs: int | None = None,
    told: Callable[[int], None] = lambda ended: None,
) -> None:
    """Trains them all, `jobs` at a time (as many as there are processors), and notes how each one ended.

    told: is called with how many have ended, whenever there are more.

    Each is what it would be alone with as many threads: processors / jobs. A problem of one leaves the others
    alone. Where they were interrupted before, those that are finished are kept, and the others go on. Raises
    Interrupted after Ctrl-C or SIGTERM, with everything that was finished saved.
    """
    if any(run.wishes.devices > 1 for run in runs) or "WORLD_SIZE" in os.environ:
        raise UsageError("several processes share the batches of one run; give one seed and one network")
    at_once = side_by_side(len(runs), runs[0].wishes.device, jobs)
    threads = min(torch.get_num_threads(), max(1, cpus() // at_once))
    _take_finished(runs, events)
    asked, ended = False, 0
    with stop_requests() as stop:
        while not all(run.ended for run in runs):
            working = sum(1 for run in runs if run.child and not run.ended)
            for run in runs:
                if run.child is None and not run.ended and working < at_once and not stop:
                    run.child, working = start(run.wishes, run.out, threads), working + 1
            for run, own in zip(runs, events, strict=True):
                run.look(own)
            before, ended = ended, sum(run.ended for run in runs)
            if ended > before and not stop:
                told(ended)
            if stop and not working:
                break
            if stop and not asked:
                asked = True
                for run in runs:
                    if run.child and not run.ended:
                        run.child.signal(stop.signal or signal.SIGINT)
            time.sleep(0.02)
    if stop and not all(run.folder for run in runs):
        raise Interrupted(_left(runs, jobs), stop.signal or signal.SIGINT)


def raise_problems(runs: Sequence[Sibling]) -> None:
    """Raises what all of them have met; where only some have, an error that names each with its problem."""
    failed = [run for run in runs if run.problem]
    if not failed:
        return
    problem = failed[0].problem
    assert problem is not None
    if len(failed) == len(runs) and len({str(run.problem) for run in runs}) == 1:
        raise problem
    each = "; ".join(f"{run.name}: {run.problem}" for run in failed)
    error = GoingDeeperError(f"{len(failed)} of {len(runs)} runs failed; {each}")
    error.exit_status = getattr(problem, "exit_status", 1)
    raise error from problem


def _take_finished(runs: Sequence[Sibling], events: Sequence[Events]) -> None:
    """Ends those that are finished already: in their own folders, or in runs/ where another is unfinished."""
    found: dict[str, list[tuple[RunFolder, str]]] = {}
    for run in runs:
        for folder in [RunFolder(run.out)] if run.out else list_runs(RUNS) if RUNS.is_dir() else []:
            with suppress(DataError, RunFolderError):
                record = folder.run()
                if record.get("wishes") == json.loads(json.dumps(wished(run.wishes))):
                    found.setdefault(run.name, []).append((folder, str(record.get("status"))))
    begun = any(status != "finished" for own in found.values() for _, status in own)
    for run, own in zip(runs, events, strict=True):
        finished = [folder for folder, status in found.get(run.name, []) if status == "finished"]
        if finished and (run.out or begun):
            run.folder = finished[0]
            own.note(f"finished before, in {run.folder.path}")


def _left(runs: Sequence[Sibling], jobs: int | None) -> str:
    """What an interruption has left, and how to go on."""
    models = list(dict.fromkeys(run.wishes.model for run in runs if run.wishes.model))
    words = [command(replace(runs[0].wishes, model=None, seed=0))]
    words += [f"--model {','.join(models)}"] if models else []
    words += [f"--seed {','.join(str(seed) for seed in dict.fromkeys(run.wishes.seed for run in runs))}"]
    words += [f"--jobs {jobs}"] if jobs else []
    words += [f"--out {shlex.quote(str(runs[0].out.parent))}"] if runs[0].out else []
    done = sum(1 for run in runs if run.folder)
    return f"interrupted; {done} of {len(runs)} runs are finished. Go on with: {' '.join(words)}"


@dataclass(frozen=True)
class Spread:
    """The validation errors of a network's runs, in per cent; std is None for a single run."""

    network: str
    runs: int
    mean: float
    std: float | None
    best: float


def spread(folders: Sequence[RunFolder]) -> list[Spread]:
    """Of each network: mean, standard deviation (of a sample, n - 1) and best of its runs' errors."""
    errors: dict[str, list[float]] = {}
    for folder in folders:
        run = folder.run()
        errors.setdefault(run["network"], []).append(run["result"]["top1_error"])
    return [
        Spread(name, len(own), fmean(own), stdev(own) if len(own) > 1 else None, min(own))
        for name, own in errors.items()
    ]
