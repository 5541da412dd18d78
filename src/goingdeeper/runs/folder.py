"""The run folder: what training writes and everything else reads.

run.json          everything resolved: network, recipe, data, seed, versions, device, and the result
split.csv         path, class, split: which image went where
metrics.csv       one row an epoch
gradients.csv     norm of each layer's gradient, the root mean square over an epoch's steps
log.jsonl         what happened, one object a line: started, notes, epochs, interrupted, resumed, finished
predictions.csv   the chosen model on the validation images: path, true, predicted, probabilities
checkpoints/      for resuming
model/            what people share
report.html       one file, no network needed
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goingdeeper.errors import DataError, RunFolderError, UsageError
from goingdeeper.files import make_folder, room_for, sync_folder, writable, write_synced, write_whole

SCHEMA = 1


@dataclass(frozen=True)
class RunFolder:
    """A run folder by its path; nothing is read until asked for."""

    path: Path

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def run(self) -> dict[str, Any]:
        """run.json. Raises RunFolderError where there is none, DataError where it cannot be read."""
        file = self.path / "run.json"
        if not self.path.exists():
            raise RunFolderError(f"there is no run folder {self.path}; `deeper runs` lists what there is")
        if not file.is_file():
            raise RunFolderError(f"{self.path} is not a run folder: it has no run.json")
        try:
            run: dict[str, Any] = json.loads(file.read_text("utf-8"))
        except (ValueError, OSError, RecursionError) as problem:
            raise DataError(f"{file} cannot be read: {problem}; restore it or train again") from None
        if not isinstance(run, dict):
            raise DataError(f"{file} does not describe a run; restore it or train again")
        if run.get("schema", SCHEMA) != SCHEMA:
            raise RunFolderError(
                f"{self.path} is of another version of Going Deeper (schema {run['schema']}, here {SCHEMA})"
            )
        return run

    def write_run(self, run: Mapping[str, Any]) -> None:
        write_whole(self.path / "run.json", json.dumps(run, indent=2, ensure_ascii=False) + "\n")

    def metrics(self) -> list[dict[str, float]]:
        """metrics.csv as numbers, one mapping an epoch; empty before the first epoch has ended."""
        rows = self._rows("metrics.csv", "epoch")
        try:
            return [{key: float(value) for key, value in row.items() if value} for row in rows]
        except ValueError as problem:
            raise DataError(f"{self.path / 'metrics.csv'} is damaged: {problem}") from None

    def gradients(self) -> list[tuple[int, str, float]]:
        """gradients.csv: epoch, layer, norm; empty before the first epoch has ended."""
        rows = self._rows("gradients.csv", "epoch", "layer", "norm")
        try:
            return [(int(row["epoch"]), row["layer"], float(row["norm"])) for row in rows]
        except ValueError as problem:
            raise DataError(f"{self.path / 'gradients.csv'} is damaged: {problem}") from None

    def predictions(self) -> list[dict[str, str]]:
        """predictions.csv: path, true, predicted, probability, probability_true."""
        return self._rows("predictions.csv", "path", "true", "predicted", "probability", "probability_true")

    def split(self) -> list[dict[str, str]]:
        """split.csv: path, class, split ("train" or "val")."""
        return self._rows("split.csv", "path", "class", "split")

    def write_rows(self, name: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
        """A CSV file of the folder, written whole or not at all."""
        table: list[list[object]] = [list(columns), *(list(row) for row in rows)]
        # Unasked, the writer quotes a carriage return only where that ends its lines; readers need it quoted.
        returns = any("\r" in str(value) for row in table for value in row)
        text = io.StringIO()
        csv.writer(
            text, lineterminator="\n", quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
        ).writerows(table)
        write_whole(self.path / name, text.getvalue())

    def _rows(self, name: str, *columns: str) -> list[dict[str, str]]:
        """The rows of a CSV file, none where it is not there. Raises DataError where one is damaged."""
        file = self.path / name
        if not file.is_file():
            return []
        try:
            with file.open(encoding="utf-8", newline="") as stream:
                reader = csv.DictReader(stream, strict=True)
                for column in columns:
                    if column not in (reader.fieldnames or ()):
                        raise ValueError(f"it has no column '{column}'")
                rows = []
                for row in reader:
                    if None in row or None in row.values():
                        raise ValueError(f"line {reader.line_num} has not one value for each column")
                    rows.append(row)
                return rows
        except (OSError, ValueError, csv.Error) as problem:
            raise DataError(f"{file} cannot be read: {problem}; restore it or train again") from None


def replace_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """The folder holds these files and no others, all of them or none; an older one goes.

    Raises ResourceError where the disk is full, UsageError as `check_named`.
    """
    check_named(path)
    aside, old = path.with_name(f".{path.name}.new"), replaced(path)
    with room_for(path, sum(len(content) for content in files.values())):
        if aside.exists():
            shutil.rmtree(aside)
        try:
            make_folder(path.parent)
            with writable(path):
                aside.mkdir()
            for name, content in files.items():
                write_synced(aside / name, content)
            sync_folder(aside)
            if path.exists():
                if old.exists():
                    shutil.rmtree(old)
                path.rename(old)
            aside.rename(path)
        except BaseException as problem:
            if isinstance(problem, OSError):  # whose file is the one aside, of which nobody knows
                problem.filename, problem.filename2 = os.fspath(path), None
            if old.exists() and not path.exists():
                old.rename(path)
            shutil.rmtree(aside, ignore_errors=True)
            raise
        sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def check_named(path: Path) -> None:
    """Raises UsageError for `.` and the like: a shell would be left in a folder that is no more."""
    if path.name in ("", ".."):
        raise UsageError(f"{path} cannot be replaced as a whole; name a folder in it")


def replaced(path: Path) -> Path:
    """Where `replace_folder`, if it is killed between its renames, leaves the older folder."""
    return path.parent / f".{path.name}.old"  # also of ".", which has no name
