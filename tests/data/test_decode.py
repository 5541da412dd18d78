"""From files to pixels: every mode, orientation and kind of damage, against pixels written out by hand."""

from __future__ import annotations

import io
import os
import struct
import threading
import time
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from goingdeeper.data.decode import centre, decode, fit, header_size, png
from goingdeeper.errors import DataError

# Three by two pixels, none like another, so that no turn or mirror goes unnoticed.
SCENE = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [40, 50, 60], [70, 80, 90]]], np.uint8
)
GREYS = np.array([[0, 100], [200, 255]], np.uint8)
WIDE_GREYS = np.array([[0, 257], [32896, 65535]], np.uint16)  # 257 of 65,535 is 1 of 255


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def grey(levels: list[list[int]]) -> np.ndarray:
    return np.repeat(np.array(levels, np.uint8)[:, :, None], 3, axis=2)


def raw_png(width: int, height: int, bits: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG file put together by hand; rows: each with its filter byte."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def wide_rows(channels: list[np.ndarray]) -> bytes:
    return b"".join(
        b"\0" + np.stack(row, axis=1).astype(">u2").tobytes() for row in zip(*channels, strict=True)
    )


def palette() -> Image.Image:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    return image


def with_alpha(mode: str, alpha: list[list[int]]) -> Image.Image:
    base = [Image.fromarray(GREYS)] * (len(mode) - 1)
    return Image.merge(mode, [*base, Image.fromarray(np.array(alpha, np.uint8))])


HALF = [[0, 255], [128, 255]]  # on white: all of it, nothing, half of 200 and 255, nothing
HALVED = grey([[255, 100], [227, 255]])
PALETTE = np.array([[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [40, 50, 60]]], np.uint8)
HOLES = np.array([[[10, 20, 30], [255] * 3], [[70, 80, 90], [255] * 3]], np.uint8)

MODES = {
    "RGB": (encoded(Image.fromarray(SCENE)), SCENE),
    "RGB bmp": (encoded(Image.fromarray(SCENE), "BMP"), SCENE),
    "RGB tiff": (encoded(Image.fromarray(SCENE), "TIFF"), SCENE),
    "RGB ppm": (encoded(Image.fromarray(SCENE), "PPM"), SCENE),
    "RGB webp": (encoded(Image.fromarray(SCENE), "WEBP", lossless=True), SCENE),
    "RGB with one clear colour": (
        encoded(Image.fromarray(SCENE), transparency=(0, 0, 255)),
        np.where((SCENE == (0, 0, 255)).all(2, keepdims=True), 255, SCENE),
    ),
    "L": (encoded(Image.fromarray(GREYS)), grey(GREYS.tolist())),
    "L with a clear grey": (encoded(Image.fromarray(GREYS), transparency=0), grey([[255, 100], [200, 255]])),
    "LA": (encoded(with_alpha("LA", HALF)), HALVED),
    "RGBA": (encoded(with_alpha("RGBA", HALF)), HALVED),
    "RGBA webp": (encoded(with_alpha("RGBA", HALF), "WEBP", lossless=True, exact=True), HALVED),
    "P": (encoded(palette()), PALETTE),
    "P with a clear index": (encoded(palette(), transparency=1), HOLES),
    "P with alphas": (encoded(palette(), transparency=bytes([255, 0, 255])), HOLES),
    "P gif": (encoded(palette(), "GIF"), PALETTE),
    "P gif with a clear index": (encoded(palette(), "GIF", transparency=1), HOLES),
    "1": (encoded(Image.fromarray(GREYS > 150)), grey([[0, 0], [255, 255]])),
    "two bits": (raw_png(4, 1, 2, 0, b"\0\x1b"), grey([[0, 85, 170, 255]])),
    "16 bits": (encoded(Image.fromarray(WIDE_GREYS)), grey([[0, 1], [128, 255]])),
    "16 bits tiff": (encoded(Image.fromarray(WIDE_GREYS), "TIFF"), grey([[0, 1], [128, 255]])),
    "16 bits pgm": (b"P5\n2 2\n65535\n" + WIDE_GREYS.astype(">u2").tobytes(), grey([[0, 1], [128, 255]])),
    "16 bits with a clear grey": (
        raw_png(2, 2, 16, 0, wide_rows([WIDE_GREYS]), chunk(b"tRNS", struct.pack(">H", 257))),
        grey([[0, 255], [128, 255]]),
    ),
    "16 bits with alpha": (
        raw_png(2, 2, 16, 4, wide_rows([WIDE_GREYS, np.array([[65535, 0], [65535, 65535]])])),
        grey([[0, 255], [128, 255]]),
    ),
    "16 bits of colour": (raw_png(2, 2, 16, 2, wide_rows([WIDE_GREYS] * 3)), grey([[0, 1], [128, 255]])),
    "1x1": (encoded(Image.new("RGB", (1, 1), (9, 8, 7))), np.array([[[9, 8, 7]]], np.uint8)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODES)
def test_every_mode_gives_the_pixels_a_person_sees(name):
    content, expected = MODES[name]
    found = decode(content)
    assert (found.dtype, found.shape) == (np.uint8, expected.shape)
    assert np.abs(found.astype(int) - expected).max() <= (
        1 if "alpha" in name or "LA" in name or "RGBA" in name else 0
    )


@pytest.mark.parametrize(
    ("ink", "expected"),
    [((255, 0, 0, 0), (0, 255, 255)), ((0, 255, 0, 0), (255, 0, 255)), ((0, 0, 0, 255), (0, 0, 0)),
     ((0, 0, 0, 0), (255, 255, 255))],
)  # fmt: skip
def test_printing_inks_become_colours(ink, expected):
    found = decode(encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100))
    assert np.abs(found.astype(int) - expected).max() <= 3


def test_a_jpeg_comes_out_close_to_what_went_in():
    smooth = np.stack(
        [*np.meshgrid(np.arange(0, 240, 5), np.arange(0, 160, 5)), np.full((32, 48), 90)], axis=2
    )
    found = decode(encoded(Image.fromarray(smooth.astype(np.uint8)), "JPEG", quality=95, subsampling=0))
    assert np.abs(found - smooth).max() <= 6


# How a picture stored in SCENE's order is to be shown, by the EXIF standard's table: what the stored rows and
# columns stand for.
TURNS = {
    1: SCENE,
    2: SCENE[:, ::-1],
    3: SCENE[::-1, ::-1],
    4: SCENE[::-1],
    5: SCENE.transpose(1, 0, 2),
    6: np.array([[SCENE[1, 0], SCENE[0, 0]], [SCENE[1, 1], SCENE[0, 1]], [SCENE[1, 2], SCENE[0, 2]]]),
    7: np.array([[SCENE[1, 2], SCENE[0, 2]], [SCENE[1, 1], SCENE[0, 1]], [SCENE[1, 0], SCENE[0, 0]]]),
    8: np.array([[SCENE[0, 2], SCENE[1, 2]], [SCENE[0, 1], SCENE[1, 1]], [SCENE[0, 0], SCENE[1, 0]]]),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", TURNS)
def test_the_camera_s_orientation_is_applied(kind, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    found = decode(encoded(Image.fromarray(SCENE), kind, exif=exif, **options))
    assert np.array_equal(found, TURNS[orientation])


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    assert np.array_equal(decode(encoded(Image.fromarray(SCENE), exif=exif)), SCENE)


def test_a_16_bit_picture_is_turned_too():
    exif = Image.Exif()
    exif[0x112] = 6
    found = decode(encoded(Image.fromarray(WIDE_GREYS), exif=exif))
    assert np.array_equal(found, grey([[128, 0], [255, 1]]))


@pytest.mark.parametrize(
    ("kind", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {})]
)
def test_of_several_frames_the_first_counts(kind, options):
    other = Image.fromarray(255 - SCENE)
    content = encoded(Image.fromarray(SCENE), kind, save_all=True, append_images=[other, other], **options)
    assert np.array_equal(decode(content), SCENE)


def test_the_suffix_does_not_matter(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(encoded(Image.fromarray(SCENE), "PNG"))
    assert np.array_equal(decode(tmp_path / "photo.jpg"), SCENE)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"<!doctype html><html><body>404</body></html>", r"is not an image .*<!doctyp"),
        (b"\x00" * 100, "is not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image"),
        (encoded(Image.fromarray(GREYS.astype(np.float32) / 255), "TIFF"), "of 32 bits"),
        (encoded(Image.fromarray(SCENE))[:50], "is truncated at 50 bytes"),
        (encoded(Image.fromarray(np.tile(SCENE, (50, 50, 1))), "JPEG")[:-500], "is truncated at"),
        (encoded(Image.fromarray(SCENE), "GIF")[:20], "is not an image"),
    ],
)
def test_what_is_no_image_is_named_with_its_path(tmp_path, content, what):
    file = tmp_path / "odd.jpg"
    file.write_bytes(content)
    with pytest.raises(DataError, match=what) as caught:
        decode(file)
    assert str(caught.value).startswith(f"{file} ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.jpg", "x" * 300 + ".jpg", "nul\0.jpg"])
