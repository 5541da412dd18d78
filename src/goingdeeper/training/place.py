"""Where a run goes: on in an unfinished run of the same settings and images, or into a new folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from goingdeeper.errors import DataError, RunFolderError
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.listing import in_use, list_runs
from goingdeeper.training.plan import Wishes

RUNS = Path("runs")

_DEFAULTS: dict[str, Any] = asdict(Wishes(""))


def check_out(out: Path) -> None:
    """Raises RunFolderError where --out holds something that is not to be written over."""
    if _fresh(out):
        return
    if not (out / "run.json").is_file():
        raise RunFolderError(f"{out} is there already and is not a run folder; give another --out")
    if RunFolder(out).run().get("status") == "finished":
        raise RunFolderError(f"{out} holds a finished run, which is kept; give another --out")


def choose_folder(out: Path | None, run: Mapping[str, Any]) -> tuple[RunFolder, bool]:
    """The folder for a run as resolved for run.json, and whether an unfinished one there goes on.

    Raises RunFolderError where `out` holds a run that is finished or of other settings.
    """
    if out is None:
        unfinished = _unfinished(run)
        return (unfinished, True) if unfinished else (_new(run), False)
    check_out(out)
    if _fresh(out):
        return RunFolder(out), False
    folder = RunFolder(out)
    differing = differences(folder.run(), run)
    if differing:
        raise RunFolderError(
            f"{out} holds an unfinished run of other settings ({differing}); give another --out"
        )
    return folder, True


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs between two runs' settings, as `epochs 10, now 20`; empty if they are the same run."""
    before, now = _wished(old), _wished(new)
    found = [
        f"{key} {before.get(key, 'default')}, now {now.get(key, 'default')}"
        for key in before | now
        if before.get(key) != now.get(key)
    ]
    if not found:
        plain = json.loads(json.dumps(dict(new)))
        if before.get("time"):  # the epochs were measured, and would not be the same again
            plain["recipe"] = old.get("recipe")
        for key in ("version", "description", "recipe", "seed", "device", "from", "teacher"):
            if old.get(key) != plain.get(key):
                was = f": {old[key]}, now {plain[key]}" if key == "version" and key in old else ""
                found.append(f"another {key}{was}")
        if old.get("excluded") != plain.get("excluded"):
            found.append("the list of images to leave out has changed")
        elif old.get("data", {}).get("fingerprint") != plain["data"]["fingerprint"]:
            found.append("the images have changed")
    return "; ".join(found)


def _wished(run: Mapping[str, Any]) -> dict[str, str]:
    """What was asked for; an option that the run is older than was left at its default."""
    wishes = _DEFAULTS | run.get("wishes", {})
    settings = dict(wishes.pop("settings", {}))
    wishes.pop("tensorboard", None)
    return {key: str(value) for key, value in (wishes | settings).items() if value is not None}


def _fresh(out: Path) -> bool:
    """Whether nothing is there yet, or only what a run leaves that could not write its first file."""
    if not out.exists():
        return True
    return out.is_dir() and all(file.name.startswith((".lock", ".run.json.")) for file in out.iterdir())


def _unfinished(run: Mapping[str, Any]) -> RunFolder | None:
    for folder in list_runs(RUNS) if RUNS.is_dir() else []:
        try:
            old = folder.run()
        except (DataError, RunFolderError):
            continue
        if old.get("status") in ("running", "interrupted") and not differences(old, run):
            if not in_use(folder):
                return folder
    return None


def _new(run: Mapping[str, Any]) -> RunFolder:
    """A folder made here and now, so that two runs begun in one second do not meet."""
    # Half the length that file systems allow, as a data folder's name may be as long as they allow.
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{run['network']}_{run['data']['name']}"[:120]
    number, path = 1, RUNS / name
    while True:
        try:
            path.mkdir(parents=True)
            return RunFolder(path)
        except FileExistsError:
            number += 1
            path = RUNS / f"{name}-{number}"
