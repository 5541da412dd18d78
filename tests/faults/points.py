"""Counts what a job does, and lets a fault happen at the n-th of it.

Points are: `reading` an image, a training `step`, a batch of `evaluation`, and every file operation below
the working folder: of a checkpoint (`save`), of the model folder (`model`), or of another file (`table`).
Files are reached through Python's own functions, so that wrapping these sees every operation.
"""

# pathlib's own operations are what is counted here, so it is not used.
# ruff: noqa: PTH100, PTH110, PTH112, PTH113, PTH115, PTH120

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from goingdeeper.cli.watch import Watch
from goingdeeper.data import pictures
from goingdeeper.data.pictures import Pictures
from goingdeeper.nn.build import Net

ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}
TAKES_NO_ROOM = {"scandir", "listdir", "rmdir", "unlink", "remove", "open folder"}

real = {
    name: getattr(os, name)
    for name in (
        "open", "fsync", "rename", "replace", "mkdir", "rmdir", "unlink", "remove", "scandir", "listdir",
    )
}  # fmt: skip
real_open = io.open

order: dict[str, Any] = {}
root = ""
counts: Counter[str] = Counter()
happened: list[str] = []

# For a power cut: what has been changed and not been synced.
unsynced: set[str] = set()
fresh: set[str] = set()
renamed: list[tuple[str, str, bytes | None]] = []


class Killed(BaseException):
    """Stands for a kill where the process is to go on: from then on no operation reaches the disk."""


dead = False


def begin(given: dict[str, Any]) -> None:
    """From now on points are counted from nothing, below another folder, with another fault."""
    global root, dead
    root, dead = os.path.realpath(given["cwd"]), False
    for kept in (order, counts, happened, unsynced, fresh, renamed):
        kept.clear()
    order.update(given)


def watch(given: dict[str, Any]) -> None:
    """This process counts, and the fault of the order happens."""
    begin(given)
    for name in real:
        setattr(os, name, _wrapped(name))
    io.open = builtins.open = _open  # type: ignore[assignment]
    Watch.reading = _counted(Watch.reading, "reading")  # type: ignore[method-assign]
    Net.forward = _forward(Net.forward)  # type: ignore[method-assign]
    if given.get("not_resident"):
        pictures._free_memory = lambda: 0
    Pictures.__getitem__ = _read(Pictures.__getitem__)  # type: ignore[method-assign]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def note_counts(given: dict[str, Any]) -> None:
    with real_open(given["counts"], "w") as stream:
        json.dump({"counts": counts, "happened": happened}, stream)


