"""Answers in order, with names, for files, folders and arrays; failures that stop nobody else."""

from __future__ import annotations

import io
import os
import re
import struct
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from goingdeeper.data import store
from goingdeeper.data.decode import decode
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import open_source
from goingdeeper.errors import DataError, StoreError, UsageError
from goingdeeper.layers import CLASSES, GlobalAvgPool, Linear, Network
from goingdeeper.nn.build import build
from goingdeeper.prediction.predictor import Answer, Failure, Held, expand, predict
from goingdeeper.runs.model import Model

CUT = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 8, 8, 1, 24, *[0] * 6) + bytes(100)
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture
def model() -> Model:
    """Knows red, green and blue from the mean colour, less and less surely."""
    network = Network("colours", {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}, (), (3, 8, 8), 3)
    net = build(network)
    with torch.no_grad():
        net.get_parameter("fc.weight").copy_(torch.diag(torch.tensor([3.0, 2.0, 1.0])))
    return Model(net.eval(), tuple(COLOURS), Preprocessing(8), {}, Path("model"))


def plain(colour: str, height: int = 8, width: int = 8) -> np.ndarray:
    return np.full((height, width, 3), COLOURS[colour], np.uint8)


def stored(folder: Path, name: str, colour: str, side: int = 8) -> str:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(plain(colour, side, side)).save(file)
    return str(file)


def best(answers: list[Answer | Failure]) -> list[str]:
    return [answer.top[0][0] for answer in answers if isinstance(answer, Answer)]


def test_answers_come_in_order_with_their_paths(model, tmp_path):
    paths = [
        stored(tmp_path, f"{n}.png", colour, 8 + n)
        for n, colour in enumerate(["blue", "red", "green", "red"])
    ]
    answers = list(predict(model, paths))
    assert [answer.path for answer in answers] == paths
    assert best(answers) == ["blue", "red", "green", "red"]


def test_probabilities_are_ordered_and_sum_to_one(model):
    """Red: logits 3, -2, -1."""
    (answer,) = predict(model, [plain("red")], top=3)
    weights = np.exp([3.0, -1.0, -2.0])
    assert [name for name, _ in answer.top] == ["red", "blue", "green"]
    assert [p for _, p in answer.top] == pytest.approx(weights / weights.sum(), rel=1e-5)


@pytest.mark.parametrize(("top", "length"), [(1, 1), (2, 2), (3, 3), (5, 3), (1000, 3)])
def test_no_more_classes_than_there_are(model, top, length):
    (answer,) = predict(model, [plain("red")], top=top)
    assert len(answer.top) == length


@pytest.mark.parametrize("top", [0, -1])
def test_no_classes_at_all_are_refused(model, top):
    with pytest.raises(UsageError, match=f"the {top} likeliest classes; at least 1 is needed"):
        list(predict(model, [plain("red")], top=top))


def test_an_unreadable_file_is_a_failure_and_the_rest_go_on(model, tmp_path):
    good = [stored(tmp_path, f"{n}.png", "red") for n in range(2)]
    (tmp_path / "bad.jpg").write_bytes(b"<html>")
    found = list(predict(model, [good[0], str(tmp_path / "bad.jpg"), str(tmp_path / "gone.jpg"), good[1]]))
    assert [type(each) for each in found] == [Answer, Failure, Failure, Answer]
    assert [each.path for each in found][1:3] == [str(tmp_path / name) for name in ("bad.jpg", "gone.jpg")]
    assert f"{tmp_path}/bad.jpg is not an image" in found[1].problem
    assert f"{tmp_path}/gone.jpg cannot be read: No such file" in found[2].problem


def test_nothing_but_failures(model, tmp_path):
    assert [type(each) for each in predict(model, [str(tmp_path / "gone.jpg")] * 40)] == [Failure] * 40
    assert list(predict(model, [])) == []


def test_a_file_and_its_pixels_get_the_same_answer(model, tmp_path):
    file = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (31, 20, 3), np.uint8)).save(file)
    pixels = decode(file)
    pixels.setflags(write=False)
    one, two, three = predict(model, [str(file), file, pixels])
    assert one.top == two.top == three.top
    assert (one.path, two.path, three.path) == (str(file), str(file), "image 2")


def test_arrays_are_numbered_through(model):
    answers = list(predict(model, [plain("red")] * 70))
    assert [answer.path for answer in answers] == [f"image {n}" for n in range(70)]


def test_an_answer_does_not_depend_on_its_neighbours(model):
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (8 + n, 9, 3), np.uint8) for n in range(40)]
    together = list(predict(model, images, top=3))
    for image, answer in zip(images, together, strict=True):
        (alone,) = predict(model, [image], top=3)
        assert [name for name, _ in alone.top] == [name for name, _ in answer.top]
        assert [p for _, p in alone.top] == pytest.approx([p for _, p in answer.top], abs=1e-6)


