"""The colours against matplotlib's, and that everybody can order them."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from goingdeeper.prediction.overlay import INFERNO, coloured, overlay, picture, scale

RAMP = np.linspace(0, 1, 256, dtype=np.float32)[None]


def test_the_colours_are_matplotlibs_inferno():
    published = np.asarray(matplotlib.colormaps["inferno"](np.arange(256)))[:, :3] * 255
    found = coloured(RAMP)[0]
    assert np.abs(found[::17] - published[::17]).max() <= 0.5
    assert np.abs(found - published).max() < 9
    assert len(INFERNO) == 16


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_more_heat_is_lighter_on_any_image(grey):
    """Luminance by Rec. 709, which those who see no colour go by."""
    page = overlay(np.full((1, 256, 3), grey, np.uint8), RAMP)[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(page) > -0.5).all()
    assert (np.diff(page[::8]) > 0).all()


def test_an_overlay_is_half_of_the_image_in_grey_and_half_of_the_colours():
    pixels = np.array([[[255, 0, 0], [0, 0, 0], [255, 255, 255]]], np.uint8)
    found = overlay(pixels, np.array([[0.0, 1.0, 1.0]], np.float32)).astype(int)[0]
    # ITU-R 601, by which Pillow makes greys: red is 76 of 255. Inferno begins 0, 0, 4 and ends 252, 255, 164.
    assert np.abs(found - [[38, 38, 40], [126, 127, 82], [253, 255, 209]]).max() <= 1


def test_the_scale_for_style_sheets_ends_as_the_overlay_on_medium_grey():
    assert len(scale()) == 16
    assert scale()[0] == "#404042"
    assert scale()[-1] == "#bec092"


@pytest.mark.parametrize("side", [1, 8, 32, 100, 224, 299])
def test_a_picture_is_large_enough_to_see(side):
    page = picture(np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.float32), "a", "b", "c")
    assert page.width >= 2 * 224
    assert page.width < 2 * 2 * 224 + 100


def test_long_texts_are_cut():
    pixels, heat = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.float32)
    short = picture(pixels, heat, "a", "b", "c")
    assert picture(pixels, heat, "\N{CAT FACE} é" * 300, "猫" * 300, "1.25").size == short.size
