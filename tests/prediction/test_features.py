"""Vectors of images: what torch's own hook sees before the classifier, in three kinds of file."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
from PIL import Image

import goingdeeper as gd
from goingdeeper.data.decode import decode, fit
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.errors import DataError, UsageError
from goingdeeper.layers import CLASSES, BatchNorm, Conv, GlobalAvgPool, Linear, Network
from goingdeeper.nn.build import build
from goingdeeper.prediction.features import Vectors, known_labels, vectors
from goingdeeper.prediction.predictor import Failure, expand
from goingdeeper.prediction.tables import check_table, write_table
from goingdeeper.runs.model import Model


@pytest.fixture(params=["linear", "convolution"])
def model(request) -> Model:
    ends = {
        "linear": {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)},
        "convolution": {"cls": Conv(CLASSES, 1), "pool": GlobalAvgPool()},
    }
    layers = {"conv": Conv(6, 3, stride=2, norm=BatchNorm()), **ends[request.param]}
    net = build(Network("small", layers, (), (3, 8, 8), 3), seed=1)
    return Model(net.eval(), ("a", "b", "c"), Preprocessing(8), {}, Path("model"))


def seen_by_a_hook(model: Model, files: list[str]) -> np.ndarray:
    """torch's hook on the Linear or Conv2d with as many outputs as classes; one image at a time."""
    given = []
    last = [m for m in model.net.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)][-1]
    handle = last.register_forward_hook(lambda module, inputs, output: given.append(inputs[0].flatten(1)))
    with torch.inference_mode():
        for file in files:
            model.net(model.preprocessing.views([fit(decode(Path(file)), 8)]))
    handle.remove()
    return torch.cat(given).numpy()


def collected(model, images, **options) -> Vectors:
    parts = list(vectors(model, images, **options))
    assert all(isinstance(part, Vectors) for part in parts)
    return Vectors(
        sum((part.paths for part in parts), ()), sum((part.classes for part in parts), ()),
        np.concatenate([part.values for part in parts]),
    )  # fmt: skip


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_they_are_what_a_hook_before_the_classifier_sees(model, picture_folder, batch):
    root = picture_folder({"a": 4, "b": 3})
    files = expand([str(root)])
    found = collected(model, files, batch=batch, labels=known_labels([str(root)]))
    assert found.paths == tuple(files)
    assert found.classes == ("a",) * 4 + ("b",) * 3
    np.testing.assert_allclose(found.values, seen_by_a_hook(model, files), rtol=1e-5, atol=1e-6)
    assert found.values.dtype == np.float32


def test_a_named_layer_is_flattened(model, picture_folder):
    files = expand([str(picture_folder({"a": 2})) + "/a"])
    found = collected(model, files, layer="conv.norm")
    pixels = model.preprocessing.views([fit(decode(Path(file)), 8) for file in files])
    with torch.inference_mode():
        expected = model.net.get_submodule("conv.norm")(model.net.get_submodule("conv.conv")(pixels))
    np.testing.assert_allclose(found.values, expected.flatten(1), rtol=1e-5, atol=1e-6)
    assert found.values.shape == (2, 6 * 4 * 4) and found.classes == ("", "")
    with pytest.raises(UsageError, match="unknown address in small: 'convv'; did you mean conv"):
        collected(model, files, layer="convv")


def test_sources_tell_their_classes(model, picture_folder, tmp_path):
    root = picture_folder({"cat": 2, "dog": 1})
    (tmp_path / "list.csv").write_text(f"path,label\n{root}/cat/0.png,x\n{root}/dog/0.png,y\n")
    assert collected(model, expand([str(tmp_path / "list.csv")])).classes == ("x", "y")
    assert set(collected(model, expand(["digits"])[:40]).classes) == set("0123456789")


def test_what_cannot_be_read_is_told_and_left_out(model, picture_folder):
    root = picture_folder({"a": 3})
    (root / "a" / "1.png").write_bytes(b"no image")
    parts = list(vectors(model, expand([str(root / "a")])))
    (failure,) = [part for part in parts if isinstance(part, Failure)]
    (found,) = [part for part in parts if isinstance(part, Vectors)]
    assert failure.path.endswith("1.png") and len(found.values) == 2
    assert [Path(path).name for path in found.paths] == ["0.png", "2.png"]


PARTS = [
    Vectors(("a/1.png", "ä,\n.png"), ("a", ""), np.array([[1, 2.5, -3], [4, 1e-30, 6]], np.float32)),
    Vectors(("c.png",), ("longer",), np.array([[7, 8, 9]], np.float32)),
]


