"""What goes back through shortcuts: gates of 0 and 1, or everything."""

from __future__ import annotations

from goingdeeper.layers import RELU, BatchNorm, Conv, Identity, Layer, Residual
from goingdeeper.why.charts import Lines, curve
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import piece

WIDTH, SIDE, IMAGES, BLOCKS = 16, 8, 16, 8


def init(seed: int) -> Part:
    """Blocks as He et al. 2015 have them, and without the ReLU behind the addition, as in the later form."""
    import torch

    from goingdeeper.nn.build import Net, build
    from goingdeeper.why.noise import noise

    images = noise(seed, IMAGES, WIDTH, SIDE, SIDE)
    names = [f"block{number + 1}" for number in range(BLOCKS)]

    def blocks(act: bool) -> Net:
        norm = BatchNorm()
        body: dict[str, Layer] = {
            "conv1": Conv(WIDTH, 3, norm=norm),
            "conv2": Conv(WIDTH, 3, norm=norm, act=None),
        }
        block = Residual(body, Identity(), RELU if act else None)
        return build(piece(dict.fromkeys(names, block), (WIDTH, SIDE, SIDE)), seed=seed)

    def zeroed(act: bool) -> torch.Tensor:
        """The gradient of the last block's output by the first one's input, each residual zero."""
        net = blocks(act)
        with torch.no_grad():
            for name in names:
                net.get_parameter(f"{name}.conv2.norm.weight").zero_()
        given = images.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(net.until(given, names[-1]).sum(), given)
        return gradient

    gated, free = zeroed(act=True), zeroed(act=False)
    with torch.no_grad():
        _, made = blocks(act=True).tap(images, names)
    still = torch.ones_like(images, dtype=torch.bool)
    shut = []
    for name in names:
        still &= made[name] > 0  # the ReLU behind this addition lets the shortcut through
        shut.append(1 - float(still.float().mean()))
    chart = Lines(
        "propagation",
        "Shortcuts of residual blocks with their initial weights, on noise",
        "blocks passed",
        "shortcuts that a ReLU has shut, %",
        (
            curve("ReLU behind each addition", range(1, BLOCKS + 1), (100 * share for share in shut)),
            curve("no ReLU behind the additions", range(1, BLOCKS + 1), [0] * BLOCKS),
        ),
    )
    evidence = measured(
        "propagation",
        float(((gated != 0) & (gated != 1)).sum()),
        float((gated == 0).float().mean()),
        float((free != 1).float().mean()),
        shut[-1],
    )
    return Part((evidence,), (chart,))
