"""The model folder: what is saved is what is loaded, to the bit, and nothing altered gets through."""

from __future__ import annotations

import copy
import json
import math
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file

from goingdeeper import catalogue
from goingdeeper.data.decode import decode, fit
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.edits import rewrite
from goingdeeper.errors import DataError, GateError, GoingDeeperError, ResourceError, RunFolderError
from goingdeeper.layers import BatchNorm, Conv, Network
from goingdeeper.nn.build import Net, build
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import Model, load_model, save_model
from goingdeeper.runs.stored import sealed
from goingdeeper.trace import replace_classes, replace_input

CLASSES = ("a", "b", "c", "d", "e", "f", "ключ ☃")
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def lived_in(net: Net) -> Net:
    """With statistics of batch norm that are not those it starts with."""
    with torch.no_grad():
        net.train()(torch.randn(16, *net.description.input))
    return net.eval()


def store(
    path: Path, net: Net, classes: tuple[str, ...] = CLASSES, picture: np.ndarray | None = None
) -> None:
    side = net.description.input[1]
    if picture is None:
        picture = np.random.default_rng(0).integers(0, 256, (side + 3, side + 9, 3), np.uint8)
    facts = {"scores": {"top1_error": 4.8, "interval_95": [3.1, 7.5], "images": 374, "protocol": "1crop"},
             "provenance": {"data": "photos"}}  # fmt: skip
    save_model(path, net, net.state_dict(), classes, Preprocessing(side, MEAN, STD), picture, facts)


@pytest.fixture
def saved(tmp_path, small_network: Network) -> Path:
    store(tmp_path / "model", lived_in(build(small_network)))
    return tmp_path / "model"


