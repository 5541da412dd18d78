"""Image files put together by hand, byte for byte after their formats' definitions; no image library is used.

Samples are numpy arrays of whole numbers: (height, width), or (height, width, channels).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

Samples = np.ndarray


def packed(row: Samples, bits: int) -> bytes:
    """A row of samples of so many bits, the first in the highest bits, filled up to a whole byte."""
    if bits == 16:
        return row.astype(">u2").tobytes()
    each = (row.reshape(-1, 1) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(each.astype(np.uint8)).tobytes()


# PNG: W3C's recommendation, third edition

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""Adam7: the first row and column of each pass, and their steps."""


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_head(width: int, height: int, bits: int = 8, colour: int = RGB, interlaced: bool = False) -> bytes:
    """Signature and IHDR."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)


def png_rows(samples: Samples, bits: int, interlaced: bool = False) -> bytes:
    """What IDAT holds; each row without a filter."""
    parts = (
        [samples[top::down, left::right] for top, left, down, right in PASSES] if interlaced else [samples]
    )
    rows = [packed(row.reshape(-1), bits) for part in parts if part.size for row in part]
    return zlib.compress(b"".join(b"\0" + row for row in rows))


def png(samples: Samples, bits: int, colour: int, extra: bytes = b"", interlaced: bool = False) -> bytes:
    """extra: chunks before the pixels."""
    height, width = samples.shape[:2]
    idat = chunk(b"IDAT", png_rows(samples, bits, interlaced))
    return png_head(width, height, bits, colour, interlaced) + extra + idat + chunk(b"IEND")


def apng(frames: Sequence[Samples], separate: bool = False) -> bytes:
    """RGB frames that are shown one after another. separate: the first one is for other programs only."""
    height, width = frames[0].shape[:2]
    parts = [chunk(b"acTL", struct.pack(">II", len(frames) - separate, 0))]
    number = 0
    for index, frame in enumerate(frames):
        if index or not separate:
            place = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 1, 10, 0, 0)
            parts.append(chunk(b"fcTL", place))
            number += 1
        rows = png_rows(frame, 8)
        parts.append(chunk(b"fdAT", struct.pack(">I", number) + rows) if index else chunk(b"IDAT", rows))
        number += bool(index)
    return png_head(width, height) + b"".join(parts) + chunk(b"IEND")


# BMP: Windows's BITMAPFILEHEADER and BITMAPINFOHEADER


def bmp_head(width: int, height: int, bits: int = 24, colours: int = 0, offset: int = 54) -> bytes:
    return b"BM" + struct.pack(
        "<IHHIIiiHHIIiiII", 0, 0, 0, offset, 40, width, height, 1, bits, 0, 0, 2835, 2835, colours, 0
    )


def bmp(samples: Samples, bits: int, palette: Samples | None = None, upside_down: bool = True) -> bytes:
    """Indices into a palette, or RGB of 8 bits (or of 5 where bits is 16). upside_down: as most are."""
    height, width = samples.shape[:2]
    if bits == 16:
        red, green, blue = (samples[..., channel].astype("<u2") for channel in range(3))
        rows = [row.astype("<u2").tobytes() for row in red << 10 | green << 5 | blue]
    elif bits >= 24:
        blank = np.zeros((height, width, bits // 8 - 3), np.uint8)
        rows = [row.tobytes() for row in np.dstack([samples[..., ::-1].astype(np.uint8), blank])]
    else:
        rows = [packed(row, bits) for row in samples]
    rows = [row + bytes(-len(row) % 4) for row in rows]
    table = b"" if palette is None else b"".join(bytes([b, g, r, 0]) for r, g, b in palette.tolist())
    colours = 0 if palette is None else len(palette)
    signed = height if upside_down else -height
    head = bmp_head(width, signed, bits, colours, 54 + len(table))
    return head + table + b"".join(rows[::-1] if upside_down else rows)


# GIF: version 89a. The pixels are not compressed: the table is cleared before it would need longer codes.


def gif_head(width: int, height: int, palette: Samples | None) -> bytes:
    flags, table = 0x70, b""
    if palette is not None:
        bits = max(1, int(len(palette) - 1).bit_length())
        table = palette.astype(np.uint8).tobytes() + bytes(3 * (2**bits - len(palette)))
        flags |= 0x80 | (bits - 1)
    return b"GIF89a" + struct.pack("<HHBBB", width, height, flags, 0, 0) + table


def gif_control(transparent: int | None = None, disposal: int = 0) -> bytes:
    flags = disposal << 2 | (transparent is not None)
    return b"\x21\xf9\x04" + struct.pack("<BHBB", flags, 5, transparent or 0, 0)


def gif_frame(indices: Samples, left: int = 0, top: int = 0, interlaced: bool = False) -> bytes:
    """An image of indices under 128."""
    height, width = indices.shape
    if interlaced:
        order = [*range(0, height, 8), *range(4, height, 8), *range(2, height, 4), *range(1, height, 2)]
        indices = indices[order]
    codes: list[int] = []
    for place, index in enumerate(indices.reshape(-1).tolist()):
        if place % 100 == 0:
            codes.append(128)
        codes.append(index)
    stream = bytes([*codes, 129])
    blocks = b"".join(
        bytes([len(stream[at : at + 255])]) + stream[at : at + 255] for at in range(0, len(stream), 255)
    )
    place = struct.pack("<HHHHB", left, top, width, height, 0x40 * interlaced)
    return b"," + place + b"\x07" + blocks + b"\0"


def gif(
    indices: Samples, palette: Samples, transparent: int | None = None, interlaced: bool = False
) -> bytes:
    height, width = indices.shape
    control = gif_control(transparent)
    return gif_head(width, height, palette) + control + gif_frame(indices, interlaced=interlaced) + b";"


# TIFF: revision 6.0, and the same tags in EXIF

BYTE, ASCII, SHORT, LONG = 1, 2, 3, 4
SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4}
Tags = dict[int, tuple[int, Sequence[int]]]


def tiff_directory(tags: Tags, at: int, order: str = "<", following: int = 0) -> bytes:
    """An image file directory that begins at byte `at`, with the values that do not fit into it behind it."""
    behind = at + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for tag, (kind, numbers) in sorted(tags.items()):
        letters = {1: "B", 2: "H", 4: "I"}[SIZES[kind]] * len(numbers)
        value = struct.pack(order + letters, *numbers)
        if len(value) > 4:
            place = struct.pack(order + "I", behind + len(values))
            values += value + bytes(len(value) % 2)
        else:
            place = value + bytes(4 - len(value))
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + place
    return struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", following) + values


def tiff_start(order: str = "<") -> bytes:
    """The first directory follows at once."""
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)


def tiff_tags(width: int, height: int, bits: Sequence[int], photometric: int, strip: int, size: int) -> Tags:
    """Those of an image in one strip that is not compressed."""
    return {
        256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, bits), 259: (SHORT, [1]),
        262: (SHORT, [photometric]), 273: (LONG, [strip]), 277: (SHORT, [len(bits)]),
        278: (LONG, [height]), 279: (LONG, [size]),
    }  # fmt: skip


def tiff(
    samples: Samples, bits: int, photometric: int, order: str = "<", more: Tags | None = None, pages: int = 1
) -> bytes:
    """photometric: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK. Further pages are black."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    kind = order + "u2"
    rows = [row.astype(kind).tobytes() if bits == 16 else packed(row, bits) for row in samples]
    pixels = b"".join(rows)
    parts, at = [tiff_start(order)], 8
    for page in range(pages):
        tags = tiff_tags(width, height, [bits] * channels, photometric, 0, len(pixels)) | (more or {})
        strip = at + len(tiff_directory(tags, at, order))
        end = strip + len(pixels)
        tags[273] = (LONG, [strip])
        parts += [
            tiff_directory(tags, at, order, 0 if page == pages - 1 else end),
            bytes(len(pixels)) if page else pixels,
        ]
        at = end
    return b"".join(parts)


