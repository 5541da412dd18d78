"""CIFAR's pickles read as data: lists, dicts, text, numbers and arrays of bytes; nothing in them is run.

Python's own unpickler runs what a file asks for, and even with its names restricted a small file can crash
it or fill the memory. Here `pickletools` takes the file apart, and only what such files need is followed.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goingdeeper.data.decode import content
from goingdeeper.errors import DataError

MOST_BYTES = 1 << 29
MOST_OPERATIONS = 5_000_000
"""CIFAR-100's training file has 184 million bytes and 250,000 operations."""


def load(file: Path) -> dict[str, Any]:
    """The dict in a pickle of any protocol, its keys as text, its arrays of uint8.

    Raises DataError, naming file and place, where the pickle is damaged or asks for anything else.
    """
    size = file.stat().st_size if file.is_file() else 0
    if size > MOST_BYTES:
        raise DataError(f"{file} has {size:,} bytes; over {MOST_BYTES:,} is no CIFAR batch")
    reader = _Reader()
    at = 0
    try:
        for count, (operation, argument, position) in enumerate(pickletools.genops(content(file))):
            at = position or 0
            if count > MOST_OPERATIONS:
                raise _Refused(f"it has over {MOST_OPERATIONS:,} operations")
            reader.follow(operation.name, argument)
        (found,) = reader.stack
    except _Refused as problem:
        raise DataError(f"{file}, byte {at:,}: {problem}; nothing in it was run") from None
    except MemoryError:
        raise
    except Exception as problem:  # a damaged pickle ends in nearly any of them
        reason = str(problem) or type(problem).__name__
        raise DataError(f"{file} is damaged at byte {at:,} ({reason})") from None
    if not isinstance(found, dict):
        raise DataError(f"{file} holds no dict as CIFAR's batches do")
    return {key: _finished(value, file) for key, value in found.items()}


class _Refused(Exception):
    """What no CIFAR batch needs."""


@dataclass(frozen=True)
class _Name:
    """A function or class by name only."""

    name: str


class _Bytes:
    """The type of an array of bytes."""


@dataclass
class _Array:
    """An array on its way: what pickled arrays say of themselves, unchecked."""

    shape: Any = ()
    fortran: Any = False
    data: Any = b""


def _finished(value: Any, file: Path) -> Any:
    if not isinstance(value, _Array):
        return value
    shape, data = value.shape, value.data
    if isinstance(data, str):  # Python 2 wrote its bytes so
        data = data.encode("latin-1")
    if not (
        isinstance(data, bytes | bytearray)
        and isinstance(shape, tuple)
        and len(shape) in (1, 2)
        and all(type(side) is int and side >= 0 for side in shape)
        and np.prod(shape, dtype=object) == len(data)
    ):
        raise DataError(f"{file}: an array whose shape does not fit its bytes")
    return np.frombuffer(data, np.uint8).reshape(shape, order="F" if value.fortran else "C")


_MARK = object()
_ARRAYS = tuple(f"{module}._reconstruct" for module in ("numpy.core.multiarray", "numpy._core.multiarray"))
_BUFFERS = tuple(f"{module}._frombuffer" for module in ("numpy.core.numeric", "numpy._core.numeric"))
_KNOWN = (*_ARRAYS, *_BUFFERS, "numpy.ndarray", "numpy.dtype", "_codecs.encode")
_LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES "
    "BINBYTES8 BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8".split()
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "MARK": lambda: _MARK,
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple,
}  # fmt: skip


class _Reader:
    """A stack and a memory of values, as the pickle's operations change them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def follow(self, operation: str, argument: Any) -> None:
        stack = self.stack
        if operation in _LITERALS:
            stack.append(argument)
        elif operation in _CONSTANTS:
            stack.append(_CONSTANTS[operation]())
        elif operation in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memory[len(self.memory) if argument is None else argument] = stack[-1]
        elif operation in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memory[argument])
        elif operation in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(operation[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif operation in ("TUPLE", "LIST"):
            values = self._marked()
            stack.append(tuple(values) if operation == "TUPLE" else values)
        elif operation == "DICT":
            values = self._marked()
            stack.append({})
            self._set(values)
        elif operation == "APPEND":
            self._extend([stack.pop()])
        elif operation == "APPENDS":
            self._extend(self._marked())
        elif operation == "SETITEM":
            values = [stack.pop(), stack.pop()]
            self._set(values[::-1])
        elif operation == "SETITEMS":
            self._set(self._marked())
        elif operation == "GLOBAL":
            stack.append(_name(argument.replace(" ", ".")))
        elif operation == "STACK_GLOBAL":
            name, module = stack.pop(), stack.pop()
            if type(name) is not str or type(module) is not str:
                raise _Refused("it asks for a name that is no text")
            stack.append(_name(f"{module}.{name}"))
        elif operation == "REDUCE":
            arguments, called = stack.pop(), stack.pop()
            stack.append(_made(called, arguments))
        elif operation == "BUILD":
            state = stack.pop()
            if isinstance(stack[-1], _Array):
                _, stack[-1].shape, kind, stack[-1].fortran, stack[-1].data = state
                _check(kind)
            elif not isinstance(stack[-1], _Bytes):
                raise _Refused(f"it sets the state of {type(stack[-1]).__name__}")
        elif operation not in ("PROTO", "FRAME", "STOP"):
            raise _Refused(f"it uses {operation}, which no CIFAR batch needs")

    def _marked(self) -> list[Any]:
        """Takes what lies above the last mark, and the mark."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def _extend(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise _Refused("it adds to what is no list")
        self.stack[-1].extend(values)

    def _set(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not dict:
            raise _Refused("it sets a key of what is no dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | bytes):  # hashing nested tuples could take for ever
                raise _Refused(f"a key is {type(key).__name__}, no text")
            self.stack[-1][key if isinstance(key, str) else key.decode("latin-1")] = value


def _name(name: str) -> _Name:
    if name not in _KNOWN:
        raise _Refused(f"it asks for {name[:80]!r}, which no CIFAR batch needs")
    return _Name(name)


def _made(called: Any, arguments: Any) -> Any:
    """What calling a known name would give."""
    if not isinstance(called, _Name) or type(arguments) is not tuple:
        raise _Refused("it calls what is no function")
    if called.name in _ARRAYS:
        return _Array()
    if called.name in _BUFFERS:
        data, kind, shape, order = arguments
        _check(kind)
        return _Array(shape, order == "F", data)
    if called.name == "numpy.dtype" and arguments and arguments[0] in ("u1", "|u1", b"u1", b"|u1"):
        return _Bytes()
    if called.name == "_codecs.encode" and len(arguments) == 2 and type(arguments[0]) is str:
        return arguments[0].encode("latin-1")
    raise _Refused(f"it calls {called.name} for something else than an array of uint8")


def _check(kind: Any) -> None:
    if not isinstance(kind, _Bytes):
        raise _Refused("an array of something else than uint8")
