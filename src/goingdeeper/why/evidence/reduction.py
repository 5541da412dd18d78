"""The lecture's 5x5 convolution, directly and behind a 1x1 reduction: operations, parameters, time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from goingdeeper.costs.counts import Counts
from goingdeeper.layers import Conv, Layer
from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import counted, piece

if TYPE_CHECKING:
    from goingdeeper.nn.build import Net

INPUT = (192, 28, 28)
DIRECT: dict[str, Layer] = {"5x5": Conv(32, 5)}
REDUCED: dict[str, Layer] = {"reduce": Conv(16, 1), "5x5": Conv(32, 5)}


def arithmetic() -> Part:
    direct, reduced = counted(DIRECT, INPUT), counted(REDUCED, INPUT)
    first = counted({"reduce": REDUCED["reduce"]}, INPUT)
    outputs = direct.activations
    evidence = (
        measured("reduction-direct", direct.macs, direct.macs / outputs, outputs),
        measured("reduction-reduced", first.macs, reduced.macs - first.macs, reduced.macs),
        measured("reduction-params", direct.weights, reduced.weights),
    )
    return Part(evidence, (_chart(direct, first, reduced),))


def _chart(direct: Counts, first: Counts, reduced: Counts) -> Bars:
    values = (direct.macs, first.macs, reduced.macs - first.macs, reduced.macs)
    return Bars(
        "reduction",
        "A 5x5 convolution, 28x28, 192 to 32 channels",
        "multiplications",
        ("5x5 directly", "1x1 to 16 channels", "5x5 behind it", "together"),
        (heights("multiplications", values),),
    )


def init(seed: int) -> Part:
    """The same two, timed on this machine: one image, random weights, as many threads as torch takes."""
    import torch
    from torch import nn

    from goingdeeper.nn.build import build
    from goingdeeper.timing.side_by_side import compare
    from goingdeeper.why.noise import noise

    ways = {"directly": DIRECT, "with the reduction": REDUCED}
    nets = {name: build(piece(layers, INPUT), seed=seed).eval() for name, layers in ways.items()}
    image = noise(seed, 1, *INPUT)

    def called(net: Net, layers: Iterable[str]) -> Callable[[], object]:
        return partial(nn.Sequential(*(net.get_submodule(name) for name in layers)), image)

    with torch.inference_mode():
        calls = {name: called(net, ways[name]) for name, net in nets.items()}
        first, second = compare(calls, "directly", rounds=15, block_seconds=0.05)
    operations = counted(DIRECT, INPUT).macs / counted(REDUCED, INPUT).macs
    threads = torch.get_num_threads()
    chart = Bars(
        "reduction-time",
        f"One image, {threads} thread{'s' if threads > 1 else ''}, this machine",
        "direct over reduced",
        ("operations", "time"),
        (
            heights(
                "ratio",
                (operations, second.ratio.value),
                (operations, second.ratio.low),
                (operations, second.ratio.high),
            ),
        ),
    )
    note = (
        f"time on this machine: {1e3 * first.seconds:.2f} ms directly, {1e3 * second.seconds:.2f} ms with "
        f"the reduction, {second.ratio.value:.1f} times as fast "
        f"(95 %: {second.ratio.low:.1f} to {second.ratio.high:.1f}), PyTorch, {threads} "
        f"thread{'s' if threads > 1 else ''}"
    )
    return Part((measured("reduction-time", operations, second.ratio.value),), (chart,), (note,))
