"""An exported model in each runtime: the model's own logits, for any number of images and any setting."""

from __future__ import annotations

from dataclasses import replace
from zipfile import ZipFile

import numpy as np
import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.form import form_of
from goingdeeper.deploy.formats import FORMATS
from goingdeeper.errors import DataError, UsageError
from goingdeeper.nn.build import build
from goingdeeper.runtimes.runner import OPENERS, open_runner

SCALE = Preprocessing(32, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


@pytest.fixture(scope="module")
def net():
    return build(replace(catalogue.network("cifar-resnet-20-b"), classes=7), seed=1).eval()


@pytest.fixture(scope="module")
def places(net, tmp_path_factory):
    """The same network as each format, by runtime; with the images, and the logits of the network itself."""
    form = form_of(net.description, net.state_dict(), SCALE)
    place = tmp_path_factory.mktemp("forms")
    pixels = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), np.uint8)
    with torch.inference_mode():
        expected = net(SCALE.normalise(torch.from_numpy(pixels))).numpy()
    files = {
        "onnxruntime": FORMATS["onnx"].write(form, {}, place)[0],
        "openvino": FORMATS["openvino"].write(form, {}, place)[0],
    }
    return files, pixels, expected


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("goal", ["latency", "throughput"])
@pytest.mark.parametrize("batch", [1, 3, 7, 32])
def test_logits_of_any_number_of_images(places, runtime, goal, batch):
    files, pixels, expected = places
    run = open_runner(runtime, files[runtime], batch=batch, threads=2, goal=goal)
    for part in (slice(0, 7), slice(2, 3), slice(1, 6)):
        found = run(pixels[part])
        assert found.shape == expected[part].shape and found.dtype == np.float32
        assert np.abs(found - expected[part]).max() <= 1e-4 * np.abs(expected).max()


def test_openvino_computes_in_float32(places):
    """Where the processor has bfloat16 it would take that: 8 bits of a mantissa give 1e-3 and more."""
    files, pixels, expected = places
    found = open_runner("openvino", files["openvino"], batch=7, threads=1)(pixels)
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()


def test_what_was_given_earlier_stays(places):
    """Runtimes give views of their own memory, which the next images overwrite."""
    files, pixels, _ = places
    run = open_runner("openvino", files["openvino"], threads=1)
    first = run(pixels[:1])
    kept = first.copy()
    run(pixels[1:2])
    assert np.array_equal(first, kept)


def test_what_cannot_be_opened(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    for runtime, name in (("onnxruntime", "ONNX Runtime"), ("openvino", "OpenVINO")):
        with pytest.raises(DataError, match=rf"model\.onnx cannot be opened by {name}: \S") as problem:
            open_runner(runtime, tmp_path / "model.onnx")
        assert "\n" not in str(problem.value)
    with pytest.raises(UsageError, match="openvin"):
        open_runner("openvin", tmp_path / "model.onnx")


@pytest.mark.parametrize("problem", [RuntimeError(), RuntimeError(" \n")])
def test_an_error_without_words_is_told_by_its_kind(monkeypatch, tmp_path, problem):
    monkeypatch.setitem(OPENERS, "openvino", raising(problem))
    with pytest.raises(DataError, match=r"m\.xml cannot be opened by OpenVINO: RuntimeError$"):
        open_runner("openvino", tmp_path / "m.xml")


def test_that_memory_is_full_is_no_fault_of_the_models(monkeypatch, tmp_path):
    monkeypatch.setitem(OPENERS, "openvino", raising(MemoryError()))
    with pytest.raises(MemoryError):
        open_runner("openvino", tmp_path / "m.xml")


def raising(problem):
    def opener(*_):
        raise problem

    return opener


@pytest.mark.slow
def test_a_package_of_torch(net, places, tmp_path):
    """For either goal by the threads that are asked for, which the process does not keep."""
    _, pixels, expected = places
    file = FORMATS["torch"].write(form_of(net.description, net.state_dict(), SCALE), {}, tmp_path)[0]
    with ZipFile(file) as package:
        code = b"".join(package.read(name) for name in package.namelist() if name.endswith(".cpp"))
    assert b"#pragma omp parallel" in code and b"num_threads(" not in code  # compiled where one was set
    before = torch.get_num_threads()
    for goal in ("latency", "throughput"):
        run = open_runner("torch", file, batch=3, threads=before + 1, goal=goal)
        assert torch.get_num_threads() == before
        found = run(pixels)
        assert torch.get_num_threads() == before
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
