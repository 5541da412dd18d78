"""Going on from the weights of another run, as GoogLeNet's converged models were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from goingdeeper.errors import UsageError
from goingdeeper.nn.build import Net
from goingdeeper.runs.model import Model, load_model


def begin_from(path: str | None) -> Model | None:
    """The model to go on from, its golden image checked; None where nothing was asked for."""
    return None if path is None else load_model(Path(path))


def take_over(net: Net, begun: Model, classes: Sequence[str]) -> None:
    """Copies the weights. Auxiliary heads, which a model does not have, keep their initial ones.

    Raises UsageError where the classes or the network are others.
    """
    if tuple(classes) != begun.classes:
        only = sorted(set(classes) ^ set(begun.classes))
        raise UsageError(
            f"{begun.path} knows other classes than the images ({', '.join(only[:5])}); "
            "it can only go on with its own"
        )
    own, given = net.state_dict(), begun.net.state_dict()
    trunk = {name: value for name, value in own.items() if not name.startswith("heads.")}
    if {n: v.shape for n, v in trunk.items()} != {n: v.shape for n, v in given.items()}:
        raise UsageError(
            f"{begun.path} holds {begun.net.description.name}, whose weights do not fit "
            f"{net.description.name} at this size; leave out --model and --size"
        )
    with torch.no_grad():
        for name, value in given.items():
            own[name].copy_(value)


def origin(begun: Model) -> dict[str, Any]:
    """Where the weights come from, for the record: the folder, its weights' sha256, what they came from."""
    return {
        "path": str(begun.path),
        "sha256": begun.config["weights"]["sha256"],
        "provenance": begun.config.get("provenance", {}),
    }
