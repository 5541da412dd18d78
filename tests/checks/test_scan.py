"""One pass: what is seen of each image, against Pillow and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from goingdeeper.checks.collection import collect
from goingdeeper.checks.health import mode
from goingdeeper.checks.scan import scan
from goingdeeper.data.decode import Header, header
from goingdeeper.data.store import Form, prepare


@pytest.fixture(scope="module")
def seen(flawed):
    return scan(collect(flawed).source)


def test_every_image_is_seen_once_or_failed(flawed, seen):
    paths = {item.path for item in collect(flawed).source.items}
    assert seen.failed.keys() == {"train/cat/cut.png", "test/cat/page.jpg"}
    assert seen.looks.keys() == paths - seen.failed.keys()
    assert f"{flawed}/train/cat/cut.png is truncated at 900 bytes" == seen.failed["train/cat/cut.png"]
    assert "page.jpg is not an image" in seen.failed["test/cat/page.jpg"]


def test_sizes_deviations_and_equal_pixels(flawed, seen):
    for path in ("train/dog/large.png", "val/cat/1.png", "train/dog/red.png"):
        with Image.open(flawed / path) as image:
            pixels = np.asarray(image.convert("RGB"))
        look = seen.looks[path]
        assert (look.height, look.width) == pixels.shape[:2]
        assert look.deviation == pytest.approx(pixels.std((0, 1)).max(), rel=0.05)
        assert look.seconds > 0
    assert seen.looks["train/dog/red.png"].deviation == 0
    digests = seen.digests
    assert digests["train/cat/again.png"] == digests["train/cat/1.png"] != digests["train/cat/2.png"]


def test_what_small_samples_smooth_away_is_no_empty_image(tmp_path):
    """Of fine noise a thumbnail shows one grey; then all pixels are looked at."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        pixels = np.random.default_rng(0).normal(128, 25, (600, 600, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / name / "noise.png")
    found = scan(collect(tmp_path).source).looks["a/noise.png"]
    assert found.deviation == pytest.approx(pixels.std((0, 1)).max(), rel=0.01)


def test_progress_counts_every_image(picture_folder):
    steps = []
    scan(collect(picture_folder({"a": 40, "b": 5})).source, lambda *step: steps.append(step))
    assert steps == [(number, 45) for number in range(1, 46)]


@pytest.mark.parametrize(
    ("name", "expected", "words"),
    [
        ("1.png", Header("PNG", "RGB", 1, False, False, False), "RGB"),
        ("jpeg.PNG", Header("JPEG", "RGB", 1, False, False, False), "RGB"),
        ("grey.png", Header("PNG", "L", 1, False, False, False), "grey"),
        ("cmyk.jpg", Header("JPEG", "CMYK", 1, False, False, False), "CMYK"),
        ("deep.png", Header("PNG", "I;16", 1, True, False, False), "16-bit grey"),
        ("clear.png", Header("PNG", "RGBA", 1, False, True, False), "RGB with alpha"),
        ("turned.jpg", Header("JPEG", "RGB", 6, False, False, False), "RGB"),
        ("film.gif", Header("GIF", "P", 1, False, False, True), "palette"),
    ],
)
def test_headers_in_pillows_words_and_in_ours(flawed, name, expected, words):
    found = header((flawed / "train/cat" / name).read_bytes())
    if name == "film.gif":  # Pillow's GIF frames may come as RGB
        assert found is not None and found.animated and found.format == "GIF"
        return
    assert found == expected
    assert mode(found) == words


@pytest.mark.parametrize("where", ["before", "behind"])
def test_the_orientation_of_a_png_wherever_its_chunk_stands(tmp_path, where):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", exif=exif)
    data = (tmp_path / "a.png").read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    chunk, rest = data[start:end], data[:start] + data[end:]
    place = rest.index(b"IDAT" if where == "before" else b"IEND") - 4
    found = header(rest[:place] + chunk + rest[place:])
    assert found is not None and found.orientation == 3


def test_deep_colour_is_told_and_nonsense_has_no_header():
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(6 * 4) for _ in range(4))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
    png += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    found = header(png)
    assert found is not None and found.deep and mode(found) == "16-bit RGB"
    assert header(b"<html>") is None and header(b"") is None


def test_alike_in_a_store_is_what_was_alike_before_it_was_made(flawed, seen, tmp_path):
    """A low quality changes every pixel; hashes and thumbnails are those of the photographs."""
    source = collect(flawed).source
    prepare(source, tmp_path / "store", Form(side=16, quality=5), bad_share=1)
    stored = scan(collect(tmp_path / "store").source)
    assert stored.digests == seen.digests
    assert {stored.looks[path].width for path in stored.looks} != {look.width for look in seen.looks.values()}
