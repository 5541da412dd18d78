"""What an evaluation has found so far, kept on disk where it takes long, so that it can go on."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from goingdeeper.evaluation.predict import Part

SOON, OFTEN = 10.0, 30.0
"""Seconds until the first parts are written, and between writings; a shorter evaluation leaves no file."""

_HEAD, _SEAL = struct.Struct("<qqq"), struct.Struct("<I")
"""First image, images, classes; and behind a byte and floats for each image the CRC-32 of it all."""


class Kept:
    """Parts of an evaluation in a file, which is read where it is there already.

    file: None keeps nothing; neither does a place that cannot be written.
    """

    def __init__(self, file: Path | None) -> None:
        self.file, self._waiting = file, b""
        self.parts = list(_read(file)) if file else []
        self._written = time.monotonic() - OFTEN + SOON

    def add(self, part: Part) -> None:
        shape = len(part.read), part.likely.shape[1]
        record = (
            _HEAD.pack(part.first, *shape) + bytes(part.read) + part.likely.numpy().astype("<f4").tobytes()
        )
        self._waiting += record + _SEAL.pack(zlib.crc32(record))
        if time.monotonic() - self._written >= OFTEN:
            self.write()

    def write(self) -> bool:
        """Whether all that was added is in the file now."""
        if self.file is None:
            return False
        try:
            self.file.parent.mkdir(exist_ok=True)
            with self.file.open("ab") as stream:
                stream.write(self._waiting)
        except OSError:
            return False
        self._waiting, self._written = b"", time.monotonic()
        return True

    def end(self) -> None:
        """All parts are there: where some are in the file, the last follow."""
        if self.file is not None and self.file.is_file():
            self.write()

    def drop(self) -> None:
        """The evaluation is done."""
        if self.file is not None:
            with suppress(OSError):
                self.file.unlink(missing_ok=True)
                self.file.parent.rmdir()  # unless there is another's


def _read(file: Path) -> Iterator[Part]:
    """Whole parts without a problem, up to the first that is damaged; images with one are read again."""
    try:
        content = file.read_bytes()
    except OSError:
        return
    place = 0
    while len(content) - place >= _HEAD.size:
        first, count, classes = _HEAD.unpack_from(content, place)
        end = place + _HEAD.size + count * (1 + 4 * classes)
        record, seal = content[place:end], content[end : end + _SEAL.size]
        if count < 1 or classes < 0 or seal != _SEAL.pack(zlib.crc32(record)):
            return
        place, body = end + _SEAL.size, record[_HEAD.size :]
        if all(body[:count]):
            rows = np.frombuffer(body, "<f4", offset=count).reshape(count, classes).astype(np.float32)
            yield Part(first, torch.from_numpy(rows), [True] * count, [])
