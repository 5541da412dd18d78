"""Parquet files with a column of images and one of labels, as Hugging Face's data sets are; needs pyarrow."""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from goingdeeper.data.decode import decode, header_size
from goingdeeper.data.sources.problems import Passed
from goingdeeper.data.sources.source import (
    Item,
    Source,
    data_files,
    gathered,
    naming,
    row_of,
    split_of,
)
from goingdeeper.errors import DataError, MissingExtra

SUFFIXES = (".parquet", ".pq")
MOST_KEPT = 256 << 20
"""Bytes of row groups that are kept; at least the last one is."""

_IMAGES = ("image", "img", "jpg", "png", "picture", "image_bytes", "bytes")
_LABELS = ("label", "labels", "class", "class_name", "fine_label", "category")


@dataclass(frozen=True)
class _File:
    """One file. column: that of the images' bytes. starts: the first row of each row group, and the end."""

    path: Path
    metadata: Any
    column: str
    starts: list[int]

    def images(self, group: int) -> Any:
        """The column in a row group; the file is opened for it, so that thousands of files can be used."""
        from pyarrow import parquet

        with (
            naming(self.path, f"row group {group}"),
            parquet.ParquetFile(self.path, metadata=self.metadata) as reader,
        ):
            return reader.read_row_group(group, columns=[self.column]).column(0)


def open_at(root: Path) -> Source:
    """The images of one Parquet file, or of all in a folder.

    The image column holds files' bytes, or Hugging Face's struct of bytes and path; the label column text, or
    numbers, which the ClassLabel names in the file's own description stand for. Raises DataError, naming file
    and row or column, for files that are damaged or ambiguous; MissingExtra without pyarrow.
    """
    files: dict[str, _File] = {}
    items: list[Item] = []
    passed = Passed()
    for file in data_files(root, SUFFIXES):
        where = file.name if file.parent in (root, root.parent) else f"{file.parent.name}/{file.name}"
        files[where], labels = _opened(file)
        split = split_of(where) if root.is_dir() else None
        for row, label in enumerate(labels):
            if label is None:
                passed.add("a row without a label", f"{where}/{row:06}")
            else:
                items.append(Item(f"{where}/{row:06}", label, split))
    counts = {where: file.starts[-1] for where, file in files.items()}
    groups = _Groups()

    def content(path: str) -> bytes:
        where, row = row_of(path, counts)
        data = groups.bytes_of(files[where], row)
        if data is None:
            raise DataError(f"{root / path}: no bytes in its row; images elsewhere are not read")
        return data

    return gathered(
        root,
        items,
        read=lambda path: decode(content(path), str(root / path if root.is_dir() else root.parent / path)),
        size=lambda path: header_size(content(path)),
        content=content,
        problems=passed.problems(),
    )


@dataclass
class _Groups:
    """Row groups that were read last; one thread at a time looks for one, or reads it."""

    kept: OrderedDict[tuple[Path, int], Any] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def bytes_of(self, file: _File, row: int) -> bytes | None:
        group = bisect_right(file.starts, row) - 1
        key = file.path, group
        with self.lock:
            column = self.kept.pop(key, None)
            if column is None:
                column = file.images(group)
            self.kept[key] = column
            while len(self.kept) > 1 and sum(part.nbytes for part in self.kept.values()) > MOST_KEPT:
                self.kept.popitem(last=False)
        found = column[row - file.starts[group]].as_py()
        data: bytes | None = found.get("bytes") if isinstance(found, dict) else found
        return data


def _opened(path: Path) -> tuple[_File, list[str | None]]:
    """The file, and the class name of each row."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("pyarrow is not installed: pip install 'goingdeeper[parquet]'") from None
    path = path.resolve()
    with naming(path), parquet.ParquetFile(path) as reader:
        schema, metadata = reader.schema_arrow, reader.metadata
        features = _features(schema.metadata or {})
        columns = {name: schema.field(name).type for name in schema.names}
        image = _image_column(path, columns, features, pa.types)
        label = _label_column(path, columns, features, pa.types)
        values = reader.read(columns=[label]).column(0).to_pylist()
        rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    column = f"{image}.bytes" if pa.types.is_struct(columns[image]) else image
    names = features.get(label, {}).get("names")
    labels = [_class_name(value, names, f"{path}, {label}, row {row}") for row, value in enumerate(values)]
    return _File(path, metadata, column, [0, *accumulate(rows)]), labels


def _features(metadata: dict[bytes, bytes]) -> dict[str, dict[str, Any]]:
    """What Hugging Face's libraries say of the columns; nothing where that cannot be read."""
    try:
        found = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {name: feature for name, feature in found.items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _image_column(
    path: Path, columns: dict[str, Any], features: dict[str, dict[str, Any]], types: Any
) -> str:
    def binary(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    def holds_bytes(kind: Any) -> bool:
        if types.is_struct(kind):
            return any(part.name == "bytes" and binary(part.type) for part in kind)
        return binary(kind)

    able = [name for name in columns if holds_bytes(columns[name])]
    said = [name for name in able if features.get(name, {}).get("_type") == "Image"]
    return _only(path, "images", said or able, _IMAGES, columns)


def _label_column(
    path: Path, columns: dict[str, Any], features: dict[str, dict[str, Any]], types: Any
) -> str:
    def names(kind: Any) -> bool:
        if types.is_dictionary(kind):
            kind = kind.value_type
        return bool(types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind))

    able = [name for name in columns if names(columns[name])]
    said = [name for name in able if features.get(name, {}).get("_type") == "ClassLabel"]
    return _only(path, "labels", said or able, _LABELS, columns)


def _only(path: Path, what: str, able: list[str], usual: Sequence[str], columns: dict[str, Any]) -> str:
    """The one column that it may be, or the first of the usual names."""
    named = [name for name in usual if name in able]
    if len(able) == 1 or named:
        return named[0] if named else able[0]
    listed = ", ".join(f"{name} ({kind})" for name, kind in columns.items())
    found = f"the {what} may be {' or '.join(able)}" if able else f"no column holds {what}"
    raise DataError(f"{path}: {found}; it has {listed[:300]}")


def _class_name(value: object, names: object, where: str) -> str | None:
    """The class of a row; None where it has none, which Hugging Face's test sets write as -1."""
    if value is None or value == "" or value == -1:
        return None
    if isinstance(value, int) and isinstance(names, list):
        if not 0 <= value < len(names):
            raise DataError(f"{where}: class number {value}, where {len(names)} are named")
        value = names[value]
    return str(value)
