"""Images a second of `predict` from files, by a run and by its exports.

`python benchmarks/prediction.py [NETWORK ...]`, with random weights.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from startup import EXPORTING, FORMATS, NETWORKS

import goingdeeper as gd
from goingdeeper.nn.heap import kept_heap
from goingdeeper.timing.side_by_side import compare, show

IMAGES = 96


def photos(folder: Path) -> list[str]:
    """JPEGs of 500x375, smooth as photographs are."""
    random, files = np.random.default_rng(0), []
    for number in range(IMAGES):
        small = Image.fromarray(random.integers(0, 256, (15, 20, 3), np.uint8))
        files.append(str(folder / f"{number:03}.jpg"))
        small.resize((500, 375), Image.Resampling.BICUBIC).save(files[-1], quality=90)
    return files


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = photos(folder)
        for network in sys.argv[1:] or NETWORKS:
            words = [sys.executable, "-c", EXPORTING, place, network, *FORMATS]
            subprocess.run(words, check=True, capture_output=True)
            candidates: dict[str, Callable[[], object]] = {}
            for name in (network, *(f"{network}-{to}" for to in FORMATS)):
                opened = gd.load(folder / name, goal="throughput")
                candidates[name] = lambda opened=opened: opened.predict(files)
            with kept_heap():
                rows = compare(candidates, network, rounds=7, block_seconds=0.1, warm_up=1)
            show(f"predict, {IMAGES} JPEGs of 500x375", rows, IMAGES, "images")


if __name__ == "__main__":
    main()
