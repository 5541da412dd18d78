"""Which layer of a network a runtime cannot take, found by trying its parts alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from goingdeeper.data.processors import cpus
from goingdeeper.deploy.form import Form
from goingdeeper.deploy.formats import FORMATS, program_of
from goingdeeper.deploy.rewrite import State
from goingdeeper.deploy.scale import InputScale
from goingdeeper.errors import DataError, GoingDeeperError, UsageError
from goingdeeper.layers import GlobalAvgPool, Named, Network, SpatialPyramid, children
from goingdeeper.runtimes.known import OF_FORMAT, RUNTIMES
from goingdeeper.runtimes.runner import OPENERS, lines_of
from goingdeeper.shapes import Shape
from goingdeeper.trace import Step, trace


@contextmanager
def in_runtime(form: Form, to: str, place: Path, subject: str, remedy: str) -> Iterator[None]:
    """Turns what a runtime raises, nearly anything, into a UsageError that names the layer it cannot take.

    Within, a form is written as `to` and opened, in the folder `place`, which the message leaves out. Where
    the runtime takes nothing at all, or each layer alone, none is named.
    """
    try:
        yield
    except (MemoryError, OSError):
        raise
    except Exception as problem:
        if isinstance(problem, GoingDeeperError) and not isinstance(problem, DataError):
            raise
        what, why = _first(form, to) or ("the network", _reason(problem, to, place))
        name = RUNTIMES[OF_FORMAT[to]].name
        raise UsageError(f"{subject}: {name} cannot take {what}: {why}; {remedy}") from None


def _first(form: Form, to: str) -> tuple[str, str] | None:
    """The first layer that cannot be run alone, the innermost there is, and why."""
    ends = [end for end in ENDS if not _refused(Form(_network(end, (1, 2, 2), 1), {}, InputScale()), to)]
    if not ends:
        return None
    steps = {step.path: step for step in trace(form.network)}

    def first(layers: Named, above: str) -> tuple[str, str] | None:
        for name, layer in layers:
            path = above + name
            if why := _refused(_alone(steps[path], form.state, ends[0]), to):
                inner = first(children(layer), f"{path}.")
                return inner or (f"the layer {path} ({type(layer).__name__})", why)
        return None

    return first(form.network.layers, "")


ENDS: tuple[Named, ...] = ((("mean", GlobalAvgPool()),), (("most", SpatialPyramid((1,))),))
"""What makes logits of a map; the first that a runtime takes."""


def _alone(step: Step, state: State, end: Named) -> Form:
    """A layer as a network."""
    layers: Named = (("layer", step.layer),)
    if step.shape_out[1:] not in ((), (1, 1)):
        layers += end
    own = {
        f"layer.{name.removeprefix(f'{step.path}.')}": value
        for name, value in state.items()
        if name.startswith(f"{step.path}.")
    }
    return Form(_network(layers, step.shape_in, step.shape_out[0]), own, InputScale())


def _network(layers: Named, shape: Shape, classes: int) -> Network:
    channels, height, width = (*shape, 1, 1)[:3]
    return Network("alone", layers, (), (channels, height, width), classes)


def _refused(form: Form, to: str) -> str:
    """Why a form cannot be written and run; "" where it can.

    PyTorch does not compile it, which takes long, and fails by the machine and not by the layer.
    """
    channels, height, width = form.network.input
    with TemporaryDirectory(prefix="goingdeeper-") as name:
        try:
            if to == "torch":
                program_of(form)
                return ""
            file = FORMATS[to].write(form, {}, Path(name))[0]
            run = OPENERS[OF_FORMAT[to]](file, 1, cpus(), "latency")
            run(np.zeros((1, height, width, channels), np.uint8))
        except (MemoryError, OSError):
            raise
        except Exception as problem:
            return _reason(problem, to, Path(name))
    return ""


def _reason(problem: Exception, to: str, place: Path) -> str:
    """The line that tells most: PyTorch's first, of others the last, unless OpenVINO says what it lacks."""
    lines = lines_of(problem)
    lacks = [line.removeprefix("-- ") for line in lines if line.startswith("-- No conversion rule")]
    line = lacks[0] if lacks else lines[0 if to == "torch" else -1]
    return line.replace(f"{place}{os.sep}", "")