def exif(orientation: int, order: str = "<", kind: int = SHORT) -> bytes:
    """A TIFF header with nothing but the orientation."""
    return tiff_start(order) + tiff_directory({0x112: (kind, [orientation])}, 8, order)


# JPEG: ITU-T T.81. Blocks of one colour each, so that all of their coefficients but the first are zero.


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def jpeg_head(width: int, height: int, components: int = 3, progressive: bool = False) -> bytes:
    """Tables and frame: quantisation by 1, twelve codes of 4 bits for DC; for AC `0` ends a block, and `10`
    with 14 bits ends 16,384 blocks and more."""
    sampling = b"".join(bytes([number + 1, 0x11, 0]) for number in range(components))
    frame = struct.pack(">BHHB", 8, height, width, components) + sampling
    return (
        segment(0xDB, b"\0" + b"\1" * 64)
        + segment(0xC4, b"\0" + bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12)))
        + segment(0xC4, b"\x10" + bytes([1, 1] + [0] * 14) + b"\0\xe0")
        + segment(0xC2 if progressive else 0xC0, frame)
    )


def jpeg_scan(components: Sequence[int], first: int = 0, last: int = 63) -> bytes:
    chosen = b"".join(bytes([number, 0]) for number in components)
    return segment(0xDA, bytes([len(components)]) + chosen + bytes([first, last, 0]))


