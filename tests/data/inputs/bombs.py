"""Files that promise much more than they hold, or hold so much of one thing that reading takes for ever."""

from __future__ import annotations

import struct
import zlib

import by_hand as hand
import numpy as np

SIDE = 50_000
SCENE = np.full((8, 8, 3), 90, np.uint8)
LEVELS = np.full((1, 1, 3), 90)
INDICES = np.zeros((8, 8), np.int64)
GREYS = np.arange(4)[:, None].repeat(3, axis=1)


def headers() -> dict[str, bytes]:
    """50,000 x 50,000 pixels in each format, and other absurd sizes."""
    strip = hand.tiff_tags(SIDE, SIDE, [8, 8, 8], 2, 8, 100)
    vp8l_head = struct.pack("<BI", 0x2F, 16383 | 16383 << 14)
    lossy = b"\x30\1\0\x9d\1\x2a" + struct.pack("<HH", 16383, 16383)
    return {
        "png": hand.png_head(SIDE, SIDE) + hand.chunk(b"IDAT", zlib.compress(bytes(1000))),
        "png, interlaced": hand.png_head(SIDE, SIDE, interlaced=True) + hand.chunk(b"IDAT", b""),
        "png, the largest": hand.png_head(2**31 - 1, 2**31 - 1),
        "jpeg": b"\xff\xd8" + hand.jpeg_head(SIDE, SIDE) + hand.jpeg_scan([1, 2, 3]) + bytes(100),
        "jpeg, progressive": b"\xff\xd8" + hand.jpeg_head(SIDE, SIDE, 3, True) + hand.jpeg_scan([1], 0, 0),
        "gif": hand.gif_head(SIDE, SIDE, GREYS) + hand.gif_frame(INDICES) + b";",
        "gif, by its frame": hand.gif_head(8, 8, GREYS) + b"," + struct.pack("<HHHHB", 0, 0, SIDE, SIDE, 0)
        + b"\x07\x01\x80\x00;",
        "webp, lossless": hand.webp(hand.riff(b"VP8L", vp8l_head + bytes(100))),
        "webp, lossy": hand.webp(hand.riff(b"VP8 ", lossy + bytes(100))),
        "webp, extended": hand.webp(hand.vp8x(SIDE, SIDE), hand.riff(b"VP8L", vp8l_head + bytes(100))),
        "webp, animated": hand.webp(
            hand.vp8x(16383, 16383, animated=True), hand.ANIM,
            hand.anmf(np.full((8, 8, 4), 90)),
        ),
        "bmp": hand.bmp_head(SIDE, SIDE) + bytes(100),
        "bmp, a palette": hand.bmp_head(SIDE, SIDE, 8, 256, 54 + 1024) + bytes(1124),
        "tiff": hand.tiff_start() + hand.tiff_directory(strip, 8) + bytes(100),
        "ppm": f"P6 {SIDE} {SIDE} 255\n".encode() + bytes(100),
        "ppm, in text": f"P3 {SIDE} {SIDE} 255\n".encode() + b"0 " * 100,
        "a strip": hand.png_head(80_000_000, 1, 1, hand.GREY),
    }  # fmt: skip


