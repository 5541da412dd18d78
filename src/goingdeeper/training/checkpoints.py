"""Checkpoints: written aside, synced, renamed, each with a manifest; older ones go only after.

The one before the newest stays, for the case that the newest is damaged.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from goingdeeper.runs.folder import write_whole


@dataclass(frozen=True)
class Checkpoint:
    """Where training stands. progress: plain data; tensors: weights, momentum and best weights by name."""

    progress: dict[str, Any]
    tensors: dict[str, Tensor]


def save_checkpoint(
    folder: Path, step: int, progress: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> Path:
    """Commits a checkpoint by rename, then removes all but the one before it.

    step: of the whole run; of checkpoints of the same step, or of later ones, only this one stays.
    """
    final = folder / f"step-{step:08}"
    aside = folder / f".{final.name}.new"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    files = {
        "tensors.safetensors": save(
            {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        ),
        "progress.json": json.dumps(dict(progress)).encode(),
    }
    manifest = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    try:
        for file, content in files.items():
            write_whole(aside / file, content)
        write_whole(aside / "manifest.json", json.dumps(manifest))
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    if final.exists():
        final.rename(folder / f".{final.name}.old")
    aside.rename(final)
    _sync(folder)
    before = max((other for other in folder.glob("step-*") if other.name < final.name), default=final)
    for other in folder.iterdir():
        if other not in (final, before):
            shutil.rmtree(other, ignore_errors=True)
    return final


def newest_checkpoint(folder: Path, note: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint whose files are as they were written; damaged ones are noted and passed over."""
    for candidate in sorted(folder.glob("step-*"), reverse=True):
        checkpoint = _read(candidate)
        if checkpoint:
            return checkpoint
        note(f"{candidate} is damaged and passed over")
    return None


def _read(folder: Path) -> Checkpoint | None:
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        contents = {name: (folder / name).read_bytes() for name in manifest}
        if any(hashlib.sha256(contents[name]).hexdigest() != manifest[name] for name in manifest):
            return None
        return Checkpoint(json.loads(contents["progress.json"]), load(contents["tensors.safetensors"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
