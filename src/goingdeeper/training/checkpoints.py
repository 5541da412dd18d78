"""Checkpoints: written aside, synced, renamed, each with a manifest; older ones go only after.

The one before the newest stays, for the case that the newest is damaged. One that is written again moves to
`.step-N.old` in between, and still counts there if the process is killed at that moment.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from goingdeeper.files import room_for, sync_folder
from goingdeeper.runs.folder import replace_folder


@dataclass(frozen=True)
class Checkpoint:
    """Where training stands. progress: plain data; tensors: weights, momentum and best weights by name."""

    progress: dict[str, Any]
    tensors: dict[str, Tensor]


class _Damaged(Exception):
    """A checkpoint that is not as it was written; the message is the file."""


def save_checkpoint(
    folder: Path, step: int, progress: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> Path:
    """Commits a checkpoint by rename, then removes all but the one before it.

    step: of the whole run; of checkpoints of the same step, or of later ones, only this one stays. Raises
    ResourceError where the disk is full; whatever it raises, those that were there are as they were.
    """
    final = folder / f"step-{step:08}"
    files = {
        "tensors.safetensors": save(
            {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        ),
        "progress.json": json.dumps(dict(progress)).encode(),
    }
    manifest = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    files["manifest.json"] = json.dumps(manifest).encode()
    if not folder.exists():
        with room_for(folder, sum(len(content) for content in files.values())):
            folder.mkdir(parents=True)
            sync_folder(folder.parent)
    for left in folder.glob(".step-*.new"):
        shutil.rmtree(left)
    replace_folder(final, files)
    with suppress(OSError):  # what is to be kept is safe, and the next save tries again
        before = next((other for other in _newest_first(folder) if _age(other)[0] < step), final)
        for other in folder.iterdir():
            if other not in (final, before):
                shutil.rmtree(other, ignore_errors=True)
    return final


def newest_checkpoint(folder: Path, note: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint whose files are as they were written; damaged ones are noted and passed over."""
    found = False
    for candidate in _newest_first(folder):
        found = True
        try:
            return _read(candidate)
        except _Damaged as problem:
            note(f"{problem} is damaged; the checkpoint {candidate.name} is passed over")
    if found:
        note(f"no checkpoint in {folder} is whole; starting again from the first step")
    return None


def _newest_first(folder: Path) -> Iterator[Path]:
    found = [*folder.glob("step-*"), *folder.glob(".step-*.old")]
    return iter(sorted((path for path in found if _age(path)[0] >= 0), key=_age, reverse=True))


def _age(checkpoint: Path) -> tuple[int, bool]:
    """Its step, and whether it is in its place; -1 for a folder of another name."""
    name = re.fullmatch(r"step-(\d+)|\.step-(\d+)\.old", checkpoint.name)
    return (int(name[1] or name[2]), bool(name[1])) if name else (-1, False)


def _read(folder: Path) -> Checkpoint:
    file = folder / "manifest.json"
    try:
        manifest = json.loads(file.read_text("utf-8"))
        contents = {}
        for name in ("tensors.safetensors", "progress.json"):
            file = folder / name
            contents[name] = file.read_bytes()
            if hashlib.sha256(contents[name]).hexdigest() != manifest[name]:
                raise _Damaged(file)
        return Checkpoint(json.loads(contents["progress.json"]), load(contents["tensors.safetensors"]))
    except KeyError:
        raise _Damaged(folder / "manifest.json") from None
    except (OSError, ValueError, TypeError, RecursionError):
        raise _Damaged(file) from None
