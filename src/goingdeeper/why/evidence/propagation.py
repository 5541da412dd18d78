"""What goes back through shortcuts: gates of 0 and 1, or everything, and what a projection makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goingdeeper.catalogue.resnet import Option, basic
from goingdeeper.layers import RELU, Layer, Residual
from goingdeeper.why.charts import Bars, Lines, curve, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import piece

if TYPE_CHECKING:
    from torch import Tensor

    from goingdeeper.nn.build import Net

WIDTH, SIDE, IMAGES, BLOCKS = 16, 8, 16, 8
NAMES = tuple(f"block{number + 1}" for number in range(BLOCKS))

FIFTH: dict[str, tuple[int, int, Option]] = {
    "identity": (WIDTH, 1, "a"),
    "zero-padding (A)": (2 * WIDTH, 2, "a"),
    "projection, dimensions grow (B, C)": (2 * WIDTH, 2, "b"),
    "projection, they stay (C)": (WIDTH, 1, "c"),
}
"""The block in the middle: its filters, stride and option."""


def init(seed: int) -> Part:
    """Blocks as He et al. 2015 have them, and without the ReLU behind the addition, as in the later form."""
    import torch

    from goingdeeper.why.noise import noise

    images = noise(seed, IMAGES, WIDTH, SIDE, SIDE)
    gated, free = (
        _in_front(_blocks(seed, act=act, zeroed=True), images, torch.ones_like(images))
        for act in (True, False)
    )
    with torch.no_grad():
        _, made = _blocks(seed, act=True).tap(images, NAMES)
    still = torch.ones_like(images, dtype=torch.bool)
    shut = []
    for name in NAMES:
        still &= made[name] > 0  # the ReLU behind this addition lets the shortcut through
        shut.append(1 - float(still.float().mean()))
    cosines = {name: _cosine(seed, images, fifth) for name, fifth in FIFTH.items()}
    charts = (
        Lines(
            "propagation",
            "Shortcuts of residual blocks with their initial weights, on noise",
            "blocks passed",
            "shortcuts that a ReLU has shut, %",
            (
                curve("ReLU behind each addition", range(1, BLOCKS + 1), (100 * share for share in shut)),
                curve("no ReLU behind the additions", range(1, BLOCKS + 1), [0] * BLOCKS),
            ),
        ),
        Bars(
            "propagation-projection",
            "Gradient through 8 blocks, by the shortcut of the fifth",
            "cosine to what identities pass on (residuals 0, no ReLU)",
            tuple(cosines),
            (heights("cosine", cosines.values()),),
        ),
    )
    _, padded, grown, kept = cosines.values()
    evidence = measured(
        "propagation",
        float(((gated != 0) & (gated != 1)).sum()),
        float((gated == 0).float().mean()),
        float((free != 1).float().mean()),
        shut[-1],
        padded,
        grown,
        kept,
    )
    return Part((evidence,), charts)


def _blocks(
    seed: int, act: bool, zeroed: bool = False, fifth: tuple[int, int, Option] = FIFTH["identity"]
) -> Net:
    """act: whether a ReLU stands behind each addition. zeroed: whether each residual is zero."""
    import torch

    from goingdeeper.nn.build import build

    layers: dict[str, Layer] = {}
    channels = WIDTH
    for number, name in enumerate(NAMES):
        filters, stride, option = fifth if number == BLOCKS // 2 else (channels, 1, "a")
        block = basic(filters, stride, option, channels)
        layers[name] = Residual(dict(block.body), block.shortcut, RELU if act else None)
        channels = filters
    net = build(piece(layers, (WIDTH, SIDE, SIDE)), seed=seed)
    if zeroed:
        with torch.no_grad():
            for name in NAMES:
                net.get_parameter(f"{name}.conv2.norm.weight").zero_()
    return net


def _in_front(net: Net, images: Tensor, behind: Tensor) -> Tensor:
    """The gradient by the first block's input, given that by the last one's output."""
    import torch

    given = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net.until(given, NAMES[-1]), given, behind)
    return gradient


def _cosine(seed: int, images: Tensor, fifth: tuple[int, int, Option]) -> float:
    """Of the gradient in front of the blocks and what identities would pass on, the size."""
    import torch

    from goingdeeper.why.noise import noise

    filters, stride, _ = fifth
    behind = noise(seed + 1, IMAGES, filters, SIDE // stride, SIDE // stride)
    passed = torch.zeros_like(images)
    passed[:, :, ::stride, ::stride] = behind[:, :WIDTH]
    found = _in_front(_blocks(seed, act=False, zeroed=True, fifth=fifth), images, behind)
    return abs(float(torch.cosine_similarity(found.flatten(), passed.flatten(), 0)))
