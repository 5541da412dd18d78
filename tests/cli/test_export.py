"""`deeper export`: files for other libraries, and how what cannot be given is refused."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from goingdeeper.deploy import formats
from goingdeeper.deploy.formats import FORMATS
from goingdeeper.names import entries, namings
from goingdeeper.weights.importing import import_weights


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model of the CIFAR repository's resnet20."""
    folder = tmp_path_factory.mktemp("export")
    naming = next(one for one in namings("cifar") if one.model == "resnet20")
    save_file({one.theirs: torch.full(one.shape, 0.01) for one in entries(naming)}, folder / "w.safetensors")
    return import_weights(folder / "w.safetensors", out=folder / "model")


def test_a_file_for_another_library(deeper, model, here):
    said = deeper("export", model, "--names", "cifar", "-o", "w.safetensors")
    assert said.status == 0, said
    found = load_file("w.safetensors")
    assert said.out == f"cifar's resnet20 · {len(found)} tensors · w.safetensors\n"
    assert "module.layer3.2.bn2.running_var" in found
    document = json.loads(deeper("export", model, "--names", "cifar", "-o", "w.pth", "--json").out)
    assert (document["file"], document["model"]) == ("w.pth", "resnet20")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "give --to RUNTIME, or --names LIBRARY and -o FILE, or --push hf:OWNER/NAME"),
        (("--names", "cifar"), 2, "--names cifar: give the file with -o"),
        (("--names", "cifar", "--push", "hf:a/b"), 2, "give --to RUNTIME"),
        (("--to", "onnx", "--as", "resnet18"), 2, "--as is for --names; leave it out"),
        (("--push", "hf:a/b", "-o", "w.pth"), 2, "-o and --as are for --names"),
        (("--names", "cifr", "-o", "w.pth"), 2, "unknown library 'cifr'; did you mean cifar?"),
        (
            ("--names", "torchvision", "-o", "w.pth"),
            2,
            "torchvision has no network such as cifar-resnet",
        ),
        (("--names", "cifar", "-o", "w.h5"), 2, "w.h5: for cifar the file ends in .safetensors"),
        (("--names", "cifar", "--int8"), 2, "--int8 is for --to onnx and --to openvino"),
        (("--to", "torch", "--int8"), 2, "--int8 is for --to onnx and --to openvino"),
        (("--to", "onnx", "--limit", "1"), 2, "--limit is for --int8; give it, or leave both out"),
        (("--names", "cifar", "-o", "w.pth", "--force"), 2, "--force is for --to; leave it out"),
        (("--names", "cifar", "--auto-exclude"), 2, "--auto-exclude is for --int8"),
        (("--to", "onnx", "--int8", "--calibrate", "3"), 2, "3 images to calibrate on are too few"),
        (("--to", "onnx", "--int8"), 2, "model has no images of its own"),
        (("--to", "onnx", "-o", "."), 2, ". cannot be replaced as a whole; name a folder in it"),
        (("--push", "a/b"), 2, "a/b is no name on the Hub; give hf:owner/name"),
        (("--push", "hf:a/b"), 5, "hf:a/b cannot be given: HF_HUB_OFFLINE forbids the network"),
        (("--push", "hf:a/b@main"), 2, "leave out the revision and the file"),
    ],
)
def test_refusals_are_one_line(deeper, model, here, monkeypatch, words, status, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert message in deeper("export", model, *words).refusal(status)
    assert not list(here.iterdir())


def test_a_run_that_is_none_is_refused(deeper, here, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    assert "nowhere" in deeper("export", "nowhere", "--names", "cifar", "-o", "w.pth").refusal(2)
    assert "is not in the Hub's cache" in deeper("predict", "hf:a/b", "photo.jpg").refusal(5)
    assert "is not in the Hub's cache" in deeper("evaluate", "hf:a/b", "photos").refusal(5)


def test_a_network_and_a_folder_of_exports_are_called_so(deeper, run, here):
    line = deeper("export", "googlenet", "--to", "onnx").refusal(2)
    assert "googlenet is a network, which has no weights; name a run of it, or a model of `deeper imp" in line
    for name in ("onnx", "openvino-int8"):
        (here / "run/export" / name).mkdir(parents=True)
        (here / "run/export" / name / "config.json").write_text('{"runtime": "onnxruntime"}')
    line = deeper("predict", "run/export", run / "model/golden.png").refusal(2)
    assert "run/export holds exports: onnx, openvino-int8; name one, such as run/export/onnx" in line


def test_openvino_is_asked_for_before_anything_is_calibrated(deeper, run, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    said = deeper("export", run, "--to", "openvino", "--int8", "-o", "out")
    assert (said.status, said.err) == (
        4, "deeper: OpenVINO is not installed: pip install 'goingdeeper[openvino]'\n"
    )  # fmt: skip


@pytest.mark.parametrize("int8", [(), ("--int8",)])
def test_nothing_is_written_into_the_hubs_cache(deeper, here, int8):
    refusal = deeper("export", "hf:a/b", "--to", "onnx", *int8).refusal(2)
    assert "hf:a/b is in the Hub's cache, where nothing else goes; name a folder with -o" in refusal


def test_to_onnx_beside_the_run(deeper, run, here):
    shutil.copytree(run, here / "run")
    said = deeper("export", "run", "--to", "onnx")
    assert said.status == 0 and re.match(
        r"run/export/onnx · logits within \de-0\d of the model's own\n"
        r"next:  deeper predict run/export/onnx IMAGE     or the program in run/export/onnx/README\.md\n$",
        said.out,
    )
    assert "run/export/onnx is there already; --force replaces it" in deeper(
        "export", "run", "--to", "onnx"
    ).refusal(2)
    document = json.loads(deeper("export", "run", "--to", "onnx", "--force", "--json").out)
    assert document["gate"] is None and document["parity"] <= 1e-4
    assert {Path(file).name for file in document["files"]} >= {"model.onnx", "config.json"}
    assert all(Path(file).is_file() for file in document["files"])


@pytest.mark.parametrize("inside", [False, True])
def test_the_model_below_a_run_means_the_run(deeper, run, here, monkeypatch, inside):
    """So that the next training, which replaces the model's folder, takes no export with it."""
    shutil.copytree(run, here / "run")
    before = sorted((here / "run/model").iterdir())
    monkeypatch.chdir(here / "run/model" if inside else here)
    said = deeper("export", "." if inside else "run/model", "--to", "onnx")
    assert said.status == 0 and said.out.startswith(f"{here / 'run' if inside else 'run'}/export/onnx · ")
    assert (here / "run/export/onnx/model.onnx").is_file()
    assert sorted((here / "run/model").iterdir()) == before


def test_int8_beside_the_run(deeper, run, here):
    shutil.copytree(run, here / "run")
    said = deeper("export", "run", "--to", "onnx", "--int8", "--limit", 100)
    assert said.status == 0, said
    assert re.match(
        r"run/export/onnx-int8 · int8 errs on [\d.]+ % of \d validation images, fp32 on [\d.]+ %: "
        r"[-+][\d.]+ points \(95 %: [-+][\d.]+ to [-+][\d.]+\)\n",
        said.out,
    )
    assert re.search(r"calibrating on \d\d images: the training side of pets, .* seed 0, all\n", said.err)
    assert "are few to judge on" not in said.err and "sides drawn" not in said.err
    words = ("--to", "onnx", "--int8", "--limit", 100, "--calibrate", 10, "--force", "--json")
    document = json.loads(deeper("export", "run", *words).out)
    assert document["gate"].keys() == {
        "metric", "before", "after", "limit", "passed", "difference", "interval_95", "images",
    }  # fmt: skip
    assert (document["gate"]["limit"], document["gate"]["passed"]) == (100.0, True)
    assert document["calibration"]["images"] == 10 and document["excluded"] == []
    assert {Path(file).name for file in document["files"]} >= {"model.onnx", "config.json"}
    answer = json.loads(deeper("predict", "run/export/onnx-int8", "run/model/golden.png", "--json").out)
    assert len(answer["predictions"]) == 1


def test_an_int8_export_that_errs_more_is_status_6(deeper, run, here, monkeypatch):
    """As of a runtime whose int8 model gives every image no number."""
    from goingdeeper.deploy import int8

    monkeypatch.setattr(int8, "mistaken", _worse([]))
    shutil.copytree(run, here / "run")
    said = deeper("export", "run", "--to", "onnx", "--int8")
    refusal = said.err.splitlines()[-1]
    assert said.status == 6, said
    assert refusal.startswith("deeper: ") and "over the 0.5 that are allowed; nothing was written" in refusal
    assert "the layers that hurt most" in refusal and "--auto-exclude" in refusal
    assert not (here / "run/export").exists()


@pytest.mark.parametrize("int8", [(), ("--int8",)])
def test_a_missing_runtime_is_status_4(deeper, run, here, monkeypatch, int8):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    refusal = deeper("export", run, "--to", "onnx", *int8, "-o", "out").refusal(4)
    assert refusal.endswith("is not installed: pip install 'goingdeeper[onnx]'\n")
    assert not list(here.iterdir())


@pytest.mark.parametrize("int8", [(), ("--int8",)])
def test_a_layer_that_a_runtime_lacks_is_named(deeper, run, here, monkeypatch, int8):
    """As an older one that has no such operation yet."""
    own = formats.onnx_of

    def renamed(form, facts):
        graph = own(form, facts)
        for node in graph.graph.node:
            node.op_type = node.op_type.replace("GlobalAveragePool", "NoSuchPool")
        return graph

    monkeypatch.setattr(formats, "onnx_of", renamed)
    said = deeper("export", run, "--to", "openvino", *int8, "-o", "out")
    network = json.loads((run / "run.json").read_text())["network"]
    assert said.status == 2 and said.err.splitlines()[-1] == (
        f"deeper: {run}/model ({network}): OpenVINO cannot take the layer pool5 (GlobalAvgPool): "
        "No conversion rule found for operations: NoSuchPool-20; --to names another format"
    )
    assert not list(here.iterdir())


@pytest.mark.parametrize("int8", [(), ("--int8",)])
def test_where_nothing_can_be_written_is_found_out_first(deeper, run, here, monkeypatch, int8):
    """A file is no folder."""
    monkeypatch.setitem(FORMATS, "onnx", replace(FORMATS["onnx"], write=None))
    (here / "file").write_text("x")
    words = ("export", run, "--to", "onnx", *int8, "-o")
    assert "cannot write at file/out: Not a directory; cho" in deeper(*words, "file/out").refusal(5)


def test_a_network_that_a_runtime_cannot_take(deeper, run, here, monkeypatch):
    """Refused by its name, whether it is not converted or what was written is not opened."""

    def raising(form, facts, place):
        raise RuntimeError("Exception from core.cpp:97:\nno conversion rule for node conv_3")

    def nonsense(form, facts, place):
        (place / "model.xml").write_text("<net/>")
        return [place / "model.xml"]

    words = ("export", run, "--to", "openvino", "-o", "out")
    network = json.loads((run / "run.json").read_text())["network"]
    begin = f"deeper: {run}/model ({network}): OpenVINO cannot take the network: "
    own = FORMATS["openvino"]
    monkeypatch.setitem(FORMATS, "openvino", replace(own, write=raising))
    assert deeper(*words).refusal(2) == (
        f"{begin}no conversion rule for node conv_3; --to names another format\n"
    )
    monkeypatch.setitem(FORMATS, "openvino", replace(own, write=nonsense))
    assert deeper(*words).refusal(2).startswith(f"{begin}model.xml cannot be opened by OpenVINO: ")
    assert not list(here.iterdir())


def _worse(asked):
    def mistaken(runner, samples, progress=None):
        asked.append(len(asked))
        return torch.full((len(samples.labels),), asked[-1] > 0).numpy()

    return mistaken
