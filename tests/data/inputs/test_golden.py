"""Every mode and orientation: the right pixels, and the same ones in training, evaluation and prediction.

The files are put together by hand, the pixels worked out with numpy; no image library has a part in either.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import GOLDEN, Golden
from PIL import Image

from goingdeeper import api
from goingdeeper.data import pictures
from goingdeeper.data.batches import evaluation_batches, training_batches
from goingdeeper.data.decode import decode, header_size
from goingdeeper.data.pictures import survey
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import open_source
from goingdeeper.evaluation.evaluate import Member, evaluate
from goingdeeper.layers import CLASSES, Conv, GlobalAvgPool, Network
from goingdeeper.nn.build import build
from goingdeeper.prediction.predictor import Answer, predict
from goingdeeper.recipes.images import AreaCrop, Augmentation, Padded
from goingdeeper.runs.model import Model

SIDE = 16
"""The shorter side of the pictures, so that nothing is resized."""


def near(found: np.ndarray, golden: Golden) -> bool:
    same = found.dtype == np.uint8 and found.shape == golden.pixels.shape
    return same and np.abs(found.astype(int) - golden.pixels).max() <= golden.tolerance


@pytest.mark.parametrize("name", GOLDEN)
def test_the_pixels_that_a_person_sees(name):
    assert near(decode(GOLDEN[name].content, name), GOLDEN[name])
    height, width = GOLDEN[name].pixels.shape[:2]
    assert sorted(header_size(GOLDEN[name].content)) == sorted((width, height))


def test_there_are_all_kinds():
    kinds = [name.partition(":")[0] for name in GOLDEN]
    least = {"png": 50, "jpeg": 45, "gif": 5, "bmp": 8, "tiff": 30, "webp": 11, "pnm": 10}
    assert {kind: min(least[kind], kinds.count(kind)) for kind in set(kinds)} == least


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """All but the single pixel, in two classes, by number."""
    root = tmp_path_factory.mktemp("golden") / "photos"
    for path, golden in PATHS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(golden.content)
    return root


KEPT = [golden for name, golden in GOLDEN.items() if "1x1" not in name]
PATHS = {f"{'ab'[n % 2]}/{n:03}{golden.suffix}": golden for n, golden in enumerate(KEPT)}


def squares() -> np.ndarray:
    """(N, 16, 16, 3): what a network of 16x16 sees, the centre of each."""
    found = []
    for golden in PATHS.values():
        height, width = golden.pixels.shape[:2]
        top, left = (height - SIDE) // 2, (width - SIDE) // 2
        found.append(golden.pixels[top : top + SIDE, left : left + SIDE])
    return np.stack(found)


@pytest.mark.parametrize("room", [0, 10**12], ids=["read again", "in memory"])
def test_training_reads_them(folder, monkeypatch, room):
    monkeypatch.setattr(pictures, "_free_memory", lambda: room)
    source = open_source(folder)
    found = survey(source, SIDE, crop=AreaCrop(0.5))
    assert found.problems == ()
    tolerance = np.array([golden.tolerance for golden in PATHS.values()])[:, None, None, None]
    assert [item.path for item in source.items] == sorted(PATHS)
    order = [list(PATHS).index(item.path) for item in source.items]
    for item in source.items:
        golden = PATHS[item.path]
        assert found.sizes[item.path] == golden.pixels.shape[1::-1]
        assert near(found.pictures[item.path], golden)
        assert near(found.pictures.large(item.path), golden)
        assert near(source.read(item.path), golden)
    with ThreadPoolExecutor(2) as pool:
        together = found.pictures.read([item.path for item in source.items], pool)
    assert all(near(image, PATHS[i.path]) for i, image in zip(source.items, together, strict=True))

    scale = Preprocessing(SIDE, (0.0,) * 3, (1 / 255,) * 3)  # bytes as they are
    plain = Augmentation(crop=Padded(0), flip=False)
    central = torch.cat(list(evaluation_batches(found.pictures, source.items, scale, 50)))
    shown = central.permute(0, 2, 3, 1).numpy()
    assert (np.abs(shown - squares()[order]) <= tolerance[order] + 1e-3).all()

    # In training a window of the picture, anywhere; each picture is made a class of its own here.
    items = [replace(item, label=item.path) for item in source.items]
    paths = [item.path for item in items]
    (batch,) = training_batches(
        found.pictures, items, paths, scale, plain, batch=len(items), seed=3, epoch=1
    )  # fmt: skip
    lefts = set()
    for image, label in zip(batch.images.permute(0, 2, 3, 1).numpy(), batch.labels, strict=True):
        golden = PATHS[paths[label]]
        height, width = golden.pixels.shape[:2]
        windows = [
            (top, left) for top in range(height - SIDE + 1) for left in range(width - SIDE + 1)
            if np.abs(image - golden.pixels[top : top + SIDE, left : left + SIDE]).max()
            <= golden.tolerance + 1e-3
        ]  # fmt: skip
        assert windows, paths[label]
        lefts.add(windows[0])
    assert len(lefts) > 10


@pytest.fixture(scope="module")
def model() -> Model:
    """Two weighted sums over all values of an image, which any other pixel would change."""
    network = Network(
        "sums", {"conv": Conv(CLASSES, SIDE, padding=0, act=None), "pool": GlobalAvgPool()}, (),
        (3, SIDE, SIDE), 2,
    )  # fmt: skip
    net = build(network)
    weights = np.random.default_rng(0).normal(0, 0.1, (2, 3, SIDE, SIDE))
    with torch.no_grad():
        (parameter,) = net.parameters()
        parameter.copy_(torch.from_numpy(weights))
    return Model(net.eval(), ("a", "b"), Preprocessing(SIDE, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)), {}, Path("m"))


def probabilities(model: Model) -> np.ndarray:
    """(N, 2), by numpy from the golden pixels."""
    (parameter,) = (value.detach().numpy().astype(np.float64) for value in model.net.parameters())
    scaled = (squares() / 255 - model.preprocessing.mean) / model.preprocessing.std
    logits = np.einsum("nhwc,kchw->nk", scaled, parameter)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


EXACT = np.array([golden.tolerance == 0 for golden in PATHS.values()])


def test_prediction_sees_them(folder, model):
    expected = probabilities(model)
    assert 0.2 < np.abs(expected[:, 0] - 0.5).mean() and len(np.unique(expected[:, 0].round(4))) > 60
    answers = list(predict(model, [folder / path for path in PATHS], top=2))
    found = np.array([dict(answer.top)["a"] for answer in answers if isinstance(answer, Answer)])
    np.testing.assert_allclose(found[EXACT], expected[EXACT, 0], atol=1e-4)


def test_evaluation_sees_them(folder, model, tmp_path):
    """Of those that leave nothing to rounding."""
    for (path, golden), exact in zip(PATHS.items(), EXACT, strict=True):
        if exact:
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_bytes(golden.content)
    whole = evaluate([Member(model)], str(tmp_path))
    found, problems = whole.score(), whole.problems
    assert (found.images, problems) == (EXACT.sum(), ())
    labels = np.array(["ab".index(path[0]) for path in PATHS])
    chances = probabilities(model)[np.arange(len(labels)), labels]
    assert found.cross_entropy == pytest.approx(-np.log(chances[EXACT]).mean(), rel=1e-3)
    assert found.top1_error == pytest.approx(100 * (chances[EXACT] < 0.5).mean())


def test_a_run_from_training_to_prediction(folder, here, deeper):
    """The scale is that of the golden pixels; the three verbs agree about every image."""
    run = api.train(folder, model="tiny", size=SIDE, epochs=1, settings={"flip": "false"}, out=here / "run")
    rows = [row.split(",") for row in (here / "run" / "split.csv").read_text().splitlines()[1:]]
    assert sorted(row[0] for row in rows) == sorted(PATHS)
    held_out = [path for path, _, side in rows if side == "val"]
    trained = np.array([path not in held_out for path in PATHS])
    kept = [
        golden.pixels.reshape(-1, 3) for golden, seen in zip(PATHS.values(), trained, strict=True) if seen
    ]
    values = np.concatenate(kept) / 255
    np.testing.assert_allclose(run.model.preprocessing.mean, values.mean(0), atol=1e-3)
    np.testing.assert_allclose(run.model.preprocessing.std, values.std(0), atol=1e-3)
    shown = np.asarray(Image.open(here / "run" / "model" / "golden.png"))
    assert any(near(shown, PATHS[path]) for path in held_out)

    lines = [line.split(",") for line in (here / "run" / "predictions.csv").read_text().splitlines()]
    said = deeper("predict", "run", *(folder / path for path in held_out), "--top", "1", "--json")
    assert said.status == 0
    answers = {found["path"]: found["top"][0] for found in said.document["predictions"]}
    assert sorted(line[0] for line in lines[1:]) == sorted(held_out)
    for path, _, predicted, probability, _ in lines[1:]:
        top = answers[str(folder / path)]
        assert top["class"] == predicted
        assert top["probability"] == pytest.approx(float(probability), abs=1e-4)
    said = deeper("evaluate", "run", "--json")
    result = json.loads((here / "run" / "run.json").read_text())["result"]
    assert said.status == 0
    assert said.document["cross_entropy"] == pytest.approx(result["cross_entropy"], rel=1e-4)


def test_a_picture_is_one_whatever_its_file(folder, read, here):
    """The single pixel, too, goes through every verb."""
    (golden,) = (golden for name, golden in GOLDEN.items() if "1x1" in name)
    for path in ("cat/1.png", "dog/2.png"):
        (here / "one" / path).parent.mkdir(parents=True)
        for number in range(3):
            pixels = np.full((1, 1, 3), 40 * number + len(path) % 7, np.uint8)
            Image.fromarray(pixels).save((here / "one" / path).with_stem(str(number)))
    (here / "one" / "cat" / "golden.png").write_bytes(golden.content)
    for verb in ("train", "evaluate", "predict"):
        said = read(verb, here / "one")
        assert said.status == 0, said
