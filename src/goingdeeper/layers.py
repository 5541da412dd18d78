"""The records that describe a network: plain data, compared and hashed by value, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from goingdeeper.errors import DescriptionError

CLASSES: Final = "classes"
"""Stands for the network's class count wherever a width is written."""

Width: TypeAlias = int | Literal["classes"]
Pair: TypeAlias = tuple[int, int]
Sides: TypeAlias = tuple[int, int, int, int]
"""Padding at the top, bottom, left and right, in pixels."""

# Names that torch modules or their containers use themselves; all that start so, or are one of these.
_RESERVED_STARTS = ("_", "get_", "set_", "register_", "named_", "load_state_dict")
_RESERVED = frozenset(
    "T_destination add_module append apply bfloat16 buffers call_super_init children clear compile cpu cuda "
    "double dump_patches eval extend extra_repr float forward half heads insert ipu items keys modules mtia "
    "parameters pop requires_grad_ share_memory shortcut state_dict to to_empty train training type update "
    "values xpu zero_grad".split()
)


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalisation over the channels; `scale` says whether gamma is learned (beta always is)."""

    eps: float = 1e-5
    momentum: float = 0.1
    scale: bool = True

    def __post_init__(self) -> None:
        _within(self, 0, "eps")
        _within(self, 0, "momentum", most=1)


@dataclass(frozen=True)
class Conv:
    """A convolution unit: convolution, then `norm`, then ReLU.

    kernel: one number or (height, width). padding: pixels on each side, or (top, bottom, left, right);
    left out, the map keeps its size at stride 1.
    """

    filters: Width
    kernel: int | Pair
    stride: int = 1
    padding: int | Sides | None = None
    groups: int = 1
    bias: bool = False
    norm: BatchNorm | None = None
    relu: bool = True

    def __post_init__(self) -> None:
        _within(self, 1, "filters", "kernel", "stride", "groups")
        _within(self, 0, "padding")


@dataclass(frozen=True)
class MaxPool:
    """Maximum over a window. `ceil` rounds the output size up instead of down."""

    kernel: int | Pair
    stride: int = 1
    padding: int | Sides | None = None
    ceil: bool = False

    def __post_init__(self) -> None:
        _window(self)


@dataclass(frozen=True)
class AvgPool:
    """Mean over a window. `count_padding` says whether padded taps count in the divisor."""

    kernel: int | Pair
    stride: int = 1
    padding: int | Sides | None = None
    ceil: bool = False
    count_padding: bool = True

    def __post_init__(self) -> None:
        _window(self)


@dataclass(frozen=True)
class GlobalAvgPool:
    """Mean over the whole map."""


@dataclass(frozen=True)
class LRN:
    """Local response normalisation across channels: x / (k + alpha/size * sum of squares)^beta."""

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        _within(self, 1, "size")


@dataclass(frozen=True)
class Linear:
    """A fully connected layer on everything that comes in (a map is flattened)."""

    features: Width
    bias: bool = True
    relu: bool = False

    def __post_init__(self) -> None:
        _within(self, 1, "features")


@dataclass(frozen=True)
class Dropout:
    rate: float

    def __post_init__(self) -> None:
        _within(self, 0, "rate", most=1)


@dataclass(frozen=True)
class Identity:
    pass


@dataclass(frozen=True)
class ZeroPad:
    """Option A's shortcut: every `stride`-th pixel, missing channels filled with zeros.

    side: "after" appends the zeros behind the real channels; "both" puts half of them on either side.
    He et al. 2015, section 3.3.
    """

    filters: int
    stride: int = 1
    side: Literal["after", "both"] = "after"

    def __post_init__(self) -> None:
        _within(self, 1, "filters", "stride")


@dataclass(frozen=True, init=False)
class Chain:
    """Layers one after another, by name."""

    layers: Named

    def __init__(self, layers: Names) -> None:
        object.__setattr__(self, "layers", named(layers))


@dataclass(frozen=True, init=False)
class Concat:
    """Branches on the same input, joined along the channels."""

    branches: Named

    def __init__(self, branches: Names) -> None:
        object.__setattr__(self, "branches", named(branches))


@dataclass(frozen=True, init=False)
class Residual:
    """body(x) + shortcut(x), then ReLU. The body's layers are addressed without a level of their own."""

    body: Named
    shortcut: Layer
    relu: bool = True

    def __init__(self, body: Names, shortcut: Layer | Names, relu: bool = True) -> None:
        object.__setattr__(self, "body", named(body))
        object.__setattr__(self, "shortcut", _layer(shortcut))
        object.__setattr__(self, "relu", relu)


