"""Optimisers as plain data, in the form that each paper means; `training` has the computing ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from goingdeeper.recipes.schedules import Schedule


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, PyTorch's form: v <- m v + g; w <- w - rate v."""

    rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4


@dataclass(frozen=True)
class CaffeSGD:
    """Momentum with the rate inside, as the papers have it: v <- m v + rate g; w <- w - v.

    The same as SGD while the rate is constant; where it changes, old steps go on at the old rate.
    """

    rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4


@dataclass(frozen=True)
class RMSProp:
    """TensorFlow's form: s <- d s + (1 - d) g^2; v <- m v + rate g / sqrt(s + eps); w <- w - v.

    start: what s is at first. Pylearn2's form, g / max(sqrt(s), 1e-5) with s from 0 and no momentum, is this
    one with eps 1e-10, start 0 and momentum 0, but for gradients of about 1e-5.
    """

    rate: float = 0.045
    decay: float = 0.9
    momentum: float = 0.9
    eps: float = 1.0
    start: float = 1.0
    weight_decay: float = 4e-5


@dataclass(frozen=True)
class Adam:
    """Kingma and Ba 2015; the decay is added to the gradient, or kept apart from it (`decoupled`, AdamW)."""

    rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    decoupled: bool = False


@dataclass(frozen=True)
class LAMB:
    """You et al. 2020: Adam's step with decay, scaled in each layer to the norm of its weights.

    What does not decay takes Adam's step as it is, as in the program of "ResNet strikes back": the norm of a
    bias that starts at 0 says nothing about its scale.
    """

    rate: float = 5e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-6
    weight_decay: float = 0.02


Optimiser: TypeAlias = SGD | CaffeSGD | RMSProp | Adam | LAMB


@dataclass(frozen=True)
class Rule:
    """What is different for some parameters; of several rules that fit, factors multiply.

    of: `weights`, `convolutions` (weights and biases), `biases`, `norms` (gamma and beta), `slopes`,
    `classifier` (the trunk's last layer, weights and biases), the name of one parameter such as
    `conv1.conv.weight`, or a pattern of names such as `heads.*`. Words and patterns may find nothing, since
    recipes are for several networks; a name that the network does not have is refused.

    rate: factor on the rate. decay: factor on the weight decay, which is 1 for weights and 0 for the rest, or
    1 for all with the recipe's `decay_all`; a rule for biases, norms or slopes, or for one parameter by name,
    counts from 1; None leaves it. max_norm: bound on the norm of each filter's or unit's weights after every
    update, 0 for none; the lowest holds. schedule: on top of the recipe's own.
    """

    of: str
    rate: float = 1.0
    decay: float | None = None
    max_norm: float = 0.0
    schedule: Schedule | None = None