def test_a_path_that_cannot_be_opened(tmp_path, name):
    with pytest.raises(DataError, match="cannot be read"):
        decode(tmp_path / name)
    assert header_size(tmp_path / name) is None


def test_folders_pipes_and_circular_links_are_refused(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    for name in ("folder.jpg", "pipe.jpg", "loop.jpg"):
        with pytest.raises(DataError, match=rf"{name} cannot be read: "):
            decode(tmp_path / name)
        assert header_size(tmp_path / name) is None


def test_a_read_error_is_named(tmp_path, monkeypatch):
    file = tmp_path / "a.jpg"
    file.write_bytes(encoded(Image.fromarray(SCENE)))

    def broken(self: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(DataError, match=r"a\.jpg cannot be read: Input/output error"):
        decode(file)


BOMBS = {
    "png": raw_png(50_000, 50_000, 8, 2, b""),
    "grey png": raw_png(10_000, 10_000, 8, 0, b""),
    "largest png": raw_png(2**31 - 1, 2**31 - 1, 8, 2, b""),
    "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 50_000, 50_000, 1, 24, *[0] * 6),
    "ppm": b"P6\n50000 50000\n255\n",
    "gif": b"GIF89a" + 4 * b"\xff" + b"\x80\0\0" + bytes(6) + b",\0\0\0\0" + 4 * b"\xff" + b"\0\2\0;",
    "strip": raw_png(80_000_000, 1, 1, 0, b""),
    "long strip": raw_png(1, 501, 8, 0, b"\0\0" * 501),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_headers_that_promise_too_much_are_refused_unread(name):
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(DataError, match=r"bomb\.jpg (is|claims) .* refused"):
        decode(BOMBS[name], "bomb.jpg")
    seconds, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 1
    assert peak < 50e6


def test_a_strip_just_short_enough_is_read():
    found = decode(raw_png(500, 1, 8, 0, b"\0" + bytes(500)))
    assert found.shape == (1, 500, 3)


ORDERS = [b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\x05\0\x12\x01\x02\0\x01\0", b"nonsense"]


@pytest.mark.parametrize("exif", ORDERS)
def test_damaged_metadata_costs_neither_image_nor_warning(exif):
    content = encoded(Image.new("RGB", (8, 8), (90, 90, 90)), "JPEG", exif=b"Exif\0\0" + exif)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert decode(content).shape == (8, 8, 3)
    assert not caught


def test_no_warning_shows_while_several_threads_decode():
    content = encoded(Image.new("RGB", (64, 64), (90, 90, 90)), "JPEG", exif=b"Exif\0\0" + ORDERS[0])
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                decode(content)
        except BaseException as problem:
            failures.append(problem)

    before = list(warnings.filters)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures  # warnings are errors here
    assert list(warnings.filters) == before


def seeds() -> dict[str, bytes]:
    random = np.random.default_rng(1)
    noise = Image.fromarray(random.integers(0, 256, (24, 32, 3), np.uint8))
    exif = Image.Exif()
    exif[0x112] = 6
    return {
        "jpeg": encoded(noise, "JPEG", exif=exif),
        "progressive jpeg": encoded(noise, "JPEG", progressive=True),
        "cmyk jpeg": encoded(noise.convert("CMYK"), "JPEG"),
        "png": encoded(noise, "PNG", exif=exif),
        "palette png": encoded(noise.convert("P"), "PNG", transparency=3),
        "gif": encoded(noise, "GIF", save_all=True, append_images=[noise]),
        "webp": encoded(noise, "WEBP", exif=exif),
        "bmp": encoded(noise, "BMP"),
        "tiff": encoded(noise, "TIFF", exif=exif),
        "ppm": encoded(noise, "PPM"),
    }


SEEDS = seeds()


@pytest.mark.parametrize("name", SEEDS)
def test_a_file_cut_short_is_never_another_image(name):
    """Where only the end after the pixels is missing, it is still the same one."""
    content, refused = SEEDS[name], 0
    whole = decode(content)
    for length in range(len(content) % 7, len(content), 7):
        try:
            assert np.array_equal(decode(content[:length]), whole)
        except DataError:
            refused += 1
    assert refused >= len(content) // 7 - 4


@pytest.mark.parametrize("name", SEEDS)
def test_header_size_needs_no_pixels(name, tmp_path):
    (tmp_path / "a.img").write_bytes(SEEDS[name][: 1000 if "jpeg" in name else None])
    assert sorted(header_size(tmp_path / "a.img")) == [24, 32]


@pytest.mark.parametrize("name", ["png", "largest png"])
def test_header_size_of_a_bomb_warns_of_nothing(name, tmp_path):
    (tmp_path / "a.png").write_bytes(BOMBS[name])
    assert header_size(tmp_path / "a.png") is None


def test_real_photographs_are_fitted_as_pillow_does_it(test_data):
    """Within two levels of Pillow's antialiased bilinear resize."""
    files = sorted((test_data / "photos").iterdir())[::10]
    for file in files:
        pixels = decode(file)
        for size in (64, 96, 224):
            found = fit(pixels, size)
            reference = Image.fromarray(pixels).resize(found.shape[1::-1], Image.Resampling.BILINEAR)
            assert min(found.shape[:2]) == size
            assert np.abs(found.astype(int) - np.asarray(reference)).max() <= 2, file.name


def test_a_large_photograph_is_decoded_whole(test_data):
    largest = max((test_data / "sign-digits").glob("*/*.JPG"), key=lambda file: file.stat().st_size)
    pixels = decode(largest)
    assert largest.stat().st_size > 1e6
    assert pixels.shape[0] * pixels.shape[1] > 1e6
    assert min(fit(pixels, 64).shape[:2]) == 64


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((100, 100), 32, (32, 32)),
        ((8, 8), 32, (32, 32)),
        ((1, 500), 8, (8, 4000)),
        ((500, 1), 8, (4000, 8)),
        ((1, 1), 5, (5, 5)),
        ((375, 500), 256, (256, 341)),
        ((333, 500), 224, (224, 336)),
        ((7, 3), 2, (5, 2)),
        ((65, 64), 64, (65, 64)),
        ((257, 256), 255, (256, 255)),
    ],
)
def test_the_shorter_side_gets_the_size(shape, size, expected):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    found = fit(pixels, size)
    assert found.shape == (*expected, 3)
    assert found.dtype == np.uint8
    assert centre(found, size).shape == (size, size, 3)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40))
