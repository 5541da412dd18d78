"""Parameters, multiply-adds and activations by arithmetic on shapes; nothing is traced or built."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from goingdeeper.catalogue import described
from goingdeeper.layers import Bias, Conv, Linear, Network, PReLU, pair, pieces
from goingdeeper.trace import Step, trace


@dataclass(frozen=True)
class Counts:
    """Trainable parameters by what they are, and multiply-adds for one image.

    norm: gamma and beta of batch normalisation. slopes: PReLU's. macs: of convolutions and fully connected
    layers; padded taps count, biases, pools, activations and normalisation do not. activations: values that
    the layers put out (a convolution unit once).
    """

    weights: int = 0
    biases: int = 0
    norm: int = 0
    slopes: int = 0
    macs: int = 0
    activations: int = 0

    @property
    def params(self) -> int:
        return self.weights + self.biases + self.norm + self.slopes

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Counts)))


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
    return Cost(**asdict(trunk), heads=heads)


def total(steps: Iterable[Step]) -> Counts:
    """The sum over steps. Containers count nothing themselves, so any set of steps may be given."""
    return sum((counts(step) for step in steps), Counts())


def counts(step: Step) -> Counts:
    """What one layer costs. A convolution or fully connected layer computes `pieces` times its width."""
    layer, out = step.layer, step.shape_out
    values = math.prod(out)
    match layer:
        case Conv():
            outputs = out[0] * pieces(layer)
            weights = math.prod(pair(layer.kernel)) * (step.shape_in[0] // layer.groups) * outputs
            norm = (2 if layer.norm.scale else 1) * outputs if layer.norm else 0
            positions = out[1] * out[2]
        case Linear():
            outputs = out[0] * pieces(layer)
            weights, norm, positions = math.prod(step.shape_in) * outputs, 0, 1
        case Bias():
            return Counts(biases=out[0], activations=values)
        case _:
            return Counts(activations=values if step.leaf else 0)
    slopes = (1 if layer.act.shared else out[0]) if isinstance(layer.act, PReLU) else 0
    return Counts(weights, outputs if layer.bias else 0, norm, slopes, weights * positions, values)


def within(path: str, address: str) -> bool:
    """Whether a step's path is at or below an address."""
    return path == address or path.startswith(f"{address}.")
