"""The scale of the input in the model folder: loaded to the bit, and nothing altered gets through."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file, save

from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing, prepare_input
from goingdeeper.data.sources import Item
from goingdeeper.errors import DataError, GateError, GoingDeeperError, ResourceError, RunFolderError
from goingdeeper.nn.build import build
from goingdeeper.prediction.predictor import predict
from goingdeeper.recipes.images import Centre, Contrast, Input, MeanImage, Range, Standardise
from goingdeeper.runs.model import load_model, save_model
from goingdeeper.runs.stored import sealed

TENSORS = "preprocessing.safetensors"
MAXOUT = Contrast(55.0, 0.1)
FITTED = {"mean image": MeanImage(), "contrast + mean image": Contrast(mean_image=True),
          "contrast + mean image + ZCA": MAXOUT}  # fmt: skip
KINDS = {"by channel": Standardise(), "contrast": Contrast(), **FITTED}


def prepared(kind: Input) -> Preprocessing:
    random = np.random.default_rng(1)
    pixels = {f"{number}": random.integers(0, 256, (8, 8, 3), np.uint8) for number in range(50)}
    return prepare_input(kind, Pictures(None, 8, pixels), [Item(path, "a") for path in pixels], 8)


def store(folder: Path, network: Any, preprocessing: Preprocessing) -> Path:
    net = build(network)
    with torch.no_grad():
        net.train()(torch.randn(16, 3, 8, 8))
    picture = np.random.default_rng(0).integers(0, 256, (11, 9, 3), np.uint8)
    save_model(folder, net.eval(), net.state_dict(), tuple("abcdefg"), preprocessing, picture, {})
    return folder


@pytest.fixture
def saved(tmp_path, small_network) -> Path:
    """A model whose images are whitened."""
    return store(tmp_path / "model", small_network, prepared(MAXOUT))


def edited(folder: Path, edit: Any) -> None:
    """The config with another seal, as if it had been saved so."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    edit(config["preprocessing"])
    (folder / "config.json").write_bytes(sealed(config))


def replaced(folder: Path, tensors: dict[str, np.ndarray]) -> None:
    """Other tensors, with their size and hash as they should be."""
    content = save(tensors)
    (folder / TENSORS).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edited(folder, lambda data: data["tensors"].update(bytes=len(content), sha256=digest))


@pytest.mark.parametrize("kind", [*KINDS.values(), Centre(), Range(), MeanImage(1.0)], ids=repr)
def test_what_is_loaded_is_what_was_saved_to_the_bit(tmp_path, small_network, kind):
    expected = prepared(kind)
    found = load_model(store(tmp_path / "model", small_network, expected)).preprocessing
    assert found == expected
    pixels = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (5, 8, 8, 3), np.uint8))
    assert torch.equal(found.normalise(pixels), expected.normalise(pixels))


@pytest.mark.parametrize("name", KINDS)
def test_the_config_says_what_is_done(tmp_path, small_network, name):
    preprocessing = prepared(KINDS[name])
    folder = store(tmp_path / "model", small_network, preprocessing)
    config = json.loads((folder / "config.json").read_text("utf-8"))["preprocessing"]
    assert config["kind"] == name
    assert (config["size"], config["mean"], config["std"], config["contrast"]) == (
        8, list(preprocessing.mean), list(preprocessing.std), 55.0 if "contrast" in name else 0.0,
    )  # fmt: skip
    assert ("tensors" in config) == (folder / TENSORS).exists() == (name in FITTED)
    assert (TENSORS in (folder / "README.md").read_text("utf-8")) == (name in FITTED)
    if name in FITTED:
        content = (folder / TENSORS).read_bytes()
        assert config["tensors"] == {
            "file": TENSORS, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()
        }  # fmt: skip
        kept = {key: value.shape for key, value in load_file(folder / TENSORS).items()}
        zca = {"whiten": (192, 192)} if "ZCA" in name else {}
        assert kept == {"mean_image": (3, 8, 8), **zca}


def test_a_reader_without_this_library_computes_the_same(saved):
    """From config.json and the tensors alone, as an exporter would."""
    config = json.loads((saved / "config.json").read_text("utf-8"))["preprocessing"]
    tensors = load_file(saved / TENSORS)
    pixels = np.random.default_rng(2).integers(0, 256, (8, 8, 3), np.uint8)
    x = pixels.transpose(2, 0, 1) / 255
    x = config["contrast"] * (x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).sum())
    x = (x - tensors["mean_image"]) / np.array(config["std"])[:, None, None]
    x = (tensors["whiten"] @ x.ravel()).reshape(3, 8, 8)
    found = load_model(saved).preprocessing.views([pixels])[0]
    np.testing.assert_allclose(found.numpy(), x, atol=1e-3)
    assert np.abs(x).max() > 1


