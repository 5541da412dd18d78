"""What is wrong with images, or passed over: told in a line of each kind, and listed one by one."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from goingdeeper.errors import shown


@dataclass(frozen=True)
class Problem:
    """Something wrong with an image, and what was done about it. Particulars follow the first colon."""

    path: str
    problem: str
    action: str

    @property
    def kind(self) -> str:
        """What it has in common with others: the words without the particulars."""
        return _UNREADABLE if self.names_path else self.problem.partition(": ")[0]

    @property
    def names_path(self) -> bool:
        """Whether the words are those of an error that names the file."""
        path = shown(self.path).lstrip("/")
        return f"/{path} " in self.problem or ("/" in path and self.problem.startswith(f"{path} "))

    @property
    def count(self) -> int:
        """How many it stands for."""
        others = _OTHERS.search(self.problem)
        return int(others[1].replace(",", "")) if others else 1


_UNREADABLE = "cannot be read"
_OTHERS = re.compile(r": one of ([0-9,]+) that are not listed$")

LISTED = 1000
"""So many problems of a kind are listed one by one."""


@dataclass
class Passed:
    """Problems by kind and action: the first `LISTED`, then the path of the next and how many follow."""

    listed: dict[tuple[str, str], list[Problem]] = field(default_factory=dict)
    others: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)

    def add(self, problem: str, path: str, action: str = "left out") -> None:
        self.take(Problem(printable(path), problem, action))

    def take(self, problem: Problem) -> None:
        kind = problem.kind, problem.action
        listed = self.listed.setdefault(kind, [])
        if len(listed) < LISTED:
            listed.append(problem)
        else:
            path, count = self.others.get(kind, (problem.path, 0))
            self.others[kind] = path, count + problem.count

    def problems(self) -> list[Problem]:
        """All that is listed, by kind; the others of a kind as one that counts them."""
        found = []
        for kind, listed in self.listed.items():
            found += listed
            if kind in self.others:
                path, count = self.others[kind]
                found.append(Problem(path, f"{kind[0]}: one of {count:,} that are not listed", kind[1]))
        return found


def bounded(problems: Iterable[Problem]) -> list[Problem]:
    """The same by kind, without those that are too many to be listed."""
    passed = Passed()
    for problem in problems:
        passed.take(problem)
    return passed.problems()


def told(problems: Iterable[Problem]) -> list[str]:
    """A line for each kind of problem: the first one, and how many more there are."""
    first: dict[tuple[str, str], Problem] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for problem in problems:
        kind = problem.kind, problem.action
        first.setdefault(kind, problem)
        counts[kind] += problem.count
    lines = []
    for kind, one in first.items():
        place = "" if one.names_path else f"{one.path}: "
        more = f", and {counts[kind] - 1:,} more" if counts[kind] > 1 else ""
        lines.append(shown(f"{one.action}: {place}{one.problem}{more}"))
    return lines


def printable(path: str) -> str:
    """The path with what is no UTF-8 written as backslash escapes."""
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a surrogate pair
        return ascii(path)[1:-1]
