"""Files whose size and sha256 are written down elsewhere, so that a damaged one is found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goingdeeper.errors import DataError, GateError, RunFolderError


@dataclass(frozen=True)
class Stored:
    """A file as it was when it was written."""

    file: Path
    size: int
    sha256: str

    def read(self) -> bytes:
        """The content. RunFolderError: not there. DataError: unreadable, cut short. GateError: altered."""
        if not self.file.is_file():
            raise RunFolderError(f"{self.file.parent} has no {self.file.name}; restore it or train again")
        try:
            content = self.file.read_bytes()
        except OSError as problem:
            raise DataError(f"{self.file} cannot be read: {problem.strerror or problem}") from None
        if len(content) < self.size:
            raise DataError(
                f"{self.file} is cut short: {len(content):,} of {self.size:,} bytes; "
                "restore it or train again"
            )
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise GateError(f"{self.file} was altered after it was saved; restore it or train again")
        return content


def stored_as(name: str, content: bytes) -> dict[str, Any]:
    """What is to be written down of a file."""
    return {"file": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def stored_from(folder: Path, data: Mapping[str, Any]) -> Stored:
    """The file that was written down. Raises KeyError, TypeError or ValueError where `data` is none of it."""
    # The name alone: a folder from elsewhere must not point outside of itself.
    return Stored(folder / Path(data["file"]).name, int(data["bytes"]), str(data["sha256"]))
