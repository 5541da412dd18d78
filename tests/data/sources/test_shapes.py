"""Generated shapes: the same on every machine, alike in area in all classes, over a factor of 8 in size."""

import hashlib
import math
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

from goingdeeper.data.sources import open_source
from goingdeeper.data.sources.shapes import OUTLINES, drawn, size_of
from goingdeeper.errors import DataError

CLASSES = ("circle", "crescent", "cross", "ell", "ring", "square", "star", "triangle")
module = sys.modules["goingdeeper.data.sources.shapes"]  # the package has a function of this name


@pytest.fixture(scope="module")
def source():
    return open_source("shapes")


@pytest.fixture(scope="module")
def sizes():
    return np.array([size_of(number) for number in range(10_000)])


def test_what_there_is(source):
    assert source.classes == CLASSES
    assert not source.oriented
    counts = Counter((item.split, item.label) for item in source.items)
    assert counts == {
        **{("train", name): 1000 for name in CLASSES},
        **{("val", name): 250 for name in CLASSES},
    }
    assert len({item.path for item in source.items}) == 10_000
    path = source.items[8000].path
    assert source.items[8000].split == "val"
    assert (source.read(path).shape, source.read(path).dtype) == ((64, 64, 3), np.uint8)
    assert source.size(path) == (64, 64)


def test_an_image_follows_from_its_number_alone(source):
    """Whatever was drawn before, beside it, or from numpy's global numbers, which are left alone."""
    paths = [item.path for item in source.items[:9999:1111]]
    before = [source.read(path).tobytes() for path in paths]
    np.random.seed(3)
    state = np.random.get_state()[1].tolist()
    with ThreadPoolExecutor(4) as pool:
        again = [image.tobytes() for image in pool.map(source.read, reversed(paths))]
    assert again[::-1] == before
    assert len(set(before)) == len(before)
    assert np.random.get_state()[1].tolist() == state


def test_the_images_are_what_they_have_always_been():
    """To the bit: whoever trained on them can score on them later, and elsewhere."""
    found = hashlib.sha256(b"".join(drawn(number).tobytes() for number in range(0, 10_000, 97)))
    assert found.hexdigest() == "dfd628e55d943c0e76a9c188c0384687d008bee24086caba16f59fbe5bab089b"


@pytest.mark.parametrize("name", CLASSES)
def test_an_outline_holds_an_area_of_1_and_reaches_no_farther_than_1(name):
    step = 2.1 / 1000
    at = ((np.arange(1000) + 0.5) * step - 1.05).astype(np.float32)
    x, y = np.meshgrid(at, at)
    x, y = 0.8 * x - 0.6 * y, 0.8 * y + 0.6 * x  # turned, so that no side falls along the squares
    inside = OUTLINES[name](x, y) < 0
    assert inside.sum() * step**2 == pytest.approx(1, abs=0.004)  # as about 4000 squares are on the outline
    assert np.hypot(x, y)[inside].max() <= 1


def test_outlines_are_what_they_are_called():
    """Corners, seen as the parts of a circle about the origin that lie inside; and what is in the middle."""

    def parts(name, radius):
        turn = (np.arange(3600) + 0.5) * 2 * math.pi / 3600
        inside = OUTLINES[name](*(radius * way(turn).astype(np.float32) for way in (np.cos, np.sin))) < 0
        return int((inside != np.roll(inside, 1)).sum() / 2), bool(inside.all())

    assert parts("circle", 0.5) == (0, True) and parts("circle", 0.6) == (0, False)
    assert parts("square", 0.6) == (4, False) and parts("square", 0.45) == (0, True)
    assert parts("triangle", 0.6) == (3, False) and parts("triangle", 0.4) == (0, True)
    assert parts("star", 0.6) == (5, False) and parts("star", 0.3) == (0, True)
    assert parts("cross", 0.5) == (4, False) and parts("cross", 0.2) == (0, True)
    assert parts("ring", 0.5) == (0, True) and parts("ring", 0.2) == (0, False)
    assert parts("ell", 0.7)[0] == 3 and parts("crescent", 0.9)[0] == 1


def test_sizes_are_log_uniform_over_a_factor_of_8_in_every_class(sizes):
    assert sizes.min() >= 4 and sizes.max() <= 32
    assert kstest(np.log2(sizes), "uniform", args=(2, 3)).pvalue > 0.001
    for one in range(8):
        assert ks_2samp(sizes[one::8], sizes).pvalue > 0.001
    assert ks_2samp(sizes[:8000], sizes[8000:]).pvalue > 0.001


def test_a_size_is_told_by_path_or_number(source, sizes):
    assert [size_of(item.path) for item in source.items[:20]] == sizes[:20].tolist()


@pytest.mark.parametrize("path", ["shapes/10000", "shapes/-1", "shapes/a", "digits/0000", ""])
def test_what_is_no_image(source, path):
    for ask in (size_of, source.read):
        with pytest.raises(DataError, match="no such image; they are shapes/0000 to shapes/9999"):
            ask(path)


def test_the_shape_in_an_image_has_its_size_and_all_of_it_is_there(monkeypatch):
    """Seen without what is behind it and without noise: then a pixel is the ground, the shape, or between."""
    monkeypatch.setattr(module, "STRIPES", 0)
    monkeypatch.setattr(module, "NOISE", 0.0)
    for number in range(160):
        image, size = drawn(number).astype(float), size_of(number)
        ground = image[0, 0]
        assert (image[[0, -1], [0, -1]] == ground).all()
        cover = (image - ground).max(axis=2)
        if size > 12:  # of smaller ones no pixel need be wholly covered
            area = cover.sum() / cover.max()
            assert area == pytest.approx(size**2, rel=0.08), CLASSES[number % 8]
        assert cover.max() > 15


def test_turns_and_powers_are_those_of_the_mathematics():
    for part in np.random.default_rng(0).random(200).tolist():
        cos, sin = module._direction(part)
        assert (cos, sin) == pytest.approx(
            (math.cos(2 * math.pi * part), math.sin(2 * math.pi * part)), abs=1e-4
        )
        assert module._power(8.0, part) == pytest.approx(8**part, rel=1e-4)
