"""HDF5 files as exercises, papers and Keras users write them, and as damage and malice leave them."""

from __future__ import annotations

import re

import h5py
import numpy as np
import pytest

from goingdeeper.data.sources import open_source
from goingdeeper.errors import DataError

X = np.random.default_rng(1).integers(0, 256, (4, 6, 5, 3), np.uint8)
Y = np.array([1, 0, 1, 0])


@pytest.fixture
def hdf5(tmp_path):
    """Writes arrays by key, and opens the file."""

    def write(arrays, name="a.h5", **options):
        with h5py.File(tmp_path / name, "w") as file:
            for key, array in arrays.items():
                file.create_dataset(key, data=array, **(options if np.ndim(array) > 2 else {}))
        return open_source(tmp_path / name)

    return write


def shown(source):
    return [(item.label, source.read(item.path)) for item in source.items]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train_set_x", "train_set_y"), ("images", "labels"), ("x", "y"), ("X", "y"), ("data", "labels"),
        ("data", "label"), ("x_train", "y_train"), ("X_train", "Y_train"), ("train/images", "train/labels"),
        ("faces", "kinds"), ("deep/image", "deep/class"), ("x", "targets"),
    ],
)  # fmt: skip
def test_keys(hdf5, images, labels):
    source = hdf5({images: X, labels: Y})
    assert [label for label, _ in shown(source)] == ["1", "0", "1", "0"]
    assert all(np.array_equal(pixels, X[n]) for n, (_, pixels) in enumerate(shown(source)))
    assert source.size(source.items[0].path) == (5, 6)


@pytest.mark.parametrize(
    "labels", [Y, Y[None], Y[:, None], Y.astype(np.int8), np.array([b"1", b"0", b"1", b"0"])]
)
def test_shapes_and_kinds_of_labels(hdf5, labels):
    assert [item.label for item in hdf5({"x": X, "y": labels}).items] == ["1", "0", "1", "0"]


@pytest.mark.parametrize(
    "names",
    [np.array([b"no", b"y\xc3\xa4s"]), np.array(["no", "yäs"], h5py.string_dtype()), np.array([7, 8])],
)
def test_names_of_classes(hdf5, names):
    source = hdf5({"x": X, "y": Y, "list_classes": names})
    assert source.classes in (("no", "yäs"), ("7", "8"))
    assert [source.classes.index(item.label) for item in source.items] == Y.tolist()


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (X, X),
        (X.transpose(0, 3, 1, 2), X),
        (X[..., :1], np.repeat(X[..., :1], 3, 3)),
        (X[..., 0], np.repeat(X[..., :1], 3, 3)),
        (X.transpose(0, 3, 1, 2)[:, :1], np.repeat(X[..., :1], 3, 3)),
    ],
)
@pytest.mark.parametrize("options", [{}, {"chunks": True, "compression": "gzip", "shuffle": True}])
def test_layouts(hdf5, stored, expected, options):
    source = hdf5({"x": stored, "y": Y}, **options)
    for number, (_, pixels) in enumerate(shown(source)):
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous
        assert np.array_equal(pixels, expected[number])