def jpeg_levels(levels: Samples, ac: bool = True) -> bytes:
    """(rows, columns, components) levels of the blocks, coded. ac: with an end to each block."""
    bits, before = "", [0] * levels.shape[2]
    for block in levels.reshape(-1, levels.shape[2]).tolist():
        for number, level in enumerate(block):
            value = 8 * (level - 128)
            step, before[number] = value - before[number], value
            size = abs(step).bit_length()
            bits += f"{size:04b}"
            if size:
                bits += f"{step if step > 0 else step + (1 << size) - 1:0{size}b}"
            bits += "0" * ac
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return coded.replace(b"\xff", b"\xff\0")


def jpeg(levels: Samples, extra: bytes = b"", progressive: bool = False) -> bytes:
    """(rows, columns, components) levels of 8x8 blocks, as they are stored. extra: segments at the start."""
    rows, columns, components = levels.shape
    head = b"\xff\xd8" + extra + jpeg_head(8 * columns, 8 * rows, components, progressive)
    every = range(1, components + 1)
    scans = jpeg_scan(every, 0, 0 if progressive else 63) + jpeg_levels(levels, ac=not progressive)
    if progressive:  # without these a decoder may smooth the blocks
        scans += b"".join(jpeg_scan([number], 1) + bytes(-(-rows * columns // 8)) for number in every)
    return head + scans + b"\xff\xd9"


JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")


def adobe(transform: int) -> bytes:
    """0: RGB or CMYK, 1: YCbCr, 2: YCCK."""
    return segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))


def exif_segment(content: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + content)


# WebP: RFC 9649. Lossless, without transforms, every value in a code of 8 bits.


def vp8l(samples: Samples) -> bytes:
    """RGBA."""
    height, width = samples.shape[:2]
    stream: list[int] = []

    def put(value: int, bits: int) -> None:
        stream.extend((value >> place) & 1 for place in range(bits))

    put(0x2F, 8)
    put(width - 1, 14)
    put(height - 1, 14)
    put(1, 1)  # alpha is used
    put(0, 3)  # version
    put(0, 3)  # no transforms, no cache of colours, one set of codes
    for symbols in (256 + 24, 256, 256, 256):
        put(0, 1)  # not a simple code
        put(12 - 4, 4)
        # Lengths of the codes for lengths 17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8: one bit for 0 and for 8.
        for length in (0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1):
            put(length, 3)
        put(0, 1)  # all lengths follow
        for symbol in range(symbols):
            put(symbol < 256, 1)
    put(1, 1)  # distances: a simple code
    put(0, 1)  # of one symbol
    put(0, 1)  # in one bit
    put(0, 1)
    for red, green, blue, alpha in samples.reshape(-1, 4).tolist():
        for value in (green, red, blue, alpha):
            put(int(f"{value:08b}"[::-1], 2), 8)
    return np.packbits(np.array(stream, np.uint8), bitorder="little").tobytes()


def riff(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def webp(*parts: bytes) -> bytes:
    content = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def three_bytes(*numbers: int) -> bytes:
    return b"".join(struct.pack("<I", number)[:3] for number in numbers)


def vp8x(width: int, height: int, alpha: bool = False, exif: bool = False, animated: bool = False) -> bytes:
    flags = alpha << 4 | exif << 3 | animated << 1
    return riff(b"VP8X", bytes([flags, 0, 0, 0]) + three_bytes(width - 1, height - 1))


def anmf(samples: Samples) -> bytes:
    height, width = samples.shape[:2]
    place = three_bytes(0, 0, width - 1, height - 1, 100) + b"\2"  # not blended
    return riff(b"ANMF", place + riff(b"VP8L", vp8l(samples)))


ANIM = riff(b"ANIM", bytes(6))


# PPM and its relatives: netpbm


def pnm(kind: int, samples: Samples, most: int = 0) -> bytes:
    """1 to 3: in text; 4 to 6: in bytes. most: the value of white, none for bits."""
    height, width = samples.shape[:2]
    head = f"P{kind}\n# by hand\n{width} {height}\n" + (f"{most}\n" if most else "")
    if kind <= 3:
        return (head + " ".join(map(str, samples.reshape(-1).tolist())) + "\n").encode()
    if kind == 4:
        return head.encode() + b"".join(packed(row, 1) for row in samples)
    return head.encode() + samples.astype(">u2" if most > 255 else np.uint8).tobytes()
