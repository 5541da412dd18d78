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
    """TensorFlow's form: s <- d s + (1 - d) g^2, from 1; v <- m v + rate g / sqrt(s + eps); w <- w - v."""

    rate: float = 0.045
    decay: float = 0.9
    momentum: float = 0.9
    eps: float = 1.0
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
    """You et al. 2020: Adam's step with decay, scaled in each layer to the norm of its weights."""

    rate: float = 5e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-6
    weight_decay: float = 0.02


Optimiser: TypeAlias = SGD | CaffeSGD | RMSProp | Adam | LAMB


@dataclass(frozen=True)
class Rule:
    """What is different for some parameters; of several rules that fit, factors multiply.

    of: `weights`, `convolutions`, `biases`, `norms`, `slopes`, `classifier` (the last layer's weights and
    biases), or a pattern of parameter names, such as `conv1.conv.weight` or `heads.*`. rate: factor on the
    rate. decay: factor on the weight decay, which otherwise is 1 for weights and 0 for the rest; None leaves
    it. max_norm: bound on the norm of each filter's or unit's weights after every update, 0 for none.
    schedule: on top of the recipe's own.
    """

    of: str
    rate: float = 1.0
    decay: float | None = None
    max_norm: float = 0.0
    schedule: Schedule | None = None
