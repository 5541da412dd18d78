"""Files that promise too much, or hold too much of one thing: refused or read in 50 ms and 50 MB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import by_hand as hand
import numpy as np
import pytest
from bombs import SCENE, floods, headers
from PIL import Image

from goingdeeper.data.claims import BLOCKS, SCANS, SEGMENTS, STRIPS, TAGS
from goingdeeper.data.decode import decode
from goingdeeper.errors import DataError

SECONDS, BYTES = 0.05, 50e6
SCRIPT = Path(__file__).with_name("measure.py")
READ = {  # the rest is refused
    "jpeg: 5,000 tags of EXIF, each all of it", "jpeg: EXIF in 100 segments, each tag all of it",
    "jpeg: many pictures", "png: 2,000 texts of 1 MB", "png: 60 texts of 1 MB",
    "png: texts that are not compressed", "png: an unending text", "png: an unending international text",
    "png: an unending profile", "png: 60,000 tags of EXIF, each all of it", "png: 2,000 frames",
    "gif: 20,000 frames", "webp: 20,000 frames", "webp: 500,000 chunks",
    "webp: 60,000 tags of EXIF, each all of it", "tiff: 20,000 pages", "tiff: pages in a circle",
    "bmp: 10 MB behind it",
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """As pictures of one class; the headers first."""
    folder = tmp_path_factory.mktemp("bombs") / "photos" / "cat"
    folder.mkdir(parents=True)
    found = {}
    for name, content in (headers() | floods()).items():
        found[name] = folder / f"{len(found):02}.{name.split(',')[0].split(':')[0].split()[0]}"
        if found[name].suffix not in (".png", ".jpeg", ".gif", ".webp", ".bmp", ".tiff", ".ppm"):
            found[name] = found[name].with_suffix(".png")
        found[name].write_bytes(content)
    found["1 GB"] = folder / "large.jpg"
    with found["1 GB"].open("wb") as stream:
        stream.truncate(10**9)
    return found


def test_none_takes_time_or_memory(files):
    words = [sys.executable, str(SCRIPT), *map(str, files.values())]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = dict(zip(files, map(json.loads, done.stdout.splitlines()), strict=True))
    slow = {name: one for name, one in found.items() if one["seconds"] > SECONDS or one["bytes"] > BYTES}
    assert slow == {}
    for name, one in found.items():
        assert Path(one["name"]) == files[name]
        if name in READ:
            assert one["outcome"] in ("(8, 8, 3)", "(9, 8, 3)"), name
        else:
            assert one["outcome"].startswith(f"{files[name]} "), one


def test_headers_are_refused_for_their_size(files):
    for name in headers():
        with pytest.raises(DataError, match=r"refused|is not an image that can be read") as caught:
            decode(files[name])
        assert str(caught.value).startswith(f"{files[name]} ")


def test_verbs_name_them_and_go_on(files, read, here, verbs):
    """With a whole picture of each class beside them."""
    folder = next(iter(files.values())).parents[1]
    (folder / "dog").mkdir(exist_ok=True)
    for number in range(4):
        pixels = np.full((9, 9, 3), 50 * number, np.uint8)
        Image.fromarray(pixels).save(folder / ("cat", "dog")[number % 2] / f"whole{number}.bmp")
    refused = {str(file) for name, file in files.items() if name not in READ}
    for verb in verbs:
        more = ("--set", "bad_share=1") if verb == "train" else ()
        said = read(verb, folder, "--json", *more)
        if verb == "evaluate":
            assert said.status == 3
            assert f"{len(refused)} of {len(files) + 4} images cannot be read" in said.err
            continue
        assert said.status == (3 if verb == "predict" else 0), said
        problems = {text.split(" ")[0] for text in said.problems().values() if text.startswith("/")}
        assert refused <= problems


def test_a_limit_may_be_reached(tmp_path):
    """What is just below it is read: scans, segments, tags, strips, blocks."""
    levels = np.full((1, 1, 1), 90)
    blocks = hand.jpeg_scan([1], 1) + b"\0"
    head = (
        b"\xff\xd8"
        + hand.jpeg_head(8, 8, 1, True)
        + hand.jpeg_scan([1], 0, 0)
        + hand.jpeg_levels(levels, False)
    )
    grey = np.full((8, 8, 3), 90, np.uint8)
    comment = hand.segment(0xFE, b"\xff\xda" * 200)  # looks like scans
    picture = hand.tiff_tags(8, 8, [8, 8, 8], 2, 8, 192)

    def tiff(count: int, strips: int) -> bytes:
        tags = picture | {40_000 + n: (hand.SHORT, [n]) for n in range(count - len(picture))}
        tags |= {273: (hand.LONG, [8] * strips), 279: (hand.LONG, [24] * strips), 278: (hand.LONG, [1])}
        start = hand.tiff_start() + hand.tiff_directory(tags, 8)
        tags[273] = (hand.LONG, [len(start)] * strips)
        return hand.tiff_start() + hand.tiff_directory(tags, 8) + bytes([90]) * 200

    def gif(count: int) -> bytes:
        comment = b"!\xfe" + b"\1x" * (count - 1) + b"\0"
        palette, indices = np.full((4, 3), 90), np.zeros((8, 8), np.int64)
        return hand.gif_head(8, 8, palette) + comment + hand.gif_frame(indices) + b";"

    def png(count: int) -> bytes:
        return hand.png(grey, 8, hand.RGB, hand.chunk(b"teSt") * (count - 3))

    def segments(count: int) -> bytes:
        return hand.jpeg(levels, hand.segment(0xFE, b"") * (count - 4))

    for make, most, what in (
        (lambda n: head + blocks * (n - 1) + b"\xff\xd9", SCANS, "scans"),
        (lambda n: head + blocks * (n - 2) + comment + blocks + b"\xff\xd9", SCANS, "scans"),
        (segments, SEGMENTS, "segments"),
        (lambda n: tiff(n, 8), TAGS, "tags"),
        (lambda n: tiff(20, n), STRIPS, "strips"),
        (gif, BLOCKS, "blocks"),
        (png, BLOCKS, "chunks"),
    ):
        assert np.array_equal(decode(make(most)), grey), what
        with pytest.raises(DataError, match=f"x.jpg has over {most:,} {what}.*refused"):
            decode(make(most + 1), "x.jpg")


def test_a_profile_of_several_megabytes_is_read():
    """A display's profile may be larger than the 1 MB that Pillow unfolds."""
    import zlib

    profile = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8).tobytes()
    chunk = hand.chunk(b"iCCP", b"display\0\0" + zlib.compress(profile, 1))
    assert np.array_equal(decode(hand.png(SCENE, 8, hand.RGB, chunk)), SCENE)


