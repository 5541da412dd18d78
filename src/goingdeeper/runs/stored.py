"""Folders that prove themselves: files with their sizes and sha256, sealed configurations, golden logits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from goingdeeper.errors import DataError, GateError, RunFolderError
from goingdeeper.files import sha256_of

Read = TypeVar("Read")

TOLERANCE = 1e-3
"""Golden logits may differ by this much, relative to the largest: kernels differ between machines."""


@dataclass(frozen=True)
class Stored:
    """A file as it was when it was written. again: what makes it once more, for messages."""

    file: Path
    size: int
    sha256: str
    again: str = "train"

    def read(self) -> bytes:
        """The content. RunFolderError: not there. DataError: unreadable, cut short. GateError: altered."""
        content = self._sized(Path.read_bytes)
        if sha256(content) != self.sha256:
            raise was_altered(self.file, self.again)
        return content

    def check(self) -> None:
        """Raises what `read` does, without the whole content in memory."""
        if self._sized(sha256_of) != self.sha256:
            raise was_altered(self.file, self.again)

    def _sized(self, read: Callable[[Path], Read]) -> Read:
        if not self.file.is_file():
            raise RunFolderError(
                f"{self.file.parent} has no {self.file.name}; restore it or {self.again} again"
            )
        try:
            size, found = self.file.stat().st_size, read(self.file)
        except OSError as problem:
            raise DataError(f"{self.file} cannot be read: {problem.strerror or problem}") from None
        if size < self.size:
            raise DataError(
                f"{self.file} is cut short: {size:,} of {self.size:,} bytes; restore it or {self.again} again"
            )
        return found


def stored_as(name: str, content: bytes) -> dict[str, Any]:
    """What is to be written down of a file."""
    return {"file": name, "bytes": len(content), "sha256": sha256(content)}


def stored_from(folder: Path, data: Mapping[str, Any], again: str = "train") -> Stored:
    """The file that was written down. Raises KeyError, TypeError or ValueError where `data` is none of it."""
    # The name alone: a folder from elsewhere must not point outside of itself.
    return Stored(folder / Path(data["file"]).name, int(data["bytes"]), str(data["sha256"]), again)


def opened_config(folder: Path, schema: int, kind: str, again: str = "train") -> tuple[str, dict[str, Any]]:
    """config.json as text and as what it says. Raises DataError where it cannot be read, or is no `kind`."""
    file = folder / "config.json"
    try:
        text = file.read_bytes().decode("utf-8")
        config = json.loads(text)
    except (ValueError, OSError, RecursionError) as problem:
        raise DataError(f"{file} cannot be read: {problem}; restore it or {again} again") from None
    if not isinstance(config, dict) or config.get("schema") != schema:
        raise DataError(f"{file} is not {kind} of this version (schema {schema})")
    return text, config


def sealed(config: Mapping[str, Any]) -> bytes:
    """A JSON file that ends in the sha256 of itself without it: the class names have no golden image."""
    text = json.dumps({**config, "seal": ""}, indent=2, ensure_ascii=False) + "\n"
    head, key, tail = text.rpartition('"seal": "')
    return f"{head}{key}{sha256(text.encode('utf-8'))}{tail}".encode()


def unbroken(text: str, seal: object) -> bool:
    """Whether a sealed file is as it was written."""
    return bool(seal) and sha256(text.replace(str(seal), "").encode("utf-8")) == seal


def check_golden(
    folder: Path,
    found: NDArray[np.float32],
    expected: NDArray[np.float64],
    altered: Path | None,
    tolerance: float = TOLERANCE,
) -> None:
    """Raises GateError where the golden image's logits are others than when the folder was written.

    altered: the file that was altered, if one was.
    """
    if found.shape == expected.shape and np.isfinite(expected).all():
        scale = max(1.0, float(np.abs(expected).max()))
        if (np.abs(found - expected) <= tolerance * scale).all():
            return
    cause = f"{altered.name} was altered" if altered else "this machine computes differently"
    raise GateError(
        f"{folder} does not prove itself: its golden image gives other logits than when it was saved; "
        f"{cause}; train or export again"
    )


def was_altered(file: Path, again: str = "train") -> GateError:
    return GateError(f"{file} was altered after it was saved; restore it or {again} again")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