def floods() -> dict[str, bytes]:
    """Much of one thing in a file of up to some megabytes."""
    side = 2048
    start = b"\xff\xd8" + hand.jpeg_head(side, side, 1, True) + hand.jpeg_scan([1], 0, 0)
    start += bytes([0] * (side * side // 64 // 2))  # `0000`: no change of level
    again = hand.jpeg_scan([1], 1) + _runs(side * side // 64)
    zeros = zlib.compress(bytes(2**20 - 64), 9)
    text = hand.chunk(b"zTXt", b"Comment\0\0" + zeros)
    plain, xmp = hand.chunk(b"tEXt", b"Comment\0" + b"x" * 900_000), b"XML:com.adobe.xmp\0\1\0\0\0"
    png = hand.png_head(8, 8)
    pixels = hand.chunk(b"IDAT", hand.png_rows(SCENE, 8)) + hand.chunk(b"IEND")
    large = zlib.compress(bytes(50 * 2**20), 9)
    gif, frame = hand.gif_head(8, 8, GREYS), hand.gif_frame(INDICES)
    opaque = np.full((8, 8, 4), 255)
    return {
        "jpeg: 3,000 scans": start + again * 3000 + b"\xff\xd9",
        "jpeg: 300 scans, not progressive": b"\xff\xd8" + hand.jpeg_head(side, side)
        + (hand.jpeg_scan([1]) + bytes(side * side // 64 * 5 // 8)) * 300 + b"\xff\xd9",
        "jpeg: 2,000,000 segments": hand.jpeg(LEVELS, hand.segment(0xFE, b"") * 2_000_000),
        "jpeg: as many of applications": hand.jpeg(LEVELS, hand.segment(0xE5, b"") * 2_000_000),
        "jpeg: 5,000 tags of EXIF, each all of it": hand.jpeg(LEVELS, hand.exif_segment(tags(5_000, 65_000))),
        "jpeg: EXIF in 100 segments, each tag all of it": hand.jpeg(
            LEVELS, b"".join(hand.exif_segment(part) for part in parts(tags(60_000, 6_000_000), 60_000))
        ),
        "jpeg: 5 MB of 0xFF": hand.jpeg(LEVELS, b"\xff" * 5_000_000),
        "jpeg: many pictures": hand.jpeg(LEVELS, hand.segment(0xE2, b"MPF\0" + mpf(60_000))),
        "png: 2,000 texts of 1 MB": png + text * 2000 + pixels,
        "png: 60 texts of 1 MB": png + text * 60 + pixels,
        "png: texts that are not compressed": png + plain * 20 + pixels,
        "png: an unending text": png + hand.chunk(b"zTXt", b"Comment\0\0" + large) + pixels,
        "png: an unending international text": png + hand.chunk(b"iTXt", xmp + large) + pixels,
        "png: an unending profile": png + hand.chunk(b"iCCP", b"icc\0\0" + large) + pixels,
        "png: 60,000 tags of EXIF, each all of it": png
        + hand.chunk(b"eXIf", tags(60_000, 5_000_000)) + pixels,
        "png: 500,000 chunks": png + hand.chunk(b"teSt") * 500_000 + pixels,
        "png: 500,000 chunks of pixels": png + hand.chunk(b"IDAT") * 500_000 + pixels,
        "png: 100,000 frames": png + (hand.chunk(b"acTL", struct.pack(">II", 100_000, 0)))
        + hand.chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 10, 0, 0)) + pixels[:-12]
        + hand.chunk(b"fdAT", bytes(40)) * 100_000 + hand.chunk(b"IEND"),
        "png: 2,000 frames": png + hand.chunk(b"acTL", struct.pack(">II", 2_000, 0))
        + hand.chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 10, 0, 0)) + pixels[:-12]
        + b"".join(
            hand.chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * n - 1, 8, 8, 0, 0, 1, 10, 0, 0))
            + hand.chunk(b"fdAT", struct.pack(">I", 2 * n) + hand.png_rows(SCENE, 8)) for n in range(1, 2_000)
        ) + hand.chunk(b"IEND"),
        "gif: 20,000 frames": gif + (hand.gif_control() + frame) * 20_000 + b";",
        "gif: 10 MB of comment": gif + b"!\xfe" + (b"\xff" + b"x" * 255) * 40_000 + b"\0" + frame + b";",
        "gif: 10 MB of comments by the byte": gif + b"!\xfe" + b"\1x" * 5_000_000 + b"\0" + frame + b";",
        "gif: 2,000,000 extensions": gif + b"!\x01\0" * 2_000_000 + frame + b";",
        "gif: 2,000,000 stray bytes": gif + b"\x07" * 2_000_000 + frame + b";",
        "webp: 20,000 frames": hand.webp(
            hand.vp8x(8, 8, animated=True), hand.ANIM, *[hand.anmf(opaque)] * 20_000
        ),
        "webp: 500,000 chunks": hand.webp(
            hand.vp8x(8, 8), hand.riff(b"VP8L", hand.vp8l(opaque)), hand.riff(b"ODD ", b"") * 500_000
        ),
        "webp: 60,000 tags of EXIF, each all of it": hand.webp(
            hand.vp8x(8, 8, exif=True), hand.riff(b"VP8L", hand.vp8l(opaque)),
            hand.riff(b"EXIF", tags(60_000, 5_000_000)),
        ),
        "tiff: 20,000 pages": hand.tiff(SCENE, 8, 2, pages=20_000),
        "tiff: 60,000 tags, each all of it": tags(60_000, 5_000_000),
        "tiff: a tag of 4,000,000,000 numbers": hand.tiff(SCENE, 8, 2).replace(
            b"\x11\1\4\0\1\0\0\0", b"\x11\1\4\0\xff\xff\xff\xff"
        ),
        "tiff: 100,000 strips": strips(100_000),
        "tiff: pages in a circle": circle(),
        "bmp: 10 MB behind it": hand.bmp(SCENE, 24) + bytes(10_000_000),
        "ppm: 10 MB of comment": b"P6\n#" + b"x" * 10_000_000 + b"\n8 8 255\n" + SCENE.tobytes(),
        "ppm: 10 MB of blanks": b"P6\n" + b" " * 10_000_000 + b"\n8 8 255\n" + SCENE.tobytes(),
        "ppm: a number of 10 MB": b"P6\n" + b"0" * 10_000_000 + b"8 8 255\n" + SCENE.tobytes(),
        "ppm: in text, a number of 10 MB": b"P3\n8 8 255\n" + b"0" * 10_000_000 + b" 0" * 200,
        "nothing: 10 MB of zeros": bytes(10_000_000),
        "nothing: 10 MB of HTML": b"<html>" + b"<p>" * 3_000_000,
    }  # fmt: skip


