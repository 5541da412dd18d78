"""A model as a folder that other runtimes run, proven equal before it is there."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from goingdeeper.data.decode import centre, decode, png
from goingdeeper.deploy.form import Form, form_of
from goingdeeper.deploy.formats import FORMATS
from goingdeeper.deploy.lacking import in_runtime
from goingdeeper.deploy.readme import readme
from goingdeeper.deploy.rewrite import Rewrite
from goingdeeper.errors import (
    GateError,
    ResourceError,
    UsageError,
    unknown,
)
from goingdeeper.runs.folder import check_named, replace_folder
from goingdeeper.runs.model import Model
from goingdeeper.runs.stored import sealed, sha256, stored_as
from goingdeeper.runtimes.known import OF_FORMAT, RUNTIMES
from goingdeeper.runtimes.runner import open_runner
from goingdeeper.version import __version__

SCHEMA = 1
PARITY = 1e-4
"""Logits may differ by this much from the model's own, relative to the largest of an image."""

PROBES = 4
"""Images that are compared: the golden one, and noise."""


FILES = {name for one in RUNTIMES.values() for name in one.files} | {"golden.png", "config.json", "README.md"}


@dataclass(frozen=True)
class Exported:
    """The folder, the names of its files, and the largest difference of a logit from the model's own."""

    path: Path
    files: tuple[str, ...]
    parity: float


def export(
    model: Model,
    out: Path,
    *,
    to: str = "onnx",
    rewrites: tuple[Rewrite, ...] | None = None,
    force: bool = False,
) -> Exported:
    """Writes the model for another runtime, with all that is needed to use it, into a folder of its own.

    It takes bytes, (batch, size, size, 3), and gives logits. Compared in that runtime with the model on its
    golden image and on noise before the folder is there. to: of `FORMATS`. rewrites: those of
    `deploy.rewrite` that are made, instead of the format's. force: an older folder at the place is replaced.
    Raises UsageError where something is there or the runtime cannot take the network, MissingExtra without
    the packages, ResourceError where nothing can be written there, which is tried first, or torch has no
    compiler, GateError, with nothing left behind, where logits differ by over `PARITY`.
    """
    if to not in FORMATS:
        raise unknown("format", to, FORMATS, f"there are {', '.join(FORMATS)}")
    check_place(out, force)
    made = FORMATS[to].rewrites if rewrites is None else rewrites
    form = form_of(model.net.description, model.net.state_dict(), model.preprocessing, made)
    with TemporaryDirectory(prefix="goingdeeper-") as place:
        proof = proven(model, form, to, Path(place))
        content = {file.name: file.read_bytes() for file in proof.files}
    facts: dict[str, Any] = {"parity": proof.said}
    if to == "torch":
        facts["torch"] = torch.__version__
    files = folder_of(model, to, "float32", content, proof.square, proof.logits, facts)
    replace_folder(out, files)
    return Exported(out, tuple(files), proof.parity)


@dataclass(frozen=True)
class Proven:
    """A form's files, whose logits differ by `parity` from the model's own; those of the golden square."""

    files: list[Path]
    square: NDArray[np.uint8]
    logits: NDArray[np.float32]
    parity: float

    @property
    def said(self) -> dict[str, Any]:
        """What config.json says of it."""
        return {"relative": self.parity, "limit": PARITY, "images": PROBES}


def proven(model: Model, form: Form, to: str, place: Path) -> Proven:
    """Writes a form of the model, and compares it. Raises as `export`."""
    square = centre(model.preprocessing.fit(decode(model.path / "golden.png")), model.preprocessing.size)
    probes = np.concatenate([square[None], _noise(square.shape)])
    with exporting(model, form, to, place):
        written = FORMATS[to].write(form, facts_of(model), place)
        found = open_runner(OF_FORMAT[to], written[0], batch=len(probes))(probes)
    parity = difference(found, model.logits(list(probes)))
    if not parity <= PARITY:
        raise GateError(
            f"{model.path} as {to} gives logits that differ by {parity:.1e} of the largest, over the "
            f"{PARITY:g} that is allowed; nothing was written"
        )
    return Proven(written, square, found[0], parity)


def exporting(model: Model, form: Form, to: str, place: Path) -> AbstractContextManager[None]:
    """`in_runtime`, of a model that is exported."""
    subject = f"{model.path} ({model.net.description.name})"
    return in_runtime(form, to, place, subject, "--to names another format")


def check_place(out: Path, force: bool) -> None:
    """Raises UsageError where something else is, or an older export that may not be replaced; ResourceError
    where nothing can be written."""
    check_named(out)
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not _is_export_alone(out)):
        raise UsageError(f"{out} is there and is no export alone; -o names another place")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise UsageError(f"{out} is there already; --force replaces it, -o names another place")
    above = next(one for one in out.absolute().parents if one.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        reason = os.strerror(errno.EACCES if above.is_dir() else errno.ENOTDIR)
        raise ResourceError(f"cannot write at {out}: {reason}; choose another place")


def _is_export_alone(folder: Path) -> bool:
    """Whether a folder holds what was written here and nothing else; a README.md of somebody's is not."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    ours = isinstance(config, dict) and config.keys() >= {"runtime", "format"}
    return ours and {one.name for one in folder.iterdir()} <= FILES


def folder_of(
    model: Model,
    to: str,
    precision: str,
    content: Mapping[str, bytes],
    square: NDArray[np.uint8],
    logits: NDArray[np.float32],
    facts: Mapping[str, Any],
) -> dict[str, bytes]:
    """The files of an exported folder by name. logits: of the square, which becomes the golden image."""
    image = png(square)
    config: dict[str, Any] = {
        "schema": SCHEMA,
        "format": to,
        "runtime": OF_FORMAT[to],
        "precision": precision,
        "network": model.net.description.name,
        "classes": list(model.classes),
        "preprocessing": model.config["preprocessing"],
        "input": {"name": "images", "type": "uint8", "shape": ["batch", *square.shape], "channels": "RGB"},
        "output": {"name": "logits", "type": "float32", "shape": ["batch", len(model.classes)]},
        "golden": {"image": "golden.png", "sha256": sha256(image), "logits": logits.tolist()},
        "files": [stored_as(name, data) for name, data in content.items()],
        **facts,
        "of": {"weights": model.config["weights"]["sha256"], "goingdeeper": __version__},
        **{name: model.config[name] for name in ("scores", "provenance") if name in model.config},
    }
    return {
        **content,
        "golden.png": image,
        "config.json": sealed(config),
        "README.md": readme(config).encode("utf-8"),
    }


def facts_of(model: Model) -> dict[str, str]:
    """What is kept inside of a model's file, as text."""
    facts = {"classes": list(model.classes), "preprocessing": model.config["preprocessing"]}
    return {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()}


def difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest of any image's logits, relative to its largest logit."""
    scale = np.maximum(np.abs(expected).max(1), 1e-12)
    return float((np.abs(found - expected).max(1) / scale).max())


def _noise(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (PROBES - 1, *shape), np.uint8)