def test_answers_are_given_while_more_images_come(model):
    given = []

    def camera():
        for number in range(64):
            given.append(number)
            yield plain("red")

    seen: list[int] = []
    answers = predict(model, camera(), progress=seen.append)
    next(answers)
    assert len(given) == 32
    assert len(list(answers)) == 63
    assert seen == [32, 64]


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (
            np.zeros((8, 8), np.uint8),
            r"an array of shape \(8, 8\) and type uint8 is not \(height, width, 3\) bytes",
        ),
        (np.zeros((8, 8, 4), np.uint8), r"\(8, 8, 4\)"),
        (np.zeros((3, 8, 8), np.uint8), r"\(3, 8, 8\)"),
        (np.zeros((8, 8, 3), np.float32), "type float32"),
        (np.zeros((0, 8, 3), np.uint8), r"\(0, 8, 3\)"),
        (torch.zeros(8, 8, 3, dtype=torch.uint8), "Tensor is neither a path, a PIL image nor"),
        (b"\x89PNG", "bytes is neither a path, a PIL image nor"),
        (None, "NoneType is neither a path, a PIL image nor"),
        (Image.new("F", (8, 8)), "a PIL image of 32 bits does not say what is white"),
        (Image.open(io.BytesIO(CUT)), "a PIL image cannot be read: .*truncated"),
    ],
)
def test_what_is_no_image_is_a_failure_that_says_what_it_is(model, image, what):
    (found,) = predict(model, [image])
    assert isinstance(found, Failure)
    assert found.path == "image 0"
    assert re.search(what, found.problem)


def test_a_pil_image_is_answered_as_its_pixels_are(model):
    pixels = plain("red", 20, 30)
    as_array, as_image = predict(model, [pixels, Image.fromarray(pixels)])
    assert as_image.top == as_array.top


def test_a_missing_file_is_a_failure_and_the_rest_goes_on(model, tmp_path):
    found = list(predict(model, [*expand([str(tmp_path / "gone.jpg")]), plain("red", 20, 30)]))
    assert isinstance(found[0], Failure) and "No such file" in found[0].problem
    assert not isinstance(found[1], Failure)


def test_an_array_is_left_as_it_was(model):
    image = plain("red", 20, 30)
    kept = image.copy()
    list(predict(model, [image, image[::-1, ::-1]]))
    assert np.array_equal(image, kept)


def test_files_stay_and_folders_become_the_images_in_them(tmp_path):
    for name in ("b/2.png", "b/1.PNG", "b/deep/3.png", "b/.hidden/4.png", "b/._5.png"):
        stored(tmp_path, name, "red")
    (tmp_path / "b/notes.txt").write_text("")
    (tmp_path / "b/folder.jpg").mkdir()
    (tmp_path / "odd.bin").write_bytes(b"")
    found = expand([str(tmp_path / "odd.bin"), str(tmp_path / "b")])
    names = [os.path.relpath(path, tmp_path) for path in found]
    assert names == ["odd.bin", "b/1.PNG", "b/2.png", "b/deep/3.png"]


def test_a_hidden_folder_may_be_named(tmp_path):
    stored(tmp_path, ".secret/1.png", "red")
    assert len(expand([str(tmp_path / ".secret")])) == 1


def test_links_in_circles_end(tmp_path):
    stored(tmp_path, "b/1.png", "red")
    (tmp_path / "b/again").symlink_to("..", target_is_directory=True)
    assert len(expand([str(tmp_path / "b")])) == 1


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("empty", "empty holds no images"),
        ("x" * 300, "cannot be opened: File name too long"),
        ("nul\0", "cannot be opened: "),
        ("a.jpg/b", "cannot be opened: Not a directory"),
    ],
)
def test_paths_that_lead_nowhere_are_named(tmp_path, name, what):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=what):
        expand([str(tmp_path / name)])


@pytest.fixture
def sources(tmp_path) -> Path:
    """Five pictures, one of them of the test split, as Pillow, tarfile, h5py and pyarrow write them."""
    h5py, pa, pq = (pytest.importorskip(name) for name in ("h5py", "pyarrow", "pyarrow.parquet"))
    colours = ["blue", "red", "green", "red", "blue"]
    pixels = np.stack([plain(colour, 8, 9) for colour in colours])
    files = [
        Path(stored(tmp_path, f"photos/{'test/' if n == 4 else 'train/'}{colour}/{n}.png", colour))
        for n, colour in enumerate(colours)
    ]
    rows = [f"../{file.relative_to(tmp_path)},{file.parent.name}\n" for file in files]
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/all.csv").write_text("".join(["path,label\n", *rows]))
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards/train-0.tar", "w") as shard:
        for number, file in enumerate(files):
            shard.add(file, f"{number}.png")
            label = tarfile.TarInfo(f"{number}.cls")
            label.size = len(file.parent.name)
            shard.addfile(label, io.BytesIO(file.parent.name.encode()))
    with h5py.File(tmp_path / "a.h5", "w") as arrays:
        arrays["images"], arrays["labels"] = pixels, np.array(colours, "S")
    table = {"image": [file.read_bytes() for file in files], "label": colours}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    store.prepare(open_source(tmp_path / "photos", split="all"), tmp_path / "store", store.Form(raw=True))
    return tmp_path


