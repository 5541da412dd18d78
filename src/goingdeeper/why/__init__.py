"""The claims that are made for these networks, shown; and probes for any module of torch.

Public names are imported when first used: the claims load no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goingdeeper.probes.attribution import grad_cam, occlusion
    from goingdeeper.probes.field import receptive_field
    from goingdeeper.probes.watch import Watch, read_once
    from goingdeeper.why.claims import topics
    from goingdeeper.why.index import slides
    from goingdeeper.why.run import show, write, write_page
    from goingdeeper.why.trials import Terms

_HOMES = {
    "Terms": "why.trials",
    "Watch": "probes.watch",
    "grad_cam": "probes.attribution",
    "occlusion": "probes.attribution",
    "read_once": "probes.watch",
    "receptive_field": "probes.field",
    "show": "why.run",
    "slides": "why.index",
    "topics": "why.claims",
    "write": "why.run",
    "write_page": "why.run",
}

__all__ = [
    "Terms",
    "Watch",
    "grad_cam",
    "occlusion",
    "read_once",
    "receptive_field",
    "show",
    "slides",
    "topics",
    "write",
    "write_page",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'goingdeeper.why' has no attribute '{name}'")
    return getattr(import_module(f"goingdeeper.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
