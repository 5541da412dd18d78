"""Batches made on a device are those of the ordinary path."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from goingdeeper.data.batches import training_batches
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.resident import Resident, can_reside
from goingdeeper.data.sources import Item, Source
from goingdeeper.recipes.images import AreaCrop, Augmentation, Padded, PCAColour, TrivialAugment

CLASSES = ("a", "b", "c")
MEAN_IMAGE = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))

AUGMENTATIONS = {
    "none": Augmentation(Padded(0.0), flip=False),
    "padded": Augmentation(Padded(0.25)),
    "reflected": Augmentation(Padded(0.25, True), alternate_flips=True),
    "margin of a whole image": Augmentation(Padded(1.0, True)),
    "holes": Augmentation(Padded(0.125), cutout=0.5, erase=0.5),
    "mixed": Augmentation(Padded(0.25), mixup=0.2, cutmix=1.0),
    "repeats": Augmentation(Padded(0.25), repeats=3, cutout=0.25),
}
SCALES = {
    "channels": Preprocessing(8, (0.3, 0.5, 0.7), (0.2, 0.25, 0.3)),
    "mean image": Preprocessing(8, (0.5,) * 3, (1 / 255,) * 3, mean_image=MEAN_IMAGE),
    "contrast": Preprocessing(8, (0.0,) * 3, (1.0,) * 3, contrast=55.0),
}


def images(height=8, width=8, count=31):
    generator = np.random.default_rng(0)
    found = {f"{n}": generator.integers(0, 256, (height, width, 3), dtype=np.uint8) for n in range(count)}
    items = [Item(path, CLASSES[int(path) % 7 % 3]) for path in found]
    source = Source("", "", CLASSES, tuple(items), bytes, found.__getitem__, lambda path: None, False)
    return Pictures(source, 8, found), items


def both(shape, scale, augmentation, device="cpu", **options):
    pictures, items = images(*shape)
    options = {"batch": 9, "seed": 4, "epoch": 2, **options}
    ordinary = training_batches(pictures, items, CLASSES, scale, augmentation, **options)
    resident = Resident(pictures, items, CLASSES, scale, augmentation, device)
    return list(ordinary), list(resident.batches(**options)), resident


@pytest.mark.parametrize("shape", [(8, 8), (8, 13), (11, 8)])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_batches_are_bit_for_bit_those_of_the_ordinary_path(name, scale, shape):
    ordinary, found, _ = both(shape, SCALES[scale], AUGMENTATIONS[name])
    assert len(ordinary) == len(found) == 3
    for one, other in zip(ordinary, found, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert other.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "options",
    [
        {"start": 1}, {"start": 3}, {"epoch": 7, "seed": 0}, {"balance": True}, {"batch": 40},
        {"rank": 1, "ranks": 2}, {"rank": 2, "ranks": 3, "start": 1, "balance": True},
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["padded", "mixed", "repeats"])
def test_starts_ranks_and_balance_are_those_of_the_ordinary_path(name, options):
    ordinary, found, _ = both((8, 8), SCALES["channels"], AUGMENTATIONS[name], **options)
    assert len(ordinary) == len(found) == (1 if options.get("batch") else 3) - options.get("start", 0)
    for one, other in zip(ordinary, found, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_the_set_is_kept_as_bytes():
    _, _, resident = both((8, 8), SCALES["contrast"], AUGMENTATIONS["padded"])
    assert (resident.pixels.dtype, tuple(resident.pixels.shape)) == (torch.uint8, (31, 8, 8, 3))


@pytest.mark.parametrize(
    ("augmentation", "sizes", "can"),
    [
        (Augmentation(), [(8, 8)] * 3, True),
        (Augmentation(mixup=0.2, cutout=0.1, erase=0.1, repeats=2), [(8, 9)] * 3, True),
        (Augmentation(), [(8, 8), (8, 9)], False),
        (Augmentation(AreaCrop()), [(8, 8)], False),
        (Augmentation(colour=PCAColour()), [(8, 8)], False),
        (Augmentation(policy=TrivialAugment()), [(8, 8)], False),
    ],
)
def test_what_can_reside(augmentation, sizes, can):
    assert can_reside(augmentation, sizes) == can
