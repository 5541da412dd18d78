"""Files whose size and sha256 are written down elsewhere, so that a damaged one is found."""

from __future__ import annotations

import hashlib
import json
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
        if sha256(content) != self.sha256:
            raise GateError(f"{self.file} was altered after it was saved; restore it or train again")
        return content


def stored_as(name: str, content: bytes) -> dict[str, Any]:
    """What is to be written down of a file."""
    return {"file": name, "bytes": len(content), "sha256": sha256(content)}


def stored_from(folder: Path, data: Mapping[str, Any]) -> Stored:
    """The file that was written down. Raises KeyError, TypeError or ValueError where `data` is none of it."""
    # The name alone: a folder from elsewhere must not point outside of itself.
    return Stored(folder / Path(data["file"]).name, int(data["bytes"]), str(data["sha256"]))


def sealed(config: Mapping[str, Any]) -> bytes:
    """A JSON file that ends in the sha256 of itself without it: the class names have no golden image."""
    text = json.dumps({**config, "seal": ""}, indent=2, ensure_ascii=False) + "\n"
    head, key, tail = text.rpartition('"seal": "')
    return f"{head}{key}{sha256(text.encode('utf-8'))}{tail}".encode()


def unbroken(text: str, seal: object) -> bool:
    """Whether a sealed file is as it was written."""
    return bool(seal) and sha256(text.replace(str(seal), "").encode("utf-8")) == seal


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
