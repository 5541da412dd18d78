"""Vectors of images as a file: Parquet, NumPy's npz or CSV, whole or not at all, with a batch in memory."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from goingdeeper.errors import DataError, MissingExtra, UsageError, unknown
from goingdeeper.files import whole_file
from goingdeeper.prediction.features import Vectors

ROWS = 4_096
"""Of a row group in Parquet."""


def check_table(file: Path) -> None:
    """Raises UsageError for a kind of file that is not known or a place that is not there, MissingExtra."""
    if file.suffix.lower() not in WRITERS:
        raise unknown("kind of file", file.suffix, WRITERS, f"-o takes {', '.join(WRITERS)}")
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise UsageError(f"-o {file}: give a file in a folder that is there")
    if file.suffix.lower() == ".parquet":
        _pyarrow()


def write_table(file: Path, found: Iterable[Vectors]) -> tuple[int, int]:
    """Writes vectors as they come, and gives their number and length; nothing where there is none.

    `.parquet`: columns path, class and features, a list of float32. `.npz`: arrays features (N, D), paths and
    classes. `.csv`: path, class, f0 to f(D-1). A class that is not known is empty, in Parquet null. Raises
    DataError where no image could be read, ResourceError where the disk is full.
    """
    parts = iter(found)
    first = next(parts, None)
    if first is None:
        raise DataError(f"no image could be read; {file} is not written")
    length = first.values.shape[1]

    def chained() -> Iterable[Vectors]:
        assert first is not None
        yield first
        yield from parts

    with whole_file(file, 4 * length * len(first.paths)) as stream:
        return WRITERS[file.suffix.lower()](stream, chained(), length), length


def _write_csv(stream: IO[bytes], found: Iterable[Vectors], length: int) -> int:
    text = io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline="", write_through=True)
    rows, count = csv.writer(text, lineterminator="\n"), 0
    rows.writerow(["path", "class", *(f"f{number}" for number in range(length))])
    for part in found:
        for path, name, values in zip(part.paths, part.classes, part.values, strict=True):
            rows.writerow([path, name, *values])
        count += len(part.paths)
    text.detach()
    return count


def _write_npz(stream: IO[bytes], found: Iterable[Vectors], length: int) -> int:
    """The vectors wait in a file of their own until their number, which comes before them, is known."""
    paths: list[str] = []
    classes: list[str] = []
    with (
        tempfile.TemporaryFile(dir=Path(stream.name).parent) as aside,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as whole,
    ):
        for part in found:
            aside.write(np.ascontiguousarray(part.values, "<f4").tobytes())
            paths += part.paths
            classes += part.classes
        aside.seek(0)
        with whole.open("features.npy", "w", force_zip64=True) as member:
            head = {"descr": "<f4", "fortran_order": False, "shape": (len(paths), length)}
            npy.write_array_header_1_0(member, head)
            shutil.copyfileobj(aside, member, 1 << 20)
        for name, column in (("paths", paths), ("classes", classes)):
            with whole.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, np.array(column), allow_pickle=False)
    return len(paths)


def _write_parquet(stream: IO[bytes], found: Iterable[Vectors], length: int) -> int:
    pa, parquet = _pyarrow()
    columns = {"path": pa.string(), "class": pa.string(), "features": pa.list_(pa.float32(), length)}
    schema, count = pa.schema(list(columns.items())), 0
    with parquet.ParquetWriter(stream, schema) as writer:
        waiting: list[Vectors] = []

        def flush() -> None:
            if waiting:
                values = np.concatenate([part.values for part in waiting]).ravel()
                names = [_unicode(name) or None for part in waiting for name in part.classes]
                columns = [
                    pa.array([_unicode(path) for part in waiting for path in part.paths], pa.string()),
                    pa.array(names, pa.string()),
                    pa.FixedSizeListArray.from_arrays(pa.array(values, pa.float32()), length),
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                waiting.clear()

        for part in found:
            waiting.append(part)
            count += len(part.paths)
            if sum(len(each.paths) for each in waiting) >= ROWS:
                flush()
        flush()
    return count


def _unicode(name: str) -> str:
    """Bytes of a file's name that are not UTF-8 as escapes, for Parquet's text holds no others."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


WRITERS: dict[str, Callable[[IO[bytes], Iterable[Vectors], int], int]] = {
    ".parquet": _write_parquet, ".npz": _write_npz, ".csv": _write_csv,
}  # fmt: skip


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra(
            "Parquet needs the package pyarrow: pip install 'goingdeeper[parquet]'; .npz and .csv do not"
        ) from None
    return pyarrow, pyarrow.parquet
