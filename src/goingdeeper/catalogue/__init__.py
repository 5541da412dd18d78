"""Every network by name. A file of this folder describes one paper's networks in its `NETWORKS`."""

from __future__ import annotations

import difflib
import inspect
import pkgutil
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from goingdeeper import layers
from goingdeeper.errors import DescriptionError, GoingDeeperError, UsageError, unknown
from goingdeeper.layers import Network
from goingdeeper.layers.checks import shown
from goingdeeper.notation import from_file


class _Builder(NamedTuple):
    make: Callable[[], Network]
    module: str


def network(name: str) -> Network:
    """The description of a network by its id, such as `resnet-34-a`. Instant, loads no torch.

    A file NAME.json, as `goingdeeper.to_json` writes one, is read. Raises UsageError, suggesting close names,
    for an id that is not in the catalogue, or where there is no such file; DescriptionError, naming file and
    line, where a file of the catalogue is at fault, or naming the file and the place in it.
    """
    if not isinstance(name, str):
        raise UsageError(f"{shown(name)} is not the id of a network; one is a text such as 'googlenet'")
    if name.endswith(".json"):
        return from_file(Path(name))
    builders = _catalogue()
    if name not in builders:
        raise unknown("network", name, builders, "`deeper list` shows all of them")
    return _built(name)


def described(what: Network | str) -> Network:
    """A description as it is, or the one of an id."""
    return what if isinstance(what, Network) else network(what)


def names(pattern: str = "*") -> list[str]:
    """The ids that match a shell pattern such as `resnet-*`, family by family."""
    return [name for name in _catalogue() if fnmatchcase(name, pattern)]


@cache
def _catalogue() -> dict[str, _Builder]:
    builders: dict[str, _Builder] = {}
    for module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
        for name, make in _read(module).items():
            if name in builders:
                raise DescriptionError(
                    f"{_file(builders[name].module)} and {_file(module)} both describe '{name}'; rename one"
                )
            builders[name] = _Builder(make, module)
    return builders


def _read(module: str) -> dict[str, Callable[[], Network]]:
    """What one file describes, checked."""
    with _at_fault(module):
        found = getattr(import_module(f"{__name__}.{module}"), "NETWORKS", None)
    remedy = "a dict of ids and functions such as {'lenet': lenet} is expected"
    if found is None:
        # Or not yet: a file that asks for a network while it is imported has the catalogue import it again.
        inside = "other networks of the catalogue are asked for in functions only"
        raise DescriptionError(f"{_file(module)} has no NETWORKS; {remedy}, and {inside}")
    if not isinstance(found, Mapping):
        raise DescriptionError(f"{_file(module)}: NETWORKS is {shown(found)}; {remedy}")
    for name, make in found.items():
        if not isinstance(name, str) or not callable(make):
            pair = f"{shown(name)}: {shown(make)}"
            raise DescriptionError(f"{_file(module)}: NETWORKS has {pair}; {remedy}")
    return dict(found)


@cache
def _built(name: str) -> Network:
    make, module = _catalogue()[name]
    with _at_fault(module, f"{name}: "):
        made = make()
    if not isinstance(made, Network):
        raise DescriptionError(
            f"{_file(module)}: the function of '{name}' returns {shown(made)}, not a Network"
        )
    if made.name != name:
        raise DescriptionError(
            f"{_file(module)}: NETWORKS has '{name}' for a Network called '{made.name}'; give both one name"
        )
    return made


@contextmanager
def _at_fault(module: str, name: str = "") -> Iterator[None]:
    """Any error within is the describer's, who is told the file, the line and what is wrong in one line."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as problem:
        line = _line(problem, module)
        place = _file(module) + (f", line {line}" if line else "")
        raise DescriptionError(f"{place}: {name}{_said(problem)}") from problem


def _file(module: str) -> str:
    return f"catalogue/{module}.py"


def _line(problem: Exception, module: str) -> int | None:
    """The line of a file that led to an error: the last of its frames."""
    if isinstance(problem, SyntaxError) and str(problem.filename).endswith(f"{module}.py"):
        return problem.lineno
    frames = [
        line
        for frame, line in traceback.walk_tb(problem.__traceback__)
        if frame.f_globals.get("__name__") == f"{__name__}.{module}"
    ]
    return frames[-1] if frames else None


def _said(problem: Exception) -> str:
    """An error in one line; of a keyword that a record lacks with the close one."""
    if isinstance(problem, GoingDeeperError):
        return str(problem)
    text = problem.msg if isinstance(problem, SyntaxError) else str(problem)
    text = " ".join(f"{type(problem).__name__}: {text}".split()).replace(".__init__()", "()")
    lacking = re.search(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'", text)
    record: Any = getattr(layers, lacking[1], None) if lacking else None
    if lacking and record and "Did you mean" not in text:  # as later versions of Python add
        fields = list(inspect.signature(record).parameters)
        close = difflib.get_close_matches(lacking[2], fields, n=1)
        text += f"; did you mean {close[0]}?" if close else f"; it has {', '.join(fields)}"
    return text
