"""The same few images in every form that they can be kept in, each written by the form's own library."""

from __future__ import annotations

import csv
import io
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

Picture = tuple[str, np.ndarray]
CLASSES = ["airplane", "bird", "cat"]


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def _folder(root: Path, pictures: list[Picture]) -> Path:
    for number, (label, pixels) in enumerate(pictures):
        (root / label).mkdir(exist_ok=True)
        (root / label / f"{number}.png").write_bytes(_png(pixels))
    return root


def _files(root: Path, pictures: list[Picture]) -> list[tuple[str, str]]:
    (root / "files").mkdir()
    rows = []
    for number, (label, pixels) in enumerate(pictures):
        (root / "files" / f"{number}.png").write_bytes(_png(pixels))
        rows.append((f"files/{number}.png", label))
    return rows


def _csv(root: Path, pictures: list[Picture]) -> Path:
    with (root / "all.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("path", "label"), *_files(root, pictures)])
    return root / "all.csv"


def _jsonl(root: Path, pictures: list[Picture]) -> Path:
    lines = [json.dumps({"path": path, "label": label}) for path, label in _files(root, pictures)]
    (root / "all.jsonl").write_text("\n".join(lines))
    return root / "all.jsonl"


def _tar(root: Path, pictures: list[Picture]) -> Path:
    with tarfile.open(root / "all.tar", "w") as archive:
        for number, (label, pixels) in enumerate(pictures):
            _add(archive, f"{number:04}.png", _png(pixels))
            _add(archive, f"{number:04}.cls", label.encode())
    return root / "all.tar"


def _shards(root: Path, pictures: list[Picture]) -> Path:
    (root / "classes.txt").write_text("\n".join(CLASSES))
    for shard in range(4):
        with tarfile.open(root / f"part-{shard:04}.tar", "w", format=tarfile.PAX_FORMAT) as archive:
            for number, (label, pixels) in enumerate(pictures[shard::4]):
                _add(
                    archive, f"{shard}/{number:04}.json", json.dumps({"label": CLASSES.index(label)}).encode()
                )
                _add(archive, f"{shard}/{number:04}.png", _png(pixels))
    return root


def _parquet(root: Path, pictures: list[Picture]) -> Path:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = [{"bytes": _png(pixels), "path": None} for _, pixels in pictures]
    table = pa.table({
        "image": pa.array(images, kind),
        "label": pa.array([CLASSES.index(label) for label, _ in pictures]),
    })  # fmt: skip
    features = {"image": {"_type": "Image"}, "label": {"names": CLASSES, "_type": "ClassLabel"}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, root / "all.parquet", row_group_size=7)
    return root / "all.parquet"


def _plain_parquet(root: Path, pictures: list[Picture]) -> Path:
    table = pa.table(
        {"label": [label for label, _ in pictures], "image": [_png(pixels) for _, pixels in pictures]}
    )
    (root / "data").mkdir()
    pq.write_table(table[:10], root / "data" / "part-00000-of-00002.parquet")
    pq.write_table(table[10:], root / "data" / "part-00001-of-00002.parquet")
    return root


def _hdf5(root: Path, pictures: list[Picture]) -> Path:
    with h5py.File(root / "all.h5", "w") as file:
        file["train_set_x"] = np.stack([pixels for _, pixels in pictures])
        file["train_set_y"] = np.array([[CLASSES.index(label) for label, _ in pictures]])
        file["list_classes"] = [name.encode() for name in CLASSES]
    return root / "all.h5"


def _records(pictures: list[Picture]) -> tuple[np.ndarray, list[int]]:
    """As CIFAR has them: (N, 3072), the planes one after another."""
    pixels = np.stack([np.concatenate([image[:, :, c].ravel() for c in range(3)]) for _, image in pictures])
    return pixels, [CLASSES.index(label) for label, _ in pictures]


def _cifar10(root: Path, pictures: list[Picture]) -> Path:
    for number in range(5):
        pixels, labels = _records(pictures[number::5])
        batch = {
            b"batch_label": b"a batch",
            b"labels": labels,
            b"data": pixels,
            b"filenames": [b"x.png"] * len(labels),
        }
        with (root / f"data_batch_{number + 1}").open("wb") as stream:
            pickle.dump(batch, stream, protocol=2)
    with (root / "batches.meta").open("wb") as stream:
        pickle.dump({"num_cases_per_batch": 6, "label_names": CLASSES, "num_vis": 3072}, stream, protocol=2)
    return root


def _cifar10_binary(root: Path, pictures: list[Picture]) -> Path:
    for number in range(5):
        pixels, labels = _records(pictures[number::5])
        rows = [bytes([label]) + row.tobytes() for label, row in zip(labels, pixels, strict=True)]
        (root / f"data_batch_{number + 1}.bin").write_bytes(b"".join(rows))
    (root / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n\n")
    return root


def _cifar100(root: Path, pictures: list[Picture]) -> Path:
    pixels, labels = _records(pictures)
    coarse = [0] * len(labels)
    with (root / "train").open("wb") as stream:
        pickle.dump({"data": pixels, "fine_labels": labels, "coarse_labels": coarse}, stream, protocol=5)
    with (root / "meta").open("wb") as stream:
        pickle.dump({"fine_label_names": CLASSES, "coarse_label_names": ["thing"]}, stream, protocol=4)
    return root


def _cifar100_binary(root: Path, pictures: list[Picture]) -> Path:
    pixels, labels = _records(pictures)
    rows = [bytes([9, label]) + row.tobytes() for label, row in zip(labels, pixels, strict=True)]
    (root / "train.bin").write_bytes(b"".join(rows))
    (root / "fine_label_names.txt").write_text("\n".join(CLASSES))
    return root


WRITERS: dict[str, Callable[[Path, list[Picture]], Path]] = {
    "folder": _folder, "csv": _csv, "jsonl": _jsonl, "tar": _tar, "shards": _shards, "parquet": _parquet,
    "plain parquet": _plain_parquet, "hdf5": _hdf5, "cifar-10": _cifar10, "cifar-10 binary": _cifar10_binary,
    "cifar-100": _cifar100, "cifar-100 binary": _cifar100_binary,
}  # fmt: skip


@pytest.fixture
def png() -> Callable[[np.ndarray], bytes]:
    """The bytes of a PNG file."""
    return _png


@pytest.fixture
def add() -> Callable[[tarfile.TarFile, str, bytes], None]:
    """Adds a file to an archive."""
    return _add


@pytest.fixture
def records() -> Callable[[list[Picture]], tuple[np.ndarray, list[int]]]:
    """Pictures as CIFAR has them: (N, 3072), the planes one after another, and the class numbers."""
    return _records


@pytest.fixture(scope="session")
def pictures() -> list[Picture]:
    """Thirty 32x32 images of three classes in no order; two of them are the same."""
    random = np.random.default_rng(5)
    found = [(CLASSES[n % 3], random.integers(0, 256, (32, 32, 3), np.uint8)) for n in range(29)]
    found.append(found[4])
    found = [found[n] for n in random.permutation(30)]
    first = next(n for n, (label, _) in enumerate(found) if label == "cat")  # not the first class
    return found[first:] + found[:first]


@pytest.fixture
def written(tmp_path: Path, pictures: list[Picture]) -> Callable[[str], Path]:
    """Writes the pictures in a form, and gives its location."""

    def write(kind: str) -> Path:
        root = tmp_path / kind.replace(" ", "_")
        root.mkdir()
        return WRITERS[kind](root, pictures)

    return write


@pytest.fixture(params=[kind for kind in WRITERS if kind != "folder"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each form but the folder of class folders."""
    return str(request.param)
