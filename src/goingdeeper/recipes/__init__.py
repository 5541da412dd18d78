"""How the papers trained, and how one would today, as data. `recipe` finds one by name."""

from __future__ import annotations

from goingdeeper.errors import unknown
from goingdeeper.recipes import (
    alexnet,
    bn_inception,
    dsn,
    fitnet,
    googlenet,
    highway,
    inception,
    maxout,
    modern,
    nin,
    own,
    prelu,
    resnet,
    signs,
    vgg,
)
from goingdeeper.recipes.own import SCRATCH
from goingdeeper.recipes.recipe import Recipe

__all__ = ["SCRATCH", "Recipe", "names", "recipe", "recipes"]

FILES = (
    own, alexnet, vgg, prelu, googlenet, bn_inception, inception, resnet, maxout, nin, dsn, fitnet, highway,
    signs, modern,
)  # fmt: skip


def recipes() -> dict[str, Recipe]:
    """All recipes by name."""
    return {one.name: one for file in FILES for one in file.RECIPES}


def names() -> list[str]:
    """The names of all recipes."""
    return list(recipes())


def recipe(name: str) -> Recipe:
    """The recipe of this name. Raises UsageError for an unknown one, suggesting close ones."""
    known = recipes()
    if name not in known:
        raise unknown("recipe", name, known, "`deeper recipes` lists them")
    return known[name]
