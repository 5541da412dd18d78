"""A collection with one of each flaw, made with Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (40, 40)) -> Image.Image:
    """A smooth picture of its own: 6x5 random colours, enlarged."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def flawed(tmp_path_factory) -> Path:
    """Of `train/`, `val/` and `test/`; what is wrong is said beside each."""
    root = tmp_path_factory.mktemp("flawed") / "photos"
    seed = 0
    counts = {"train/cat": 12, "train/dog": 10, "train/owl": 1, "val/cat": 3, "val/dog": 3}
    counts |= {"test/cat": 3, "test/dog": 2, "test/elk": 1}
    for place, count in counts.items():
        (root / place).mkdir(parents=True)
        for number in range(count):
            picture(seed).save(root / place / f"{number}.png")
            seed += 1
    train, val, test = root / "train", root / "val", root / "test"
    (train / "cat/cut.png").write_bytes((train / "cat/0.png").read_bytes()[:900])
    (test / "cat/page.jpg").write_text("<html>")
    (train / "cat/again.png").write_bytes((train / "cat/1.png").read_bytes())  # a copy
    (train / "dog/cat2.png").write_bytes((train / "cat/2.png").read_bytes())  # of two classes
    (train / "cat/held.png").write_bytes((val / "cat/0.png").read_bytes())  # in two splits
    (val / "dog/tested.png").write_bytes((test / "dog/0.png").read_bytes())
    Image.open(train / "dog/3.png").resize((80, 80)).save(
        train / "dog/near3.jpg", quality=70
    )  # nearly the same
    Image.open(val / "dog/1.png").save(train / "dog/nearval.jpg", quality=70)
    Image.open(train / "cat/5.png").save(train / "dog/near5.jpg", quality=70)
    picture(90).save(train / "cat/jpeg.PNG", "JPEG")  # named as another format
    picture(91, (400, 400)).save(train / "dog/large.png")  # 100 times the pixels
    Image.new("RGB", (40, 40), (200, 10, 10)).save(train / "dog/red.png")  # of one colour
    picture(92).save(train / "cat/film.gif", save_all=True, append_images=[picture(93)])
    picture(94).convert("L").save(train / "cat/grey.png")
    picture(95).convert("CMYK").save(train / "cat/cmyk.jpg")
    Image.fromarray(np.arange(1600, dtype=np.uint16).reshape(40, 40) * 40).save(train / "cat/deep.png")
    picture(96).convert("RGBA").save(train / "cat/clear.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(97).save(train / "cat/turned.jpg", exif=exif)
    (train / "cat/.hidden.png").write_bytes(b"")
    (train / "cat/notes.txt").write_text("x")
    (root / "loose.png").write_bytes((train / "cat/3.png").read_bytes())
    (root / ".cache").mkdir()
    (root / ".cache/a.png").write_bytes(b"")
    return root
