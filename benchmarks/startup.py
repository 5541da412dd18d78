"""How long the command, the package and the first answer of an export take: `python benchmarks/startup.py`.

Exports are of networks with random weights.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from goingdeeper.timing.side_by_side import compare, show

NETWORKS = ("resnet-18-b", "resnet-50", "googlenet")
FORMATS = ("onnx", "openvino")
FIRST_ANSWER = 0.8
"""Seconds from the start of the process."""

EXPORTING = """
import sys
from pathlib import Path
import numpy as np
from goingdeeper import catalogue
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.export import export
from goingdeeper.edits import without_heads
from goingdeeper.nn.build import build
from goingdeeper.runs.model import load_model, save_model

place, name, *formats = sys.argv[1:]
net = build(without_heads(catalogue.network(name))).eval()
classes = tuple(f"class {number}" for number in range(net.description.classes))
picture = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
run = Path(place, name)
save_model(run, net, net.state_dict(), classes, Preprocessing(net.description.input[1]), picture, {})
for to in formats:
    export(load_model(run), run.with_name(f"{name}-{to}"), to=to)
"""


def run(*words: str) -> object:
    return subprocess.run([sys.executable, *words], check=True, capture_output=True)


def starting(folder: Path) -> dict[str, Callable[[], object]]:
    picture = str(folder / "picture.svg")
    return {
        "python -c pass": lambda: run("-c", "pass"),
        "import goingdeeper": lambda: run("-c", "import goingdeeper"),
        "deeper --help": lambda: run("-m", "goingdeeper", "--help"),
        "deeper list": lambda: run("-m", "goingdeeper", "list"),
        "deeper show googlenet": lambda: run("-m", "goingdeeper", "show", "googlenet"),
        "deeper draw resnet-152": lambda: run("-m", "goingdeeper", "draw", "resnet-152", "-o", picture),
    }


def answering(folder: Path, network: str) -> dict[str, Callable[[], object]]:
    """`deeper predict`, of a photograph's size, from the model itself and from its exports."""
    run("-c", EXPORTING, str(folder), network, *FORMATS)
    photo = folder / "photo.jpg"
    small = np.random.default_rng(0).integers(0, 256, (15, 20, 3), np.uint8)
    Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC).save(photo, quality=90)

    def predict(name: str) -> Callable[[], object]:
        return lambda: run("-m", "goingdeeper", "predict", str(folder / name), str(photo))

    return {f"{network}{part}": predict(f"{network}{part}") for part in ("", *(f"-{to}" for to in FORMATS))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    networks = parser.parse_args().networks
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tables = {"start-up, whole processes": ("python -c pass", starting(folder))}
        for network in networks:
            tables[f"first answer of {network}, whole processes"] = (network, answering(folder, network))
        for title, (reference, candidates) in tables.items():
            rows = compare(candidates, reference, rounds=11, block_seconds=0.3, warm_up=1)
            show(title, rows, 1, "processes")
            for row in rows:
                late = " late" if row.name.endswith(FORMATS) and row.seconds > FIRST_ANSWER else ""
                print(f"  {row.name:<28} {1000 * row.seconds:7.0f} ms{late}")


if __name__ == "__main__":
    main()
