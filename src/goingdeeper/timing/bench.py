"""A network as it is deployed here, beside the ways in which it would be run without Going Deeper."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goingdeeper.costs.counts import cost
from goingdeeper.data.processors import processor
from goingdeeper.deploy.export import PARITY
from goingdeeper.deploy.form import form_of
from goingdeeper.deploy.formats import FORMATS, onnx_of
from goingdeeper.deploy.lacking import in_runtime
from goingdeeper.deploy.quantise import QUANTISERS, check_tools
from goingdeeper.errors import GoingDeeperError, UsageError
from goingdeeper.runs.model import Model
from goingdeeper.runtimes.exported import export_name, is_export, load_export, making
from goingdeeper.runtimes.known import RUNTIMES
from goingdeeper.timing.candidates import WAYS, Candidate, open_candidate
from goingdeeper.timing.case import noise, write_case, write_plain_graph
from goingdeeper.timing.floor import Peak, measured_peak
from goingdeeper.timing.rows import Bench, Row, Wrong, error_of, rows_of
from goingdeeper.timing.side_by_side import in_turn
from goingdeeper.timing.wishes import Wishes, announced, planned
from goingdeeper.timing.workers import Worker, start

Tell = Callable[[int, int], object]
CALIBRATED = 16
"""Images of noise that int8 of random weights is calibrated on."""

Note = Callable[[str], object]


def silent(*said: object) -> None:
    """Where nobody listens."""


def bench(
    model: Model, wishes: Wishes, *, run: Path | None = None, note: Note = silent, tell: Tell = silent
) -> Bench:
    """Measures a model's ways to be run, and those without Going Deeper; Ctrl-C ends it with what there is.

    Every candidate is a process of its own. They take turns (A B .. B A) at blocks of `seconds`, after ten
    calls to warm up. One whose logits differ from the original's by more than `PARITY` is not measured.
    wishes: as `checked` returns them. run: where the model's exports are, of which int8 is measured; without
    one int8 is calibrated on noise, which tells the speed alone. note: takes what is to be said beforehand.
    tell: so much is done.
    Raises KeyboardInterrupt where nothing is measured yet.
    """
    pixels = noise(model, max(wishes.batches))
    network = model.net.description
    # A compiler that a candidate started may still write there.
    with tempfile.TemporaryDirectory(prefix="goingdeeper-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        write_case(folder, model, pixels)
        subject = Subject(
            network.name, cost(network).macs, model.logits(list(pixels)), PARITY,
            _Files(folder, model, run).given, noise=run is None,
        )  # fmt: skip
        return measured(subject, wishes, folder, note, tell)


@dataclass(frozen=True)
class Subject:
    """What is measured. logits: right ones, of as many images as the largest batch has.

    limit: of a logit's difference, relative to its image's largest. given: adds its file to a candidate.
    """

    name: str
    macs: int
    logits: NDArray[np.float32]
    limit: float
    given: Callable[[Candidate], Candidate]
    noise: bool = False


def measured(subject: Subject, wishes: Wishes, folder: Path, note: Note, tell: Tell) -> Bench:
    """As `bench`, of what was written into the folder: `pixels.npy` at least."""
    plans = {batch: planned(wishes, batch) for batch in wishes.batches}
    steps = _Steps(tell, 1 + sum(1 + len(plan) * (1 + wishes.rounds) for plan in plans.values()))
    rows: list[Row] = []
    wrong: list[Wrong] = []
    lost = _Lost(wishes.named, list(wishes.left_out))
    rounds, interrupted = wishes.rounds, False
    note(announced(wishes, plans, subject.macs))
    if subject.noise and "int8" in wishes.precisions:
        note("int8 is calibrated on noise, as the weights are random: its speed is meant alone")
    peak = measured_peak(wishes.threads)
    steps.one()
    for batch, plan in plans.items():
        expected = subject.logits[:batch]
        workers: dict[Candidate, Worker] = {}
        times: dict[Candidate, list[Sequence[float]]] = {}
        try:
            with ExitStack() as opened:
                for one in plan:
                    try:
                        one = subject.given(one)
                        workers[one] = start(one.name, open_candidate, (one, folder), wishes.threads)
                    except GoingDeeperError as problem:
                        lost.one(one, problem)
                    else:
                        opened.callback(workers[one].stop)
                        error = error_of(workers[one].answer, expected)
                        # What int8 may cost was measured in errors of classification when it was made.
                        if error <= subject.limit or (one.precision == "int8" and isfinite(error)):
                            times[one] = []
                        else:
                            wrong.append(Wrong(one, error))
                            workers[one].stop()
                    steps.one()
                blocks = {one: workers[one].block for one in times}
                in_turn(blocks, wishes.rounds, wishes.seconds, times, steps.one, lost.one)
            # Again, as a peak that something else took a part of would flatter the rows.
            peak = max(peak, measured_peak(wishes.threads), key=lambda one: one.flops)
            steps.one()
        except KeyboardInterrupt:
            interrupted = True
        except GoingDeeperError as problem:
            lost.said.append(f"the peak was not measured again: {problem}")
        whole = min(map(len, times.values()), default=0)
        if whole:
            rounds = min(rounds, whole)
            rows += rows_of({one: taken[:whole] for one, taken in times.items()}, workers, expected)
        if interrupted:
            break
    if interrupted and not rows:
        raise KeyboardInterrupt
    failed = lost.failed if any(row.candidate.ours for row in rows) else lost.failed or lost.first
    return Bench(
        subject.name, subject.macs, _machine(wishes.threads, peak), peak, rounds, wishes.seconds,
        tuple(rows), tuple(wrong), tuple(dict.fromkeys(lost.said)), failed, interrupted, subject.noise,
    )  # fmt: skip


@dataclass
class _Lost:
    """The candidates that cannot be opened, or end within a block. said: why.

    failed: the first error of a rival, or of a runtime that was asked for by name. first: of any.
    """

    named: Collection[str]
    said: list[str]
    failed: GoingDeeperError | None = None
    first: GoingDeeperError | None = None

    def one(self, one: Candidate, problem: GoingDeeperError) -> None:
        self.said.append(f"{one.name}, batch {one.batch}: {problem}")
        self.first = self.first or problem
        if one.runtime in self.named or not one.ours:
            self.failed = self.failed or problem


@dataclass
class _Steps:
    """Tells how much is done."""

    tell: Tell
    total: int
    done: int = 0

    def one(self) -> None:
        self.done += 1
        self.tell(self.done, self.total)


class _Files:
    """The models that runtimes open, each written when the first asks for it."""

    def __init__(self, folder: Path, model: Model, run: Path | None) -> None:
        self.folder, self.model, self.run = folder, model, run
        self.written: dict[Path, Path | GoingDeeperError] = {}

    def given(self, one: Candidate) -> Candidate:
        kind = WAYS[one.runtime] if one.ours else one.runtime if one.runtime in RUNTIMES else ""
        if not kind:
            return one
        place = self.folder / ("ours" if one.ours else "rivals") / one.precision / kind
        if place not in self.written:
            place.mkdir(parents=True)
            try:
                self.written[place] = self._write(one, kind, place)
            except GoingDeeperError as problem:  # which another batch has, too
                self.written[place] = problem
        found = self.written[place]
        if isinstance(found, GoingDeeperError):
            raise found
        return replace(one, model=found)

    def _write(self, one: Candidate, kind: str, place: Path) -> Path:
        if not one.ours:
            write_plain_graph(place / "model.onnx", self.model)
            return place / "model.onnx"
        if one.precision == "int8" and self.run is not None:
            return self._made(kind, self.run)
        net = self.model.net
        form = form_of(net.description, net.state_dict(), self.model.preprocessing, FORMATS[kind].rewrites)
        if one.precision == "int8":
            check_tools(kind)
            return QUANTISERS[kind](onnx_of(form, {}), noise(self.model, CALIBRATED), (), place)[0]
        with in_runtime(form, kind, place, net.description.name, "--runtime names others"):
            return FORMATS[kind].write(form, {}, place)[0]

    def _made(self, kind: str, run: Path) -> Path:
        """The run's own int8 export, whose error is known."""
        name = export_name(kind, int8=True)
        folder = run / name
        if not is_export(folder):
            raise UsageError(f"{run} has no export in int8; `{making(run, name)}` makes it")
        found = load_export(folder)
        if found.config["of"]["weights"] != self.model.config["weights"]["sha256"]:
            raise UsageError(f"{folder} was made from other weights; export again")
        return found.file


def _machine(threads: int, peak: Peak) -> dict[str, Any]:
    versions = {}
    for package in ("goingdeeper", "torch", "onnxruntime", "openvino"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "processor": processor(), "threads": threads, "system": platform.platform(),
        "python": platform.python_version(), "versions": versions,
        "peak_gflops": peak.flops / 1e9, "peak_of": peak.of,
    }  # fmt: skip
