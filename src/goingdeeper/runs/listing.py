"""Which runs there are, and which of them a process is working on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from goingdeeper.errors import GoingDeeperError, RunFolderError
from goingdeeper.files import lock, make_folder
from goingdeeper.runs.folder import RunFolder


def list_runs(folder: str | os.PathLike[str] = "runs") -> list[RunFolder]:
    """The run folders below a folder, newest first. Raises RunFolderError where there is no folder."""
    root = Path(folder)
    if not root.is_dir():
        raise RunFolderError(f"there is no folder {root}; `deeper train` makes one")
    found = [RunFolder(file.parent) for file in sorted(root.glob("*/run.json"), reverse=True)]
    return sorted(found, key=_started, reverse=True)


def _started(folder: RunFolder) -> str:
    try:
        return str(folder.run().get("started", ""))
    except GoingDeeperError:
        return ""


def status(folder: RunFolder, run: dict[str, Any]) -> str:
    """`finished`, `running` or `interrupted`, also where a killed process could not write the last down."""
    written = str(run.get("status"))
    return "interrupted" if written == "running" and not in_use(folder) else written


def going_on(folder: RunFolder, run: dict[str, Any]) -> str:
    """The command that goes on with an unfinished run."""
    return f"{run.get('command')} --out {shlex.quote(str(folder.path))}"


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Keeps a second process out of the folder; the system lets go of the lock when the process ends.

    Raises RunFolderError where another process works on it.
    """
    make_folder(folder.path)
    with (folder.path / ".lock").open("wb") as handle:
        if not lock(handle):
            raise RunFolderError(
                f"{folder.path} is being trained by another process; wait for it, or give --out"
            )
        yield


def in_use(folder: RunFolder) -> bool:
    file = folder.path / ".lock"
    if not file.is_file():
        return False
    with file.open("rb") as handle:
        return not lock(handle)