@pytest.mark.parametrize("place", [0.0, 0.01, 0.5, 1.0])
def test_one_flipped_bit_is_found(saved, place):
    content = bytearray((saved / TENSORS).read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    (saved / TENSORS).write_bytes(content)
    with pytest.raises(GateError, match=rf"{TENSORS} was altered after it was saved; restore it or train"):
        load_model(saved)


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_file_cut_short_names_the_sizes(saved, kept):
    content = (saved / TENSORS).read_bytes()
    (saved / TENSORS).write_bytes(content[:kept])
    sizes = f"{len(content[:kept]):,} of {len(content):,} bytes"
    with pytest.raises(DataError, match=f"{TENSORS} is cut short: {sizes}"):
        load_model(saved)


def test_more_behind_it_is_altered_too(saved):
    with (saved / TENSORS).open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(GateError, match="was altered"):
        load_model(saved)


def test_a_missing_file_is_named(saved):
    (saved / TENSORS).unlink()
    with pytest.raises(RunFolderError, match=rf"has no {TENSORS}; restore it or train again"):
        load_model(saved)


ZCA = np.eye(192, dtype=np.float32)
MEAN = np.zeros((3, 8, 8), np.float32)


@pytest.mark.parametrize(
    ("tensors", "what"),
    [
        ({"whiten": ZCA[:191]}, r"whiten, torch\.float32 of shape \(191, 192\)"),
        ({"whiten": ZCA[:, :191].copy(), "mean_image": MEAN}, "whiten"),
        ({"whiten": ZCA.astype(np.float64)}, r"whiten, torch\.float64"),
        ({"whiten": MEAN}, "whiten"),
        ({"mean_image": MEAN[:2]}, r"mean_image, torch\.float32 of shape \(2, 8, 8\)"),
        ({"mean_image": MEAN[:, :7].copy()}, "mean_image"),
        ({"mean_image": MEAN[:, :0, :0].copy()}, "mean_image"),
        ({"mean_image": np.zeros((), np.float32)}, "mean_image"),
        ({"mean_image": MEAN, "more": MEAN}, "more"),
    ],
)
def test_other_tensors_are_not_taken(saved, tensors, what):
    """Even with the right size and hash."""
    replaced(saved, tensors)
    with pytest.raises(DataError, match=rf"{TENSORS} does not hold this model's mean image or ZCA: {what}"):
        load_model(saved)


def test_what_is_no_safetensors_file_is_not_taken(saved):
    (saved / TENSORS).write_bytes(b"hello, this is no such file")
    content = (saved / TENSORS).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    edited(saved, lambda data: data["tensors"].update(bytes=len(content), sha256=digest))
    with pytest.raises(DataError, match="does not hold this model's mean image or ZCA"):
        load_model(saved)


@pytest.mark.parametrize(
    "tensors",
    [{"whiten": ZCA, "mean_image": MEAN}, {"mean_image": MEAN}, {"mean_image": MEAN + 0.1, "whiten": ZCA}],
)
def test_what_the_hash_cannot_see_the_golden_image_does(saved, tensors):
    replaced(saved, tensors)
    with pytest.raises(GateError, match="its golden image gives other logits"):
        load_model(saved)


@pytest.mark.parametrize("change", [{"contrast": 0.0}, {"contrast": 20.0}, {"std": [1.0, 2.0, 1.0]}])
def test_numbers_that_were_altered_are_found_by_the_golden_image(saved, change):
    edited(saved, lambda data: data.update(change))
    with pytest.raises(GateError, match="its golden image gives other logits"):
        load_model(saved)


def test_without_its_tensors_the_scale_is_another(saved):
    edited(saved, lambda data: data.pop("tensors"))
    with pytest.raises(GateError, match="its golden image gives other logits"):
        load_model(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"contrast": -55.0}, {"contrast": float("nan")}, {"contrast": float("inf")}, {"contrast": "high"},
        {"tensors": None}, {"tensors": "preprocessing.safetensors"}, {"tensors": {"file": TENSORS}},
        {"tensors": {"file": TENSORS, "bytes": "many", "sha256": ""}},
    ],
)  # fmt: skip
def test_a_config_that_contradicts_itself_is_damaged(saved, change):
    edited(saved, lambda data: data.update(change))
    with pytest.raises(DataError, match=r"config\.json is damaged: .*; restore it or train again"):
        load_model(saved)