def test_any_image_fits_any_size(height, width, size):
    found = fit(np.zeros((height, width, 3), np.uint8), size)
    assert min(found.shape[:2]) == size
    exact = max(height, width) * size / min(height, width)
    assert abs(max(found.shape[:2]) - exact) <= 0.5


@pytest.mark.parametrize("shape", [(64, 64), (64, 91), (70, 64)])
def test_a_fitted_image_stays_as_it_is(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert np.array_equal(fit(pixels, 64), pixels)
    assert np.array_equal(fit(fit(pixels, 40), 40), fit(pixels, 40))


def test_fitting_leaves_its_input_alone():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)
    kept = pixels.copy()
    pixels.setflags(write=False)  # as arrays that come from Pillow are
    small = fit(pixels, 16)
    assert np.array_equal(pixels, kept)
    assert np.array_equal(small, fit(np.asfortranarray(kept), 16))
    assert np.array_equal(small, fit(kept[:, ::-1], 16)[:, ::-1])


def test_an_even_colour_stays_even():
    for size in (1, 7, 64, 200):
        assert (fit(np.full((50, 77, 3), 131, np.uint8), size) == 131).all()


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [
        ((10, 10), (3, 7), (3, 7)),
        ((4, 11), (0, 4), (3, 7)),
        ((11, 4), (3, 7), (0, 4)),
        ((4, 4), (0, 4), (0, 4)),
    ],
)
def test_the_centre(shape, rows, columns):
    pixels = np.arange(shape[0] * shape[1] * 3).reshape(*shape, 3).astype(np.uint8)
    assert np.array_equal(centre(pixels, 4), pixels[slice(*rows), slice(*columns)])


def test_a_png_keeps_the_pixels_or_shrinks_them():
    assert np.array_equal(decode(png(SCENE)), SCENE)
    large = np.zeros((300, 200, 3), np.uint8)
    assert decode(png(large, longest=150)).shape == (150, 100, 3)
    assert decode(png(SCENE, longest=150)).shape == SCENE.shape


def test_pillow_reads_the_formats_that_are_looked_for():
    assert all(features.check(name) for name in ("jpg", "zlib", "webp"))
