"""What a forked process does: the command, or a save again and again."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import points
import saves

from goingdeeper.cli import main


def deeper(*words: str) -> None:
    sys.argv = ["deeper", *words]
    main()


def save(name: str, *words: Any) -> None:
    getattr(saves, name)(*words)


def each_operation(job: str, words: list[Any], kind: str, act: str, state: str, deaths: bool) -> None:
    """Prints, as JSON, how the job ended when `act` met its operation 1, 2, ...: the message, or nothing.

    Each time it works in a copy of the folder `state`, named by the number; 0 is without a fault, and where
    `act` is a death, the last number is behind the end.
    """
    base, ends, number, operations = Path.cwd(), [], 0, 0
    while number <= operations + deaths:
        here = base / str(number)
        shutil.copytree(state, here)
        os.chdir(here)
        at, count = (kind, number) if number <= operations else ("end", 1)
        points.begin({"cwd": str(here), "fault": {"at": at, "number": count, "act": act}, "go_on": True})
        try:
            getattr(saves, job)(*words)
            points.end()
            ends.append("")
        except points.Killed:
            ends.append("killed")
        except Exception as problem:
            ends.append(f"{type(problem).__name__}: {problem}")
        operations = operations or points.counts[kind]
        points.begin({"cwd": "/nowhere"})
        number += 1
    print(json.dumps(ends))
