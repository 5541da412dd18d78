"""Scoring a trained model: on a folder, on what its run held out, and on what it cannot be scored on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from goingdeeper.data.decode import decode
from goingdeeper.data.pictures import survey
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import open_source
from goingdeeper.errors import DataError, UsageError
from goingdeeper.evaluation.evaluate import Member
from goingdeeper.evaluation.evaluate import evaluate as evaluate_all
from goingdeeper.evaluation.predict import log_probabilities
from goingdeeper.layers import CLASSES, GlobalAvgPool, Linear, Network
from goingdeeper.nn.build import build, create_model
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import Model

COLOURS = {"red": (250, 5, 5), "green": (5, 250, 5), "blue": (5, 5, 250)}


@pytest.fixture
def model() -> Model:
    """Knows red, green and blue from the mean colour; nothing else."""
    network = Network("colours", {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}, (), (3, 8, 8), 3)
    net = build(network)
    with torch.no_grad():
        net.get_parameter("fc.weight").copy_(10 * torch.eye(3))
    return Model(net.eval(), tuple(COLOURS), Preprocessing(8), {}, Path("model"))


@pytest.fixture
def paint(tmp_path):
    def make(pictures: dict[str, str], name: str = "photos") -> Path:
        """{"train/red/1.png": "blue"}: a blue picture called red."""
        for place, colour in pictures.items():
            file = tmp_path / name / place
            file.parent.mkdir(parents=True, exist_ok=True)
            number = len(list(file.parent.iterdir()))
            Image.new("RGB", (9 + number, 11), tuple(abs(c - number) for c in COLOURS[colour])).save(file)
        return tmp_path / name

    return make


def evaluate(model, images, run, *, protocol="1crop", **more):
    """The score of one model, and the images that could not be read."""
    found = evaluate_all([Member(model, run)], images, protocol_name=protocol, **more)
    return found.score(), found.problems


def test_a_folder_of_class_folders(model, paint):
    root = paint({"red/1.png": "red", "red/2.png": "blue", "green/1.png": "green", "blue/1.png": "blue"})
    found, problems = evaluate(model, str(root), None)
    assert (found.images, found.top1_error, found.top5_error) == (4, 25.0, None)
    assert {name: each.wrong for name, each in found.per_class.items()} == {"red": 1, "green": 0, "blue": 0}
    assert problems == ()


def test_classes_are_matched_by_name_not_by_order(model, paint):
    """The folders alone would number blue 0, green 1 and red 2; and one class may be missing."""
    root = paint({"red/1.png": "red", "blue/1.png": "blue", "blue/2.png": "blue"})
    found, _ = evaluate(model, str(root), None)
    assert found.top1_error == 0
    assert list(found.per_class) == ["red", "blue"]


def test_of_a_divided_folder_the_validation_images_count(model, paint):
    train = {"train/red/1.png": "blue", "train/blue/1.png": "blue", "test/red/1.png": "green"}
    root = paint({**train, "val/red/1.png": "red", "val/blue/1.png": "red"})
    found, _ = evaluate(model, str(root), None)
    assert (found.images, found.top1_error) == (2, 50.0)


def test_an_unknown_class_is_an_error_that_names_it(model, paint):
    root = paint({"red/1.png": "red", "violet/1.png": "blue"})
    with pytest.raises(
        DataError, match=r"photos/violet/1\.png: the model has no class 'violet'; it knows red, green"
    ):
        evaluate(model, str(root), None)


def test_unreadable_images_are_named_and_only_a_few_allowed(model, paint):
    root = paint({f"{name}/{n}.png": name for name in COLOURS for n in range(4)})
    (root / "red/0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 of 12 images cannot be read.*red/0\.png is empty"):
        evaluate(model, str(root), None)
    root = paint({f"{name}/{n}.png": name for name in COLOURS for n in range(34)}, "many")
    (root / "red/0.png").write_bytes(b"")
    found, problems = evaluate(model, str(root), None)
    assert (found.images, found.per_class["red"].images, found.top1_error) == (101, 33, 0.0)
    assert [problem.path for problem in problems] == ["red/0.png"]


@pytest.mark.parametrize("protocol", ["10crops", "", "144"])
def test_an_unknown_protocol_is_refused(model, paint, protocol):
    with pytest.raises(
        UsageError, match=f"unknown protocol '{protocol}'.*(the protocols are: 1crop|did you mean)"
    ):
        evaluate(model, str(paint({"red/1.png": "red"})), None, protocol=protocol)


def test_a_batch_of_none_is_refused(model, paint):
    with pytest.raises(UsageError, match="a batch of 0; at least 1 is needed"):
        evaluate(model, str(paint({"red/1.png": "red"})), None, batch=0)


def test_a_model_folder_alone_has_nothing_held_out(model):
    with pytest.raises(UsageError, match="a model folder has no validation images of its own; name a folder"):
        evaluate(model, None, None)


def run_on(folder: Path, location: str, rows: list[tuple[str, str, str]]) -> RunFolder:
    folder.mkdir(exist_ok=True)
    run = RunFolder(folder)
    run.write_run({"classes": list(COLOURS), "data": {"location": location}})
    run.write_rows("split.csv", ("path", "class", "split"), rows)
    return run


def test_what_the_run_held_out_is_scored(model, paint, tmp_path):
    root = paint({"red/1.png": "red", "red/2.png": "blue", "green/1.png": "blue", "blue/1.png": "blue"})
    rows = [("red/1.png", "red", "train"), ("red/2.png", "red", "val"), ("green/1.png", "green", "train"),
            ("blue/1.png", "blue", "val")]  # fmt: skip
    found, _ = evaluate(model, None, run_on(tmp_path / "run", str(root), rows))
    assert (found.images, found.top1_error) == (2, 50.0)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([("red/1.png", "red", "train")], r"has no validation images in its split\.csv"),
        ([], r"has no validation images in its split\.csv"),
        ([("red/1.png", "violet", "val")], r"split\.csv: the model has no class 'violet'"),
        (
            [("gone.png", "red", "val")],
            r"1 of 1 images cannot be read.*gone\.png cannot be read: No such file",
        ),
    ],
)
def test_a_split_that_does_not_fit_is_named(model, paint, tmp_path, rows, what):
    root = paint({"red/1.png": "red", "blue/1.png": "blue"})
    with pytest.raises(DataError, match=what):
        evaluate(model, None, run_on(tmp_path / "run", str(root), rows))


def test_images_that_are_gone_are_said_to_be(model, tmp_path):
    run = run_on(tmp_path / "run", str(tmp_path / "gone"), [("red/1.png", "red", "val")])
    with pytest.raises(
        DataError, match=r"the run's images are no longer at .*/gone; name a folder of images"
    ):
        evaluate(model, None, run)


@pytest.mark.parametrize("record", [{}, {"data": {}}, {"data": None}, {"data": {"location": None}}])
def test_a_run_that_does_not_say_where_its_images_are(model, tmp_path, record):
    folder = RunFolder(tmp_path)
    folder.write_run(record)
    with pytest.raises(DataError, match=r"run\.json does not say where its images are|no longer at"):
        evaluate(model, None, folder)


@pytest.fixture(scope="module")
def digits():
    source = open_source("digits")
    return replace(source, items=source.items[:50])


def test_the_batch_size_changes_nothing(digits):
    net = create_model("cifar-resnet-20-a", size=16)
    found = survey(digits, 16)
    preprocessing = Preprocessing(16, (0.3,) * 3, (0.4,) * 3)
    with torch.no_grad():
        net.train()(preprocessing.views([found.pictures[item.path] for item in digits.items]))
    whole = log_probabilities(net, found.pictures, digits.items, preprocessing, batch=50)
    assert whole.shape == (50, 10)
    torch.testing.assert_close(whole.exp().sum(1), torch.ones(50))
    for batch in (1, 7, 32, 128):
        parts = log_probabilities(net, found.pictures, digits.items, preprocessing, batch=batch)
        torch.testing.assert_close(parts, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_s_mode_is_restored_and_its_statistics_kept(digits, training):
    net = create_model("cifar-resnet-20-a", size=16).train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    seen: list[tuple[int, int]] = []
    log_probabilities(
        net, survey(digits, 16).pictures, digits.items, Preprocessing(16), batch=20,
        progress=lambda *step: seen.append(step),
    )  # fmt: skip
    assert net.training is training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert seen == [(20, 50), (40, 50), (50, 50)]


def test_the_mode_is_restored_after_an_error(model, paint):
    root = paint({"red/1.png": "red", "blue/1.png": "blue"})
    source = open_source(root)
    pictures = survey(source, 8).pictures
    pictures._resident = {}
    (root / "red/1.png").unlink()
    with pytest.raises(DataError, match=r"red/1\.png cannot be read"):
        log_probabilities(model.net.train(), pictures, source.items, model.preprocessing)
    assert model.net.training


def test_probabilities_come_from_the_central_crop(model, tmp_path):
    """Green at the sides, red in the middle."""
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, :, 1] = 255
    pixels[:, 8:16] = (255, 0, 0)
    file = tmp_path / "photos" / "red" / "1.png"
    file.parent.mkdir(parents=True)
    Image.fromarray(pixels).save(file)
    assert np.array_equal(decode(file), pixels)
    found, _ = evaluate(model, str(tmp_path / "photos"), None)
    assert found.top1_error == 0
    assert found.cross_entropy == pytest.approx(2 * np.exp(-20), abs=1e-6)
