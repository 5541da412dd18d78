"""A teacher's map, and the regressor that predicts it from the student's. Romero et al. 2015, section 2.2."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from goingdeeper.errors import UsageError
from goingdeeper.layers import Activation, Conv, Highway, Linear, Network, PReLU, Residual, uniform
from goingdeeper.nn.build import Net
from goingdeeper.nn.initialise import fill
from goingdeeper.nn.modules import ConvUnit
from goingdeeper.recipes.losses import Hint
from goingdeeper.shapes import Shape, dims
from goingdeeper.trace import trace, unit_parts
from goingdeeper.training.losses import full

WEIGHTS = uniform(0.05)
"""How the regressor starts in the authors' release; the paper does not say."""


def hint_losses(student: Tensor, teacher: Tensor, regressor: nn.Module) -> Tensor:
    """(N,): 1/2 |teacher - regressor(student)|^2 of each image, summed over the map. Equation 3."""
    predicted: Tensor = regressor(_as_map(student))
    return 0.5 * (full(_as_map(teacher)) - predicted).flatten(1).square().sum(1)


def regressor(student: Network, teacher: Network, hint: Hint, generator: torch.Generator) -> nn.Module:
    """What makes the student's map the teacher's in size: a convolution unit without padding, with a bias.

    It ends as the teacher's layer does, with as many pieces where that is a maxout, so that both maps have
    gone through the same non-linearity. As in the authors' release it is left out, an Identity, where the
    sizes are equal. Raises UsageError where the teacher's map is the larger one.
    """
    given = _sized(probed(student, hint.student)[0])
    try:
        wanted = _sized(probed(teacher, hint.teacher)[0])
    except UsageError as problem:
        raise UsageError(f"the teacher: {problem}; or name another with --set loss.teacher=") from None
    if given == wanted:
        return nn.Identity()
    kernel = given[1] - wanted[1] + 1, given[2] - wanted[2] + 1
    if min(kernel) < 1:
        raise UsageError(
            f"{hint.student} in {student.name} gives {dims(given)}, {hint.teacher} in the teacher "
            f"{teacher.name} {dims(wanted)}: a hint's map cannot be larger than the student's; "
            "name an earlier layer of the student or a later one of the teacher"
        )
    act = _last_activation(teacher, hint.teacher)
    with torch.device("meta"):  # torch's own initial values would move its global random state
        unit = ConvUnit(Conv(wanted[0], kernel, padding=0, bias=True, act=act), given[0], wanted[0])
    unit.to_empty(device="cpu")
    fill(unit.get_parameter("conv.weight"), WEIGHTS, generator)
    nn.init.zeros_(unit.get_parameter("conv.bias"))
    if isinstance(act, PReLU):
        nn.init.constant_(unit.get_parameter("act.weight"), act.slope)
    return unit


def probed(network: Network, address: str) -> tuple[Shape, frozenset[str]]:
    """The shape of one image's value at an address of the trunk, and the parameters it depends on.

    Nothing is computed: the network is built without values.
    """
    with torch.device("meta"):
        net = Net(network)
    value = net.until(torch.empty(2, *network.input, device="meta"), address)
    if not value.requires_grad:
        return tuple(value.shape[1:]), frozenset()
    parameters = dict(net.named_parameters())
    found = torch.autograd.grad(value.sum(), list(parameters.values()), allow_unused=True)
    reached = (name for name, gradient in zip(parameters, found, strict=True) if gradient is not None)
    return tuple(value.shape[1:]), frozenset(reached)


def _last_activation(network: Network, address: str) -> Activation | None:
    """What the value at an address of the trunk has gone through last; None where it may take any value."""
    unit, _, part = address.rpartition(".")
    last: Activation | None = None
    for step in trace(replace(network, heads=())):
        match step.layer:
            case Conv() | Linear() | Residual():
                last = step.layer.act
            case Highway():
                last = None
        if step.path == address:
            return last
        if step.path == unit and isinstance(step.layer, Conv) and part in unit_parts(step.layer):
            return last if part == "act" else None
    return last


def _sized(shape: Shape) -> tuple[int, int, int]:
    """Features of a fully connected layer are a map of one pixel."""
    channels, height, width = (*shape, 1, 1)[:3]
    return channels, height, width


def _as_map(x: Tensor) -> Tensor:
    return x if x.ndim == 4 else x[:, :, None, None]
