"""Which names layers can have: they become names of torch modules and parts of addresses."""

from __future__ import annotations

from collections.abc import Sequence

from goingdeeper.errors import DescriptionError
from goingdeeper.layers.checks import shown

# Names that torch modules or their containers use themselves; all that start so, or are one of these.
_RESERVED_STARTS = ("_", "get_", "set_", "register_", "named_", "load_state_dict")
_RESERVED = frozenset(
    "T_destination add_module append apply bfloat16 buffers call_super_init children clear compile cpu cuda "
    "double dump_patches eval extend extra_repr float forward half heads insert ipu items keys modules mtia "
    "parameters pop requires_grad_ share_memory shortcut state_dict to to_empty train training type update "
    "values xpu zero_grad".split()
)


def check_names(names: Sequence[str], above: str = "") -> None:
    """Refuses what cannot be the names of layers side by side, at `above`. Raises DescriptionError."""
    place = f"{above}: " if above else ""
    if not names:
        raise DescriptionError(f"{place}an empty chain or branch; use Identity() where nothing happens")
    for name in names:
        if not isinstance(name, str):
            raise DescriptionError(f"{place}{shown(name)} cannot be a layer's name: it is no text")
        if name in _RESERVED or name.startswith(_RESERVED_STARTS):
            raise DescriptionError(f"{place}'{name}' cannot be a layer's name: torch uses it itself")
        if "." in name:
            text = "a dot separates levels of an address, so no name has one"
            raise DescriptionError(f"{place}'{name}': {text}")
        if not name.isprintable() or name.split() != [name]:
            text = "cannot be a layer's name: it is empty or has blanks in it"
            raise DescriptionError(f"{place}{name!r} {text}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DescriptionError(f"{place}two layers are called '{twice}'")


def check_heads(addresses: Sequence[str]) -> None:
    """Refuses what cannot be the addresses that heads read. Raises DescriptionError."""
    for address in addresses:
        if not isinstance(address, str):
            raise DescriptionError(f"{shown(address)} cannot be a head's address: it is no text")
        for part in address.split("."):
            if part != "shortcut":
                check_names([part])
        for other in addresses:
            if other.startswith(f"{address}."):
                raise DescriptionError(f"heads at '{address}' and '{other}': one address is within the other")
        if addresses.count(address) > 1:
            raise DescriptionError(f"two heads read '{address}'")