def test_npz_opens_in_numpy(tmp_path):
    assert write_table(tmp_path / "f.npz", iter(PARTS)) == (3, 3)
    with np.load(tmp_path / "f.npz", allow_pickle=False) as found:
        assert sorted(found) == ["classes", "features", "paths"]
        np.testing.assert_array_equal(found["features"], np.concatenate([p.values for p in PARTS]))
        assert found["features"].dtype == np.float32
        assert found["paths"].tolist() == ["a/1.png", "ä,\n.png", "c.png"]
        assert found["classes"].tolist() == ["a", "", "longer"]
    assert [file.name for file in tmp_path.iterdir()] == ["f.npz"]


def test_csv_reads_back_to_the_same_numbers(tmp_path):
    write_table(tmp_path / "f.csv", iter(PARTS))
    with (tmp_path / "f.csv").open(encoding="utf-8", newline="") as stream:
        head, *rows = csv.reader(stream)
    assert head == ["path", "class", "f0", "f1", "f2"]
    assert [row[:2] for row in rows] == [["a/1.png", "a"], ["ä,\n.png", ""], ["c.png", "longer"]]
    numbers = np.array([[np.float32(text) for text in row[2:]] for row in rows])
    np.testing.assert_array_equal(numbers, np.concatenate([part.values for part in PARTS]))


def test_parquet_opens_in_pyarrow_in_row_groups(tmp_path):
    many = [Vectors((f"{n}",) * 3_000, ("k",) * 3_000, np.full((3_000, 2), n, np.float32)) for n in range(3)]
    assert write_table(tmp_path / "f.parquet", iter(many)) == (9_000, 2)
    file = pyarrow.parquet.ParquetFile(tmp_path / "f.parquet")
    assert file.num_row_groups == 2
    table = file.read()
    assert table.column_names == ["path", "class", "features"]
    assert table["features"].to_pylist()[6_000] == [2.0, 2.0] and table["path"].to_pylist()[3_000] == "1"
    write_table(tmp_path / "f.parquet", iter(PARTS))
    assert pyarrow.parquet.read_table(tmp_path / "f.parquet")["class"].to_pylist() == ["a", None, "longer"]


@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a.parquet"])
def test_names_that_are_not_unicode_are_written(tmp_path, name):
    path = os.fsdecode(b"caf\xe9.png")
    found = Vectors((path,), (path,), np.ones((1, 3), np.float32))
    assert write_table(tmp_path / name, [found]) == (1, 3)
    if name == "a.csv":
        assert b"\ncaf\xe9.png,caf\xe9.png,1.0" in (tmp_path / name).read_bytes()


@pytest.mark.parametrize("name", ["f.npz", "f.csv", "f.parquet"])
def test_a_file_is_whole_or_what_it_was(tmp_path, name):
    (tmp_path / name).write_bytes(b"before")

    def breaking():
        yield PARTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(tmp_path / name, breaking())
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(name, b"before")]


def test_no_image_at_all_writes_nothing(tmp_path):
    with pytest.raises(DataError, match="no image could be read"):
        write_table(tmp_path / "f.npz", iter([]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("f.json", r"unknown kind of file '.json'.*takes .parquet, .npz, .csv"),
        ("none/f.npz", "a folder that is there"),
        ("f", "unknown kind"),
    ],
)
def test_places_that_cannot_be_are_refused_first(tmp_path, name, said):
    with pytest.raises(UsageError, match=said):
        check_table(tmp_path / name)


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from goingdeeper.prediction.features import Vectors
from goingdeeper.prediction.tables import write_table
def parts(count):
    for number in range(count):
        yield Vectors((str(number),) * 32, ("a",) * 32, np.full((32, 4096), number, np.float32))
write_table(Path(sys.argv[1]), parts(20))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_table(Path(sys.argv[1]), parts(400))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_is_flat_in_the_number_of_images(tmp_path):
    """400 batches hold 210 MB; what is added stays below a fifth of that."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "f.npz")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 40_000
    assert (tmp_path / "f.npz").stat().st_size > 200e6


def test_from_python_for_pixels_too(model, tmp_path, monkeypatch):
    run = gd.Run(Path("model"), model)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    both = gd.features(run, [pixels, tmp_path / "one.png"], device="cpu")
    np.testing.assert_array_equal(both.values[0], both.values[1])
    with pytest.raises(DataError, match="none"):
        gd.features(run, [tmp_path / "none.png"], device="cpu")
