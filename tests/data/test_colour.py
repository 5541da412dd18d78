"""Photometric distortions against the fact sheet's definitions, written another way."""

from __future__ import annotations

import colorsys
import math
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.stats import chisquare

from goingdeeper.data.colour import (
    DRAWS,
    blended,
    distorted,
    enhanced,
    pca,
    recoloured,
    saturated,
    turned,
)
from goingdeeper.data.order import uniforms
from goingdeeper.recipes.images import Howard, InceptionColour, PCAColour, TorchColour

IMAGE = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
WITH_GREY = np.concatenate([IMAGE, np.full((1, 9, 3), 77, np.uint8), np.zeros((1, 9, 3), np.uint8)])
SOFT = np.random.default_rng(1).integers(100, 150, (7, 9, 3), dtype=np.uint8)  # nothing is clipped

# The fact sheet, section B.3; rows are red, green and blue, columns p1, p2 and p3.
LAMBDA = (0.2175, 0.0188, 0.0045)
P = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))


def rows(count, seed=0):
    return uniforms(seed, 1, np.arange(count), DRAWS)


def test_pca_by_hand():
    # Box-Muller: sqrt(-2 ln(1 - u)) is 1 for u = 1 - exp(-1/2), the cosine 1 for an angle of 0.
    one, half = 1 - math.exp(-0.5), 0.5
    shift = pca(0.1, np.array([one, one, one, 0.0, half, 0.0]))
    axes = [(1, -1, 1)[i] * 0.1 * LAMBDA[i] for i in range(3)]
    expected = [255 * sum(a * p for a, p in zip(axes, row, strict=True)) for row in P]
    assert shift.tolist() == pytest.approx(expected, rel=1e-5)


def test_pca_shifts_have_imagenet_s_covariance():
    shifts = np.array([pca(0.1, row[4:]) for row in rows(20_000)]) / 255
    axes = np.array(P)
    expected = axes @ np.diag([(0.1 * value) ** 2 for value in LAMBDA]) @ axes.T
    assert np.abs(shifts.mean(0)).max() < 5 * 0.013 / math.sqrt(20_000)
    assert np.cov(shifts.T) == pytest.approx(expected, rel=0.08)
    # Along each axis, too: the small ones would not show in the sum.
    along = shifts @ np.linalg.inv(axes).T
    assert along.std(0) == pytest.approx([0.1 * value for value in LAMBDA], rel=0.03)


def test_pca_colour_is_one_shift_for_all_pixels_and_is_not_clipped():
    for row in rows(50):
        found = recoloured(IMAGE, PCAColour(0.3), row)
        assert found.dtype == np.float32
        shifts = found - IMAGE
        assert shifts == pytest.approx(np.broadcast_to(pca(0.3, row[4:]), IMAGE.shape), abs=1e-4)
    assert np.array_equal(recoloured(IMAGE, PCAColour(0.0), rows(1)[0]), IMAGE)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_howard_is_pillow_s_enhancement_in_any_order(order):
    picture = Image.fromarray(IMAGE)
    factors = np.array([0.6, 1.4, 1.2])
    for kind in order:
        picture = [ImageEnhance.Contrast, ImageEnhance.Brightness, ImageEnhance.Color][kind](picture).enhance(
            float(factors[kind])
        )
    assert np.array_equal(enhanced(IMAGE, factors, order), np.asarray(picture))


def weights(pixel):
    return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_torch_s_blends_in_any_order(order):
    factors = (0.6, 1.4, 1.2)
    pixels = [[float(v) for v in pixel] for pixel in IMAGE.reshape(-1, 3)]
    for kind in order:
        a = factors[kind]
        mean = sum(weights(pixel) for pixel in pixels) / len(pixels)
        pixels = [
            [a * v + (1 - a) * (0.0, mean, weights(pixel))[kind] for v in pixel] for pixel in pixels
        ]  # fmt: skip
    assert blended(IMAGE, np.array(factors), order).reshape(-1, 3) == pytest.approx(
        np.array(pixels), abs=1e-3
    )


