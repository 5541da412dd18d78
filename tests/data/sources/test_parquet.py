"""Parquet files as Hugging Face's and other libraries write them, and as damage leaves them."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goingdeeper.data.sources import open_source, parquet
from goingdeeper.errors import DataError


@pytest.fixture
def images(png):
    return [png(np.full((3, 4, 3), 10 * n, np.uint8)) for n in range(6)]


@pytest.fixture
def table(tmp_path, images):
    """Writes columns beside `image`, and opens the file."""

    def write(columns, features=None, name="a.parquet", **options):
        made = pa.table({"image": images} | columns)
        if features is not None:
            text = features if isinstance(features, str) else json.dumps({"info": {"features": features}})
            made = made.replace_schema_metadata({"huggingface": text})
        pq.write_table(made, tmp_path / name, **{"row_group_size": 4} | options)
        return open_source(tmp_path / name)

    return write


NAMES = ["cat", "dog", "cat", "dog", "dog", "cat"]
NUMBERS = [0, 1, 0, 1, 1, 0]
CLASSLABEL = {"_type": "ClassLabel", "names": ["cat", "dog"]}


@pytest.mark.parametrize(
    ("columns", "features", "expected"),
    [
        ({"label": NAMES}, None, NAMES),
        ({"class": pa.array(NAMES).dictionary_encode()}, None, NAMES),
        ({"kind": pa.array(NAMES, pa.large_string())}, None, NAMES),
        ({"label": NUMBERS}, None, [str(n) for n in NUMBERS]),
        ({"label": NUMBERS}, {"label": CLASSLABEL}, NAMES),
        ({"id": [9] * 6, "species": pa.array(NUMBERS, pa.int8())}, {"species": CLASSLABEL}, NAMES),
        ({"coarse_label": NUMBERS, "fine_label": NUMBERS},
         {"coarse_label": {**CLASSLABEL, "names": ["x", "y"]}, "fine_label": CLASSLABEL}, NAMES),
        ({"label": NAMES}, "no JSON", NAMES),
        ({"label": NAMES}, "[" * 100_000, NAMES),
        ({"label": NAMES}, '{"info": {"features": [1]}}', NAMES),
    ],
)  # fmt: skip
def test_labels(table, columns, features, expected):
    source = table(columns, features)
    assert [item.label for item in source.items] == expected
    assert [int(source.read(item.path)[0, 0, 0]) for item in source.items] == [0, 10, 20, 30, 40, 50]
    assert source.size("a.parquet/000003") == (4, 3)


@pytest.mark.parametrize(
    "options", [{}, {"compression": "zstd"}, {"row_group_size": 1}, {"use_dictionary": False}]
)
def test_columns_of_images(table, images, tmp_path, options):
    struct = pa.struct([("path", pa.string()), ("bytes", pa.large_binary())])
    column = pa.array([{"bytes": data, "path": f"{n}.png"} for n, data in enumerate(images)], struct)
    made = pa.table({"label": NAMES, "photo": column, "number": NUMBERS})
    pq.write_table(made, tmp_path / "b.parquet", **options)
    source = open_source(tmp_path / "b.parquet")
    assert [source.content(item.path) for item in source.items] == images
    assert [item.label for item in source.items] == NAMES


def test_rows_without_a_label_are_left_out_and_counted(table):
    """The test sets on Hugging Face's hub say -1."""
    source = table({"label": [0, -1, 1, -1, None, 0]}, {"label": CLASSLABEL})
    assert [(item.path, item.label) for item in source.items] == [
        ("a.parquet/000000", "cat"), ("a.parquet/000002", "dog"), ("a.parquet/000005", "cat"),
    ]  # fmt: skip
    assert [(p.path, p.problem) for p in source.problems] == [
        (f"a.parquet/00000{row}", "a row without a label") for row in (1, 3, 4)
    ]
    assert source.read("a.parquet/000005")[0, 0, 0] == 50


def test_an_image_elsewhere_is_not_read(tmp_path, images):
    (tmp_path / "x.png").write_bytes(images[0])
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": None, "path": str(tmp_path / "x.png")}, {"bytes": images[1], "path": None}, None]
    pq.write_table(
        pa.table({"image": pa.array(rows, struct), "label": ["a", "b", "c"]}), tmp_path / "a.parquet"
    )
    source = open_source(tmp_path / "a.parquet")
    for row in (0, 2):
        with pytest.raises(DataError, match="no bytes in its row; images elsewhere are not read"):
            source.read(f"a.parquet/00000{row}")
    assert source.read("a.parquet/000001")[0, 0, 0] == 10


def test_a_row_group_is_read_once_while_it_is_kept(table, monkeypatch):
    read = []
    images_of = parquet._File.images

    def noted(file, group):
        read.append(group)
        return images_of(file, group)

    monkeypatch.setattr(parquet._File, "images", noted)
    source = table({"label": NAMES}, row_group_size=2)
    assert read == [], "opening reads no image"
    for item in source.items * 2:
        source.read(item.path)
    assert read == [0, 1, 2]
    monkeypatch.setattr(parquet, "MOST_KEPT", 1)
    for row in (0, 1, 4, 5, 0):
        source.read(f"a.parquet/{row:06}")
    assert read == [0, 1, 2, 2, 0]


@pytest.mark.parametrize(
    ("columns", "features", "what"),
    [
        ({}, None, "a.parquet: no column holds labels; it has image (binary)"),
        ({"a": NAMES, "b": NUMBERS}, None,
         "a.parquet: the labels may be a or b; it has image (binary), a (string), b (int64)"),
        ({"label": [0.5] * 6}, None, "a.parquet: no column holds labels; it has image (binary), label"),
        ({"label": [0, 1, 2, 0, 1, 0]}, {"label": CLASSLABEL},
         "a.parquet, label, row 2: class number 2, where 2 are named"),
        ({"image": NAMES, "label": NAMES}, None,
         "a.parquet: no column holds images; it has image (string), label (string)"),
        ({"image": NAMES, "a": [b"x"] * 6, "b": [b"x"] * 6, "label": NAMES}, None,
         "a.parquet: the images may be a or b; it has"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_is_named_with_the_columns(table, columns, features, what):
    with pytest.raises(DataError, match=re.escape(what)):
        table(columns, features)


def test_damage_is_named_with_the_file(table, tmp_path):
    table({"label": NAMES})
    whole = (tmp_path / "a.parquet").read_bytes()
    for length in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a.parquet").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"a\.parquet cannot be read: "):
            open_source(tmp_path / "a.parquet")
    random = np.random.default_rng(0)
    said = 0
    for _ in range(200):
        data = bytearray(whole)
        for place in random.integers(0, len(data), 12):
            data[place] = random.integers(0, 256)
        (tmp_path / "a.parquet").write_bytes(data)
        try:
            source = open_source(tmp_path / "a.parquet")
            for item in source.items:
                source.read(item.path)
        except DataError as problem:
            assert "a.parquet" in str(problem) and "\n" not in str(problem)
            said += 1
    assert said > 50


def test_images_that_are_not_there(table):
    source = table({"label": NAMES})
    for path in ("a.parquet/000006", "b.parquet/000000", "a.parquet", "a.parquet/x"):
        with pytest.raises(DataError, match="no such image"):
            source.read(path)
