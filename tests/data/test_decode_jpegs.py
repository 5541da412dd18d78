"""JPEGs are decoded in less time than Pillow needs, and every pixel and every refusal is Pillow's."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from goingdeeper.data import decode as module
from goingdeeper.data.decode import decode, is_upright
from goingdeeper.errors import DataError

SIDES = [(1, 1), (2, 3), (7, 9), (16, 16), (17, 33), (64, 63), (101, 99)]
# Luminance samples for one of each colour, across and down, that libjpeg does not know by a number.
SAMPLINGS = ["4:4:4", "4:2:2", "4:2:0", "4:1:1", "4:4:0"]


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Slopes, edges and noise, the colours of each on their own."""
    random = np.random.default_rng([width, height])
    y, x = np.mgrid[:height, :width]
    slopes = np.stack([x * 200 // max(1, width), y * 200 // max(1, height), (x + y) % 2 * 120], 2)
    return Image.fromarray((slopes + random.integers(0, 56, slopes.shape)).astype(np.uint8)).convert(mode)


def saved(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


def by_pillow(content: bytes) -> np.ndarray:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    return np.asarray(image.convert("RGB"))


@pytest.fixture
def no_pillow(monkeypatch):
    """Where the quick way does not do, the test fails."""

    def refuse(*_: object) -> None:
        raise AssertionError("decoded by Pillow")

    monkeypatch.setattr(Image.Image, "load", refuse)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_sampling_and_size_to_the_bit(sampling, progressive, mode):
    from simplejpeg import encode_jpeg

    for (width, height), quality in itertools.product(SIDES, (30, 75, 95, 100)):
        image = picture(width, height, mode)
        if sampling == "4:4:0":  # Pillow does not write it
            content = encode_jpeg(np.asarray(image.convert("RGB")), quality, "rgb", "440")
        else:
            content = saved(image, quality=quality, subsampling=sampling, progressive=progressive)
        assert np.array_equal(decode(content), by_pillow(content)), (width, height, quality)


@pytest.mark.parametrize(
    "options",
    [{"keep_rgb": True}, {"restart_marker_blocks": 3}, {"optimize": True}, {"qtables": "web_low"},
     {"comment": b"\xff\xe1 in a comment"}, {"icc_profile": bytes(70_000)}, {"dpi": (72, 72)}],
    ids=str,
)  # fmt: skip
def test_every_way_of_saving_to_the_bit(options):
    for width, height in SIDES[2:]:
        content = saved(picture(width, height), **options)
        assert np.array_equal(decode(content), by_pillow(content))


@pytest.mark.parametrize("mode", ["CMYK", "RGB", "L"])
@pytest.mark.parametrize("orientation", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65535])
def test_every_orientation_to_the_bit(mode, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    content = saved(picture(37, 21, mode), exif=exif)
    found = decode(content)
    assert np.array_equal(found, by_pillow(content))
    assert found.flags.c_contiguous and found.flags.writeable
    assert is_upright(content) == (orientation not in range(2, 9))


def test_an_orientation_in_xmp_counts_as_with_pillow():
    packet = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"></x>'
    plain = saved(picture(37, 21))
    content = plain[:2] + b"\xff\xe1" + (len(packet) + 2).to_bytes(2) + packet + plain[2:]
    assert np.array_equal(decode(content), by_pillow(content))
    assert decode(content).shape == (37, 21, 3)
    assert not is_upright(content)


def test_pillow_is_not_asked_for_ordinary_jpegs(no_pillow):
    for content in (PLAIN, PROGRESSIVE, GREY):
        assert decode(content).shape == (24, 32, 3)
    assert decode(TURNED).shape == (32, 24, 3)
    for content in (CMYK, PLAIN[:-30]):
        with pytest.raises(DataError, match="decoded by Pillow"):
            decode(content)


TURNED_EXIF = Image.Exif()
TURNED_EXIF[0x112] = 6
PLAIN, PROGRESSIVE = saved(picture(32, 24)), saved(picture(32, 24), progressive=True)
GREY, CMYK = saved(picture(32, 24, "L")), saved(picture(32, 24, "CMYK"))
TURNED = saved(picture(32, 24), exif=TURNED_EXIF)


def told(content: bytes) -> np.ndarray | str:
    try:
        return decode(content, "a.jpg")
    except DataError as problem:
        return str(problem)


@pytest.mark.parametrize("missing", [False, True])
def test_without_the_quick_decoder_all_is_the_same(monkeypatch, missing):
    if missing:
        monkeypatch.setattr(module, "decode_jpeg", None)
    for content in (PLAIN, PROGRESSIVE, GREY, CMYK, TURNED):
        assert np.array_equal(decode(content), by_pillow(content))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_what_is_damaged_is_judged_as_pillow_judges_it(data):
    """Bytes changed, cut out, cut off: the same pixels or words with the quick way and without it."""
    content = bytearray(data.draw(st.sampled_from([PLAIN, PROGRESSIVE, GREY, TURNED])))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(2, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(content) - 1))
        del content[start : start + data.draw(st.integers(1, 60))]
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(1, max(1, len(content) - 1))) :]
    found = told(bytes(content))
    quick, module.decode_jpeg = module.decode_jpeg, None
    try:
        expected = told(bytes(content))
    finally:
        module.decode_jpeg = quick
    assert type(found) is type(expected)
    assert np.array_equal(found, expected) if isinstance(found, np.ndarray) else found == expected


def test_a_header_that_promises_too_much_is_refused_unread():
    at = PLAIN.index(b"\xff\xc0") + 5
    content = PLAIN[:at] + (50_000).to_bytes(2) * 2 + PLAIN[at + 4 :]
    with pytest.raises(DataError, match=r"a\.jpg is 50000x50000; over .* pixels is refused"):
        decode(content, "a.jpg")


def test_real_photographs_to_the_bit(test_data):
    files = (
        sorted((test_data / "photos").glob("*.JPEG")) + sorted(test_data.glob("sign-digits/*/*.JPG"))[::40]
    )
    assert len(files) > 140
    for file in files:
        content = file.read_bytes()
        assert np.array_equal(decode(content), by_pillow(content)), file