@pytest.mark.parametrize(
    ("colour", "function", "strength"), [(Howard(), enhanced, 0.5), (TorchColour(), blended, 0.4)]
)
def test_factors_orders_and_noise_are_drawn_as_stated(colour, function, strength):
    orders = Counter()
    grey = np.full((2, 2, 3), 100, np.uint8)
    brightness = []
    for row in rows(1200):
        u = row
        options = list(permutations(range(3)))
        order = options[int(u[0] * 6)]
        orders[order] += 1
        factors = 1 + strength * (2 * u[1:4] - 1)
        expected = function(IMAGE, factors, order) + pca(0.1, u[4:])
        assert np.array_equal(recoloured(IMAGE, colour, u), expected.astype(np.float32))
        plain = recoloured(grey, type(colour)(strength, 0.0), u)
        brightness.append(float(plain[0, 0, 0]) / 100)
    assert chisquare(list(orders.values())).pvalue > 1e-4 and len(orders) == 6
    assert min(brightness) == pytest.approx(1 - strength, abs=0.02)
    assert max(brightness) == pytest.approx(1 + strength, abs=0.02)
    assert np.mean(brightness) == pytest.approx(1, abs=5 * strength / math.sqrt(3 * 1200) + 0.005)


def by_pixel(values, change):
    return np.array([[change(*pixel) for pixel in line] for line in values.tolist()])


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.5])
def test_saturation_against_colorsys(factor):
    def change(r, g, b):
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        return colorsys.hsv_to_rgb(h, min(1, s * factor), v)

    values = WITH_GREY / np.float32(255)
    assert saturated(values, factor) == pytest.approx(by_pixel(values, change), abs=1e-6)


@pytest.mark.parametrize("angle", [-0.2, 0.05, 0.2, 1 / 3])
def test_hue_against_colorsys(angle):
    def change(r, g, b):
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        return colorsys.hsv_to_rgb((h + angle) % 1, s, v)

    values = WITH_GREY / np.float32(255)
    assert turned(values, angle) == pytest.approx(by_pixel(values, change), abs=1e-5)


# The fact sheet says "one of four fixed orders"; they are those of the released `distort_color`.
ORDERS = {
    False: ("bshc", "sbch", "chbs", "hscb"),
    True: ("bs", "sb"),
}


@pytest.mark.parametrize("fast", [False, True])
def test_inception_s_distortions_step_by_step(fast):
    seen = Counter()
    for u in rows(400):
        order = ORDERS[fast][int(u[0] * len(ORDERS[fast]))]
        seen[order] += 1
        values = SOFT / 255
        for kind in order:
            if kind == "b":
                values = values + (u[1] * 64 - 32) / 255
            elif kind == "c":
                means = values.mean((0, 1))
                values = means + (0.5 + u[3]) * (values - means)
            else:

                def change(r, g, b, kind=kind, u=u):
                    h, s, v = colorsys.rgb_to_hsv(r, g, b)
                    if kind == "s":
                        return colorsys.hsv_to_rgb(h, min(1, s * (0.5 + u[2])), v)
                    return colorsys.hsv_to_rgb((h - 0.2 + 0.4 * u[4]) % 1, s, v)

                values = by_pixel(values, change)
        found = recoloured(SOFT, InceptionColour(fast), u)
        assert found == pytest.approx(255 * values, abs=0.01)
    assert len(seen) == len(ORDERS[fast])
    assert chisquare(list(seen.values())).pvalue > 1e-4


def test_inception_clips():
    found = distorted(np.array([[[255, 0, 250]]], np.uint8), ("brightness",), np.array([1.0, 0.5, 0.5, 0.5]))
    assert found[0, 0].tolist() == pytest.approx([255, 32, 255])


def test_colours_out_of_range_stay_finite():
    """Brightness comes before the others in two of the orders, and leaves values beyond 0 and 1."""
    extremes = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [3, 0, 1]]], np.uint8)
    for u in rows(200):
        found = recoloured(extremes, InceptionColour(), u)
        assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 255
