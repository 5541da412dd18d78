"""Caffe's weights files (`.caffemodel`), read and written.

A file is one `NetParameter` in the wire format of protocol buffers (caffe.proto), of whose hundreds of fields
a few hold weights. They are read here: the protobuf package copies a file whole, and gives its numbers, up to
144 million, one by one as Python's own.
"""

from __future__ import annotations

import math
import mmap
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from torch import Tensor

from goingdeeper.errors import DataError, shown
from goingdeeper.files import whole_file

Value: TypeAlias = "int | memoryview"
"""A number, or the bytes of a text, a message or a packed list."""

# NetParameter: (number of the layers' field, and in them of name, type and blobs), since 2014 and before.
LAYERS: Final = {100: (1, 2, 7), 2: (4, 5, 6)}
DATA, DOUBLE, SHAPE = 5, 8, 7  # BlobProto; 1 to 4 are its sides before there was a shape
CONVOLUTIONS: Final = (b"Convolution", b"Deconvolution", 4, 39)
INNER_PRODUCTS: Final = (b"InnerProduct", 14)
MOST_DIMENSIONS: Final = 32  # as Caffe has it


def read_caffe(path: Path) -> dict[str, Tensor]:
    """Each layer's blobs by `layer[0]`, `layer[1]`, in float32; layers without any are left out.

    Files from before 2014's change of format are read, too. Where those wrap a matrix or a vector in four
    dimensions, it is unwrapped. Values are read from the mapped file one blob at a time. Raises DataError
    for what is no such file or is cut short.
    """
    name = shown(path)
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise DataError(f"{name} is empty; load it again")
            found = _net(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    except (FileNotFoundError, IsADirectoryError):
        raise DataError(f"{name} is not there, or no file; check the path") from None
    except OSError as problem:
        raise DataError(f"{name} cannot be read: {problem.strerror}") from None
    except _Damaged as problem:
        raise DataError(
            f"{name} cannot be read as a Caffe model ({problem}); it may be cut short, load it again"
        ) from None
    if not found:
        raise DataError(f"{name} holds no layer with weights; take the .caffemodel, not the .prototxt")
    return found


def write_caffe(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes blobs by `layer[index]` as a file that Caffe reads by the layers' names."""
    layers = defaultdict(list)
    for key in tensors:
        layers[key.rpartition("[")[0]].append(key)
    needed = 4 * sum(tensor.numel() for tensor in tensors.values())
    with whole_file(path, needed) as file:
        for layer, keys in layers.items():
            blobs = [
                _blob(tensors[key]) for key in sorted(keys, key=lambda key: int(key.rpartition("[")[2][:-1]))
            ]
            file.write(_bytes(100, _bytes(1, layer.encode()) + b"".join(_bytes(7, blob) for blob in blobs)))


class _Damaged(Exception):
    """What is wrong with the bytes."""


def _net(net: memoryview) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for number, layer in _fields(net):
        if number not in LAYERS or isinstance(layer, int):
            continue
        named, typed, held = LAYERS[number]
        name, blobs = "", []
        kind: bytes | int = b""
        for inner, value in _fields(layer):
            if inner == named and not isinstance(value, int):
                name = _text(value)
            elif inner == typed:
                kind = value if isinstance(value, int) else bytes(value)
            elif inner == held and not isinstance(value, int):
                blobs.append(value)
        for index, blob in enumerate(blobs):
            key = f"{name}[{index}]"
            if key in found:
                raise _Damaged(f"two layers are called '{name[:60]}'")
            found[key] = _unwrapped(_array(blob, key), kind, index)
    return found


KINDS: dict[int, np.dtype[Any]] = {DATA: np.dtype("<f4"), DOUBLE: np.dtype("<f8")}


def _array(blob: memoryview, key: str) -> Tensor:
    sides: list[int] = []
    legacy = [0, 0, 0, 0]
    parts: list[np.ndarray[tuple[int], np.dtype[np.float32]]] = []
    loose = bytearray()  # numbers in a field each, of the kind of the last
    last = DATA

    def gather() -> None:
        if loose:
            parts.append(np.frombuffer(bytes(loose), KINDS[last]).astype(np.float32))
            loose.clear()

    for number, value in _fields(blob):
        if number == SHAPE and not isinstance(value, int):
            for inner, dim in _fields(value):
                if inner == 1:
                    sides += [dim] if isinstance(dim, int) else _varints(dim)
        elif number in (1, 2, 3, 4) and isinstance(value, int):
            legacy[number - 1] = value
        elif number in (DATA, DOUBLE) and not isinstance(value, int):
            kind = KINDS[number]
            if len(value) % kind.itemsize:
                raise _Damaged(f"{key} ends within a number")
            if number != last or len(value) > kind.itemsize:
                gather()
                last = number
            if len(value) == kind.itemsize:
                loose += value
                continue
            parts.append(np.frombuffer(value, kind).astype(np.float32))
    gather()
    shape = sides or [side for side in legacy if any(legacy)]
    count = sum(map(len, parts))
    if len(shape) > MOST_DIMENSIONS or math.prod(shape) != count:
        raise _Damaged(f"{key} has {count:,} numbers for {'x'.join(map(str, shape[:5])) or 'no shape'}")
    return torch.from_numpy(
        parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, "f4"), *parts])
    ).view(shape)


def _unwrapped(blob: Tensor, kind: bytes | int, index: int) -> Tensor:
    """Without the sides of 1 around a matrix or a vector: (1, 1, out, in) and (1, 1, 1, out), or (1, out)."""
    if index == 0 and kind in CONVOLUTIONS:
        return blob
    if blob.ndim == 4 and blob.shape[:2] == (1, 1) and (kind in INNER_PRODUCTS or blob.shape[2] > 1):
        return blob[0, 0] if index == 0 else blob.flatten()
    if index == 0 and kind in INNER_PRODUCTS:
        return blob
    return blob.flatten() if blob.ndim > 1 and blob.numel() == max(blob.shape) else blob


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field: integers, lengths of bytes, and fixed sizes as bytes."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
                yield tag >> 3, value
                continue
            case 1:
                size = 8
            case 2:
                size, at = _varint(message, at)
            case 5:
                size = 4
            case kind:
                raise _Damaged(f"a field of kind {kind} at byte {at}")
        if at + size > end:
            raise _Damaged(f"a field of {size:,} bytes where {end - at:,} are left")
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise _Damaged("it ends within a number")
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _Damaged("a number of more than ten bytes")


def _varints(packed: memoryview) -> list[int]:
    found: list[int] = []
    at = 0
    while at < len(packed) and len(found) <= MOST_DIMENSIONS:
        value, at = _varint(packed, at)
        found.append(value)
    return found


def _text(value: memoryview) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        raise _Damaged("a layer's name is no text") from None


def _blob(value: Tensor) -> bytes:
    shape = b"".join(_number(side) for side in value.shape)
    data = value.detach().cpu().to(torch.float32).contiguous().numpy().astype("<f4", copy=False).tobytes()
    return _bytes(SHAPE, _bytes(1, shape)) + _bytes(DATA, data)


def _bytes(field: int, value: bytes) -> bytes:
    return _number(field << 3 | 2) + _number(len(value)) + value


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))
