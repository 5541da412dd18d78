"""Crops, each against its definition: which parts of an image there are, and how often each is taken."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from PIL import Image
from scipy.stats import chisquare, ks_2samp, kstest

from goingdeeper.data.crops import (
    RESIZES,
    area_box,
    cropped,
    draws_of,
    most,
    places,
    resized,
    scaled,
    windows,
)
from goingdeeper.data.decode import fit
from goingdeeper.data.order import uniforms
from goingdeeper.recipes.images import AreaCrop, Padded, ScaleJitter, Window

SIZE = 16
NOISE = np.random.default_rng(0).integers(0, 256, (20, 26, 3), dtype=np.uint8)


def draws(crop, count, seed=0):
    return uniforms(seed, 1, np.arange(count), draws_of(crop))


def every_window(sides, offsets=lambda height, width: (range(height - SIZE + 1), range(width - SIZE + 1))):
    """By their bytes, the windows of the image at each side: (side, top, left)."""
    found = {}
    for side in sides:
        image = fit(NOISE, side)
        rows, columns = offsets(*image.shape[:2])
        for top in rows:
            for left in columns:
                found[image[top : top + SIZE, left : left + SIZE].tobytes()] = (side, top, left)
    return found


@pytest.mark.parametrize(("low", "high"), [(256, 480), (256, 512), (256, 300)])
def test_scale_jitter_takes_every_whole_side_from_low_to_high_equally_often(low, high):
    sides = range(round(low * SIZE / 224), round(high * SIZE / 224) + 1)
    known, crop = every_window(sides), ScaleJitter(low, high)
    found = [known[cropped(NOISE, crop, SIZE, row)[0].tobytes()] for row in draws(crop, 1500)]
    counts = [sum(side == one for one, _, _ in found) for side in sides]
    assert chisquare(counts).pvalue > 1e-4
    # Places, as shares of the room there is at each side.
    tops = [(top + 0.5) / (side - SIZE + 1) for side, top, _ in found]
    lefts = [(left + 0.5) / (fit(NOISE, side).shape[1] - SIZE + 1) for side, _, left in found]
    for shares in (tops, lefts):
        assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
        assert 0 < min(shares) < 0.1 and 0.9 < max(shares) < 1


def test_sides_are_for_an_input_of_224():
    assert [scaled(side, 224) for side in (256, 480, 512)] == [256, 480, 512]
    assert (scaled(256, 299), scaled(256, 112), scaled(200, 224)) == (342, 128, 224)


@pytest.mark.parametrize("square", [False, True])
def test_a_window_lies_anywhere_in_the_image_or_in_its_central_square(square):
    crop = Window(280, square)  # a side of 20 for an input of 16
    offsets = (range(5), range(3, 8)) if square else (range(5), range(11))
    known = every_window([20], lambda *_: offsets)
    found = [cropped(NOISE, crop, SIZE, row) for row in draws(crop, 2000)]
    at = [known[image.tobytes()] for image, _ in found]
    counts = np.zeros((5, 11))
    for _, top, left in at:
        counts[top, left] += 1
    assert chisquare(counts[:, list(offsets[1])].ravel()).pvalue > 1e-4
    # The corner is told from that of the central square, 20 of 26 columns wide.
    assert all(
        tuple(corner) == (top, left - 3) for (_, corner), (_, top, left) in zip(found, at, strict=True)
    )


def by_definition(height, width, crop, generator):
    """The sampler of the fact sheet, section B.2, with Python's own generator."""
    for _ in range(crop.tries):
        area = generator.uniform(crop.low, 1) * height * width
        if crop.logarithmic:
            ratio = math.exp(generator.uniform(-math.log(crop.aspect), math.log(crop.aspect)))
        else:
            ratio = generator.uniform(1 / crop.aspect, crop.aspect)
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if not crop.logarithmic and generator.random() < 0.5:
            w, h = h, w
        if 0 < w <= width and 0 < h <= height:
            return generator.randint(0, height - h), generator.randint(0, width - w), h, w
    return None


@pytest.mark.parametrize(
    "crop", [AreaCrop(), AreaCrop(0.05, tries=100), AreaCrop(logarithmic=True), AreaCrop(0.3, 2.0)]
)
@pytest.mark.parametrize(("height", "width"), [(200, 200), (375, 500), (300, 150)])
def test_area_crops_are_distributed_as_the_definition_says(crop, height, width):
    generator = random.Random(1)
    expected = [by_definition(height, width, crop, generator) for _ in range(4000)]
    found = [area_box(height, width, crop, row[1:]) for row in draws(crop, 4000)]
    # No fit in 10 tries: about equally often.
    missing = [sum(box is None for box in boxes) for boxes in (expected, found)]
    assert abs(missing[0] - missing[1]) < 5 * math.sqrt(sum(missing) + 1)
    features = {
        "area": lambda t, x, h, w: w * h,
        "ratio": lambda t, x, h, w: w / h,
        "top": lambda t, x, h, w: (t + 0.5) / (height - h + 1),
        "left": lambda t, x, h, w: (x + 0.5) / (width - w + 1),
    }
    for feature in features.values():
        one, other = ([feature(*box) for box in boxes if box] for boxes in (expected, found))
        assert ks_2samp(one, other).pvalue > 1e-3
    for top, left, h, w in filter(None, found):
        assert 0 <= top <= height - h and 0 <= left <= width - w


