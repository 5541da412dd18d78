"""Parameters, multiply-adds and activations by arithmetic on shapes; nothing is traced or built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from goingdeeper.catalogue import described
from goingdeeper.layers import Conv, Linear, Network, pair
from goingdeeper.trace import Step, trace


@dataclass(frozen=True)
class Counts:
    """Trainable parameters by what they are, and multiply-adds for one image.

    macs: of convolutions and fully connected layers; padded taps count, biases, pools, activations and
    normalisation do not. activations: values that the layers put out (a convolution unit once).
    """

    weights: int = 0
    biases: int = 0
    norm: int = 0
    macs: int = 0
    activations: int = 0

    @property
    def params(self) -> int:
        return self.weights + self.biases + self.norm

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.weights + other.weights,
            self.biases + other.biases,
            self.norm + other.norm,
            self.macs + other.macs,
            self.activations + other.activations,
        )


@dataclass(frozen=True)
class Cost(Counts):
    """The network's counts without its heads, and each head's own."""

    heads: tuple[tuple[str, Counts], ...] = ()

    @property
    def params_with_heads(self) -> int:
        return self.params + sum(head.params for _, head in self.heads)

    @property
    def macs_with_heads(self) -> int:
        return self.macs + sum(head.macs for _, head in self.heads)


def cost(network: Network | str, input: tuple[int, int, int] | None = None) -> Cost:
    """What one image costs, at the network's own input size unless another is given. An id does, too."""
    network = described(network)
    steps = trace(network, input)
    trunk = total(step for step in steps if not step.path.startswith("heads."))
    heads = tuple(
        (name, total(step for step in steps if within(step.path, f"heads.{name}")))
        for name, _ in network.heads
    )
    return Cost(trunk.weights, trunk.biases, trunk.norm, trunk.macs, trunk.activations, heads)


def total(steps: Iterable[Step]) -> Counts:
    """The sum over steps. Containers count nothing themselves, so any set of steps may be given."""
    return sum((counts(step) for step in steps), Counts())


def counts(step: Step) -> Counts:
    """What one layer costs."""
    layer, out = step.layer, step.shape_out
    values = 1
    for size in out:
        values *= size
    match layer:
        case Conv():
            height, width = pair(layer.kernel)
            weights = height * width * (step.shape_in[0] // layer.groups) * out[0]
            norm = (2 if layer.norm.scale else 1) * out[0] if layer.norm else 0
            return Counts(weights, out[0] if layer.bias else 0, norm, weights * out[1] * out[2], values)
        case Linear():
            inputs = 1
            for size in step.shape_in:
                inputs *= size
            return Counts(inputs * out[0], out[0] if layer.bias else 0, 0, inputs * out[0], values)
        case _:
            return Counts(activations=values if step.leaf else 0)


def within(path: str, address: str) -> bool:
    """Whether a step's path is at or below an address."""
    return path == address or path.startswith(f"{address}.")
