"""What a file holds beside its pixels, looked at on its bytes: floods of it are refused before decoding.

A few megabytes of segments, chunks, tags or comments keep a decoder busy for seconds, and some unfold.
What no pixel depends on is taken off where there may be much of it.
"""

from __future__ import annotations

import re
import struct
import zlib

from goingdeeper.errors import DataError

SCANS = 100
"""A progressive JPEG has about ten; each goes over all of the picture again."""

SEGMENTS = 1_000
"""Segments of a JPEG before its first scan; the largest profiles take 255."""

TAGS = 1_000
"""Tags of a TIFF file or of EXIF; cameras write about fifty."""

MPF = 1_000
"""Bytes of a JPEG's list of further pictures; for the usual two it takes about 100."""

STRIPS = 10_000
"""Parts that a TIFF file's pixels are stored in."""

BLOCKS = 10_000
"""Blocks of a GIF before its first frame, and of a PNG by the 10 MB; a profile of 500 kB takes 2,000."""

STRAY = 10_000
"""Bytes that belong to nothing, and those of the head of a PPM with its comments."""

_UNFOLDING = frozenset((b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"acTL", b"fcTL", b"fdAT"))
_TIFF = (b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+")
_NEXT = re.compile(rb"[^\xff]*\xff+")
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # of several \xff the last: `\xff+` took ten times as long
_PNM = re.compile(rb"P[1-6](?:(?:\s|#[^\r\n]*[\r\n])+\d+){2}")


def lean(data: bytes, name: str) -> bytes:
    """The file without what may be a flood and no pixel depends on.

    Orientations stay, but for those among over `TAGS` tags. Raises DataError, naming the file and what there
    is too much of. Of damage only what decoding would not notice is looked for, in the pixels of a PNG.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data, name)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data, name)
        if data.startswith(_TIFF):
            _tiff(data, name)
        elif data.startswith(b"GIF8"):
            _gif(data, name)
        elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        elif data[:1] == b"P" and data[1:2].isdigit() and not _PNM.match(data[:STRAY]):
            raise DataError(f"{name} has no size in its first {STRAY:,} bytes")
    except (IndexError, struct.error):
        pass  # it ends early; decoding says so
    return data


def _too_many(name: str, most: int, what: str) -> DataError:
    return DataError(f"{name} has over {most:,} {what}, and is refused; save it again")


def _jpeg(data: bytes, name: str) -> bytes:
    at, segments, stray, components, several, tags, dropped = 2, 0, 0, 0, False, [], []
    while found := _NEXT.match(data, at):
        stray += found.end() - at - 1
        marker, at = data[found.end()], found.end() + 1
        if marker in (0xDA, 0xD9):
            break
        if marker in (0, 1) or 0xD0 <= marker <= 0xD8:
            stray += 2
        else:
            segments, size = segments + 1, int.from_bytes(data[at : at + 2], "big")
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                components, several = max(components, data[at + 7]), several or marker % 4 == 2
            elif marker == 0xE1 and data[at + 2 : at + 8] == b"Exif\0\0":
                tags.append(at + 2)
            elif marker == 0xE2 and data[at + 2 : at + 6] == b"MPF\0" and size > MPF:
                dropped.append(at + 2)
            at += size
        if segments > SEGMENTS:
            raise _too_many(name, SEGMENTS, "segments before its picture")
        if stray > STRAY:
            raise _too_many(name, STRAY, "stray bytes before its picture")
    # A first scan of all components is the only one. In what was coded no such bytes are but a marker's.
    several = several or data[at + 2] < components
    if several and data.count(b"\xff\xda", at) >= SCANS and _scans(data, at) >= SCANS:
        raise _too_many(name, SCANS, "scans")
    # The orientation stands in the first of several segments.
    kept = bool(tags) and _tags(data[tags[0] + 6 : tags[0] + 65536]) <= TAGS
    return _unnamed(data, dropped + tags[kept:])


def _unnamed(data: bytes, places: list[int]) -> bytes:
    """The file with the names of four letters at these places taken away."""
    if not places:
        return data
    changed = bytearray(data)
    for place in places:
        changed[place : place + 4] = b"none"
    return bytes(changed)


def _scans(data: bytes, at: int) -> int:
    """Scans after the first one, up to the end of the picture, the contents of other segments left out."""
    count = 0
    while count < SCANS and (found := _MARKER.search(data, at)):
        at, marker = found.end(), data[found.end() - 1]
        if marker == 0xD9:
            break
        count += marker == 0xDA
        at += int.from_bytes(data[at : at + 2], "big")
    return count


def _png(data: bytes, name: str) -> bytes:
    most = BLOCKS * (1 + len(data) // 10_000_000)
    kept, at, count = [data[:8]], 8, 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if kind == b"IDAT":  # Pillow looks at the checksums of the other chunks
            if end > len(data):
                raise DataError(f"{name} is truncated at {len(data):,} bytes")
            if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                raise DataError(f"{name} is damaged: the checksum of its pixels is wrong")
        flood = kind in _UNFOLDING or (kind == b"eXIf" and _tags(data[at + 8 : end - 4]) > TAGS)
        if not flood:  # unknown kinds stay, too: a flipped bit makes one of a kind that is needed
            kept.append(data[at:end])
        at, count = end, count + 1
        if count > most:
            raise _too_many(name, most, "chunks")
        if kind == b"IEND":
            break
    return data if len(kept) == count + 1 else b"".join(kept)


def _webp(data: bytes) -> bytes:
    # The chunk stands behind the picture; its name among coded pixels does no harm where it is no EXIF.
    at = data.rfind(b"EXIF")
    if at > 0 and _tags(data[at + 8 :].removeprefix(b"Exif\0\0")) > TAGS:
        return _unnamed(data, [at])
    return data


def _tags(tiff: bytes) -> int:
    """How many tags the first directory of a TIFF header has, as far as there are bytes for them."""
    if tiff[:4] not in (b"II*\0", b"MM\0*"):
        return 0
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        at: int = struct.unpack_from(order + "I", tiff, 4)[0]
        count: int = struct.unpack_from(order + "H", tiff, at)[0]
    except struct.error:
        return 0
    return min(count, (len(tiff) - at - 2) // 12)


def _tiff(data: bytes, name: str) -> None:
    order = "<" if data.startswith(b"II") else ">"
    large = 43 in data[2:4]  # BigTIFF
    (at,) = struct.unpack_from(order + ("Q" if large else "I"), data, 8 if large else 4)
    (count,) = struct.unpack_from(order + ("Q" if large else "H"), data, at)
    at, step = (at + 8, 20) if large else (at + 2, 12)
    if min(count, (len(data) - at) // step) > TAGS:
        raise _too_many(name, TAGS, "tags")
    size = 0
    for place in range(at, at + step * count, step):
        tag, kind, numbers = struct.unpack_from(order + ("HHQ" if large else "HHI"), data, place)
        size += numbers * (1, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 1, 1, 8, 8, 8)[min(kind, 18)]
        if tag in (273, 324) and numbers > STRIPS:
            raise _too_many(name, STRIPS, "strips or tiles")
    if size > len(data) + STRAY:
        raise DataError(f"{name} has tags of {size:,} bytes in a file of {len(data):,}, and is refused")


def _gif(data: bytes, name: str) -> None:
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    blocks = 0
    while data[at] not in b",;":
        blocks += 1
        if data[at] == 0x21:
            at += 2
            while length := data[at]:
                at, blocks = at + 1 + length, blocks + 1
                if blocks > BLOCKS:
                    break
        at += 1
        if blocks > BLOCKS:
            raise _too_many(name, BLOCKS, "blocks before its first frame")