def _runs(blocks: int) -> bytes:
    """A scan of ends of blocks: `10` and 14 bits, 16,384 and so many more blocks."""
    bits = ""
    while blocks >= 16384:
        more = min(blocks - 16384, 16383)
        bits += "10" + f"{more:014b}"
        blocks -= 16384 + more
    bits += "0" * blocks
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


def tags(count: int, size: int) -> bytes:
    """A TIFF header whose so many tags all claim the same bytes, behind the directory; `size` in all."""
    first = 40_000 - min(count, 40_000)
    end = 8 + 2 + 12 * count + 4
    entries = b"".join(
        struct.pack("<HHII", (first + number) % 65536, hand.BYTE, size - end, end) for number in range(count)
    )
    return hand.tiff_start() + struct.pack("<H", count) + entries + bytes(4) + b"\1" * (size - end)


def strips(count: int) -> bytes:
    """All of them the same bytes."""
    made = hand.tiff_tags(8, 8, [8, 8, 8], 2, 8, 192) | {
        273: (hand.LONG, [8] * count), 278: (hand.LONG, [1]), 279: (hand.LONG, [24] * count)
    }  # fmt: skip
    return hand.tiff_start() + hand.tiff_directory(made, 8) + bytes(200)


def parts(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def mpf(count: int) -> bytes:
    """CIPA DC-007: so many pictures in one file."""
    return hand.tiff_start() + hand.tiff_directory({
        0xB000: (hand.BYTE, list(b"0100")), 0xB001: (hand.LONG, [count]),
        0xB002: (hand.BYTE, [0] * 60_000),
    }, 8)  # fmt: skip


def circle() -> bytes:
    """Each page is followed by the first."""
    made = hand.tiff(SCENE, 8, 2)
    directory = struct.unpack("<H", made[8:10])[0]
    at = 10 + 12 * directory
    return made[:at] + struct.pack("<I", 8) + made[at + 4 :]