@pytest.mark.parametrize(
    ("location", "first", "answers"),
    [
        ("lists/all.csv", "lists/../photos/train/blue/0.png", "blue red green red blue"),
        ("shards", "shards/train-0.tar/0.png", "blue red green red blue"),
        ("shards/train-0.tar", "shards/train-0.tar/0.png", "blue red green red blue"),
        ("a.h5", "a.h5/images/000000", "blue red green red blue"),
        ("a.parquet", "a.parquet/000000", "blue red green red blue"),
        ("store", "store/train/blue/0.png", "blue green red red blue"),
    ],
)
def test_any_source_is_answered_with_the_images_of_every_split(
    model, sources, monkeypatch, location, first, answers
):
    monkeypatch.chdir(sources)
    found = list(predict(model, expand([location, "photos/train/red/1.png"])))
    assert best(found) == [*answers.split(), "red"]
    assert found[0].path == first and found[-1].path == "photos/train/red/1.png"


def test_the_digits_are_a_source_unless_a_file_is_called_so(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(expand(["digits"])) == 1797
    assert len(expand(["shapes"])) == 10_000
    stored(tmp_path, "a.png", "red")
    (tmp_path / "a.png").rename(tmp_path / "digits")
    assert best(list(predict(model, expand(["digits"])))) == ["red"]


def test_a_store_that_has_changed_is_an_error_and_a_damaged_image_a_failure(model, sources):
    (sources / "shards/train-0.tar").unlink()
    stored(sources, "0.png", "red")
    with tarfile.open(sources / "shards/train-0.tar", "w") as shard:
        for name, data in (("0.png", (sources / "0.png").read_bytes()), ("1.png", b"<html>")):
            for part, content in ((name, data), (f"{name[0]}.cls", b"red")):
                member = tarfile.TarInfo(part)
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    answer, failure = predict(model, expand([str(sources / "shards")]))
    assert isinstance(answer, Answer) and isinstance(failure, Failure)
    assert failure.path == f"{sources}/shards/train-0.tar/1.png" and "is not an image" in failure.problem
    shard = sources / "store/shard-00000.tar"
    data = bytearray(shard.read_bytes())
    data[600] ^= 1
    shard.write_bytes(data)
    with pytest.raises(StoreError, match=r"shard-00000\.tar is damaged at train/blue/0\.png"):
        list(predict(model, expand([str(sources / "store")])))


class Reddest:
    """What answers without torch: the mean colour; `before` is called before each answer."""

    classes = tuple(COLOURS)

    def __init__(self, before=lambda: None):
        self.before = before

    def fit(self, pixels):
        return pixels

    def logits(self, fitted):
        self.before()
        return np.stack([image.mean((0, 1)) / 255 for image in fitted]).astype(np.float32)


def test_whatever_gives_logits_answers():
    (answer,) = predict(Reddest(), [plain("green")], top=2)
    assert [name for name, _ in answer.top] == ["green", "red"]
    likely = np.exp([1, 0]) / (np.exp(1) + 2)
    assert [p for _, p in answer.top] == pytest.approx(likely, rel=1e-6)


def test_images_are_read_while_those_before_are_answered():
    read = threading.Event()

    def waiting():
        assert read.wait(20), "the second batch was not read"

    def last():
        read.set()
        return plain("blue")

    images = [Held(f"{n}", lambda: plain("red")) for n in range(63)]
    answers = list(predict(Reddest(waiting), [*images, Held("63", last)]))
    assert [answer.path for answer in answers] == [f"{n}" for n in range(64)]
    assert best(answers) == ["red"] * 63 + ["blue"]


def test_nothing_goes_on_once_nobody_asks_for_answers():
    before = threading.active_count()
    answers = predict(Reddest(), [Held(f"{n}", lambda: plain("red")) for n in range(500)])
    next(answers)
    answers.close()
    assert threading.active_count() == before


def test_one_pil_image_given_twice_is_read_by_one_thread_at_a_time(model, tmp_path):
    """Pillow reads an opened file when its pixels are asked for."""
    file = stored(tmp_path, "a.png", "blue", 600)
    with Image.open(file) as image:
        assert best(predict(model, [image] * 40)) == ["blue"] * 40
