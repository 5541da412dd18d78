"""Photographs to batches for training: `python benchmarks/loading.py [--rounds 15]`.

Takes the 100 photographs in the folder that GOINGDEEPER_TEST_DATA names. The rival does with Pillow, numpy
and torch what PyTorch's ImageNet example does: open, convert, a crop of 0.08 to 1 of the area resized to 224,
mirror, ToTensor, Normalize, one image at a time, and a stacked batch. Ours is `training_batches` with the
same crop: from the files, from the files with `reduced_decoding`, and from prepared stores. Nothing is kept
in memory, and files are in the system's cache. First all on one processor; the same for ten of the
photographs enlarged to 12 megapixels, as cameras take them; then ours on two processors against one, each
photograph five times an epoch, as the first and last images of an epoch have only one processor; last, the
process's memory over ten epochs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from goingdeeper.data.batches import training_batches
from goingdeeper.data.crops import most
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import open_source
from goingdeeper.data.store import Form, prepare
from goingdeeper.nn.heap import kept_heap
from goingdeeper.recipes.images import AreaCrop, Augmentation
from goingdeeper.timing.side_by_side import compare, show

SIZE, BATCH = 224, 50
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
AREA = Augmentation(crop=AreaCrop(low=0.08, logarithmic=True))


def plain(folder: Path) -> Callable[[], object]:
    """An epoch of the rival's, in this process: no time goes into sending batches between processes."""
    files = sorted(folder.glob("*/*"))
    random = np.random.default_rng(0)

    def crop(width: int, height: int) -> tuple[int, int, int, int]:
        for _ in range(10):
            area = width * height * random.uniform(0.08, 1)
            ratio = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
            w, h = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
            if 0 < w <= width and 0 < h <= height:
                left, top = random.integers(0, width - w + 1), random.integers(0, height - h + 1)
                return left, top, left + w, top + h
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side

    def load(file: Path) -> torch.Tensor:
        with file.open("rb") as stream:
            image = Image.open(stream).convert("RGB")
        image = image.crop(crop(*image.size)).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        values = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
        return values.clone().sub_(mean).div_(std)  # in place only where Normalize is told so

    def epoch() -> None:
        order = random.permutation(len(files))
        for start in range(0, len(files), BATCH):
            torch.stack([load(files[number]) for number in order[start : start + BATCH]])

    return epoch


def ours(folder: Path, augmentation: Augmentation = AREA, batch: int = BATCH) -> Callable[[], object]:
    """An epoch through our loader."""
    source = open_source(folder)
    pictures = Pictures(source, SIZE, {}, most(augmentation.crop, SIZE))
    preprocessing = Preprocessing(SIZE, MEAN, STD)
    epochs = iter(range(10**9))

    def epoch() -> None:
        for _ in training_batches(
            pictures, source.items, source.classes, preprocessing, augmentation,
            batch=batch, seed=0, epoch=next(epochs),
        ):  # fmt: skip
            pass

    return epoch


def on(processors: set[int], call: Callable[[], object]) -> Callable[[], object]:
    def there() -> None:
        os.sched_setaffinity(0, processors)  # of this thread, and of those that it starts
        call()

    return there


def resident() -> int:
    """Bytes of memory that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def photographs(root: Path, times: int = 1) -> Path:
    """A folder of class folders with so many links to each of the photographs."""
    folder = root / f"photos-{times}"
    for number, file in enumerate(sorted(Path(os.environ["GOINGDEEPER_TEST_DATA"], "photos").glob("*.JPEG"))):
        place = folder / str(number % 2)
        place.mkdir(parents=True, exist_ok=True)
        for copy in range(times):
            (place / f"{copy}-{file.name}").symlink_to(file)
    return folder


def camera(folder: Path, root: Path) -> Path:
    """Ten of the photographs at 12 megapixels."""
    for file in sorted(folder.glob("*/*"))[::10]:
        place = root / "camera" / file.parent.name
        place.mkdir(parents=True, exist_ok=True)
        Image.open(file).convert("RGB").resize((4000, 3000)).save(place / file.name, quality=90)
    return root / "camera"


def ways(folder: Path, reduced: Augmentation) -> dict[str, Callable[[], object]]:
    """An epoch from the files, as they are and reduced, and from stores that are prepared beside them."""
    stores = {"jpeg": folder.with_name(f"{folder.name}-jpeg"), "raw": folder.with_name(f"{folder.name}-raw")}
    source = open_source(folder)
    prepare(source, stores["jpeg"], Form())
    prepare(source, stores["raw"], Form(raw=True))
    return {
        "files": ours(folder),
        "files, reduced decoding": ours(folder, reduced),
        "JPEG store, side 256": ours(stores["jpeg"]),
        "raw store, side 256": ours(stores["raw"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    reduced = replace(AREA, reduced_decoding=True)
    with tempfile.TemporaryDirectory() as place, kept_heap("cpu"):
        folder = photographs(Path(place))
        large = camera(folder, Path(place))
        calls = ways(folder, reduced)
        cases = {
            "photographs": ({"Pillow": plain(folder), **calls}, 100),
            "12 megapixels": (
                {
                    "Pillow": plain(large),
                    "files": ours(large, batch=10),
                    "files, reduced decoding": ours(large, reduced, batch=10),
                },
                10,
            ),
        }
        for name, (each, count) in cases.items():
            alone = {what: on({0}, call) for what, call in each.items()}
            show(f"{name}, one processor", compare(alone, "Pillow", rounds=options.rounds), count, "images")
        for name, call in ways(photographs(Path(place), 5), reduced).items():
            both = {"one processor": on({0}, call), "two processors": on({0, 1}, call)}
            found = compare(both, "one processor", rounds=options.rounds)
            show(f"photographs, {name}", found, 500, "images")
        for name, call in calls.items():
            held = []
            for _ in range(11):
                call()
                held.append(resident())
            print(f"{name}: {held[0] / 1e6:.0f} MB after one epoch, {max(held[1:]) / 1e6:.0f} in ten more")


if __name__ == "__main__":
    main()
