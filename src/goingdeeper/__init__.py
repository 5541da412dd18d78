"""Going Deeper: the Inception and ResNet families, built, measured, trained and explained as published.

Public names are imported when first used, so that importing the package loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from goingdeeper.version import __version__

if TYPE_CHECKING:
    from goingdeeper.api import (
        check,
        compare,
        evaluate,
        features,
        report,
        train,
        train_several,
    )
    from goingdeeper.catalogue import names as list_models
    from goingdeeper.catalogue import network
    from goingdeeper.comparisons.audit import audit
    from goingdeeper.comparisons.diff import diff
    from goingdeeper.costs.counts import cost
    from goingdeeper.drawings.draw import draw
    from goingdeeper.nn.build import build
    from goingdeeper.notation import from_json, to_json
    from goingdeeper.opened import Run, load
    from goingdeeper.recipes import names as list_recipes
    from goingdeeper.recipes import recipe
    from goingdeeper.runs.listing import list_runs
    from goingdeeper.tables.table import table
    from goingdeeper.weights.create import create_model

_HOMES = {
    "Run": "opened",
    "check": "api",
    "compare": "api",
    "evaluate": "api",
    "features": "api",
    "load": "opened",
    "report": "api",
    "train": "api",
    "train_several": "api",
    "network": "catalogue",
    "list_models": "catalogue:names",
    "list_recipes": "recipes:names",
    "list_runs": "runs.listing",
    "recipe": "recipes",
    "audit": "comparisons.audit",
    "cost": "costs.counts",
    "diff": "comparisons.diff",
    "draw": "drawings.draw",
    "table": "tables.table",
    "build": "nn.build",
    "create_model": "weights.create",
    "from_json": "notation",
    "to_json": "notation",
}

__all__ = [
    "Run",
    "__version__",
    "audit",
    "build",
    "check",
    "compare",
    "cost",
    "create_model",
    "diff",
    "draw",
    "evaluate",
    "features",
    "from_json",
    "list_models",
    "list_recipes",
    "list_runs",
    "load",
    "network",
    "recipe",
    "report",
    "table",
    "to_json",
    "train",
    "train_several",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'goingdeeper' has no attribute '{name}'")
    home, _, original = _HOMES[name].partition(":")
    return getattr(import_module(f"goingdeeper.{home}"), original or name)


def __dir__() -> list[str]:
    return __all__
