"""The tree of exceptions. Each carries the exit status that the command line returns.

GoingDeeperError            1   a fault of ours, unless a subclass says otherwise
|-- UsageError              2   an unknown name, an option that does not fit
|   |-- DescriptionError        a description that contradicts itself
|   |   `-- ShapeError          two shapes that do not meet, an input that is too small
|   `-- RunFolderError          a run folder that is missing, in use, or holds something else
|-- DataError               3   images, labels, or files that cannot be used
|   `-- StoreError              a prepared store that has changed since it was made
|-- MissingExtra            4   an optional package is needed; the message is the pip line
|-- ResourceError           5   disk, memory or device
|-- GateError               6   something did not prove itself: golden image, audit, parity
`-- Interrupted       130/143   stopped by a signal, everything finished is saved
"""

from __future__ import annotations

import atexit
import difflib
import errno
import os
import re
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import NoReturn

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What an OSError says where a disk, a quota or the largest file is full."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class GoingDeeperError(Exception):
    """Root of the tree; its text is one line that names the thing and the remedy."""

    exit_status = 1


class UsageError(GoingDeeperError):
    exit_status = 2


class DescriptionError(UsageError):
    pass


class ShapeError(DescriptionError):
    pass


class RunFolderError(UsageError):
    pass


class DataError(GoingDeeperError):
    exit_status = 3


class StoreError(DataError):
    pass


class MissingExtra(GoingDeeperError):
    exit_status = 4


class ResourceError(GoingDeeperError):
    exit_status = 5


class GateError(GoingDeeperError):
    exit_status = 6


class Interrupted(GoingDeeperError):
    """Stopped by a signal; `exit_status` is 130 for SIGINT and 143 for SIGTERM."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number

    def __reduce__(self) -> tuple[type[Interrupted], tuple[str, int]]:
        return Interrupted, (str(self), self.exit_status - 128)


def shown(path: str | os.PathLike[str]) -> str:
    """A path for messages: control characters, and bytes that are no UTF-8, as backslash escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def unknown(kind: str, name: str, known: Iterable[str], remedy: str) -> UsageError:
    """A `UsageError` for a name that is not among `known`, suggesting close ones."""
    choices = list(known)
    lowered = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.6)
    close += [c for c in lowered if c not in close and name and name.lower() in c][: 3 - len(close)]
    hint = f"did you mean {' or '.join(lowered[c] for c in close)}? " if close else ""
    return UsageError(f"unknown {kind} '{name}'; {hint}{remedy}")


def end_process(status: int) -> NoReturn:
    """Ends a process whose work is done, without taking Python apart around threads that still run.

    A thread of torch that asks for Python while it is taken apart aborts the process, with a status of its
    own; this happens after a second Ctrl-C, and now and then where several processes have trained together.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, without a reader, or none at all
            stream.flush()
    os._exit(status)
