"""A model quantised to int8, and written only where it errs hardly more often than before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from goingdeeper.deploy.calibration import USUAL, samples
from goingdeeper.deploy.export import check_place, exporting, facts_of, folder_of, proven
from goingdeeper.deploy.form import Deployed, Form, form_of
from goingdeeper.deploy.formats import FORMATS, onnx_of
from goingdeeper.deploy.gate import Gate, judged, mistaken
from goingdeeper.deploy.quantisable import quantisable
from goingdeeper.deploy.quantise import QUANTISERS, check_tools
from goingdeeper.deploy.rewrite import Rewrite
from goingdeeper.deploy.sensitivity import Hurt, sensitivity
from goingdeeper.errors import GateError, UsageError, unknown
from goingdeeper.runs.folder import replace_folder
from goingdeeper.runs.model import Model
from goingdeeper.runtimes.known import OF_FORMAT
from goingdeeper.runtimes.runner import Runner, open_runner

LIMIT = 0.5
"""Points that the error may grow by unless told."""

TRIES = (1, 2, 4, 8, 16)
"""Layers that are kept in fp32, the most hurtful first, until the gate is passed."""

NAMED = 5
"""Layers that are named where it is not."""

BATCH = 8


@dataclass(frozen=True)
class Quantised:
    """The folder, the names of its files, the fp32 export's largest difference of a logit, what the gate saw,
    the layers kept in fp32 by their addresses in the rewritten network, and the calibration as config.json
    has it."""

    path: Path
    files: tuple[str, ...]
    parity: float
    gate: Gate
    excluded: tuple[str, ...]
    calibration: dict[str, Any]


def export_int8(
    model: Model,
    out: Path,
    *,
    to: str = "onnx",
    limit: float = LIMIT,
    auto_exclude: bool = False,
    calibrate: int = USUAL,
    images: str | None = None,
    rewrites: tuple[Rewrite, ...] | None = None,
    force: bool = False,
    note: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] | None = None,
) -> Quantised:
    """Writes the model in int8 for ONNX Runtime or OpenVINO, as `deploy.export.export` does in fp32.

    The error on validation images is measured in the runtime before and after. limit: points that it may grow
    by. auto_exclude: layers that hurt most stay in fp32, at most 16, until it does not. calibrate, images: as
    `deploy.calibration.samples`. Raises UsageError where something is there, or the network cannot be
    quantised; MissingExtra; DataError as `samples`; GateError, with nothing left behind, where the error
    grows by more, or logits in fp32 differ from the model's own.
    """
    if to not in QUANTISERS:
        raise unknown("format", to, QUANTISERS, f"int8 is for {' and '.join(QUANTISERS)}")
    if not 0 <= limit <= 100:
        raise UsageError(f"a limit of {limit:g} points; give one from 0 to 100")
    check_place(out, force)
    check_tools(to)
    seen = samples(model, images, calibrate)
    if seen.rule:
        note(seen.rule)
    note("calibrating on {images} images: {from}, {choice}".format(**seen.facts))
    made = FORMATS[to].rewrites if rewrites is None else rewrites
    form = form_of(model.net.description, model.net.state_dict(), model.preprocessing, made)
    graph = onnx_of(form, facts_of(model))
    layers = quantisable(graph).layers

    with TemporaryDirectory(prefix="goingdeeper-") as place:
        for name in ("fp32", "int8"):
            Path(place, name).mkdir()
        proof = proven(model, form, to, Path(place, "fp32"))
        before = mistaken(_opened(model, form, to, proof.files[0]), seen, progress)
        hurt: list[Hurt] = []
        excluded: tuple[str, ...] = ()
        while True:
            files = QUANTISERS[to](graph, seen.calibration, excluded, Path(place, "int8"))
            gate = judged(before, mistaken(_opened(model, form, to, files[0]), seen, progress), limit)
            if gate.passed:
                break
            hurt = hurt or sensitivity(Deployed(form), torch.from_numpy(seen.calibration))
            more = next((n for n in TRIES if n > len(excluded) and n < len(layers) and n <= len(hurt)), 0)
            if not auto_exclude or not more:
                raise GateError(_refusal(model, to, gate, hurt, excluded, auto_exclude))
            excluded = tuple(one.layer for one in hurt[:more])
            note(f"{told(gate)}; in fp32 now: {', '.join(excluded)}")
        golden = open_runner(OF_FORMAT[to], files[0])(proof.square[None])[0]
        content = {file.name: file.read_bytes() for file in files}
    if gate.interval_95[1] > gate.limit:
        note(
            f"{gate.images:,} validation images are few to judge on: int8 may err on up to "
            f"{gate.interval_95[1]:.2f} points more (95 %), over the {gate.limit:g} that are allowed; "
            "--images PLACE judges on others"
        )
    facts = {
        "parity": proof.said,
        "gate": asdict(gate),
        "calibration": seen.facts,
        "excluded": list(excluded),
    }
    written = folder_of(model, to, "int8", content, proof.square, golden, facts)
    replace_folder(out, written)
    return Quantised(out, tuple(written), proof.parity, gate, excluded, seen.facts)


def _opened(model: Model, form: Form, to: str, file: Path) -> Runner:
    with exporting(model, form, to, file.parent):
        return open_runner(OF_FORMAT[to], file, batch=BATCH, goal="throughput")


def told(gate: Gate) -> str:
    """Both errors and their difference, for people."""
    low, high = gate.interval_95
    return (
        f"int8 errs on {gate.after:.2f} % of {gate.images:,} validation images, fp32 on {gate.before:.2f} %: "
        f"{gate.difference:+.2f} points (95 %: {low:+.2f} to {high:+.2f})"
    )


def _refusal(
    model: Model, to: str, gate: Gate, hurt: list[Hurt], excluded: tuple[str, ...], tried: bool
) -> str:
    worst = ", ".join(f"{one.layer} ({one.decibels:.0f} dB)" for one in hurt[:NAMED])
    remedy = "--limit allows more" if tried else "--auto-exclude keeps them in fp32, --limit allows more"
    still = f" with {len(excluded)} layers in fp32" if excluded else ""
    return (
        f"{model.path} as {to}{still}: {told(gate)}, over the {gate.limit:g} that are allowed; "
        f"nothing was written; the layers that hurt most, by the logits' signal to noise: {worst}; {remedy}"
    )
