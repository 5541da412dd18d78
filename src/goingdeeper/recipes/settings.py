"""A recipe's settings by name: read, changed from text, written as data, stretched to another length."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from goingdeeper.errors import UsageError, unknown
from goingdeeper.recipes.losses import Distillation
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.schedules import Exponential, Inverse, Linear, Plateau, Schedule, Steps

Kept = TypeVar("Kept", bound=Schedule)

FIXED = ("name", "source", "networks", "after", "takes", "images", "size", "rules", "said", "remarks")
"""What makes the recipe what it is, and is not set by name."""

ALIASES = {"lr": "optimiser.rate", "learning_rate": "optimiser.rate"}
"""What people know a setting as from elsewhere."""

AT_MOST_ONE = frozenset({
    "momentum", "pad", "smoothing", "average", "bad_share", "decay", "beta1", "beta2", "erase", "cutout",
    "norm_decay", "stochastic_depth", "share", "start", "present", "stage_rate",
})  # fmt: skip
AT_LEAST_ONE = frozenset({"batch", "accumulate", "repeats", "tries", "aspect"})
ANY = frozenset({"low", "high"})
"""By the last part of the name: ranges other than from 0 on."""

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
WORDS = {bool: "true or false", int: "a whole number", float: "a number"}


def change(recipe: Recipe, changes: Mapping[str, str]) -> Recipe:
    """The recipe with settings replaced by name, such as `rate`, `flip` or `schedule.warmup`.

    A part may be chosen by its kind, `optimiser=Adam`, and then has its defaults; kinds are changed first.
    Raises UsageError for an unknown name or a value that does not fit.
    """
    values = {}
    for key, text in changes.items():
        # A setting of a kind that is still to be chosen is not known yet.
        if len(_fitting(recipe, key)) == 1 and _choices(recipe, key):
            recipe = _change(recipe, key, text)
        else:
            values[key] = text
    for key, text in values.items():
        recipe = _change(recipe, key, text)
    return recipe


def settings(record: Any, prefix: str = "") -> dict[str, Any]:
    """Every setting by its full name with its value; a part of several kinds has its kind's name as value."""
    found: dict[str, Any] = {}
    for part in dataclasses.fields(record):
        if not prefix and part.name in FIXED:
            continue
        value, name = getattr(record, part.name), prefix + part.name
        if len(kinds(type(record), part.name)) > 1:
            found[name] = type(value).__name__ if value is not None else "none"
        elif not dataclasses.is_dataclass(value):
            found[name] = value
        if dataclasses.is_dataclass(value):
            found |= settings(value, f"{name}.")
    return found


def as_data(value: Any) -> Any:
    """Records as JSON would have them, each with its kind."""
    if dataclasses.is_dataclass(value):
        parts = {part.name: as_data(getattr(value, part.name)) for part in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **parts}
    return [as_data(part) for part in value] if isinstance(value, tuple) else value


def full_name(recipe: Recipe, key: str) -> str:
    """A setting's full name from it or its last part. Raises UsageError where there is none, or several."""
    fitting = _fitting(recipe, key)
    if len(fitting) > 1:
        raise UsageError(f"setting '{key}' may be {' or '.join(fitting)}; give one of them in full")
    if not fitting:
        raise unknown("setting", key, settings(recipe), f"`deeper recipes {recipe.name}` lists them")
    return fitting[0]


def _fitting(recipe: Recipe, key: str) -> list[str]:
    known = settings(recipe)
    key = ALIASES.get(key, key)
    return [key] if key in known else [name for name in known if name.rpartition(".")[2] == key]


def lasting(recipe: Recipe, epochs: int, per_epoch: int) -> Recipe:
    """The recipe stretched or shortened to so many epochs: its schedules' places move in proportion."""
    before = recipe.iterations or recipe.epochs * per_epoch
    share = epochs * per_epoch / before
    if recipe.iterations:
        recipe = replace(recipe, iterations=epochs * per_epoch)
    else:
        recipe = replace(recipe, epochs=epochs)
    if share == 1:
        return recipe
    if recipe.stop_after:
        recipe = replace(recipe, stop_after=max(1, round(recipe.stop_after * share)))
    loss = recipe.loss
    if isinstance(loss, Distillation):
        loss = replace(loss, schedule=_stretched(loss.schedule, share))
    return replace(
        recipe,
        loss=loss,
        schedule=_stretched(recipe.schedule, share),
        momentum_schedule=_stretched(recipe.momentum_schedule, share),
        rules=tuple(
            replace(rule, schedule=_stretched(rule.schedule, share)) if rule.schedule else rule
            for rule in recipe.rules
        ),
    )