Leaf: TypeAlias = Conv | MaxPool | AvgPool | GlobalAvgPool | LRN | Linear | Dropout | Identity | ZeroPad
Layer: TypeAlias = Leaf | Chain | Concat | Residual
Named: TypeAlias = tuple[tuple[str, Layer], ...]
Names: TypeAlias = "Mapping[str, Layer | Names] | Named"

LEAVES: Final = (Conv, MaxPool, AvgPool, GlobalAvgPool, LRN, Linear, Dropout, Identity, ZeroPad)
CONTAINERS: Final = (Chain, Concat, Residual)


@dataclass(frozen=True)
class Draw:
    """How initial weights are drawn: zero mean, variance `gain` / fan.

    fan: "in" is kernel area times input channels, "out" times filters, "average" the mean of both.
    """

    distribution: Literal["normal", "uniform"]
    gain: float
    fan: Literal["in", "out", "average"] = "in"


@dataclass(frozen=True)
class Initialisation:
    """The paper's rule for initial weights and biases; batch norm starts at gamma 1, beta 0."""

    conv: Draw = field(default=Draw("normal", 2.0))
    linear: Draw = field(default=Draw("uniform", 1 / 3))
    bias: float = 0.0
    classifier_bias: float = 0.0


@dataclass(frozen=True, init=False)
class Network:
    """A whole network: layers by name, auxiliary heads by the address they read, input and class count.

    input: (channels, height, width) in pixels.
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
        if classes < 1:
            raise DescriptionError(f"{name}: {classes} classes; at least 1 is needed")
        if len(input) != 3 or min(input) < 1:
            raise DescriptionError(f"{name}: input {tuple(input)} is not (channels, height, width)")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "layers", named(layers))
        object.__setattr__(self, "heads", named(heads) if heads else ())
        object.__setattr__(self, "input", tuple(input))
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "init", init or Initialisation())

    def _repr_html_(self) -> str:
        from goingdeeper.costs.table import table

        return table(self, style="html")

    def _repr_svg_(self) -> str:
        from goingdeeper.costs.draw import draw

        return draw(self)


def named(layers: Names) -> Named:
    """Ordered (name, layer) pairs from a mapping; inner mappings become chains. Refuses unusable names."""
    pairs = tuple(layers.items()) if isinstance(layers, Mapping) else tuple(layers)
    if not pairs:
        raise DescriptionError("an empty chain or branch; use Identity() where nothing happens")
    names = [name for name, _ in pairs]
    for name in names:
        if name in _RESERVED or name.startswith(_RESERVED_STARTS):
            raise DescriptionError(f"'{name}' cannot be a layer's name: torch uses it itself")
        if "." in name:
            raise DescriptionError(f"'{name}': a dot separates levels of an address, so no name has one")
        if not name.isprintable() or name.split() != [name]:
            raise DescriptionError(f"{name!r} cannot be a layer's name: it is empty or has blanks in it")
        if names.count(name) > 1:
            raise DescriptionError(f"two layers are called '{name}'")
    return tuple((name, _layer(layer)) for name, layer in pairs)


def _layer(layer: Layer | Names) -> Layer:
    if isinstance(layer, LEAVES + CONTAINERS):
        return layer
    if isinstance(layer, Mapping | tuple):
        return Chain(layer)
    raise DescriptionError(f"{layer!r} is not a layer record")


def children(layer: Layer | Network) -> Named:
    """The named parts of a container, in order; a residual's shortcut comes last. A leaf has none."""
    match layer:
        case Network() | Chain():
            return layer.layers
        case Concat():
            return layer.branches
        case Residual():
            return (*layer.body, ("shortcut", layer.shortcut))
        case _:
            return ()


def pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value


def sides(layer: Conv | MaxPool | AvgPool) -> Sides:
    """The layer's padding (top, bottom, left, right), the size-keeping default resolved."""
    if layer.padding is None:
        height, width = pair(layer.kernel)
        return ((height - 1) // 2, height // 2, (width - 1) // 2, width // 2)
    if isinstance(layer.padding, int):
        return (layer.padding,) * 4
    return layer.padding


def _window(pool: MaxPool | AvgPool) -> None:
    _within(pool, 1, "kernel", "stride")
    _within(pool, 0, "padding")
    height, width = pair(pool.kernel)
    top, bottom, left, right = sides(pool)
    if max(top, bottom) > height // 2 or max(left, right) > width // 2:
        # Beyond that a window could lie in the padding alone; torch has the same rule.
        raise DescriptionError(f"{type(pool).__name__}: the padding is more than half of the kernel")


def _within(record: object, least: float, *names: str, most: float = float("inf")) -> None:
    for name in names:
        value = getattr(record, name)
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, str | None) and not least <= number <= most:
                limit = f"at least {least}" if number < least else f"at most {most}"
                raise DescriptionError(f"{type(record).__name__}: {name} is {number}; it must be {limit}")
