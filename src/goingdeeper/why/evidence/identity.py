"""A block that is the identity: residual with zeros, plain by hand, and either as training finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from goingdeeper.layers import RELU, BatchNorm, Conv, Identity, Layer, Network, Residual
from goingdeeper.why.charts import Bars, Lines, Series, heights, spread
from goingdeeper.why.claims import judged, measured
from goingdeeper.why.intervals import geometric
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import piece

if TYPE_CHECKING:
    from goingdeeper.why.trials import Terms

WIDTH, SIDE, IMAGES = 16, 8, 4

KINDS, DEPTHS = ("plain", "residual"), (2, 4, 16)
RATES, BATCH, STEPS = (0.01, 0.03), 16, 200
"""Of the training: each kind and depth takes the better of the rates."""
END = 10
"""Steps at the end whose mean loss counts."""


def init(seed: int) -> Part:
    import torch

    from goingdeeper.nn.build import Net, build
    from goingdeeper.why.noise import noise

    signed = noise(seed, IMAGES, WIDTH, SIDE, SIDE)

    def block(layer: dict[str, Layer]) -> Net:
        return build(piece(layer, (WIDTH, SIDE, SIDE)), seed=seed).eval()

    def differs(net: Net, address: str, images: torch.Tensor) -> float:
        with torch.inference_mode():
            return float((net.until(images, address) - images).abs().max())

    zeroed = block({"block": Residual(_body(None, last=False), Identity(), RELU)})
    normed = block({"block": Residual(_body(BatchNorm(), last=False), Identity(), RELU)})
    shifted = block({"block": Residual(_body(BatchNorm(), last=False), Identity(), RELU)})
    built = block(_body(None, last=True))
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


def training(terms: Terms) -> Part:
    """Stacks with their usual initial weights learn to give back noise without negative values.

    Losses are shares of the noise's variance, which is what its mean alone would leave.
    """
    terms.events("").note(f"stacks of {', '.join(map(str, DEPTHS))} layers learn to give back their input")
    losses = {
        (kind, depth): min(
            ([reproduced(stack(kind, depth), rate, seed) for seed in terms.seeds] for rate in RATES),
            key=lambda runs: fmean(map(_end, runs)),
        )
        for kind in KINDS
        for depth in DEPTHS
    }
    ends = {key: [_end(run) for run in runs] for key, runs in losses.items()}

    def times(one: tuple[str, int], other: tuple[str, int]) -> list[float]:
        return [mine / its for mine, its in zip(ends[one], ends[other], strict=True)]

    least, middle, most = DEPTHS
    evidence = judged(
        "identity-trained",
        geometric(times(("plain", middle), ("residual", middle))),
        geometric(times(("plain", most), ("residual", most))),
        geometric(times(("plain", most), ("plain", least))),
        remedy="more seeds",
    )
    chart = Lines(
        "identity-trained",
        "Stacks of 3x3 layers learn to give back their input",
        "step",
        "loss: 1 is what the mean alone leaves",
        tuple(_curve(f"{kind}, {depth} layers", runs) for (kind, depth), runs in losses.items()),
        y_scale="log",
    )
    note = (
        f"{WIDTH} channels of {SIDE}x{SIDE}, batch norm, {STEPS} steps of Adam with {BATCH} new maps of "
        f"noise behind a ReLU, each kind and depth at the better of the rates {RATES[0]} and {RATES[1]}; "
        f"mean of the last {END} steps, {len(terms.seeds)} seeds; ratios are geometric means, paired by "
        "seed; whatever --time and --data say"
    )
    return Part((evidence,), (chart,), (note,))


def stack(kind: str, depth: int) -> tuple[Network, str]:
    """3x3 layers, every two of them with a shortcut around in a residual one; and the address of the last."""
    block = {"block": Residual(_body(BatchNorm(), last=False), Identity(), RELU)}
    pair: Mapping[str, Layer] = block if kind == "residual" else _body(BatchNorm(), last=True)
    layers = {f"{name}_{count}": layer for count in range(1, depth // 2 + 1) for name, layer in pair.items()}
    return piece(layers, (WIDTH, SIDE, SIDE)), list(layers)[-1]


def reproduced(stack: tuple[Network, str], rate: float, seed: int) -> list[float]:
    """The loss of each step of training from the initial weights."""
    import torch

    from goingdeeper.nn.build import build
    from goingdeeper.why.noise import source

    network, last = stack
    net, random = build(network, seed=seed), source(seed)
    optimiser = torch.optim.Adam(net.parameters(), rate)
    losses = []
    for _ in range(STEPS):
        images = torch.randn(BATCH, WIDTH, SIDE, SIDE, generator=random).relu()
        loss = (net.until(images, last) - images).square().mean() / images.var()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def _body(norm: BatchNorm | None, last: bool) -> dict[str, Layer]:
    """Two layers; last: whether the second has its ReLU, too."""
    return {
        "conv1": Conv(WIDTH, 3, norm=norm),
        "conv2": Conv(WIDTH, 3, norm=norm, act=RELU if last else None),
    }


def _end(losses: Sequence[float]) -> float:
    return fmean(losses[-END:])


def _curve(label: str, runs: Sequence[Sequence[float]]) -> Series:
    """Means of every `END` steps."""
    steps = range(END, STEPS + 1, END)
    found = [geometric([fmean(run[step - END : step]) for run in runs]) for step in steps]
    return spread(label, found, steps)
