"""A block that is the identity: residual with zeros, plain by hand."""

from __future__ import annotations

from goingdeeper.layers import RELU, BatchNorm, Conv, Identity, Layer, Residual
from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import piece

WIDTH, SIDE, IMAGES = 16, 8, 4


def init(seed: int) -> Part:
    import torch

    from goingdeeper.nn.build import Net, build
    from goingdeeper.why.noise import noise

    signed = noise(seed, IMAGES, WIDTH, SIDE, SIDE)

    def body(norm: BatchNorm | None, last: bool) -> dict[str, Layer]:
        return {
            "conv1": Conv(WIDTH, 3, norm=norm),
            "conv2": Conv(WIDTH, 3, norm=norm, act=RELU if last else None),
        }

    def block(layer: dict[str, Layer]) -> Net:
        return build(piece(layer, (WIDTH, SIDE, SIDE)), seed=seed).eval()

    def differs(net: Net, address: str, images: torch.Tensor) -> float:
        with torch.inference_mode():
            return float((net.until(images, address) - images).abs().max())

    zeroed = block({"block": Residual(body(None, last=False), Identity(), RELU)})
    normed = block({"block": Residual(body(BatchNorm(), last=False), Identity(), RELU)})
    shifted = block({"block": Residual(body(BatchNorm(), last=False), Identity(), RELU)})
    built = block(body(None, last=True))
    with torch.no_grad():
        for net, name in ((zeroed, "conv.weight"), (normed, "norm.weight"), (shifted, "conv.weight")):
            net.get_parameter(f"block.conv2.{name}").zero_()
        shifted.get_parameter("block.conv2.norm.bias").fill_(0.1)
        for name in ("conv1", "conv2"):
            weight = built.get_parameter(f"{name}.conv.weight").zero_()
            weight[:, :, 1, 1] = torch.eye(WIDTH)
    positive = signed.relu()
    found = {
        "residual, weights 0": differs(zeroed, "block", positive),
        "the same, input of both signs": differs(zeroed, "block", signed),
        "residual with batch norm, its last scale and shift 0": differs(normed, "block", positive),
        "its last weights 0, shift 0.1": differs(shifted, "block", positive),
        "plain, centre taps the identity matrix": differs(built, "conv2", positive),
    }
    zero, both, _, _, plain = found.values()
    evidence = (measured("identity-zero", zero, both), measured("identity-plain", plain))
    chart = Bars(
        "identity",
        "How far a block is from the identity, input not negative unless said",
        "largest difference of a value",
        tuple(found),
        (heights("difference", found.values()),),
    )
    return Part(evidence, (chart,))
