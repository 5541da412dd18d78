"""Recipes: how a network is trained, as frozen constants that are changed with `replace`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from goingdeeper.data.batches import Augmentation
from goingdeeper.data.pictures import BAD_SHARE
from goingdeeper.errors import UsageError, unknown


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum, PyTorch's form.

    weight_decay: on the weights of convolutions and fully connected layers, not on biases and norms.
    """

    rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4


@dataclass(frozen=True)
class WarmupCosine:
    """The rate climbs linearly for `warmup_epochs`, then follows half a cosine to zero."""

    warmup_epochs: float = 2.0

    def factor(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """What the rate is multiplied with at a step, 0 to steps - 1."""
        warm = min(self.warmup_epochs * steps_per_epoch, steps / 2)
        if step < warm:
            return (step + 1) / (warm + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, steps - warm)))


@dataclass(frozen=True)
class Recipe:
    """Everything about training that is not the network or the data.

    smoothing: label smoothing over all classes. head_weight: of each auxiliary head's loss. clip: bound on
    the global norm of the gradients, 0 for none. average: decay of the running mean of the weights, which
    then is evaluated and kept; 0 for none.
    standardise: divide by the standard deviation; without it only the mean is subtracted, from bytes 0 to
    255, as the papers before batch norm did. bad_share: images that may be unreadable and left out.
    """

    name: str
    epochs: int = 30
    batch: int = 128
    optimiser: SGD = SGD()
    schedule: WarmupCosine = WarmupCosine()
    augmentation: Augmentation = field(default=Augmentation())
    smoothing: float = 0.1
    head_weight: float = 0.3
    clip: float = 0.0
    average: float = 0.0
    standardise: bool = True
    bad_share: float = BAD_SHARE


SCRATCH = Recipe("scratch")

RECIPES = {recipe.name: recipe for recipe in (SCRATCH,)}

AT_MOST_ONE = frozenset({"optimiser.momentum", "augmentation.pad", "smoothing", "average", "bad_share"})


def recipe(name: str) -> Recipe:
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES, f"the recipes are: {', '.join(RECIPES)}")
    return RECIPES[name]


def change(recipe: Recipe, changes: Mapping[str, str]) -> Recipe:
    """The recipe with fields replaced by name, such as `rate`, `flip` or `bad_share`.

    A field of a part may be named alone or with its part, `optimiser.rate`. Raises UsageError for an
    unknown name or a value of another type.
    """
    for key, text in changes.items():
        recipe = _change(recipe, key, text)
    return recipe


def settings(record: Any, prefix: str = "") -> dict[str, Any]:
    """Every setting by its full name, with its value."""
    found: dict[str, Any] = {}
    for part in dataclasses.fields(record):
        value = getattr(record, part.name)
        if dataclasses.is_dataclass(value):
            found |= settings(value, f"{prefix}{part.name}.")
        else:
            found[prefix + part.name] = value
    return found


def _change(recipe: Recipe, key: str, text: str) -> Recipe:
    known = settings(recipe)
    known.pop("name")
    full = next((name for name in known if key in (name, name.rpartition(".")[2])), None)
    if full is None:
        raise unknown("setting", key, known, f"the settings are: {', '.join(known)}")
    value = _parse(full, text, known[full])
    part, _, name = full.rpartition(".")
    if not part:
        return dataclasses.replace(recipe, **{name: value})
    changed = dataclasses.replace(getattr(recipe, part), **{name: value})
    return dataclasses.replace(recipe, **{part: changed})


def _parse(name: str, text: str, current: Any) -> Any:
    kind = type(current)
    try:
        if kind is bool:
            return {"true": True, "yes": True, "on": True, "1": True}.get(text.lower(), False) or _false(text)
        value = kind(text)
    except ValueError:
        words = {bool: "true or false", int: "a whole number", float: "a number"}
        raise UsageError(f"--set {name}={text}: {words.get(kind, kind.__name__)} is needed") from None
    if value < 0 or (kind is float and not math.isfinite(value)):
        raise UsageError(f"--set {name}={text}: a number of at least 0 is needed")
    if name in AT_MOST_ONE and value > 1:
        raise UsageError(f"--set {name}={text}: a number from 0 to 1 is needed")
    return value


def _false(text: str) -> bool:
    if text.lower() in ("false", "no", "off", "0"):
        return False
    raise ValueError(text)
