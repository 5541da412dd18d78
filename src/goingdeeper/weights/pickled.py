"""Files of torch.save, read by a program of its own under limits, so that nothing in them is executed."""

from __future__ import annotations

import json
import math
import mmap
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from goingdeeper.errors import DataError, GoingDeeperError, ResourceError, shown
from goingdeeper.weights import unpickle

SECONDS = 120
"""How long one file may take, beyond a second for each MB, which slow places need."""


@dataclass(frozen=True)
class Unpickled:
    """The tensors of a file as they are stored, what was chosen in it, and whether Lightning saved it."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]
    lightning: bool


def read(file: Path, ema: bool = True) -> Unpickled:
    """The weights in a file of torch.save, either form, mapped from what the reading program gave.

    ema: where a file has averaged weights and those of the last step, which to take. Raises DataError for a
    file that is damaged, asks for code, or holds no weights; ResourceError where disk or memory is short.
    """
    # Without a name where the system can: nothing is left behind, however this process ends.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        try:
            with _reader(file, ema, out, said) as process:
                status = process.wait(SECONDS + file.stat().st_size // 1_000_000)
        except subprocess.TimeoutExpired as problem:
            raise DataError(
                f"{shown(file)} took longer than {problem.timeout:,.0f} s to read; it is refused"
            ) from None
        if status:
            raise _reason(file, status, said)
        return _mapped(file, out)


@contextmanager
def _reader(file: Path, ema: bool, out: IO[bytes], said: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The program at work; it ends with this block, and with this process.

    It has a session of its own, so that Ctrl-C reaches it through here. Its input is a pipe on which nothing
    is sent: it ends there when this process is gone. The folder that it is started in has no say in what it
    imports.
    """
    command = [sys.executable, "-P", "-B", "-W", "ignore", unpickle.__file__]
    settings = {
        name: value for name, value in os.environ.items()
        if name not in ("PYTHONWARNINGS", "PYTHONINSPECT", "PYTHONSTARTUP")
    }  # fmt: skip
    settings |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
    process = subprocess.Popen(
        [*command, str(file.absolute()), "ema" if ema else "last"],
        stdin=subprocess.PIPE, stdout=out, stderr=said, env=settings, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()


def _reason(file: Path, status: int, said: IO[bytes]) -> GoingDeeperError:
    """The error for a program that did not end well."""
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - 10_000))
    lines = said.read().decode("utf-8", "replace").split("\n")
    try:
        told: Any = json.loads(lines[-2]) if status == unpickle.REFUSED else {}
    except (ValueError, IndexError):
        told = {}
    if "refused" in told:
        return DataError(f"{shown(file)} {told['refused']}")
    if "room" in told:
        size = file.stat().st_size
        return ResourceError(
            f"the disk is full at {tempfile.gettempdir()}, where {size / 1e6:,.1f} MB are needed to read "
            f"{shown(file)}; free some space, or name another folder in TMPDIR"
        )
    if status == -getattr(signal, "SIGXCPU", 0):
        return DataError(f"{shown(file)} takes far longer to read than its size needs; it is refused")
    if status == -9:
        return ResourceError(
            f"{shown(file)} could not be read: the system ended the program that reads it, most likely for "
            "want of memory; close other programs"
        )
    if status < 0:
        return DataError(
            f"{shown(file)} is damaged: torch's reader ended with signal {-status}; download or copy it again"
        )
    last = next((line for line in reversed(lines) if line.strip()), "nothing was said")
    return GoingDeeperError(
        f"{shown(file)} could not be read: the program that reads it ended ({last[:160]})"
    )


def _mapped(file: Path, out: IO[bytes]) -> Unpickled:
    """What the program wrote, as tensors on its mapped pages. Nothing that it says is relied on."""
    try:
        memory = mmap.mmap(out.fileno(), 0, access=mmap.ACCESS_COPY)
        length = int.from_bytes(memory[:8], "little")
        header = json.loads(memory[8 : 8 + length])
        tensors = {}
        for key, (kind, shape, at) in header["tensors"].items():
            dtype = getattr(torch, kind)
            count = math.prod(shape)
            if not isinstance(dtype, torch.dtype) or at < 0 or any(side < 0 for side in shape):
                raise ValueError(kind)
            if count:
                flat = torch.frombuffer(memory, dtype=dtype, count=count, offset=8 + length + at)
            else:
                flat = torch.empty(0, dtype=dtype)
            tensors[str(key)] = flat.view(shape)
        return Unpickled(tensors, tuple(map(str, header["notes"])), bool(header["lightning"]))
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, OSError) as problem:
        raise DataError(
            f"{shown(file)} could not be taken over from the program that reads it ({problem})"
        ) from None
