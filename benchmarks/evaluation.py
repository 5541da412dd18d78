"""Scoring by many views: `python benchmarks/evaluation.py [--rounds 7] [--images 2] [--model googlenet]`.

GoogLeNet as published with random weights, on photographs in the folder that GOINGDEEPER_TEST_DATA names:
reading, resizing, cutting, mirroring and averaging by `144crop` and by `10crop`, beside the same number of
bare forward passes over views that are ready, in batches of the same size. Then square photographs by
`144crop`, of which a third of the views differ. Last, the process's memory after some images and after many.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

import goingdeeper as gd
from goingdeeper.data.decode import Pixels, centre, decode, fit
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item, Source
from goingdeeper.evaluation.evaluate import VIEWS
from goingdeeper.evaluation.predict import parts
from goingdeeper.evaluation.protocols import PROTOCOLS
from goingdeeper.nn.build import Net
from goingdeeper.nn.heap import kept_heap
from goingdeeper.timing.side_by_side import compare, show

BARE = "bare forward passes"


def photographs(count: int, square: bool) -> Source:
    """So many photographs, read from their files each time; square: their central squares, kept as pixels."""
    files = sorted(Path(os.environ["GOINGDEEPER_TEST_DATA"], "photos").glob("*.JPEG"))
    oblong = [file for file in files if 1.2 < _ratio(file) < 1.6][:count]
    items = tuple(Item(str(file), "a") for file in oblong)

    def read(path: str) -> Pixels:
        pixels = decode(Path(path))
        return centre(pixels, min(pixels.shape[:2])) if square else pixels

    return Source("photos", "photos", ("a", "b"), items, None, read, lambda path: None, False)


def _ratio(file: Path) -> float:
    height, width = decode(file).shape[:2]
    return max(height, width) / min(height, width)


def scored(net: Net, source: Source, name: str) -> Callable[[], object]:
    size = net.description.input[1]
    preprocessing = Preprocessing(size)

    def run() -> None:
        for _ in parts(net, source, source.items, PROTOCOLS[name], preprocessing, batch=VIEWS):
            pass

    return run


def bare(net: Net, source: Source, name: str) -> Callable[[], object]:
    """As many forward passes, in batches of the size that the views of an image are divided into."""
    protocol, size = PROTOCOLS[name], net.description.input[1]
    total = len(source.items) * (protocol.crops or 0)
    batch = 24 if name == "144crop" else 30
    pixels = torch.from_numpy(centre(fit(decode(Path(source.items[0].path)), size), size).copy())
    images = Preprocessing(size).normalise(pixels[None].repeat(batch, 1, 1, 1))

    def run() -> None:
        with torch.inference_mode(), kept_heap("cpu"):
            for _ in range(total // batch):
                net(images)

    assert total % batch == 0
    return run


def resident() -> int:
    """Bytes of memory that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=2, help="for 144crop; three times as many for 10crop")
    parser.add_argument("--model", default="googlenet")
    options = parser.parse_args()
    net = gd.build(gd.network(options.model), seed=0).eval().to(memory_format=torch.channels_last)
    for name, count in (("144crop", options.images), ("10crop", 3 * options.images)):
        oblong, square = photographs(count, False), photographs(count, True)
        calls = {BARE: bare(net, oblong, name), f"{name}, photographs": scored(net, oblong, name)}
        if name == "144crop":
            calls["144crop, square photographs"] = scored(net, square, name)
        show(
            f"{options.model}, {name}, {count} images",
            compare(calls, BARE, rounds=options.rounds, warm_up=1),
        )
    many = replace(oblong, items=oblong.items * 20)
    scored(net, oblong, "10crop")()
    first = resident()
    scored(net, many, "10crop")()
    counts = len(oblong.items), len(many.items)
    print(f"{first / 1e6:.0f} MB after {counts[0]} images, {resident() / 1e6:.0f} after {counts[1]} more")


if __name__ == "__main__":
    main()
