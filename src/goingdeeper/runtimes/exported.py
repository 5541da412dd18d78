"""An exported folder, opened without torch, and proven to be what was written."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goingdeeper.data.decode import Pixels, centre, decode, fit
from goingdeeper.data.processors import cpus
from goingdeeper.errors import DataError, GoingDeeperError, RunFolderError, UsageError
from goingdeeper.runs.folder import replaced
from goingdeeper.runs.stored import (
    TOLERANCE,
    check_golden,
    opened_config,
    sha256,
    stored_from,
    unbroken,
    was_altered,
)
from goingdeeper.runtimes.known import RUNTIMES
from goingdeeper.runtimes.runner import Goal, Runner, open_runner

SCHEMA = 1

MODELS = tuple(one.files[0] for one in RUNTIMES.values())
"""The file of an export that its runtime opens is one of these."""


def export_name(to: str, int8: bool) -> str:
    """Where below a run `deeper export` writes."""
    return f"export/{to}-int8" if int8 else f"export/{to}"


EXPORTS = {
    export_name(one.format, int8): (one.format, int8)
    for one in RUNTIMES.values()
    for int8 in (False, True)
    if one.int8 or not int8
}
"""All such names, and what they are of."""

TOLERANCES = {"float32": TOLERANCE, "int8": 0.05}
"""Of golden logits. A rounding that falls otherwise on another machine is a whole step of an int8 value."""


@dataclass(frozen=True)
class ExportedModel:
    """An exported model in its runtime, which answers without torch.

    size: of its input. shorter: the side that images are fitted to, of which that is the central square.
    """

    classes: tuple[str, ...]
    size: int
    shorter: int
    config: dict[str, Any]
    path: Path
    runner: Runner = field(repr=False)

    @property
    def file(self) -> Path:
        """What its runtime opens."""
        return next(self.path / name for name in MODELS if (self.path / name).is_file())

    def fit(self, pixels: Pixels) -> Pixels:
        """The image at the size that the network's central square is taken from."""
        return fit(pixels, self.shorter)

    def logits(self, fitted: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, classes), of fitted images."""
        return self.runner(np.stack([centre(image, self.size) for image in fitted]))


def load_export(path: Path, *, goal: Goal = "latency", threads: int = 0) -> ExportedModel:
    """The model of a folder that `deeper export` wrote, opened in the runtime that its config.json names.

    goal, threads: as `open_runner` has them. Raises RunFolderError where there is no export, DataError
    where a file of it is not there, cannot be read or is cut short, GateError where one was altered or the
    golden image does not come out, MissingExtra where the runtime is not installed.
    """
    folder = _folder(path)
    text, config = opened_config(folder, SCHEMA, "an export", "export")
    try:
        classes = tuple(str(name) for name in config["classes"])
        size, shorter = _sides(config["preprocessing"])
        runtime, golden = str(config["runtime"]), config["golden"]
        compiled_by = str(config["torch"]) if runtime == "torch" else ""
        expected = np.array([float(value) for value in golden["logits"]])
        picture, picture_sha256 = folder / Path(golden["image"]).name, str(golden["sha256"])
        files = [stored_from(folder, one, "export") for one in config["files"]]
        model = next(one.file for one in files if one.file.name in MODELS)
        tolerance = TOLERANCES[config["precision"]]
        if runtime not in RUNTIMES:
            raise ValueError(f"there is no runtime '{runtime}'")
        if len(set(classes)) != len(expected) or len(classes) != len(expected):
            raise ValueError(f"its class names do not fit {len(expected)} logits")
    except (KeyError, TypeError, ValueError, OverflowError, StopIteration) as problem:
        raise DataError(
            f"{folder / 'config.json'} is damaged: {str(problem) or 'it names no model'}; "
            "restore it or export again"
        ) from None
    altered = None if unbroken(text, config.get("seal")) else folder / "config.json"
    try:
        for file in (*(one.file for one in files), picture):
            if not file.is_file():
                raise DataError(f"{folder} has no {file.name}; restore it or export again")
        for one in files:  # before a runtime, which might not survive it, sees any of them
            one.check()
        if compiled_by:
            _check_torch(folder, compiled_by)
        runner = open_runner(runtime, model, threads=threads, goal=goal)
        pixels = decode(picture)
        if sha256(picture.read_bytes()) != picture_sha256:
            altered = altered or picture
        if pixels.shape != (size, size, 3):
            raise DataError(f"{picture} is not of {size}x{size}; restore it or export again")
    except GoingDeeperError:
        if altered:  # it names another file wrongly, or its size
            raise was_altered(altered, "export") from None
        raise
    check_golden(folder, runner(pixels[None])[0], expected, altered, tolerance)
    if altered:
        raise was_altered(altered, "export")
    return ExportedModel(classes, size, shorter, config, folder, runner)


def is_export(path: Path) -> bool:
    """Whether a folder, or one that a killed export was about to replace, holds an exported model."""
    return any(_holds_export(place) for place in (path, replaced(path)))


@dataclass(frozen=True)
class Recommended:
    """The export that `deeper bench` found fastest, and its threads."""

    export: Path
    threads: int


def recommended(path: Path) -> Recommended | None:
    """What the model of a run, or a model folder, recommends; None where that is no export.

    Raises GateError where its config.json was altered, UsageError where the export is not there, was made
    from other weights than the model has now, or holds compiled code: a run may have come from elsewhere.
    """
    run = run_of(path)
    model = next((one for one in (run, run / "model") if (one / "config.json").is_file()), run)
    config = _config(model)
    said, weights = config.get("recommended"), config.get("weights")
    if not isinstance(said, dict) or not isinstance(said.get("export"), str) or not isinstance(weights, dict):
        return None
    _check_seal(model / "config.json", config)
    name, threads = said["export"], said.get("threads", 0)
    folder = run / name
    if name not in EXPORTS:
        raise UsageError(f"{folder}, which is recommended, is no export")
    if not is_export(folder):
        raise UsageError(f"{folder}, which is recommended, is not there yet; `{making(run, name)}` makes it")
    if EXPORTS[name][0] == "torch":
        raise UsageError(
            f"{folder}, which is recommended, is a program, and runs only where it is named itself"
        )
    of = _config(_folder(folder)).get("of")
    if not isinstance(of, dict) or of.get("weights") != weights.get("sha256"):
        raise UsageError(f"{folder}, which is recommended, was made from other weights; export again")
    # The run may have come from another machine.
    return Recommended(folder, threads if threads in range(1, cpus() + 1) else 0)


def run_of(path: Path) -> Path:
    """The run that a path means: RUN/model means RUN, and a model folder on its own itself."""
    named = path if path.name else path.absolute()  # "."
    return named.parent if named.name == "model" and (named.parent / "run.json").is_file() else path


def making(run: Path, export: str) -> str:
    """The command that makes one of `EXPORTS`."""
    to, int8 = EXPORTS[export]
    return f"deeper export {shlex.quote(str(run))} --to {to}" + (" --int8" if int8 else "")


def _folder(path: Path) -> Path:
    for place in (path, replaced(path)):
        if (place / "config.json").is_file():
            return place
    if not path.exists():
        raise RunFolderError(f"there is no folder {path}; `deeper export` makes one")
    raise RunFolderError(f"{path} is no finished export: it has no config.json; export again")


def _check_seal(file: Path, config: Mapping[str, Any]) -> None:
    golden = config.get("golden")
    older = "seal" not in config and not (isinstance(golden, dict) and "sha256" in golden)
    # Models of before there was a seal have neither.
    if not older and not unbroken(file.read_bytes().decode("utf-8"), config.get("seal")):
        raise was_altered(file)


def _check_torch(folder: Path, compiled_by: str) -> None:
    """Raises DataError where an export was compiled for another torch, which might end the process."""
    try:
        import torch
    except ImportError:  # as opening it tells
        return
    if compiled_by != torch.__version__:
        raise DataError(
            f"{folder} was compiled for PyTorch {compiled_by}, and this is {torch.__version__}; export again"
        )


def _holds_export(place: Path) -> bool:
    return "runtime" in _config(place) or any((place / name).is_file() for name in MODELS)


def _config(folder: Path) -> dict[str, Any]:
    """config.json, whatever it says; empty where it cannot be read, which opening the folder tells."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (ValueError, OSError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _sides(preprocessing: Mapping[str, Any]) -> tuple[int, int]:
    size = preprocessing["size"]
    shorter = preprocessing.get("shorter") or size
    if not isinstance(size, int) or not isinstance(shorter, int) or not 0 < size <= shorter:
        raise ValueError(f"a shorter side of {shorter} does not fit an input of {size}")
    return size, shorter
