"""An exported folder, used without anything of ours, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from goingdeeper import catalogue
from goingdeeper.data.decode import decode
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.export import export
from goingdeeper.deploy.rewrite import ALL
from goingdeeper.errors import GateError, UsageError
from goingdeeper.runs.model import load_model, save_model

CLASSES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu")


@pytest.fixture
def picture():
    rows, columns = np.mgrid[:90, :130]
    return np.stack([rows * 2, columns, rows + columns], axis=2).astype(np.uint8)


@pytest.fixture
def model(tmp_path, picture, trained):
    """A function that saves and loads a model with some preprocessing."""

    def made(preprocessing, name="cifar-resnet-20-b"):
        size = preprocessing.size
        network = replace(catalogue.network(name), classes=len(CLASSES), input=(3, size, size), heads=())
        net = trained(network)
        facts = {"provenance": {"data": "insects"}}
        save_model(tmp_path / "model", net, net.state_dict(), CLASSES, preprocessing, picture, facts)
        return load_model(tmp_path / "model")

    return made


ONE = "import sys; sys.path[:] = [part for part in sys.path if 'site-packages' not in part] + ['{allowed}']\n"


def allowed(folder, runtime):
    """A folder with a runtime, NumPy and Pillow, and what they need, and no other package."""
    site = Path(np.__file__).parent.parent
    for name in (*runtime, "numpy", "numpy.libs", "PIL", "pillow.libs"):
        if (site / name).exists():
            (folder / name).symlink_to(site / name)
    return folder


@pytest.mark.parametrize(
    ("to", "files", "packages"),
    [
        ("onnx", ("model.onnx",), ("onnxruntime", "flatbuffers", "google")),
        ("openvino", ("model.xml", "model.bin"), ("openvino", "openvino_telemetry")),
    ],
)
def test_the_program_in_the_readme_alone_gives_the_answer(model, tmp_path, to, files, packages):
    """With the runtime, NumPy and Pillow; on the golden image to the logits of config.json."""
    own = model(Preprocessing(32, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)))
    out = tmp_path / "out"
    assert export(own, out, to=to).files == (*files, "golden.png", "config.json", "README.md")
    text = (out / "README.md").read_text()
    assert "save this here as `answer.py`, and in this folder run\n`python answer.py IMAGE`:\n" in text
    program = re.search(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)[1]
    assert len([line for line in program.splitlines() if line]) <= 18
    (tmp_path / "site").mkdir()
    program = ONE.format(allowed=allowed(tmp_path / "site", packages)) + program
    program += "print(json.dumps(logits.tolist()))\nassert 'torch' not in sys.modules\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, "golden.png"],
        cwd=out,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *said, logits = done.stdout.splitlines()
    golden = json.loads((out / "config.json").read_text())["golden"]["logits"]
    assert np.allclose(json.loads(logits), golden, rtol=0, atol=1e-4 * np.abs(golden).max())
    assert said[0].split()[0] == CLASSES[int(np.argmax(golden))] and len(said) == 3


def test_the_program_in_the_readme_sees_what_we_see(model, tmp_path, picture):
    """Greys of 16 bits scaled, transparency on white: the logits of the pixels that `decode` gives."""
    own, out = model(Preprocessing(32, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))), tmp_path / "out"
    export(own, out)
    rows, columns = np.mgrid[:32, :32]
    Image.fromarray((rows * 2000 + columns).astype(np.uint16)).save(out / "deep.png")
    clear = np.dstack([picture[:32, :32], (rows * 8).astype(np.uint8)])
    Image.fromarray(clear).save(out / "clear.png")
    Image.fromarray(clear).convert("LA").save(out / "grey.png")
    program = re.search(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)[1]
    program += "print(json.dumps(logits.tolist()))\n"
    for name in ("deep.png", "clear.png", "grey.png"):
        said = subprocess.run(
            [sys.executable, "-c", program, name], cwd=out, capture_output=True, text=True, check=True
        ).stdout
        expected = own.logits([decode(out / name)])[0]
        found = json.loads(said.splitlines()[-1])
        assert np.allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max()), name


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(32, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)),
        Preprocessing(32, (0.5, 0.4, 0.3), (1 / 255,) * 3, shorter=40),
        Preprocessing(32, (0.0,) * 3, (1.0,) * 3, 55.0),
        Preprocessing(32, (0.5, 0.4, 0.3), (1 / 128,) * 3, mean_image=torch.rand(3, 32, 32)),
        Preprocessing(
            8, (0.0,) * 3, (1.0,) * 3, 55.0, mean_image=torch.rand(3, 8, 8), whiten=torch.rand(192, 192)
        ),
    ],
    ids=["by channel", "shorter", "contrast", "mean image", "ZCA"],
)
def test_every_scale_of_the_input(model, tmp_path, picture, preprocessing):
    """Bytes in, the model's logits out; of one colour, too, where the contrast is nothing."""
    own = model(preprocessing)
    export(own, tmp_path / "out")
    session = onnxruntime.InferenceSession(tmp_path / "out/model.onnx", providers=["CPUExecutionProvider"])
    size = preprocessing.size
    for pixels in (picture[:size, :size], np.full((size, size, 3), 77, np.uint8)):
        with torch.inference_mode():
            expected = own.net(own.preprocessing.normalise(torch.from_numpy(pixels[None].copy())))[0].numpy()
        (found,) = session.run(None, {"images": pixels[None]})[0]
        assert np.abs(found - expected).max() <= 1e-4 * max(1, np.abs(expected).max())