def reach(kind: str, what: str = "") -> str | None:
    """One more point; the act that is due here, if one is. Signals are sent at once."""
    counts[kind] += 1
    fault = order.get("fault")
    if not fault or fault["at"] != kind or counts[kind] != fault["number"]:
        return None
    act: str = fault["act"]
    happened.append(f"{act} at {kind} {counts[kind]} {what}")
    if act in SIGNALS:
        os.kill(os.getpid(), SIGNALS[act])
        return None
    if act == "delete":
        Path(fault["path"]).unlink()
        return None
    if act == "cut short":
        os.truncate(fault["path"], Path(fault["path"]).stat().st_size // 2)
        return None
    return act


def end() -> None:
    """Behind the last operation."""
    act = reach("end")
    if act:
        _do(act, root)


def die() -> None:
    global dead
    if order.get("go_on"):
        dead = True
        raise Killed
    os.kill(os.getpid(), signal.SIGKILL)


def _counted(function: Callable[..., Any], kind: str) -> Callable[..., Any]:
    def counting(*arguments: Any) -> Any:
        if reach(kind) == "kill":
            die()
        return function(*arguments)

    return counting


def _read(getting: Callable[..., Any]) -> Callable[..., Any]:
    def dying(*arguments: Any) -> Any:
        if happened and order["fault"]["act"] == "loader":
            raise ZeroDivisionError("in the loader")
        return getting(*arguments)

    return dying


# The network


def _forward(forward: Callable[..., Any]) -> Callable[..., Any]:
    def counting(net: Net, images: torch.Tensor, taps: Any = None) -> torch.Tensor:
        most = order.get("most_images")
        if most and net.training and len(images) > most:
            torch.empty(1 << 60, dtype=torch.uint8)  # torch's own error for the CPU
        # One image: the golden one, or the latency being measured.
        act = reach("step" if net.training else "evaluation" if len(images) > 1 else "proof")
        if act == "kill":
            die()
        if act == "poison":
            _poison(net, order["fault"])
        if happened and (order.get("fault") or {}).get("where") == "images":
            images = images.clone()
            images[0] = float(order["fault"]["value"])
        result: torch.Tensor = forward(net, images, taps)
        return result

    return counting


def _poison(net: Net, fault: dict[str, Any]) -> None:
    value = float(fault["value"])
    if fault["where"] == "weights":
        with torch.no_grad():
            weights = net.get_parameter(fault["layer"])
            weights[(0,) * weights.ndim] = value
    elif fault["where"] == "gradient":
        net.get_parameter(fault["layer"]).register_hook(lambda gradient: gradient * value)


# The disk


def _place(path: Any, folder: int | None = None) -> str:
    """The absolute path, also of an open file or of a name in an open folder."""
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")
    text = os.fsdecode(path)
    if folder is not None and not text.startswith("/"):
        return f"{os.readlink(f'/proc/self/fd/{folder}')}/{text}"
    return os.path.abspath(text)


def _inside(place: str) -> bool:
    return place == root or place.startswith(root + "/")


def _kind(place: str) -> str:
    parts = place[len(root) :].split("/")
    if "checkpoints" in parts:
        return "save"
    return "model" if any(part == "model" or part.startswith(".model.") for part in parts) else "table"


def _operation(name: str, place: str) -> str | None:
    """Counts the operation; dies or raises where that is due. What is due at a write is given."""
    if dead:
        raise Killed
    act = reach(_kind(place), f"{name} {place[len(root) + 1 :]}")
    if name == "write" or act is None:
        return act
    if act == "ENOSPC" and name in TAKES_NO_ROOM:
        return None
    _do(act, place)
    return None


def _do(act: str, place: str) -> None:
    if act == "kill":
        die()
    if act in ("cut", "cut with renames"):
        _cut(act == "cut with renames")
        die()
    if act in ERRORS:
        raise OSError(ERRORS[act], os.strerror(ERRORS[act]), place)


def _wrapped(name: str) -> Callable[..., Any]:
    function = real[name]

    def wrapper(path: Any = ".", *arguments: Any, **named: Any) -> Any:
        place = _place(path, named.get("dir_fd"))
        if not _inside(place):
            return function(path, *arguments, **named)
        reading = name == "open" and not arguments[0] & (os.O_WRONLY | os.O_RDWR)
        _operation("open folder" if reading else name, place)
        if name in ("rename", "replace"):
            _renaming(place, _place(arguments[0]))
        # Nothing here outlives a power cut, but what this file remembers does; so syncing need not take time.
        result = None if name == "fsync" else function(path, *arguments, **named)
        if name == "fsync":
            unsynced.discard(place)
            fresh.difference_update({entry for entry in fresh if os.path.dirname(entry) == place})
            renamed[:] = [entry for entry in renamed if os.path.dirname(entry[1]) != place]
        if name == "mkdir":
            fresh.add(place)
        return result

    return wrapper


def _renaming(old: str, new: str) -> None:
    was = None
    if os.path.isfile(new):
        with real_open(new, "rb") as stream:
            was = stream.read()
    renamed.append((old, new, was))
    for places in (unsynced, fresh):
        moved = {place for place in places if place == old or place.startswith(old + "/")}
        places -= moved
        places |= {new + place[len(old) :] for place in moved}
    if was is not None:
        fresh.discard(new)  # the name was there before


def _cut(with_renames: bool) -> None:
    """The power fails: what was not synced is lost; renames too, if asked for. Removals always last."""
    for place in unsynced:
        if os.path.exists(place):
            os.truncate(place, 0)
    lost = set(fresh)
    if with_renames:
        for old, new, was in reversed(renamed):
            if os.path.exists(new) and not os.path.exists(old):
                real["rename"](new, old)
                lost = {old + p[len(new) :] if p == new or p.startswith(new + "/") else p for p in lost}
                if was is not None:
                    with real_open(new, "wb") as stream:
                        stream.write(was)
    for place in sorted(lost, reverse=True):  # what is in a folder before the folder
        if os.path.isdir(place):
            for folder, files in _walk(place)[::-1]:
                for file in files:
                    real["unlink"](file)
                real["rmdir"](folder)
        elif os.path.exists(place):
            real["unlink"](place)


class _Raw(io.FileIO):
    """A file whose writes and whose closing are operations that can fail half-way."""

    def write(self, content: Any) -> int:
        content = memoryview(content).cast("B")
        place = _place(self.fileno())
        unsynced.add(place)
        act = _operation("write", place)
        if act:
            written = super().write(content[: len(content) // 2]) or 0
            _do(act, place)
            return written
        room = order.get("disk")
        if room is not None:
            left = max(0, room - _used())
            counts["most"] = max(counts["most"], _used() + len(content))
            if left < len(content):
                super().write(content[:left])
                happened.append(f"full at {place[len(root) + 1 :]}")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(content) or 0

    def close(self) -> None:
        if self.closed:
            return
        place = _place(self.fileno())
        super().close()
        _operation("close", place)


def _used() -> int:
    return sum(os.lstat(file).st_size for _, files in _walk(root) for file in files)


def _walk(folder: str) -> list[tuple[str, list[str]]]:
    """Each folder and the files in it, a folder before those in it."""
    found, waiting = [], [folder]
    while waiting:
        here = waiting.pop()
        files = []
        with real["scandir"](here) as entries:
            for entry in entries:
                (waiting if entry.is_dir(follow_symlinks=False) else files).append(entry.path)
        found.append((here, files))
    return found


def _open(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
    if isinstance(file, int) or not set(mode) & set("wax+") or not _inside(_place(file)):
        return real_open(file, mode, *arguments, **named)
    place = _place(file)
    _operation("open", place)
    if not os.path.exists(place):
        fresh.add(place)
    raw = _Raw(file, mode.replace("b", "").replace("t", ""))
    buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
    if "b" in mode:
        return buffered
    return io.TextIOWrapper(
        buffered, named.get("encoding") or "utf-8", named.get("errors"), named.get("newline")
    )
