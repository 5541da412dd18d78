"""Files that Keras writes, read to the bit; files that Keras reads, written; and files that are neither.

Keras runs on its torch backend in a process of its own: nothing else here should see it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from goingdeeper.errors import DataError, MissingExtra
from goingdeeper.names import entries, keras, namings
from goingdeeper.nn.build import build
from goingdeeper.trace import replace_input
from goingdeeper.weights.forms import to_ours, to_theirs
from goingdeeper.weights.keras_files import read_keras, write_keras

CLASSES = 5
SIDES = {"InceptionV3": 75, "ResNet50": 33}  # what we write and Keras reads

ORACLE = """
import json, os, sys, warnings
os.environ["KERAS_BACKEND"] = "torch"
warnings.simplefilter("ignore")
import h5py
import numpy as np
import torch
import keras
from keras import layers
from keras.src.legacy.saving import legacy_h5_format
from safetensors.numpy import load_file, save_file

torch.set_num_threads(1)
folder, classes, sides = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])


def base():
    given = x = layers.Input((8, 8, 3))
    for width in (4, 5):
        x = layers.Conv2D(width, 3, use_bias=False)(x)
        x = layers.BatchNormalization(scale=False)(x)
    x = layers.Conv2D(6, 1, name="named_conv")(x)
    x = layers.BatchNormalization(name="named_bn")(x)
    return keras.Model(given, x)


def headed():
    body = base()
    return keras.Model(body.input, layers.Dense(3)(layers.GlobalAveragePooling2D()(body.output)))


def nested():
    return keras.Sequential([base(), layers.GlobalAveragePooling2D(), layers.Dense(3, name="mine")])


def maximal():
    return keras.Sequential([base(), layers.GlobalMaxPooling2D(), layers.Dense(3, name="mine")])


def stirred(net):
    chance = np.random.default_rng(4)
    for variable in net.weights:
        variable.assign(chance.normal(0, 1, variable.shape))
    return net


def kept(net):
    found = {}
    for layer in net.layers:
        if isinstance(layer, keras.Model):
            found |= kept(layer)
        else:
            found |= {f"{layer.name}/{v.name}": np.ascontiguousarray(v.numpy()) for v in layer.weights}
    return found