def test_other_arrays_do_not_matter_where_names_are_clear(hdf5):
    arrays = {
        "train_set_x": X,
        "train_set_y": Y,
        "mean": X[0],
        "dev_set_x": X[:1],
        "dev_set_y": Y[:1],
        "extra": X,
    }
    assert len(hdf5(arrays).items) == 5
    assert len(hdf5({"images": X, "labels": Y, "masks": X, "ids": Y}).items) == 4


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"a": X, "b": X, "y": Y}, "a.h5: the images may be a or b; it holds a uint8[4, 6, 5, 3], b uint8["),
        ({"x": X, "images": X, "y": Y}, "a.h5: the images may be images or x; it holds"),
        ({"x": X, "a": Y, "b": Y}, "a.h5: the labels of x may be a or b; it holds"),
        ({"x": X, "y": Y, "label": Y}, "a.h5: the labels of x may be label or y; it holds"),
        ({"x": X}, "a.h5: x has no labels; it holds x uint8[4, 6, 5, 3]"),
        ({"y": Y}, "a.h5 has no images with labels; it holds y int64[4]"),
        ({}, "a.h5 has no images with labels; it holds no arrays"),
        ({"x": X, "y": Y[:3]}, "a.h5, y: [3] labels for 4 images"),
        ({"x": X, "y": Y.reshape(2, 2)}, "a.h5, y: [2, 2] labels for 4 images"),
        ({"x": X, "y": Y.astype(float)}, "a.h5, y: float64 values, where class numbers or names are"),
        ({"x": X / 255, "y": Y}, "a.h5, x: float64[4, 6, 5, 3] is no array of images; uint8 of (N, H, W, 3), "
                                 "(N, 3, H, W) or grey (N, H, W) is expected"),
        ({"x": np.repeat(X, 2, 3)[..., :4], "y": Y}, "a.h5, x: uint8[4, 6, 5, 4] is no array of images"),
        ({"x": X, "y": Y, "classes": [b"a"]}, "a.h5, y: label 0 is 1, where 1 classes are named"),
        ({"x": X, "y": -Y, "classes": [b"a", b"b"]}, "a.h5, y: label 0 is -1, where 2 classes are named"),
        ({"x": X, "y": Y, "classes": [b"a", b"a"]}, "a.h5, classes: a class without a name, or twice"),
        ({"x": X, "y": Y, "classes": np.eye(2)}, "a.h5, classes: [2, 2] is no list of class names"),
        ({"x": X, "y": [b"a", b"", b"c", b"d"]}, "a.h5, y: label 1 is empty"),
        ({"x": X, "y": [b"a", b"\xff", b"c", b"d"]}, "a.h5, y cannot be read: 'utf-8' codec"),
        ({"x": X[:0], "y": Y[:0]}, "a.h5"),
        ({"x": X[:, :, :0], "y": Y}, "a.h5, x claims [4, 6, 0, 3] values, and stores 0 bytes"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_its_key(hdf5, arrays, what):
    with pytest.raises(DataError, match=re.escape(what)):
        hdf5(arrays)


def test_nothing_in_another_file_is_read(tmp_path, hdf5):
    """A file that someone sends could otherwise bring any file of the reader's into a model."""
    (tmp_path / "secret").write_bytes(X.tobytes())
    hdf5({"x": X, "y": Y}, "other.h5")
    virtual = h5py.VirtualLayout(X.shape, np.uint8)
    virtual[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", X.shape)

    def make(change):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["y"] = Y
            change(file)

    secret = [(str(tmp_path / "secret"), 0, X.size)]
    outside = {
        "link": lambda file: file.update({"x": h5py.ExternalLink(str(tmp_path / "other.h5"), "x")}),
        "values": lambda file: file.create_dataset("x", X.shape, np.uint8, external=secret),
        "virtual": lambda file: file.create_virtual_dataset("x", virtual),
    }  # fmt: skip
    for name, change in outside.items():
        make(change)
        with h5py.File(tmp_path / "a.h5") as file:  # the control: h5py itself follows them
            assert np.array_equal(file["x"][:], X), name
        with pytest.raises(
            DataError, match=r"a\.h5, x: (a link to|its values are in) another file, which is not"
        ):
            open_source(tmp_path / "a.h5")
        (tmp_path / "folder").mkdir(exist_ok=True)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["y"] = Y
            change(file.create_group("g"))
        with pytest.raises(DataError, match=r"a\.h5, g/x: "):
            open_source(tmp_path / "a.h5")


def test_soft_links_are_not_followed(tmp_path, hdf5):
    hdf5({"x": X, "y": Y}, "other.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["labels"] = X, Y
        file["x"] = h5py.SoftLink("/images")
        file["group/group"] = h5py.SoftLink("/group")
        file["gone"] = h5py.SoftLink("/nowhere")
        file["loop"] = file["/"]
    assert len(open_source(tmp_path / "a.h5").items) == 4


def test_claims_of_more_than_is_stored_are_refused(tmp_path):
    """Ten million black images of nothing would fill the memory with their names alone."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (10_000_000, 64, 64, 3), np.uint8, chunks=(1, 64, 64, 3))
        file.create_dataset("y", (10_000_000,), np.int64, chunks=(1000,))
    with pytest.raises(
        DataError, match=r"a\.h5, x claims \[10000000, 64, 64, 3\] values, and stores 0 bytes"
    ):
        open_source(tmp_path / "a.h5")
    black = np.zeros((400, 64, 64, 3), np.uint8)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("x", data=black, compression="gzip", compression_opts=9)
        file["y"] = np.arange(400) % 2
    assert len(open_source(tmp_path / "b.h5").items) == 400


def test_damage_is_named_with_the_file(tmp_path, hdf5):
    hdf5({"train_set_x": X, "train_set_y": Y}, compression="gzip", chunks=(1, 6, 5, 3))
    whole = (tmp_path / "a.h5").read_bytes()
    for length in (0, 8, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a.h5").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"a\.h5 cannot be read: "):
            open_source(tmp_path / "a.h5")
    random = np.random.default_rng(0)
    said = 0
    for _ in range(200):
        data = bytearray(whole)
        for place in random.integers(0, len(data), 12):
            data[place] = random.integers(0, 256)
        (tmp_path / "a.h5").write_bytes(data)
        try:
            shown(open_source(tmp_path / "a.h5"))
        except DataError as problem:
            assert "a.h5" in str(problem) and "\n" not in str(problem)
            said += 1
    assert said > 50


def test_images_that_are_not_there(hdf5):
    source = hdf5({"x": X, "y": Y})
    for path in ("a.h5/x/000004", "a.h5/y/000000", "a.h5/x/-1", "x"):
        with pytest.raises(DataError, match="no such image"):
            source.read(path)
