"""Which parameters a recipe's rules mean, by the description, and what the rules make of each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from goingdeeper.errors import unknown
from goingdeeper.layers import Conv, Linear, Network
from goingdeeper.recipes.optimisers import Rule
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.schedules import Schedule
from goingdeeper.stages import classifier, depth_of, depths
from goingdeeper.trace import trace

WORDS = ("weights", "convolutions", "biases", "norms", "slopes", "classifier")
APART = frozenset({"biases", "norms", "slopes"})
"""What does not decay unless a recipe says so."""


@dataclass(frozen=True)
class Share:
    """What a parameter has of its recipe: factors on rate and decay, schedules on top, a bound on norms."""

    rate: float
    decay: float
    max_norm: float
    schedules: tuple[Schedule, ...]


def shares(names: Iterable[str], network: Network, recipe: Recipe) -> dict[str, Share]:
    """By the parameters' names, what the recipe's rules give each.

    Parameters from outside of the description, such as a hint's regressor, are biases or weights by their
    names. Raises UsageError for a rule that names a parameter which is not there.
    """
    known, depth = kinds(network), depths(network)
    found = {name: known.get(name, _outside(name)) for name in names}
    for rule in recipe.rules:
        if not _is_pattern(rule.of) and rule.of not in {*WORDS, *known, *found}:
            raise unknown(
                f"part of {network.name} in a rule of recipe {recipe.name}:", rule.of, [*WORDS, *found],
                f"a rule is for {', '.join(WORDS)}, a parameter or a pattern",
            )  # fmt: skip
    return {
        name: _share(name, words, recipe, recipe.stage_rate ** depth_of(name, depth))
        for name, words in found.items()
    }


def kinds(network: Network) -> dict[str, frozenset[str]]:
    """The words that fit each parameter that the network's layers may have, by its name when built."""
    last = classifier(network)
    found: dict[str, frozenset[str]] = {}
    for step in trace(network):
        if isinstance(step.layer, Conv | Linear):
            place = {"classifier"} if step.path == last else set()
            place |= {"convolutions"} if isinstance(step.layer, Conv) else set()
            inner = f"{step.path}.conv" if isinstance(step.layer, Conv) else step.path
            found[f"{inner}.weight"] = frozenset({"weights", *place})
            found[f"{inner}.bias"] = frozenset({"biases", *place})
            found[f"{step.path}.norm.weight"] = found[f"{step.path}.norm.bias"] = frozenset({"norms"})
            found[f"{step.path}.act.weight"] = frozenset({"slopes"})
    return found


def _outside(name: str) -> frozenset[str]:
    return frozenset({"biases" if name.endswith("bias") else "weights"})


def _share(name: str, words: frozenset[str], recipe: Recipe, stage: float) -> Share:
    rules = [rule for rule in recipe.rules if _fits(rule, name, words)]
    decays = [rule.decay for rule in rules if rule.decay is not None]
    named = any(rule.of in APART or rule.of == name for rule in rules if rule.decay is not None)
    bounds = [rule.max_norm for rule in rules if rule.max_norm and "weights" in words]
    return Share(
        math.prod(rule.rate for rule in rules) * stage,
        math.prod(decays) * ("weights" in words or recipe.decay_all or named),
        min(bounds, default=0.0),
        tuple(rule.schedule for rule in rules if rule.schedule),
    )


def _fits(rule: Rule, name: str, words: frozenset[str]) -> bool:
    return rule.of in words if rule.of in WORDS else fnmatchcase(name, rule.of)


def _is_pattern(of: str) -> bool:
    return any(sign in of for sign in "*?[")