def test_the_orientation_is_kept_beside_what_is_taken_off():
    tall = np.arange(8 * 4 * 3, dtype=np.uint8).reshape(8, 4, 3)
    text = hand.chunk(b"zTXt", b"Comment\0\0\x78\x9c\x03\0\0\0\0\1")
    content = hand.png(tall, 8, hand.RGB, text + hand.chunk(b"eXIf", hand.exif(8)))
    assert np.array_equal(decode(content), np.rot90(tall, 1))
    levels = np.array([[[10]], [[200]]])
    several = hand.exif_segment(hand.exif(3)) + hand.exif_segment(bytes(60_000))
    expected = np.repeat(np.array([200, 10], np.uint8).repeat(8)[:, None, None], 8, 1).repeat(3, 2)
    assert np.array_equal(decode(hand.jpeg(levels, several)), expected)


def test_damaged_pixels_of_a_png_are_noticed():
    """Where its stream can be unfolded all the same, only the checksum tells."""
    samples = np.random.default_rng(0).integers(0, 256, (16, 16, 3))
    whole = hand.png(samples, 8, hand.RGB)
    content = bytearray(whole)
    content[whole.index(b"IDAT") + 100] ^= 1  # the stream is stored, not compressed
    with pytest.raises(DataError, match=r"x\.png is damaged: the checksum of its pixels is wrong"):
        decode(bytes(content), "x.png")
    with pytest.raises(DataError, match=rf"x\.png is truncated at {len(whole) - 13:,} bytes"):
        decode(whole[:-13], "x.png")
    assert np.array_equal(decode(whole[:-12], "x.png"), samples)  # the end alone is missing


def test_a_flipped_bit_in_the_name_of_a_chunk_is_noticed():
    clear = hand.chunk(b"tRNS", np.array(SCENE[0, 0], ">u2").tobytes())
    whole = hand.png(SCENE, 8, hand.RGB, clear)
    assert (decode(whole) == 255).all()
    for bit in range(32):
        damaged = bytearray(whole)
        damaged[whole.index(b"tRNS") + bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError, match=r"x\.png is "):
            decode(bytes(damaged), "x.png")
