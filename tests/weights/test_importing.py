"""Weights of torchvision's own definition become a model folder: the same answers on a photo; or one line."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import copy

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save_file

from goingdeeper import api
from goingdeeper.data.decode import decode
from goingdeeper.errors import DataError, GateError, UsageError
from goingdeeper.evaluation.protocols import PROTOCOLS, plan
from goingdeeper.evaluation.views import sheets
from goingdeeper.files import sha256_of
from goingdeeper.names import entries, namings
from goingdeeper.names.recognise import Match, recognise
from goingdeeper.opened import load
from goingdeeper.published.imagenet import imagenet
from goingdeeper.runs.model import load_model
from goingdeeper.trace import replace_classes
from goingdeeper.weights import importing
from goingdeeper.weights.download import Fetched
from goingdeeper.weights.export import export
from goingdeeper.weights.importing import CIFAR_10, import_weights, imported, made_picture, weights_at

pytestmark = pytest.mark.skipif(find_spec("torchvision") is None, reason="torchvision is not installed")

PHOTO = "n01484850_great_white_shark.JPEG"

ORACLE = """
import json, sys
import torch

library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from PIL import Image
from safetensors.torch import save_file
from torchvision import models
from torchvision.models import _meta
from torchvision.transforms import functional as F

torch.set_num_threads(1)
folder, photo = sys.argv[1:]
torch.manual_seed(0)
net = models.resnet18(weights=None)
for module in net.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.running_mean.normal_(0, 0.1)
        module.running_var.uniform_(0.5, 1.5)
torch.nn.init.normal_(net.fc.weight, 0, 0.06)
net.eval()
save_file(net.state_dict(), f"{folder}/resnet18.safetensors")
torch.save(net.state_dict(), f"{folder}/resnet18.pth")
images = {}
kinds = {"256": models.ResNet18_Weights.IMAGENET1K_V1, "232": models.ResNet50_Weights.IMAGENET1K_V2}
for name, weights in kinds.items():
    images[name] = weights.transforms()(Image.open(photo).convert("RGB"))[None].contiguous()
with torch.no_grad():
    likely = {f"likely{name}": net(image).softmax(1) for name, image in images.items()}
save_file(images | likely, f"{folder}/answers.safetensors")
with open(f"{folder}/names.json", "w") as file:
    json.dump(list(_meta._IMAGENET_CATEGORIES), file)
"""


@dataclass(frozen=True)
class Oracle:
    """Files of torchvision's resnet18, and what it says of the photograph; images: as its transforms give."""

    folder: Path
    photo: Path
    answers: dict[str, torch.Tensor]
    names: list[str]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory, test_data) -> Oracle:
    folder = tmp_path_factory.mktemp("oracle")
    photo = test_data / "photos" / PHOTO
    subprocess.run([sys.executable, "-c", ORACLE, str(folder), str(photo)], check=True, timeout=300)
    names = json.loads((folder / "names.json").read_text("utf-8"))
    return Oracle(folder, photo, load_file(folder / "answers.safetensors"), names)


@pytest.fixture(scope="module")
def model(oracle, tmp_path_factory) -> Path:
    return import_weights(oracle.folder / "resnet18.pth", out=tmp_path_factory.mktemp("import") / "model")


def near(found: float, expected: float) -> bool:
    """Pillow's resizing, which torchvision's has, differs from ours by 2 levels of 255 at most."""
    return math.isclose(found, expected, rel_tol=0.05, abs_tol=0.002)