def test_the_golden_image_has_the_inputs_size_and_the_models_logits(model, tmp_path):
    own = model(Preprocessing(32, shorter=40))
    export(own, tmp_path / "out")
    config = json.loads((tmp_path / "out/config.json").read_text())
    with Image.open(tmp_path / "out/golden.png") as image:
        assert image.size == (32, 32)
    assert np.allclose(config["golden"]["logits"], own.config["golden"]["logits"], atol=1e-4)
    assert config["classes"] == list(CLASSES) and config["parity"]["relative"] <= 1e-4
    assert decode(tmp_path / "out/golden.png").shape == (32, 32, 3)


def test_a_model_that_is_not_equal_is_not_written(model, tmp_path, monkeypatch):
    """As from a rewrite that computes something else."""
    own = model(Preprocessing(32))

    def wrong(factor):
        def rewrite(network, state):
            name = next(name for name in state if name.endswith("conv.weight"))
            return network, {**state, name: state[name] * factor}

        return rewrite

    with pytest.raises(
        GateError, match=r"model as onnx gives logits that differ by \d\.\de-\d\d of the larg"
    ):
        export(own, tmp_path / "out", rewrites=(*ALL, wrong(1.01)))
    with pytest.raises(GateError, match="differ by nan"):
        export(own, tmp_path / "out", rewrites=(*ALL, wrong(float("nan"))))
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


@pytest.mark.slow
def test_a_package_of_torch_runs_alone(model, tmp_path):
    """Compiled ahead of time; the program in its README gives the golden logits, for any number of images."""
    own = model(Preprocessing(32, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)))
    out = tmp_path / "out"
    assert export(own, out, to="torch").files == ("model.pt2", "golden.png", "config.json", "README.md")
    program = re.search(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)[1]
    program += (
        "print(json.dumps(logits.tolist()), len(model(torch.zeros(5, 32, 32, 3, dtype=torch.uint8))))\n"
    )
    program += "assert 'goingdeeper' not in sys.modules\n"
    done = subprocess.run(
        [sys.executable, "-c", program, "golden.png"], cwd=out, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    logits, _, count = done.stdout.splitlines()[-1].rpartition(" ")
    config = json.loads((out / "config.json").read_text())
    golden = own.net(own.preprocessing.views([decode(out / "golden.png")]))[0].detach().numpy()
    assert np.allclose(json.loads(logits), golden, rtol=0, atol=1e-4 * np.abs(golden).max())
    assert count == "5" and config["runtime"] == "torch" and config["torch"] == torch.__version__


def test_what_is_there_stays(model, tmp_path):
    own, out = model(Preprocessing(32)), tmp_path / "out"
    export(own, out)
    before = (out / "config.json").stat().st_mtime_ns
    with pytest.raises(UsageError, match="out is there already; --force replaces it"):
        export(own, out)
    assert (out / "config.json").stat().st_mtime_ns == before
    export(own, out, force=True)
    assert (out / "config.json").stat().st_mtime_ns > before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="mine is there and is no export"):
        export(own, tmp_path / "mine", force=True)
    assert (tmp_path / "mine/thesis.txt").read_text() == "x"


@pytest.mark.parametrize("name", ["README.md", "model.onnx", "config.json"])
def test_a_folder_with_the_name_of_one_of_our_files_is_no_export(model, tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text('{"my": "own"}')
    with pytest.raises(UsageError, match="mine is there and is no export"):
        export(model(Preprocessing(32)), tmp_path / "mine", force=True)
    assert (tmp_path / "mine" / name).read_text() == '{"my": "own"}'
