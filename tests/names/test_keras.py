"""keras.applications as the oracle: the same weights give the same logits, layer by layer in Keras' order.

Keras runs on its torch backend in a process of its own: nothing else here should see it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from goingdeeper.names import entries, keras, namings
from goingdeeper.nn.build import build
from goingdeeper.trace import replace_input
from goingdeeper.weights.forms import to_ours, to_theirs

CLASSES = 7
# VGG's first dense layer is as large as its input: at 64 pixels it reads a map of 2x2, so that order counts.
SIDES = {"InceptionV3": 139, "ResNet50": 97, "VGG16": 64}
DEEPER = {"ResNet101": 65, "ResNet152": 65, "VGG19": 64}

ORACLE = """
import json, os, sys
os.environ["KERAS_BACKEND"] = "torch"
import numpy as np
import torch
import keras
from safetensors.numpy import save_file

torch.set_num_threads(1)
folder, classes = sys.argv[1], int(sys.argv[2])
for model, side in json.loads(sys.argv[3]).items():
    keras.utils.set_random_seed(5)
    keras.backend.clear_session()
    build = getattr(keras.applications, model)
    net = build(weights=None, classes=classes, input_shape=(side, side, 3), classifier_activation=None)
    chance = np.random.default_rng(6)
    parts = {}
    for layer in net.layers:
        for variable in layer.weights:
            if variable.name in ("gamma", "moving_variance"):
                variable.assign(chance.uniform(0.5, 1.5, variable.shape))
            elif variable.name != "kernel":
                variable.assign(chance.normal(0, 0.2, variable.shape))
            parts[f"{layer.name}/{variable.name}"] = variable.numpy()
    images = chance.uniform(0, 255, (3, side, side, 3)).astype("float32")
    module = {"I": "inception_v3", "R": "resnet", "V": "vgg16"}[model[0]]
    ready = getattr(keras.applications, module).preprocess_input(images.copy())
    parts["bytes"] = images
    parts["logits"] = net.predict(ready, verbose=0)
    save_file({key: np.ascontiguousarray(value) for key, value in parts.items()}, f"{folder}/{model}")
    order = [layer.name for layer in net.layers if layer.weights]
    open(f"{folder}/{model}.json", "w").write(json.dumps(order))
"""


def _run(folder: Path, sides: dict[str, int]) -> Path:
    arguments = [str(folder), str(CLASSES), json.dumps(sides)]
    subprocess.run([sys.executable, "-c", ORACLE, *arguments], check=True, capture_output=True, timeout=600)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return _run(tmp_path_factory.mktemp("keras"), SIDES)


@pytest.fixture(scope="module")
def deeper(tmp_path_factory):
    return _run(tmp_path_factory.mktemp("deeper"), DEEPER)


def _naming(model):
    return next(naming for naming in namings("keras") if naming.model == model)


def _agree(folder, model, side):
    naming = _naming(model)
    theirs = load_file(folder / model)
    images, expected = theirs.pop("bytes"), theirs.pop("logits")
    network = replace(replace_input(naming.network(), (3, side, side)), classes=CLASSES)
    found = entries(naming, network)
    assert {entry.theirs: entry.shape for entry in found} == {k: tuple(v.shape) for k, v in theirs.items()}

    net = build(network)
    net.load_state_dict(to_ours(found, theirs))
    mean, std = (torch.tensor(three).view(3, 1, 1) for three in (naming.scale.mean, naming.scale.std))
    with torch.no_grad():
        logits = net.eval()((images.permute(0, 3, 1, 2) / 255 - mean) / std)
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()

    back = to_theirs(found, net.state_dict())
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[key], theirs[key]) for key in theirs)
    order = json.loads((folder / f"{model}.json").read_text())
    assert keras.layer_order(network, naming.places(network)) == order


@pytest.mark.parametrize("model", SIDES)
def test_the_same_weights_give_the_same_logits(models, model):
    _agree(models, model, SIDES[model])


@pytest.mark.slow
@pytest.mark.parametrize("model", DEEPER)
def test_so_they_do_in_deeper_networks(deeper, model):
    _agree(deeper, model, DEEPER[model])


def test_every_network_is_tried():
    named = {naming.model for naming in namings("keras") if "by position" not in naming.model}
    assert named == SIDES.keys() | DEEPER.keys()


# What Keras 3 wrote before it wrote names: groups counted by class in the order of `model.layers`.
@pytest.mark.parametrize("model", SIDES)
def test_groups_without_names_are_counted_in_the_order_of_layers(models, model):
    order = json.loads((models / f"{model}.json").read_text())
    shapes = {key: tuple(value.shape) for key, value in load_file(models / model).items()}
    kinds = {1: "batch_normalization", 2: "dense", 4: "conv2d"}
    counts = dict.fromkeys(kinds.values(), 0)
    expected = {}
    for layer in order:
        kind = kinds[len(shapes.get(f"{layer}/kernel", (0,)))]
        group = f"layers/{kind}_{counts[kind]}" if counts[kind] else f"layers/{kind}"
        counts[kind] += 1
        expected |= {k.replace(layer, group): v for k, v in shapes.items() if k.startswith(f"{layer}/")}
    naming = _naming(f"{model}, by position")
    network = replace(replace_input(naming.network(), (3, SIDES[model], SIDES[model])), classes=CLASSES)
    assert {entry.theirs: entry.shape for entry in entries(naming, network)} == expected
