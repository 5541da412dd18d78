"""The house keeps its order: imports run one way, and torch stays out of the rooms above `nn`."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import goingdeeper

ROOT = Path(goingdeeper.__file__).parent
ROOMS = [
    "version", "errors", "files", "stopping", "layers", "shapes", "trace", "stages", "notation", "edits",
    "catalogue", "names", "published", "costs", "tables", "drawings", "comparisons", "recipes",
    "nn", "probes", "data", "runs", "weights", "evaluation", "training", "runtimes", "deploy", "prediction",
    "reports", "checks", "timing", "opened", "why", "api", "__init__", "cli", "__main__",
]  # fmt: skip
TORCH_FREE = ROOMS[: ROOMS.index("nn")]
# A network displays itself in a notebook, and a run is scored, by what stands below; the imports are late.
LATE = {("layers", "tables"), ("layers", "drawings"), ("opened", "api")}


def _imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    return found


def _room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "goingdeeper" and len(parts) > 1 and parts[1] in ROOMS else None


FILES = sorted(ROOT.rglob("*.py"))


def test_every_file_stands_in_a_known_room():
    homes = {file.relative_to(ROOT).parts[0].removesuffix(".py") for file in FILES}
    assert homes == set(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_run_one_way(file):
    home = file.relative_to(ROOT).parts[0].removesuffix(".py")
    for module in _imports(file):
        room = _room(module)
        if room and (home, room) not in LATE and home != "__init__":
            assert ROOMS.index(room) <= ROOMS.index(home), f"{home} imports {module}, which stands below it"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_imports_torchvision_and_upper_rooms_no_torch(file):
    home = file.relative_to(ROOT).parts[0].removesuffix(".py")
    tops = {module.split(".")[0] for module in _imports(file)}
    assert not tops & {"torchvision", "torchmetrics", "timm", "lightning", "cv2"}
    if home in TORCH_FREE:
        assert "torch" not in tops


def _loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with the exports of a small model, and an image."""
    from goingdeeper.data.preprocessing import Preprocessing
    from goingdeeper.deploy.export import export
    from goingdeeper.layers import CLASSES, Conv, GlobalAvgPool, Linear, Network
    from goingdeeper.nn.build import build
    from goingdeeper.runs.model import load_model, save_model

    place = tmp_path_factory.mktemp("exported")
    layers = {"conv": Conv(6, 3), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}
    net = build(Network("small", layers, (), (3, 8, 8), 3)).eval()
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    save_model(place / "model", net, net.state_dict(), ("a", "b", "c"), Preprocessing(8), picture, {})
    for to in ("onnx", "openvino"):
        export(load_model(place / "model"), place / to, to=to)
    (place / "golden.png").write_bytes((place / "model/golden.png").read_bytes())
    return place


@pytest.mark.parametrize(
    "code",
    [
        "import goingdeeper",
        "import goingdeeper as gd; gd.cost(gd.network('googlenet')); gd.table(gd.network('resnet-34-a'))",
        "import goingdeeper as gd; gd.draw(gd.network('resnet-152'))",
        "import goingdeeper as gd; gd.audit(['vgg-16']); print(gd.diff('resnet-50', 'resnet-50-v1.5'))",
        "from goingdeeper.cli import deeper; deeper(['list'], standalone_mode=False)",
        "from goingdeeper.cli import deeper; deeper(['show', 'googlenet', '--json'], standalone_mode=False)",
        "import goingdeeper as gd; gd.recipe('resnet-cifar'); gd.list_recipes()",
        "from goingdeeper.cli import deeper; deeper(['recipes'], standalone_mode=False)",
        "from goingdeeper.cli import deeper; deeper(['why'], standalone_mode=False)",
        "from goingdeeper.cli import deeper; deeper(['recipes', 'dsn-1', '--json'], standalone_mode=False)",
    ],
)
def test_describing_loads_no_torch(code):
    loaded = _loaded_after(code)
    assert not loaded & {"torch", "sklearn", "matplotlib", "PIL"}


@pytest.mark.parametrize("to", ["onnx", "openvino"])
@pytest.mark.parametrize("way", ["command", "python"])
def test_predicting_from_an_export_loads_no_torch(exported, to, way):
    """Nor anything else that takes long to import, nor what sends OpenVINO's telemetry."""
    export, image = str(exported / to), str(exported / "golden.png")
    code = f"import goingdeeper as gd; print(gd.load({export!r}).predict({image!r})[0].top)"
    if way == "command":
        words = ["predict", export, image]
        code = f"from goingdeeper.cli import deeper; deeper({words!r}, standalone_mode=False)"
    loaded = {module.split(".")[0] for module in _loaded_after(code)}
    assert {"onnx": "onnxruntime", "openvino": "openvino"}[to] in loaded
    unwanted = {"torch", "sklearn", "scipy", "matplotlib", "safetensors", "huggingface_hub", "rich", "jinja2"}
    assert not loaded & (unwanted | {"openvino_telemetry", "onnx"})


def test_training_and_predicting_load_no_torchvision():
    loaded = _loaded_after("import goingdeeper.api, goingdeeper.cli.train, goingdeeper.prediction.predictor")
    assert "torch" in loaded
    assert not loaded & {"torchvision", "torchmetrics", "timm", "lightning"}


def test_public_names_are_what_they_say():
    code = "import goingdeeper as gd\nfor n in gd.__all__: getattr(gd, n)\n"
    code += "import types\nprint(*[n for n in gd.__all__ if isinstance(getattr(gd, n), types.ModuleType)])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


def test_importing_reads_no_catalogue():
    """One's own networks may be added until the first is asked for; and all of them take time."""
    code = (
        "import goingdeeper.training.train, goingdeeper.weights.importing, goingdeeper.catalogue as c; "
        "assert not c._catalogue.cache_info().currsize"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
