"""How the parts of an augmentation come together, with each scale of the input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch

from goingdeeper.data.augment import Chance, augmented, mirrored
from goingdeeper.data.decode import fit
from goingdeeper.data.order import Visits
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item, Source
from goingdeeper.recipes.images import (
    Augmentation,
    Padded,
    PCAColour,
    RandAugment,
    ScaleJitter,
    TrivialAugment,
    Window,
)

COUNT = 30
IMAGES = {
    f"{n:02}": np.random.default_rng(n).integers(1, 256, (8, 8, 3), dtype=np.uint8) for n in range(COUNT)
}
RAW = Preprocessing(8, (0.0,) * 3, (1 / 255,) * 3)


def chance(epoch=1, seed=0, count=COUNT):
    return Chance(seed, epoch, Visits(np.arange(count), np.zeros(count, np.int64)))


def made(augmentation, preprocessing=RAW, images=IMAGES, epoch=1):
    items = tuple(Item(path, "a") for path in images)
    source = Source("", "", ("a",), items, bytes, images.__getitem__, lambda path: None, False)
    with ThreadPoolExecutor(2) as pool:
        return augmented(
            Pictures(source, 8, {}, 1000), list(images), preprocessing, augmentation,
            chance(epoch, count=len(images)), pool,
        )  # fmt: skip


@pytest.mark.parametrize("more", [{"cutout": 0.25}, {"erase": 0.4}, {"colour": PCAColour(0.0)}])
def test_one_augmentation_more_leaves_the_others_as_they_were(more):
    plain = made(Augmentation(Padded(0.25)))
    found = made(Augmentation(Padded(0.25), **more))
    kept = (found != 0).all(1)
    assert kept.float().mean() > 0.3
    assert torch.equal(found.permute(0, 2, 3, 1)[kept], plain.permute(0, 2, 3, 1)[kept])


def test_alternate_flips_mirror_what_was_not_before():
    changes = Augmentation(alternate_flips=True)
    epochs = [mirrored(changes, chance(epoch, count=400)) for epoch in (1, 2, 3, 4)]
    assert 150 < epochs[0].sum() < 250
    assert all((one ^ other).all() for one, other in pairwise(epochs))
    assert (epochs[0] != mirrored(changes, chance(1, seed=1, count=400))).any()
    assert not mirrored(Augmentation(flip=False, alternate_flips=True), chance()).any()
    drawn = [mirrored(Augmentation(), chance(epoch, count=400)) for epoch in (1, 2)]
    assert 120 < (drawn[0] ^ drawn[1]).sum() < 280


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("kind", ["contrast", "mean image", "whiten"])
def test_margins_and_crops_come_after_the_scale_of_a_whole_image(kind, reflect):
    generator = torch.Generator().manual_seed(0)
    scale = {
        "contrast": Preprocessing(8, contrast=55.0),
        "mean image": Preprocessing(8, mean_image=torch.rand(3, 8, 8, generator=generator)),
        "whiten": Preprocessing(8, contrast=55.0, whiten=torch.rand(192, 192, generator=generator)),
    }[kind]
    found = made(Augmentation(Padded(0.25, reflect)), scale)
    pad = torch.nn.ReflectionPad2d(2) if reflect else torch.nn.ZeroPad2d(2)
    flipped = 0
    for image, view in zip(IMAGES.values(), found, strict=True):
        wide = pad(scale.normalise(torch.from_numpy(image)[None]))[0]
        windows = [wide[:, y : y + 8, x : x + 8] for y in range(5) for x in range(5)]
        straight = any(torch.allclose(window, view, rtol=1e-4, atol=1e-4) for window in windows)
        mirror = any(torch.allclose(window.flip(2), view, rtol=1e-4, atol=1e-4) for window in windows)
        assert straight or mirror
        flipped += mirror
    assert 5 < flipped < 25


def test_a_window_s_mean_is_that_of_its_place():
    """AlexNet: the mean image is taken off before the crop and the mirror."""
    mean_image = torch.rand(3, 10, 10, generator=torch.Generator().manual_seed(0))
    scale = Preprocessing(8, (0.5,) * 3, (1 / 255,) * 3, mean_image=mean_image)
    images = {name: np.pad(image, ((1, 1), (1, 5), (0, 0)), mode="wrap") for name, image in IMAGES.items()}
    found = made(Augmentation(Window(280)), scale, images)  # 10 of an image of 10 x 14
    whole = 0
    for image, view in zip(images.values(), found, strict=True):
        centred = torch.from_numpy(image).permute(2, 0, 1).float()
        rows, columns = torch.arange(10), (torch.arange(14) - 2).clamp(0, 9)
        centred = centred - 255 * mean_image[:, rows[:, None], columns]
        windows = [centred[:, y : y + 8, x : x + 8] for y in range(3) for x in range(7)]
        whole += any(torch.allclose(w, view, atol=1e-3) for w in (*windows, *(w.flip(2) for w in windows)))
    assert whole == COUNT


def test_another_scale_takes_the_mean_by_channel():
    scale = Preprocessing(8, (0.2, 0.4, 0.6), (1 / 255,) * 3, mean_image=torch.rand(3, 8, 8))
    plain = made(Augmentation(ScaleJitter(), flip=False))
    found = made(Augmentation(ScaleJitter(), flip=False), scale)
    torch.testing.assert_close(found, plain - 255 * torch.tensor([0.2, 0.4, 0.6])[:, None, None])


@pytest.mark.parametrize("policy", [RandAugment(9.0), TrivialAugment()])
def test_the_margin_of_an_image_that_a_policy_changed_is_zero(policy):
    scale = Preprocessing(8, (0.5,) * 3, (0.25,) * 3)
    plain, found = (made(Augmentation(Padded(0.5), policy=each), scale) for each in (None, policy))
    margin = (plain == 0).all(1)
    assert margin.any()
    assert (found.permute(0, 2, 3, 1)[margin] == 0).all()
    assert not torch.equal(found, plain)


def test_crops_are_of_the_image_as_it_was_stored():
    generator = np.random.default_rng(0)
    images = {f"{n}": generator.integers(0, 256, (40, 56, 3), dtype=np.uint8) for n in range(5)}
    found = made(Augmentation(Window(560), flip=False), images=images)  # a side of 20
    for image, view in zip(images.values(), found, strict=True):
        fitted = fit(image, 20)
        pixels = view.permute(1, 2, 0).round().byte().numpy()
        assert any(np.array_equal(fitted[y : y + 8, x : x + 8], pixels) for y in range(13) for x in range(21))