def _stretched(schedule: Kept, share: float) -> Kept:
    match schedule:
        case Steps():
            return replace(schedule, at=tuple(_rounded(place * share) for place in schedule.at))
        case Exponential():
            return replace(schedule, every=_rounded(schedule.every * share))
        case Linear():
            # The first epoch stays the first one; what lies between it and the last moves.
            until, since = (1 + round((place - 1) * share) for place in (schedule.until, schedule.since))
            return replace(schedule, until=until, since=since)
        case Inverse():
            return replace(schedule, gamma=schedule.gamma / share)
        case Plateau():
            return replace(schedule, patience=max(1, round(schedule.patience * share)))
        case _:
            return schedule


def _rounded(place: float) -> float:
    return float(f"{place:.6g}")


@cache
def _hints(record: type) -> dict[str, Any]:
    return get_type_hints(record)  # compiles every annotation anew each time


def kinds(record: Any, field: str) -> tuple[type, ...]:
    """The records that a field may hold; NoneType among them where it may be empty."""
    hint = _hints(record)[field]
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return options if any(dataclasses.is_dataclass(option) for option in options) else ()


def _choices(recipe: Recipe, key: str) -> dict[str, Any]:
    """By lower-case name, the kinds that a setting may take; empty where it is a plain value."""
    record: Any = recipe
    *above, last = full_name(recipe, key).split(".")
    for part in above:
        record = getattr(record, part)
    found = kinds(type(record), last)
    return {("none" if kind is type(None) else kind.__name__.lower()): kind for kind in found}


def _change(recipe: Recipe, key: str, text: str) -> Recipe:
    name = full_name(recipe, key)
    choices = _choices(recipe, key)
    if choices:
        if text.lower() not in choices:
            names = [kind.__name__ if kind is not type(None) else "none" for kind in choices.values()]
            raise unknown(f"kind of {name}", text, names, f"the kinds are: {', '.join(names)}")
        kind = choices[text.lower()]
        current = _at(recipe, name)
        value = current if type(current) is kind else kind() if kind is not type(None) else None
    else:
        value = _parse(name, text, _at(recipe, name), _hint(recipe, name))
    changed: Recipe = _with(recipe, name.split("."), value)
    return changed


def _at(record: Any, name: str) -> Any:
    for part in name.split("."):
        record = getattr(record, part)
    return record


def _hint(recipe: Recipe, name: str) -> Any:
    above, _, last = name.rpartition(".")
    kind: Any = type(_at(recipe, above) if above else recipe)
    return _hints(kind)[last]


def _with(record: Any, names: list[str], value: Any) -> Any:
    first, *rest = names
    return replace(record, **{first: _with(getattr(record, first), rest, value) if rest else value})


def _parse(name: str, text: str, current: Any, hint: Any) -> Any:
    if get_origin(hint) is Literal:
        if text not in get_args(hint):
            raise unknown(
                f"value of {name}", text, get_args(hint), f"it is one of {', '.join(get_args(hint))}"
            )
        return text
    if name == "head_weights":
        return _head_weights(text)
    if isinstance(current, tuple):
        return tuple(_number(name, part, float) for part in text.split(","))
    if isinstance(current, str):
        return text
    return _number(name, text, type(current))


def _number(name: str, text: str, kind: type) -> Any:
    try:
        if kind is bool:
            return _truth(text)
        value = kind(text)
    except ValueError:
        raise UsageError(f"--set {name}={text}: {WORDS[kind]} is needed") from None
    last = name.rpartition(".")[2]
    if not math.isfinite(value) or (value < 0 and last not in ANY):
        raise UsageError(f"--set {name}={text}: a number of at least 0 is needed")
    if last in AT_MOST_ONE and value > 1:
        raise UsageError(f"--set {name}={text}: a number from 0 to 1 is needed")
    if last in AT_LEAST_ONE and value < 1:
        raise UsageError(f"--set {name}={text}: a number of at least 1 is needed")
    return value


def _head_weights(text: str) -> tuple[tuple[str, float], ...]:
    """`0.3` for all heads, or `4a:0.3,4d:0.2`."""
    pairs = []
    for part in text.split(","):
        address, _, weight = part.rpartition(":")
        pairs.append((address.strip() or "*", float(_number("head_weights", weight.strip(), float))))
    return tuple(pairs)


def _truth(text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise ValueError(text)
    return text.lower() in TRUE
