"""How the papers trained, as data. `recipe` finds one by name."""

from __future__ import annotations

from goingdeeper.errors import unknown
from goingdeeper.recipes.recipe import Recipe

SCRATCH = Recipe("scratch")


def recipes() -> dict[str, Recipe]:
    """All recipes by name."""
    return {one.name: one for one in (SCRATCH,)}


def recipe(name: str) -> Recipe:
    known = recipes()
    if name not in known:
        raise unknown("recipe", name, known, f"the recipes are: {', '.join(known)}")
    return known[name]
