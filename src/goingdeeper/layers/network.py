"""A whole network: layers, auxiliary heads, input, classes and the rule for initial weights."""

from __future__ import annotations

from dataclasses import dataclass

from goingdeeper.errors import DescriptionError
from goingdeeper.layers.checks import LARGEST, fits, shown, typed
from goingdeeper.layers.containers import Named, Names, as_layer, named, paired
from goingdeeper.layers.initial import Initialisation
from goingdeeper.layers.naming import check_heads


@dataclass(frozen=True, init=False)
class Network:
    """A whole network: layers by name, auxiliary heads by the address they read, input and class count.

    input: (channels, height, width) in pixels. A head's address may lie within a block, `4a.5x5`, or be a
    part of a convolution unit: `conv1.conv` is what stands before the norm and the activation.
    """

    name: str
    layers: Named
    heads: Named
    input: tuple[int, int, int]
    classes: int
    init: Initialisation

    def __init__(
        self,
        name: str,
        layers: Names,
        heads: Names = (),
        input: tuple[int, int, int] = (3, 224, 224),
        classes: int = 1000,
        init: Initialisation | None = None,
    ) -> None:
        input = tuple(input) if isinstance(input, list) else input
        if not fits(input, tuple[int, int, int]) or not 1 <= min(input) <= max(input) <= LARGEST:
            text = f"is not (channels, height, width), each from 1 to {LARGEST}"
            raise DescriptionError(f"{name}: input {shown(input)} {text}")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "layers", named(layers))
        object.__setattr__(self, "heads", _heads(heads))
        object.__setattr__(self, "input", input)
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "init", Initialisation() if init is None else init)
        typed(self, "layers", "heads")
        if not 1 <= classes <= LARGEST:
            limit = "at least 1 is needed" if classes < 1 else f"at most {LARGEST} are possible"
            raise DescriptionError(f"{name}: {shown(classes)} classes; {limit}")

    def _repr_html_(self) -> str:
        from goingdeeper.tables.table import table

        return table(self, style="html")

    def _repr_svg_(self) -> str:
        from goingdeeper.drawings.draw import draw

        return draw(self)


def _heads(heads: Names) -> Named:
    pairs = paired(heads, "heads")
    check_heads([address for address, _ in pairs])
    return tuple((address, as_layer(layer, f"heads.{address}")) for address, layer in pairs)