def test_our_resizing_is_pillows_within_two_levels(oracle):
    pixels = decode(oracle.photo)
    planned = plan(PROTOCOLS["1crop"], *pixels.shape[:2], 224, 256)
    (sheet,) = sheets(pixels, planned)
    box = planned.views[0].box
    found = sheet[box.top : box.top + 224, box.left : box.left + 224]
    mean, std = (
        torch.tensor(value)[:, None, None] for value in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    expected = (oracle.answers["256"][0] * std + mean) * 255
    assert float((torch.from_numpy(found.copy()).permute(2, 0, 1) - expected).abs().max()) <= 2.01


def test_the_network_gives_the_same_probabilities(oracle, model):
    net = load(model).model.net
    with torch.inference_mode():
        found = net(oracle.answers["256"].contiguous(memory_format=torch.channels_last)).softmax(1)
    torch.testing.assert_close(found, oracle.answers["likely256"], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shorter", [256, 232])
def test_a_photograph_gets_the_same_answer(oracle, model, tmp_path, shorter):
    if shorter == 232:
        model = import_weights(oracle.folder / "resnet18.safetensors", shorter=232, out=tmp_path / "model")
    (answer,) = load(model).predict(oracle.photo, top=3)
    expected, order = oracle.answers[f"likely{shorter}"][0].sort(descending=True)
    assert answer.top[0][0] == oracle.names[order[0]]
    assert near(answer.top[0][1], float(expected[0]))


def test_evaluation_sees_what_prediction_sees(oracle, model, tmp_path):
    """On folders named by ImageNet's identifiers, too; the two ways to the pixels differ in their batches."""
    for label in ("n01484850", "tench"):
        (tmp_path / "images" / label).mkdir(parents=True)
        copy(oracle.photo, tmp_path / "images" / label)
    run = load(model)
    found = api.evaluation(run, tmp_path / "images")
    assert {item.label for item in found.items} == {"great white shark", "tench"}
    (answer,) = run.predict(oracle.photo, top=1000)
    by_name = dict(answer.top)
    expected = torch.tensor([by_name[name] for name in found.classes])
    torch.testing.assert_close(found.likely[0][0].exp(), expected, atol=1e-5, rtol=1e-4)
    assert found.score().images == 2


def test_a_label_that_is_no_class_is_still_refused(oracle, model, tmp_path):
    for label in ("n01484850", "n99999999"):
        (tmp_path / "images" / label).mkdir(parents=True)
        copy(oracle.photo, tmp_path / "images" / label)
    with pytest.raises(DataError, match="the model has no class 'n99999999'"):
        api.evaluate(model, tmp_path / "images")


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_exported_it_is_the_file_that_it_was(oracle, model, tmp_path, ending):
    done = export(load_model(model), "torchvision", tmp_path / f"back.{ending}")
    theirs = load_file(oracle.folder / "resnet18.safetensors")
    found = torch.load(done.file, weights_only=True) if ending == "pth" else load_file(done.file)
    assert done.model == "resnet18"
    assert done.notes == ()
    assert found.keys() == theirs.keys()
    for key, value in theirs.items():
        assert torch.equal(found[key], value)
        assert found[key].dtype == value.dtype


def test_imagenets_names_are_torchvisions(oracle, model):
    assert list(imagenet().values()) == oracle.names
    assert list(imagenet()) == sorted(imagenet())
    assert len(set(imagenet().values())) == 1000
    assert list(load(model).model.classes) == oracle.names


def test_the_model_says_where_it_is_from(oracle, model):
    config = json.loads((model / "config.json").read_text("utf-8"))
    said = config["provenance"]
    assert (said["library"], said["model"], said["licence"]) == ("torchvision", "resnet18", "unknown")
    assert said["source"] == "resnet18.pth"
    assert len(said["sha256"]) == 64
    assert said["data"] == "ImageNet"
    assert config["preprocessing"]["shorter"] == 256
    assert "scores" not in config


@pytest.fixture
def small(tmp_path) -> Callable[[int], Path]:
    """Makes a file with the names of the CIFAR repository's resnet20, for so many classes."""
    naming = next(one for one in namings("cifar") if one.model == "resnet20")

    def make(classes: int) -> Path:
        network = replace_classes(naming.network(), classes)
        state = {one.theirs: torch.full(one.shape, 0.01) for one in entries(naming, network)}
        state["module.linear.bias"] = torch.arange(classes).float()
        save_file(state, tmp_path / "small.safetensors")
        return tmp_path / "small.safetensors"

    return make


def test_scale_size_and_golden_image_can_be_given(small, tmp_path):
    Image.fromarray(made_picture()[:40, :50]).save(tmp_path / "own.png")
    path = import_weights(
        small(10), out=tmp_path / "model", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), size=48, shorter=60,
        golden=tmp_path / "own.png", licence="mit",
    )  # fmt: skip
    model = load(path).model
    assert (model.preprocessing.size, model.preprocessing.shorter) == (48, 60)
    assert model.preprocessing.mean == (0.5,) * 3
    assert model.preprocessing.std == (0.25,) * 3
    assert model.net.description.input == (3, 48, 48)
    assert model.config["provenance"]["licence"] == "mit"
    assert decode(path / "golden.png").shape == (40, 50, 3)


def test_ten_classes_of_the_cifar_repository_are_cifars(small, tmp_path):
    done = imported(small(10), out=tmp_path / "model")
    model = load(done.path).model
    assert model.classes == CIFAR_10
    assert model.preprocessing.shorter is None
    assert (done.library, done.model, done.network) == ("cifar", "resnet20", "cifar-resnet-20-a")
    assert any("half of the zeros" in note for note in done.notes)


def test_a_background_class_is_dropped_or_named(small, tmp_path):
    kept = imported(small(1001), out=tmp_path / "kept")
    classes = load(kept.path).model.classes
    assert classes == ("background", *imagenet().values())
    assert any("--background drops the first" in note for note in kept.notes)
    dropped = load(import_weights(small(1001), background=True, out=tmp_path / "dropped")).model
    assert dropped.classes == tuple(imagenet().values())
    state = dropped.net.state_dict()
    assert torch.equal(state["fc.bias"], torch.arange(1, 1001).float())
    assert state["fc.weight"].shape == (1000, 64)


def test_classes_are_given_or_numbered(small, tmp_path):
    done = imported(small(3), out=tmp_path / "a")
    assert load(done.path).model.classes == ("class 0", "class 1", "class 2")
    assert any("--classes names them" in note for note in done.notes)
    (tmp_path / "lines.txt").write_text("cat\n dog\nowl\n\n", "utf-8")
    (tmp_path / "list.json").write_text('["cat", "dog", "owl"]', "utf-8")
    for given in (tmp_path / "lines.txt", tmp_path / "list.json", ["cat", "dog", "owl"]):
        path = import_weights(small(3), classes=given, out=tmp_path / "a", force=True)
        assert load(path).model.classes == ("cat", "dog", "owl")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat\ndog\n", r"names.txt names 2 classes, and the network has 3"),
        ("cat\ndog\ncat\n", r"names.txt names the class 'cat' twice"),
        ("cat\n\nowl\n", r"name 2 is empty"),
        ('["cat", "dog"', r"names.txt is no JSON list of names: "),
        ('["cat", "dog", 3]', r"names.txt is no JSON list of names: some are no text"),
    ],
)
def test_a_bad_list_of_classes_is_refused(small, tmp_path, text, message):
    (tmp_path / "names.txt").write_text(text, "utf-8")
    with pytest.raises(DataError, match=message):
        import_weights(small(3), classes=tmp_path / "names.txt", out=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_weights_without_a_finite_answer_are_refused(small, tmp_path):
    state = {key: torch.full_like(value, 1e38) for key, value in load_file(small(10)).items()}
    save_file(state, tmp_path / "wild.safetensors")
    with pytest.raises(DataError, match=r"wild.safetensors: its weights give an image no finite answer"):
        import_weights(tmp_path / "wild.safetensors", out=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_another_hash_is_refused(small, tmp_path):
    with pytest.raises(GateError, match=r"small.safetensors has another sha256 than expected"):
        import_weights(small(10), sha256="0" * 64, out=tmp_path / "model")
    assert (tmp_path / "small.safetensors").exists()
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("nowhere.pth", DataError, r"nowhere.pth is not there"),
        ("torchvision/resnet50", UsageError, "IMAGENET1K_V1, IMAGENET1K_V2; name one"),
        ("torchvision/resnet49", UsageError, "unknown weights 'torchvision/resnet49'; did you mean"),
        ("hf:timm", UsageError, "is no name on the Hub"),
    ],
)
def test_a_source_that_is_none_is_refused(tmp_path, monkeypatch, source, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        import_weights(source)


def test_known_weights_must_have_the_hash_that_is_known(small, tmp_path, monkeypatch):
    file = small(10)
    monkeypatch.setattr(importing, "fetch_url", lambda url, progress: Fetched(file, url, sha256_of(file)))
    with pytest.raises(GateError, match=r"has another sha256 than expected: .* nothing is imported"):
        imported("torchvision/resnet18.IMAGENET1K_V1", out=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_secrets_of_a_url_are_not_written(small, tmp_path, monkeypatch):
    file, place = small(10), "https://me:word@host/small.safetensors?X-Amz-Signature=12ab"
    monkeypatch.setattr(importing, "fetch_url", lambda url, progress: Fetched(file, url, sha256_of(file)))
    done = imported(place, out=tmp_path / "model")
    assert done.source == "https://host/small.safetensors"
    for written in done.path.iterdir():
        assert b"12ab" not in written.read_bytes()
        assert b"word@" not in written.read_bytes()


@pytest.fixture
def kept(tmp_path, monkeypatch) -> Path:
    """Where imported weights are kept to train from."""
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "goingdeeper" / "models"


def test_a_file_to_train_from_is_imported_once(small, kept):
    file = small(10)
    found = weights_at(str(file))
    made = (found / "config.json").stat()
    assert weights_at(str(file)) == found
    assert (found / "config.json").stat() == made
    assert list(kept.iterdir()) == [found]


def test_a_file_to_train_from_that_has_changed_is_imported_again(small, kept):
    file = small(10)
    before = load_model(weights_at(str(file)))
    stamp, state = file.stat(), load_file(file)
    save_file(state | {"module.linear.bias": torch.ones(10)}, file)
    assert file.stat().st_size == stamp.st_size
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    after = load_model(weights_at(str(file)))
    assert after.path != before.path
    assert torch.equal(after.net.state_dict()["fc.bias"], torch.ones(10))


def test_of_two_processes_that_import_the_same_the_first_to_be_done_is_kept(small, kept, monkeypatch):
    file, others = small(10), []

    def late(*args: object, **options: object) -> Match:
        monkeypatch.setattr(importing, "recognise", recognise)
        others.append((weights_at(str(file)) / "config.json").stat())  # as another process would
        return recognise(*args, **options)

    monkeypatch.setattr(importing, "recognise", late)
    found = weights_at(str(file))
    assert others == [(found / "config.json").stat()]  # which the other may be reading
    assert list(kept.iterdir()) == [found]


def test_a_file_of_the_hubs_may_be_trained_from(small, kept, monkeypatch):
    file = small(10)
    monkeypatch.setattr(importing, "fetch_hub", lambda name, progress: Fetched(file, name, sha256_of(file)))
    model = load_model(weights_at("hf:owner/name/small.safetensors"))
    assert model.config["provenance"]["source"] == "hf:owner/name/small.safetensors"


def test_what_is_in_the_way_is_kept(small, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "precious").write_text("1")
    with pytest.raises(UsageError, match="is there and is no model alone; name another folder with -o"):
        import_weights(small(10), out=tmp_path / "model")
    assert [file.name for file in (tmp_path / "model").iterdir()] == ["precious"]


def test_only_a_model_alone_is_replaced_and_only_if_asked_for(small, tmp_path):
    """A clone from the Hub has a config.json, too; and a model's folder may have got company."""
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "config.json").write_text('{"architectures": ["BertModel"]}')
    for force in (False, True):
        with pytest.raises(UsageError, match="clone is there and is no model alone"):
            import_weights(small(10), out=clone, force=force)
    made = import_weights(small(10), out=tmp_path / "model")
    with pytest.raises(UsageError, match="model is there already; --force replaces it, -o names another"):
        import_weights(small(3), out=made)
    import_weights(small(3), out=made, force=True)
    assert len(load(made).model.classes) == 3
    (made / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="model is there and is no model alone"):
        import_weights(small(10), out=made, force=True)
    assert (made / "notes.txt").read_text() == "mine"


def test_the_folder_says_where_its_weights_are_from(small, tmp_path):
    made = imported(small(10), out=tmp_path / "model")
    text = (made.path / "README.md").read_text("utf-8")
    assert f"cifar's resnet20, imported from {made.source} (sha256 {made.sha256})" in text
    assert "Licence of the weights: unknown." in text and "that is not said" not in text


@pytest.mark.slow
def test_a_size_that_the_weights_do_not_fit_is_refused(tmp_path):
    naming = next(one for one in namings("torchvision") if one.model == "vgg11")
    network = replace_classes(naming.network(), 2)
    made = {one.theirs: torch.zeros(one.shape) for one in entries(naming, network)}
    save_file(made, tmp_path / "vgg11.safetensors")
    with pytest.raises(UsageError, match=r"--size 96: fc6.weight is \(4096, 25088\), and would have to be"):
        import_weights(tmp_path / "vgg11.safetensors", size=96, out=tmp_path / "model")


def test_the_made_picture_is_always_the_same():
    assert np.array_equal(made_picture(), made_picture())
    assert made_picture().shape == (320, 448, 3)
    assert made_picture().std() > 40


def test_auxiliary_heads_are_left_out_and_said_so(tmp_path):
    naming = next(one for one in namings("torchvision") if one.model == "googlenet")
    network = replace_classes(naming.network(), 3)
    for heads in (True, False):
        made = {
            one.theirs: torch.full(one.shape, 0.01)
            for one in entries(naming, network)
            if heads or not one.ours.startswith("heads.")
        }
        save_file(made, tmp_path / "g.safetensors")
        done = imported(tmp_path / "g.safetensors", out=tmp_path / f"model-{heads}")
        assert ("its auxiliary heads are left out: a model has none" in done.notes) is heads
