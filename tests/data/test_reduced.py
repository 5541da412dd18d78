"""JPEGs decoded at a part of their size, for training only and where that was asked for."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image
from simplejpeg import decode_jpeg

from goingdeeper.data import crops, pictures
from goingdeeper.data.augment import Chance, augmented
from goingdeeper.data.decode import decode, decode_reduced
from goingdeeper.data.order import order
from goingdeeper.data.pictures import survey
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import open_source
from goingdeeper.errors import DataError
from goingdeeper.recipes.images import AreaCrop, Augmentation, ScaleJitter, Window


def photo(width: int, height: int, kind: str = "JPEG", **options: object) -> bytes:
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(x / width * 9), 127 + 100 * np.cos(y / height * 7), 255 * x / width]
    stream = io.BytesIO()
    Image.fromarray(np.stack(waves, 2).astype(np.uint8)).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("by", [2, 4, 8])
@pytest.mark.parametrize("size", [(160, 120), (161, 117)])
def test_a_part_of_the_size(by, size):
    """As TurboJPEG scales while it decodes, asked for by another name."""
    asked = []
    content = photo(*size)
    found, full = decode_reduced(content, "a.jpg", lambda h, w: asked.append((h, w)) or by)
    assert asked == [size[::-1]] and full == size[::-1]
    expected = decode_jpeg(content, min_height=-(-size[1] // by), min_width=-(-size[0] // by))
    assert found.shape == (-(-size[1] // by), -(-size[0] // by), 3)
    assert np.array_equal(found, expected)


def test_orientation_goes_before_the_size():
    exif = Image.Exif()
    exif[0x112] = 6
    content = photo(160, 120, exif=exif)
    found, full = decode_reduced(content, "a.jpg", lambda h, w: 2 if (h, w) == (160, 120) else 1)
    assert full == (160, 120) and found.shape == (80, 60, 3)
    upright = np.rot90(decode_jpeg(content, min_height=60, min_width=80), -1)
    assert np.array_equal(found, upright)


@pytest.mark.parametrize(("kind", "by"), [("PNG", 8), ("JPEG", 1), ("WEBP", 4)])
def test_what_cannot_or_need_not_be_reduced_is_decoded_as_ever(kind, by):
    content = photo(160, 120, kind)
    found, full = decode_reduced(content, "a", lambda *_: by)
    assert full == (120, 160)
    assert np.array_equal(found, decode(content))


@pytest.mark.parametrize("content", [b"", b"<html>", photo(160, 120)[:-400], photo(160, 120)[:100]])
def test_refusals_are_those_of_decoding(content):
    with pytest.raises(DataError) as expected:
        decode(content, "a.jpg")
    with pytest.raises(DataError) as found:
        decode_reduced(content, "a.jpg", lambda *_: 2)
    assert str(found.value) == str(expected.value)


CROPS = [AreaCrop(), AreaCrop(0.5, logarithmic=True), AreaCrop(1.0, aspect=1.0), ScaleJitter(), Window()]


@pytest.mark.parametrize("crop", CROPS)
def test_no_crop_is_ever_enlarged_for_it_and_none_could_be_smaller(crop):
    random = np.random.default_rng(0)
    found = set()
    for _ in range(300):
        height, width = random.integers(20, 2000, 2)
        draws = random.random(crops.draws_of(crop))
        by = crops.divisor(int(height), int(width), crop, 64, draws)
        found.add(by)
        if isinstance(crop, AreaCrop):
            box = crops.area_box(int(height), int(width), crop, draws[1:])
            least, needed = min(box[2:] if box else (height, width)), 64
        elif isinstance(crop, Window):
            least, needed = min(height, width), round(256 * 64 / 224)
        else:
            low, high = round(256 * 64 / 224), round(480 * 64 / 224)
            least, needed = min(height, width), low + int(draws[2] * (high - low + 1))
        assert by == 1 or least / by >= needed
        assert by == 8 or least / (2 * by) < needed
    assert found == {1, 2, 4, 8}


@pytest.fixture
def photos(tmp_path):
    for number, size in enumerate([(400, 300), (201, 333), (90, 70), (60, 64), (1000, 128), (128, 64)]):
        place = tmp_path / "photos" / str(number % 2)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.jpg").write_bytes(photo(*size))
        (place / f"{number}.png").write_bytes(photo(*size, "PNG"))
    return open_source(tmp_path / "photos")


def batch(found, source, crop, reduced):
    visits = order(len(source.items), 0, 1)
    paths = [source.items[number].path for number in visits.image]
    with ThreadPoolExecutor(2) as pool:
        return augmented(
            found, paths, Preprocessing(32), Augmentation(crop=crop, reduced_decoding=reduced),
            Chance(0, 1, visits), pool,
        )  # fmt: skip


@pytest.mark.parametrize("crop", CROPS)
def test_batches_are_nearly_the_same_and_do_not_depend_on_memory(photos, monkeypatch, crop):
    batches = []
    for room in (0, 30_000, 10**12):
        monkeypatch.setattr(pictures, "_free_memory", partial(int, 3 * room))
        found = survey(photos, 32, crop=crop).pictures
        batches.append(batch(found, photos, crop, True))
    assert batches[0].equal(batches[1]) and batches[0].equal(batches[2])
    plain = batch(found, photos, crop, False)
    assert not plain.equal(batches[0])
    apart = (plain - batches[0]).abs() * 127.5  # in levels
    assert apart.mean() < 3 and apart.quantile(0.99) < 20


def test_a_source_of_pixels_is_read_as_ever(photos):
    held = replace(photos, content=None)
    for crop in CROPS[:3]:
        without = survey(held, 32, crop=crop).pictures
        by_hand = [held.read(item.path) for item in held.items]
        for item, pixels in zip(held.items, by_hand, strict=True):
            found, full = without.reduced(item.path, lambda *_: 8)
            assert full == pixels.shape[:2] and np.array_equal(found, pixels)