def test_area_and_ratio_are_uniform_where_everything_fits():
    crop = AreaCrop(0.1, 1.2, tries=1)
    found = [area_box(1000, 1000, crop, row[1:]) for row in draws(crop, 4000)]
    small = [(h, w) for _, _, h, w in filter(None, found) if w * h < 700_000]  # at most 917 long: all fit
    assert kstest([w * h for h, w in small], "uniform", (1e5, 6e5)).pvalue > 1e-3
    # Swapped or not, the longer over the shorter: 5/12 of the ratios are below 1.
    for h, w in small:
        assert 1 / 1.203 < w / h < 1.203


def test_an_area_crop_by_hand():
    # 0.08 + 0.92 * 0.5 = 0.54 of 100 x 200; ratio 3/4 + 7/12 * 0.25 = 0.8958: w 98.4, h 109.8, too high;
    # swapped: w 110, h 98. Of 3 tops the second, of 91 columns the last.
    found = area_box(
        100, 200, AreaCrop(), np.array([0.5, 0.25, 0.9, *[0.5, 0.25, 0.1], *[0.0] * 24, 0.5, 0.9999])
    )
    assert found == (1, 90, 98, 110)


def test_where_nothing_fits_the_central_square_or_the_whole_is_taken():
    image = np.random.default_rng(1).integers(0, 256, (30, 300, 3), dtype=np.uint8)
    never = np.full(draws_of(AreaCrop()), 0.99)
    found, _ = cropped(image, AreaCrop(), 15, never)
    assert np.array_equal(found, fit(image, 15)[:, 67:82])  # 150 wide
    whole, _ = cropped(image, AreaCrop(otherwise="whole"), 15, never)
    assert np.array_equal(whole, resized(image, (0, 0, 30, 300), 15))
    with Image.fromarray(image) as picture:
        assert np.abs(whole.astype(int) - np.asarray(picture.resize((15, 15), 2))).max() <= 2


@pytest.mark.parametrize("box", [(3, 5, 40, 60), (0, 0, 9, 11)])
def test_resizes_are_bilinear_area_nearest_and_cubic_equally_often(box):
    image = np.random.default_rng(2).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    top, left, height, width = box
    picture = Image.fromarray(image[top : top + height, left : left + width])
    kinds = (
        Image.Resampling.BILINEAR,
        Image.Resampling.BOX,
        Image.Resampling.NEAREST,
        Image.Resampling.BICUBIC,
    )
    expected = [np.asarray(picture.resize((16, 16), kind)).astype(int) for kind in kinds]
    for kind, reference in zip(RESIZES, expected, strict=True):
        assert np.abs(resized(image, box, 16, kind).astype(int) - reference).max() <= (
            2 if kind is None else 0
        )
    crop = AreaCrop(any_resize=True)
    chosen = []
    for row in draws(crop, 400):
        at = area_box(50, 70, crop, row[1:])
        options = [resized(image, at, 16, kind).tobytes() for kind in RESIZES]
        found = cropped(image, crop, 16, row)[0].tobytes()
        if len(set(options)) == 4:
            chosen.append(options.index(found))
    assert len(chosen) > 300
    assert chisquare(np.bincount(chosen, minlength=4)).pvalue > 1e-4


def test_larger_images_than_crops_need_are_told():
    assert most(Padded(), 32) == 32
    assert most(Window(256), 224) == 256
    assert most(ScaleJitter(256, 480), 224) == 960
    limit = most(AreaCrop(), 224)
    assert limit == 915  # sqrt(0.08 * 3 / 4) of it is 224
    smallest = min(
        min(area_box(limit, limit, AreaCrop(), np.array([0.0, ratio, 0.9, *[0] * 27, 0, 0]))[2:])
        for ratio in (0.0, 0.5, 0.9999)
    )
    assert smallest >= 224
    assert most(AreaCrop(0.0), 224) == math.inf


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("shapes", [[(8, 8)] * 5, [(8, 8), (8, 11), (9, 8), (8, 8), (8, 11)]])
def test_windows_against_padding_one_image_at_a_time(dtype, reflect, shapes):
    generator = np.random.default_rng(3)
    images = [generator.integers(0, 256, (*shape, 3)).astype(dtype) for shape in shapes]
    crop = Padded(0.25, reflect)
    heights, widths = np.array([image.shape[:2] for image in images]).T
    top, left = places(uniforms(4, 1, np.arange(5), 2), heights, widths, 8, crop)
    found = windows(images, top, left, 8, crop)
    assert found.dtype == dtype
    for image, one, row, column in zip(images, found, top, left, strict=True):
        mode = {"mode": "reflect"} if reflect else {"mode": "constant"}
        wide = np.pad(image, ((2, 2), (2, 2), (0, 0)), **mode)
        assert np.array_equal(one, wide[row + 2 : row + 10, column + 2 : column + 10])


def test_all_81_places_of_a_padded_32_are_equally_likely():
    top, left = places(uniforms(0, 1, np.arange(16_200), 2), 32, 32, 32, Padded(0.125))
    assert (top.min(), top.max(), left.min(), left.max()) == (-4, 4, -4, 4)
    assert chisquare(np.bincount(9 * (top + 4) + left + 4, minlength=81)).pvalue > 1e-4