def test_a_config_cannot_point_outside_of_its_folder(tmp_path, saved):
    (saved / TENSORS).rename(tmp_path / "outside.safetensors")
    edited(saved, lambda data: data["tensors"].update(file="../outside.safetensors"))
    with pytest.raises(RunFolderError, match=r"has no outside\.safetensors"):
        load_model(saved)


@settings(
    deadline=None,
    max_examples=150,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    data=st.data(),
    value=st.none()
    | st.booleans()
    | st.sampled_from(
        [-1, 0, 1, 9, 0.5, 1e308, float("inf"), float("nan"), "", "x", "../x", [], {}, [1, 2, 3]]
    ),
)
def test_any_value_altered_is_refused_or_without_effect(saved, data, value):
    file = saved / "config.json"
    original = file.read_text("utf-8")
    config = json.loads(original)
    here = config["preprocessing"]
    key = data.draw(st.sampled_from(sorted(here)))
    if isinstance(here[key], dict | list) and data.draw(st.booleans()):
        here = here[key]
        key = data.draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
    here[key] = value
    pixels = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (5, 8, 8, 3), np.uint8))
    expected = load_model(saved).preprocessing.normalise(pixels)
    file.write_text(json.dumps(config), "utf-8")
    try:
        found = load_model(saved)
    except GoingDeeperError as problem:
        assert problem.exit_status in (2, 3, 6)
        assert "\n" not in str(problem)
    else:
        torch.testing.assert_close(found.preprocessing.normalise(pixels), expected)
    finally:
        file.write_text(original, "utf-8")


@pytest.mark.parametrize("step", range(5))
def test_a_save_that_fails_keeps_the_older_model(saved, small_network, monkeypatch, step):
    """The disk is full at each of the five files."""
    before = {file.name: file.read_bytes() for file in saved.iterdir()}
    assert len(before) == 5
    calls = iter(range(10))
    synced = os.fsync

    def full(handle: int) -> None:
        if next(calls) == step:
            raise OSError(28, "No space left on device")
        synced(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ResourceError, match=r"the disk is full at .*/model, where"):
            store(saved, small_network, prepared(Contrast(mean_image=True)))
    assert {file.name: file.read_bytes() for file in saved.iterdir()} == before
    assert load_model(saved).preprocessing == prepared(MAXOUT)


def test_the_tensors_of_an_older_model_do_not_stay(saved, small_network):
    store(saved, small_network, prepared(Standardise()))
    assert not (saved / TENSORS).exists()
    assert load_model(saved).preprocessing == prepared(Standardise())


def test_a_shorter_side_of_its_own_is_kept_and_taken(tmp_path, small_network):
    """As done by hand with Pillow, whose resizing is another program's: within 2 levels of 255."""
    scale = Preprocessing(8, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), shorter=13)
    model = load_model(store(tmp_path / "model", small_network, scale))
    assert model.preprocessing == scale
    assert model.preprocessing != replace(scale, shorter=None)
    assert model.config["preprocessing"]["shorter"] == 13
    rows, columns = np.mgrid[:40, :61]
    picture = np.stack([6 * rows, 4 * columns, 2 * rows + 2 * columns], 2).astype(np.uint8)
    small = Image.fromarray(picture).resize((20, 13), Image.Resampling.BILINEAR)  # 61 * 13 / 40 = 19.8
    square = np.asarray(small.crop((6, 2, 14, 10)), np.float64) / 255
    expected = torch.from_numpy((square - scale.mean) / scale.std).permute(2, 0, 1)
    found = model.preprocessing.views([model.preprocessing.fit(picture)])[0]
    assert found.shape == (3, 8, 8)
    assert float((found - expected).abs().max()) <= 2 / 255 / 0.2
    (answer,) = predict(model, [picture], top=7)
    likely = model.net(expected.float()[None]).softmax(1)[0]
    assert [name for name, _ in answer.top] == [model.classes[n] for n in likely.argsort(descending=True)]


def test_training_goes_on_with_images_fitted_to_the_input():
    assert Preprocessing(8, shorter=13).at(8) == Preprocessing(8)


@pytest.mark.parametrize("value", [7, "13", 1e9, 5000, True])
def test_a_shorter_side_that_cannot_be_is_refused(tmp_path, small_network, value):
    folder = store(tmp_path / "model", small_network, Preprocessing(8, shorter=13))
    edited(folder, lambda scale: scale.update(shorter=value))
    with pytest.raises(DataError, match="shorter side of"):
        load_model(folder)