def edited(folder: Path, edit: Any) -> None:
    """The config with another seal, as if it had been saved so."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    edit(config)
    (folder / "config.json").write_bytes(sealed(config))


@pytest.mark.parametrize(
    ("id", "size"),
    [
        ("cifar-resnet-20-a", 32),
        ("cifar-plain-20", 32),
        ("resnet-18-b", 33),
        ("resnet-50-signs", 64),
        ("googlenet", 79),
    ],
)
def test_outputs_of_a_reloaded_model_are_bit_identical(tmp_path, real_images, id, size):
    network = replace_classes(replace_input(catalogue.network(id), (3, size, size)), 10)
    images, _ = real_images(6, size)
    images = images.to(memory_format=torch.channels_last)
    net = build(network).to(memory_format=torch.channels_last)
    with torch.no_grad():
        net.train()(images)
        expected = net.eval()(images)
    store(tmp_path / "model", net, tuple("0123456789"))
    model = load_model(tmp_path / "model")
    assert not model.net.training
    with torch.no_grad():
        assert torch.equal(model.net(images), expected)
    state = net.state_dict()
    for name, value in model.net.state_dict().items():
        assert torch.equal(value, state[name]) and value.dtype == state[name].dtype, name
    assert model.net.get_parameter("conv1.conv.weight").is_contiguous(memory_format=torch.channels_last)


def test_what_is_loaded_is_what_was_saved(saved):
    model = load_model(saved)
    assert model.classes == CLASSES
    assert model.preprocessing == Preprocessing(8, MEAN, STD)
    assert model.config["scores"]["top1_error"] == 4.8
    assert model.path == saved
    assert {file.name for file in saved.iterdir()} == {
        "model.safetensors",
        "config.json",
        "golden.png",
        "README.md",
    }
    readme = (saved / "README.md").read_text("utf-8")
    assert "Validation error 4.80 % (95 %: 3.10 to 7.50, n = 374, 1crop)" in readme
    assert all(name in readme for name in CLASSES)


def test_heads_are_left_behind(saved, small_network):
    model = load_model(saved)
    assert small_network.heads and not model.net.description.heads
    keys = load_file(saved / "model.safetensors").keys()
    assert keys == {key for key in build(small_network).state_dict() if not key.startswith("heads.")}


def test_a_run_folder_leads_to_its_model(tmp_path, saved):
    (tmp_path / "run").mkdir()
    shutil.move(saved, tmp_path / "run" / "model")
    RunFolder(tmp_path / "run").write_run({"status": "finished"})
    assert load_model(tmp_path / "run").path == tmp_path / "run" / "model"


@pytest.mark.parametrize(
    ("run", "what"),
    [
        (None, "there is no run folder"),
        (
            {"status": "interrupted", "command": "deeper train x"},
            "unfinished and has no model yet; go on with: deeper",
        ),
        ({"status": "finished"}, "has no model"),
    ],
)
def test_a_run_folder_without_a_model(tmp_path, run, what):
    folder = RunFolder(tmp_path / "run")
    if run:
        folder.path.mkdir()
        folder.write_run(run)
    with pytest.raises(RunFolderError, match=what):
        load_model(folder.path)


def test_the_golden_image_is_the_picture_and_its_logits_are_the_model_s(saved):
    picture = np.random.default_rng(0).integers(0, 256, (11, 17, 3), np.uint8)
    assert np.array_equal(decode(saved / "golden.png"), picture)
    resized = Image.fromarray(picture).resize((12, 8), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.asarray(resized)[:, 2:10].copy()).permute(2, 0, 1)[None].double() / 255
    images = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    with torch.no_grad():
        logits = load_model(saved).net.double()(images)[0]
    golden = json.loads((saved / "config.json").read_text("utf-8"))["golden"]["logits"]
    torch.testing.assert_close(torch.tensor(golden).double(), logits, rtol=0, atol=0.05)


def test_a_large_picture_is_made_small(tmp_path, small_network):
    picture = np.random.default_rng(0).integers(0, 256, (900, 700, 3), np.uint8)
    store(tmp_path / "model", lived_in(build(small_network)), picture=picture)
    assert np.array_equal(decode(tmp_path / "model" / "golden.png"), fit(picture, 8))
    load_model(tmp_path / "model")


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.9, 1.0])
def test_one_flipped_bit_is_found(saved, place):
    file = saved / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        GateError, match=r"model\.safetensors was altered after it was saved; restore it or train"
    ):
        load_model(saved)


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_weights_cut_short_name_the_sizes(saved, kept):
    file = saved / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:kept])
    size = len(content[:kept])
    with pytest.raises(DataError, match=rf"is cut short: {size:,} of {len(content):,} bytes"):
        load_model(saved)


def test_weights_with_more_behind_them_are_altered(saved):
    with (saved / "model.safetensors").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(GateError, match="was altered"):
        load_model(saved)


def test_weights_of_another_network_are_not_taken(tmp_path, saved):
    """Even with the right size and hash."""
    other = build(replace_input(catalogue.network("cifar-resnet-20-a"), (3, 8, 8)))
    store(tmp_path / "other", other, tuple("0123456789"))
    theirs = json.loads((tmp_path / "other" / "config.json").read_text("utf-8"))["weights"]
    shutil.copy(tmp_path / "other" / "model.safetensors", saved)
    edited(saved, lambda config: config.update(weights=theirs))
    with pytest.raises(DataError, match="does not hold this network's weights"):
        load_model(saved)


@pytest.mark.parametrize(
    ("name", "kind", "what"),
    [
        ("model.safetensors", RunFolderError, r"has no model\.safetensors; restore it or train again"),
        ("golden.png", DataError, r"golden\.png cannot be read: No such file"),
        ("config.json", RunFolderError, "is not a run folder"),
    ],
)
def test_a_missing_file_is_named(saved, name, kind, what):
    (saved / name).unlink()
    with pytest.raises(kind, match=what):
        load_model(saved)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"schema": 2}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_broken_config_is_named(saved, content):
    (saved / "config.json").write_bytes(content)
    with pytest.raises(DataError, match=r"config\.json"):
        load_model(saved)


def darker(folder: Path) -> None:
    pixels = decode(folder / "golden.png")
    Image.fromarray((pixels * 0.8).astype(np.uint8)).save(folder / "golden.png")


def mirrored(folder: Path) -> None:
    Image.fromarray(decode(folder / "golden.png")[:, ::-1].copy()).save(folder / "golden.png")


def setting(*keys: Any, value: Any) -> Any:
    def edit(config: dict[str, Any]) -> None:
        for key in keys[:-1]:
            config = config[key]
        config[keys[-1]] = value

    return lambda folder: edited(folder, edit)


@pytest.mark.parametrize(
    "change",
    [
        darker,
        mirrored,
        setting("preprocessing", "mean", value=[0.4, 0.5, 0.62]),
        setting("preprocessing", "mean", value=[0.6, 0.5, 0.4]),
        setting("preprocessing", "std", value=[0.2, 0.25, 0.31]),
        setting("description", "layers", "conv", "act", value=None),
        setting("description", "layers", "conv", "norm", "eps", value=0.1),
        setting("description", "layers", "side", "padding", value=[2, 0, 2, 0]),
        setting("golden", "logits", value=[0.0] * 7),
        setting("golden", "logits", value=[0.0] * 6),
        setting("golden", "logits", value=[math.nan] * 7),
    ],
)
def test_what_the_hash_cannot_see_the_golden_image_does(saved, change):
    change(saved)
    with pytest.raises(GateError, match="does not prove itself: its golden image gives other logits"):
        load_model(saved)


@pytest.mark.parametrize(
    "change",
    [
        setting("classes", value=list("abcdef")),
        setting("classes", value=list("abcdefgh")),
        setting("classes", value=list("aabcdef")),
        setting("classes", value=5),
        setting("preprocessing", "std", value=[0.2, 0.0, 0.3]),
        setting("preprocessing", "mean", value=[0.4]),
        setting("preprocessing", "size", value=9),
        setting("preprocessing", "size", value=10**9),
        setting("preprocessing", value=None),
        setting("description", "layers", "conv", "kind", value="Magic"),
        setting("description", "layers", "conv", "filters", value=-1),
        setting("description", "input", value=[3, 0, 8]),
        setting("description", "layers", value={"fc": {"kind": "Conv", "filters": 3, "kernel": 99}}),
        setting("weights", "bytes", value=1e400),
        setting("weights", value="model.safetensors"),
        setting("golden", "logits", value=[[1], [2, 3]]),
    ],
)
def test_a_config_that_contradicts_itself_is_damaged(saved, change):
    change(saved)
    with pytest.raises(DataError, match=r"config\.json is damaged: .*; restore it or train again"):
        load_model(saved)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"d"', '"e"'),  # a class
        ('"seal"', '"sean"'),
        ('"sha256"', '"sha257"'),
        ('"bytes": ', '"bytes": 1'),
        ("golden.png", "golden.pnf"),
        ("model.safetensors", "model.sagetensors"),
        ('"scores"', '"scorer"'),
    ],
)
def test_a_config_that_was_altered_is_named_itself(saved, old, new):
    """Also where another file seems to be at fault."""
    file = saved / "config.json"
    text = file.read_text("utf-8")
    for place in [found.start() for found in re.finditer(re.escape(old), text)]:
        file.write_text(text[:place] + new + text[place + len(old) :], "utf-8")
        with pytest.raises((GateError, DataError), match=r"config\.json (was altered|is damaged)"):
            load_model(saved)


def test_a_sealed_config_is_taken(saved):
    edited(saved, lambda config: config.update(classes=[*CLASSES[:-1], "another"]))
    assert load_model(saved).classes[-1] == "another"


def test_models_of_before_there_was_a_seal_load(saved):
    config = json.loads((saved / "config.json").read_text("utf-8"))
    del config["seal"], config["golden"]["sha256"]
    (saved / "config.json").write_text(json.dumps(config), "utf-8")
    assert load_model(saved).classes == CLASSES


def test_a_golden_image_with_other_bytes_is_noticed(saved):
    Image.open(saved / "golden.png").save(saved / "golden.png", compress_level=0)
    with pytest.raises(GateError, match=r"golden\.png was altered after it was saved"):
        load_model(saved)


@pytest.mark.parametrize("place", ["a run", "the model", "inside of it"])
def test_a_model_whose_replacement_was_killed_is_found(tmp_path, saved, monkeypatch, place):
    """Between the two renames."""
    saved.rename(tmp_path / ".model.old")
    if place == "inside of it":
        monkeypatch.chdir(tmp_path / ".model.old")
    path = {"a run": tmp_path, "the model": saved, "inside of it": Path()}[place]
    assert load_model(path).classes == CLASSES


def test_a_config_cannot_point_outside_of_its_folder(tmp_path, saved):
    shutil.copy(saved / "model.safetensors", tmp_path / "outside.safetensors")
    setting("weights", "file", value="../outside.safetensors")(saved)
    with pytest.raises(RunFolderError, match=r"has no outside\.safetensors"):
        load_model(saved)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.sampled_from([1e308, math.inf, math.nan, 0.5, "", "x", "../x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abk"), inner, max_size=2),
    max_leaves=4,
)


@settings(
    deadline=None,
    max_examples=300,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), value=VALUES)
def test_any_value_of_the_config_altered(saved, data, value):
    """Refused with an error of ours, or without effect on what the model computes."""
    file = saved / "config.json"
    original = file.read_text("utf-8")
    config = json.loads(original)
    for name in ("scores", "provenance", "network"):
        del config[name]  # facts for people; nothing is computed from them
    before = copy.deepcopy(config)
    here: Any = config
    while True:
        key = data.draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
        if not isinstance(here[key], dict | list) or not here[key] or data.draw(st.booleans()):
            here[key] = value
            break
        here = here[key]
    file.write_text(json.dumps(config), "utf-8")
    try:
        model = load_model(saved)
    except GoingDeeperError as problem:
        assert problem.exit_status in (2, 3, 6)
        assert "\n" not in str(problem)
    else:
        assert len(model.classes) == len(before["classes"])
        images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        file.write_text(original, "utf-8")
        with torch.no_grad():
            torch.testing.assert_close(model.net(images), load_model(saved).net(images), rtol=1e-2, atol=1e-2)
    finally:
        file.write_text(original, "utf-8")


def test_an_older_model_is_replaced_whole(tmp_path, saved, small_network):
    (saved / "leftover").write_text("of an older version")
    other = lived_in(build(small_network, seed=1))
    store(saved, other)
    found = load_model(saved)
    assert torch.equal(found.net.get_parameter("fc.weight"), other.get_parameter("fc.weight"))
    assert sorted(file.name for file in saved.iterdir()) == [
        "README.md",
        "config.json",
        "golden.png",
        "model.safetensors",
    ]
    assert list(tmp_path.iterdir()) == [saved]


@pytest.mark.parametrize("step", range(4))
def test_a_save_that_fails_keeps_the_older_model(saved, small_network, monkeypatch, step):
    """The disk is full at the first, second, third or fourth file."""
    before = {file.name: file.read_bytes() for file in saved.iterdir()}
    calls = iter(range(10))
    synced = os.fsync

    def full(handle: int) -> None:
        if next(calls) == step:
            raise OSError(28, "No space left on device")
        synced(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(
            ResourceError, match=r"the disk is full at .*/model, where [\d,]+ bytes are needed"
        ):
            store(saved, build(small_network, seed=1))
    assert {file.name: file.read_bytes() for file in saved.iterdir()} == before
    load_model(saved)
    store(saved, lived_in(build(small_network, seed=1)))  # what was left half-written is no hindrance
    assert isinstance(load_model(saved), Model)


def test_a_rename_that_fails_keeps_the_older_model(saved, small_network, monkeypatch):
    before = (saved / "model.safetensors").read_bytes()
    renamed = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError(5, "Input/output error")
        return renamed(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", rename)
        with pytest.raises(OSError, match="Input/output"):
            store(saved, build(small_network, seed=1))
    assert (saved / "model.safetensors").read_bytes() == before
    load_model(saved)


def test_logits_are_the_same_whatever_the_memory_format(saved):
    net = load_model(saved).net
    images = torch.randn(5, 3, 8, 8)
    with torch.no_grad():
        other = net(images.to(memory_format=torch.channels_last))
        torch.testing.assert_close(net(images), other, rtol=0, atol=1e-5)


def test_networks_without_batch_norm_gamma_are_saved_too(tmp_path, small_network):
    def without(layer):
        return (
            replace(layer, norm=BatchNorm(scale=False)) if isinstance(layer, Conv) and layer.norm else layer
        )

    net = lived_in(build(rewrite(small_network, without)))
    store(tmp_path / "model", net)
    images = torch.randn(3, 3, 8, 8).to(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = net.to(memory_format=torch.channels_last)(images)
        assert torch.equal(load_model(tmp_path / "model").net(images), expected)