def save(net, name):
    save_file(kept(net), f"{folder}/{name}.safetensors")
    net.save(f"{folder}/{name}.h5")
    net.save(f"{folder}/{name}.keras")
    net.save_weights(f"{folder}/{name}.weights.h5")
    with h5py.File(f"{folder}/{name}_only.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, net)


trained = stirred(headed())
trained.compile("adam", "mse")
trained.fit(np.zeros((2, 8, 8, 3)), np.zeros((2, 3)), verbose=0)
save(trained, "headed")
save(stirred(nested()), "nested")
save(stirred(maximal()), "maximal")
save(stirred(base()), "headless")
for kind in ("float16", "bfloat16"):
    keras.config.set_dtype_policy(kind)
    net = stirred(base())
    keras.config.set_dtype_policy("float32")
    wide = {key: np.ascontiguousarray(value.astype("float32")) for key, value in kept(net).items()}
    save_file(wide, f"{folder}/{kind}.safetensors")
    net.save_weights(f"{folder}/{kind}.weights.h5")

found = {}
for model, side in sides.items():
    build = getattr(keras.applications, model)
    net = build(
        weights=f"{folder}/{model}.h5", classes=classes, input_shape=(side, side, 3),
        classifier_activation=None,
    )
    found[model] = net.predict(load_file(f"{folder}/images")[model].transpose(0, 2, 3, 1), verbose=0)
    if model == "InceptionV3":
        net.save_weights(f"{folder}/again.weights.h5")
save_file(found, f"{folder}/logits")
"""


def _ours(model):
    """The naming, and the network for images of the size that is tried."""
    naming = next(naming for naming in namings("keras") if naming.model == model)
    side = SIDES[model]
    return naming, replace(replace_input(naming.network(), (3, side, side)), classes=CLASSES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of Keras, and what it makes of files of ours."""
    folder = tmp_path_factory.mktemp("keras")
    torch.manual_seed(2)
    images, logits = {}, {}
    for model, side in SIDES.items():
        naming, network = _ours(model)
        net = build(network).eval()
        state = net.state_dict()
        for key, value in state.items():
            if key.endswith(("norm.weight", "running_var")):
                value.uniform_(0.5, 1.5)
            elif value.is_floating_point() and not key.endswith("weight"):
                value.normal_(0, 0.2)
        images[model] = torch.randn(2, 3, side, side)
        with torch.no_grad():
            logits[model] = net(images[model])
        if naming.bgr:
            images[model] = images[model].flip(1).contiguous()
        order = keras.layer_order(network, naming.places(network))
        write_keras(folder / f"{model}.h5", to_theirs(entries(naming, network), state), order)
    save_file(images, folder / "images")
    save_file(logits, folder / "ours")
    arguments = [str(folder), str(CLASSES), json.dumps(SIDES)]
    subprocess.run([sys.executable, "-c", ORACLE, *arguments], check=True, capture_output=True, timeout=600)
    return folder


def _same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        assert torch.equal(found[key], value), key


# Of the second network on, Keras counts conv2d_2, conv2d_3 and so on: the first layers of the file.
ANEW = {"conv2d_2": "conv2d", "conv2d_3": "conv2d_1", "batch_normalization_2": "batch_normalization"}
ANEW |= {"batch_normalization_3": "batch_normalization_1"}


def _expected(folder, name):
    expected = {}
    for key, value in load_file(folder / f"{name}.safetensors").items():
        layer, variable = key.split("/")
        kind, _, number = layer.rpartition("_")
        if kind in ("conv2d", "batch_normalization") and number.isdigit():
            layer = kind if int(number) % 2 == 0 else f"{kind}_1"
        expected[f"{'predictions' if layer in HEADS else layer}/{variable}"] = value
    return expected


HEADS = ("dense", "mine")


@pytest.mark.parametrize("form", [".h5", ".keras", ".weights.h5", "_only.h5"])
@pytest.mark.parametrize("name", ["headed", "nested", "headless"])
def test_every_format_gives_the_same_arrays(folder, name, form):
    expected = _expected(folder, name)
    assert len(expected) in (14, 16)
    _same(read_keras(folder / f"{name}{form}"), expected)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_is_widened(folder, kind):
    _same(read_keras(folder / f"{kind}.weights.h5"), _expected(folder, kind))


@pytest.mark.parametrize("form", [".h5", ".keras"])
def test_a_classifier_behind_a_maximum_is_no_classifier_of_ours(folder, form):
    assert {key for key in read_keras(folder / f"maximal{form}") if "kernel" in key} == {
        "conv2d/kernel", "conv2d_1/kernel", "named_conv/kernel", "mine/kernel",
    }  # fmt: skip


@pytest.mark.parametrize("model", SIDES)
def test_keras_reads_what_is_written(folder, model):
    """Its functions read by the order of layers alone: wrong order, wrong logits."""
    expected, found = load_file(folder / "ours")[model], load_file(folder / "logits")[model]
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("model", SIDES)
def test_what_is_written_is_read_to_the_bit(folder, model):
    naming, network = _ours(model)
    found = entries(naming, network)
    theirs = read_keras(folder / f"{model}.h5")
    _same(to_theirs(found, to_ours(found, theirs)), theirs)


def _without_names(folder):
    """A file as Keras wrote it before it wrote the layers' names."""
    path = folder / "nameless.weights.h5"
    path.write_bytes((folder / "again.weights.h5").read_bytes())
    with h5py.File(path, "a") as file:
        for group in file["layers"].values():
            group["vars"].attrs.pop("name")
    return path


def test_a_file_without_names_is_read_by_position(folder):
    naming, network = _ours("InceptionV3")
    expected = to_ours(entries(naming, network), read_keras(folder / "InceptionV3.h5"))
    nameless = next(one for one in namings("keras") if one.model == "InceptionV3, by position")
    theirs = read_keras(_without_names(folder))
    assert all(key.startswith("layers/") for key in theirs)
    _same(to_ours(entries(nameless, network), theirs), expected)


def test_a_keras_file_without_names_takes_them_from_its_configuration(folder, tmp_path):
    with zipfile.ZipFile(folder / "nested.keras") as archive:
        config, weights = (archive.read(one) for one in ("config.json", "model.weights.h5"))
    (tmp_path / "weights").write_bytes(weights)

    def strip(_, group):
        group.attrs.pop("name", None)

    with h5py.File(tmp_path / "weights", "a") as file:
        file.visititems(strip)
    with zipfile.ZipFile(tmp_path / "nested.keras", "w") as archive:
        archive.writestr("config.json", config)
        archive.write(tmp_path / "weights", "model.weights.h5")
    _same(read_keras(tmp_path / "nested.keras"), _expected(folder, "nested"))


def _legacy(path, layers, names=None):
    """A file of Keras 1 or 2, written with h5py: layers by name with their arrays by weight name."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in names or layers]
        for layer, arrays in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in arrays]
            for name, value in arrays.items():
                group[name] = value
    return path


ONES, TWOS = np.ones((1, 1, 2, 3), "f4"), np.full(3, 2, "f4")


def test_names_of_keras_1(tmp_path):
    path = _legacy(tmp_path / "vgg16.h5", {
        "block1_conv1": {"block1_conv1_W_1:0": ONES, "block1_conv1_b_1:0": TWOS},
        "bn_conv1": {
            "bn_conv1_gamma:0": TWOS, "bn_conv1_beta:0": TWOS + 1,
            "bn_conv1_running_mean:0": TWOS + 2, "bn_conv1_running_std:0": TWOS + 3,
        },
    })  # fmt: skip
    found = {key: value.flatten()[0].item() for key, value in read_keras(path).items()}
    assert found == {
        "block1_conv1/kernel": 1, "block1_conv1/bias": 2, "bn_conv1/gamma": 2, "bn_conv1/beta": 3,
        "bn_conv1/moving_mean": 4, "bn_conv1/moving_variance": 5,
    }  # fmt: skip


def test_names_of_tensorflow_1_and_its_counts(tmp_path):
    """Layers of a second building, and weights that a copied graph called anew; 9 comes before 10."""
    path = _legacy(tmp_path / "old.h5", {
        "batch_normalization_v1_10": {"batch_normalization_v1_10/beta:0": TWOS},
        "batch_normalization_v1_9": {"batch_normalization_v1_9_1/beta:0": TWOS + 1},
        "conv2d_94": {"conv2d_94_1/kernel:0": ONES},
    })  # fmt: skip
    found = {key: value.flatten()[0].item() for key, value in read_keras(path).items()}
    assert found == {"batch_normalization_1/beta": 2, "batch_normalization/beta": 3, "conv2d/kernel": 1}


def test_long_lists_of_names_are_spread_over_attributes(tmp_path):
    path = _legacy(tmp_path / "long.h5", {"a": {"a/kernel:0": ONES}, "b": {"b/kernel:0": ONES}})
    with h5py.File(path, "a") as file:
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"a"], [b"b"]
    assert read_keras(path).keys() == {"a/kernel", "b/kernel"}


def _external(path):
    _legacy(path.with_name("other.h5"), {"a": {"a/kernel:0": ONES}})
    with h5py.File(_legacy(path, {}, ["a"]), "a") as file:
        file["a"] = h5py.ExternalLink("other.h5", "/a")


def _soft(path):
    with h5py.File(_legacy(path, {"b": {"b/kernel:0": ONES}}, ["a"]), "a") as file:
        file["a"] = h5py.SoftLink("/b")


def _reference(path):
    with h5py.File(_legacy(path, {"a": {"a/kernel:0": ONES}}), "a") as file:
        file["a"].attrs["weight_names"] = [file["a"].ref]


def _huge(path):
    with h5py.File(_legacy(path, {"a": {}}), "a") as file:
        file["a"].attrs["weight_names"] = [b"a/kernel:0"]
        file["a"].create_dataset("a/kernel:0", (2**20, 2**20), "f4", chunks=(1024, 1024))


def _words(path):
    _legacy(path, {"a": {"a/kernel:0": np.array([b"rm", b"-rf"])}})


def _elsewhere(path):
    path.with_name("secret").write_bytes(bytes(48))
    with h5py.File(_legacy(path, {"a": {}}), "a") as file:
        file["a"].attrs["weight_names"] = [b"a/kernel:0"]
        file["a"].create_dataset(
            "a/kernel:0", (3, 4), "f4", external=[(str(path.with_name("secret")), 0, 48)]
        )


def _virtual(path):
    other = path.with_name("secret.h5")
    with h5py.File(other, "w") as file:
        file["w"] = ONES
    layout = h5py.VirtualLayout(ONES.shape, "f4")
    layout[...] = h5py.VirtualSource(str(other), "w", ONES.shape)
    with h5py.File(_legacy(path, {"a": {}}), "a") as file:
        file["a"].attrs["weight_names"] = [b"a/kernel:0"]
        file["a"].create_virtual_dataset("a/kernel:0", layout)


def _missing(path):
    _legacy(path, {}, ["a"])


def _neither(path):
    with h5py.File(path, "w") as file:
        file["images"] = ONES


def _empty(path):
    _legacy(path, {})


def _text(path):
    path.write_text("<html>not found</html>")


def _nothing(path):
    path.write_bytes(b"")


def _no_weights(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")


def _bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(100 * 2**20))


def _deep(path):
    with h5py.File(path, "w") as file:
        layers = file.create_group("layers/functional")
        layers["layers"] = file["layers"]  # a model within itself


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_external, "'a' is a link, which is not followed"),
        (_soft, "'a' is a link, which is not followed"),
        (_reference, "a name in it is no text"),
        (_huge, r"'a/kernel:0' claims 4,398,046,511,104 bytes, far more than the file has"),
        (_words, r"'a/kernel:0' holds \|S3, not numbers"),
        (_elsewhere, "'a/kernel:0' is no array of its own"),
        (_virtual, "'a/kernel:0' is no array of its own"),
        (_missing, "'a' is listed in it, but not there"),
        (_neither, "it is HDF5, but neither Keras' model_weights nor its layers are in it"),
        (_empty, "holds no layer with weights; save the model with its weights"),
        (_text, r"cannot be read as a Keras file \(.*signature not found.*\); it may be cut short"),
        (_nothing, "cannot be read as a Keras file"),
        (_no_weights, "there is no model.weights.h5 in it, as there is in a .keras file"),
        (_bomb, "model.weights.h5 in it claims 104,857,600 bytes; nothing was unpacked"),
        (_deep, "models within models more than 16 deep"),
    ],
    ids=lambda one: getattr(one, "__name__", "said"),
)
def test_what_is_no_such_file_is_said_in_one_line(tmp_path, make, said):
    path = tmp_path / "given.h5"
    make(path)
    with pytest.raises(DataError, match=said) as caught:
        read_keras(path)
    assert "given.h5" in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"gone\.h5 is not there, or no file; check the path"):
        read_keras(tmp_path / "gone.h5")


@pytest.mark.parametrize("form", [".h5", ".keras", ".weights.h5"])
def test_every_cut_is_noticed(folder, tmp_path, form):
    whole = (folder / f"headed{form}").read_bytes()
    path = tmp_path / f"cut{form}"
    for share in (0.3, 0.95):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match="cut"):
            read_keras(path)


@pytest.mark.slow
def test_flipped_bytes_never_give_more_than_a_refusal(folder, tmp_path):
    """HDF5's own library loops without end on some of them, and ends its process on others."""
    whole = bytearray((folder / "headed.h5").read_bytes())
    path = tmp_path / "flipped.h5"
    chance = np.random.default_rng(1)
    for _ in range(25):
        flipped = whole.copy()
        for place in chance.integers(0, len(whole), 20):
            flipped[place] = chance.integers(0, 256)
        path.write_bytes(flipped)
        try:
            read_keras(path)
        except DataError as problem:
            assert "\n" not in str(problem)


@pytest.mark.slow
def test_what_would_take_without_end_is_ended(tmp_path):
    """Fourteen models in one another, each three times: over four million paths to one."""
    path = tmp_path / "laughs.h5"
    with h5py.File(path, "w") as file:
        inside = file
        for _ in range(14):
            layers = inside.create_group("layers")
            inside = layers.create_group("a")
            layers["b"] = layers["c"] = inside
    with pytest.raises(DataError, match="takes far longer to read than its size needs; it is refused"):
        read_keras(path)


def test_formats_are_told_by_name(tmp_path):
    for name in ("net.weights.h5", "net.keras"):
        with pytest.raises(DataError, match=r"end it in '\.h5'"):
            write_keras(tmp_path / name, {}, [])


def test_no_layer_is_left_out(tmp_path):
    for order in ([], ["a", "b"]):
        with pytest.raises(DataError, match="is not both in the order of layers and among the weights"):
            write_keras(tmp_path / "net.h5", {"a/kernel": torch.ones(1)}, order)
    assert not (tmp_path / "net.h5").exists()


def test_without_h5py_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"pip install 'goingdeeper\[keras\]'"):
        read_keras(tmp_path / "net.h5")
