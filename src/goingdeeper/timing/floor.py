"""A floor for any network: the float32 arithmetic that a large product reaches on this processor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from goingdeeper.timing.workers import start

SIDE = 2048
CHANNELS, MAP, IMAGES = 256, 56, 4
SECONDS, BLOCKS = 0.4, 3


@dataclass(frozen=True)
class Peak:
    """flops: float32 operations a second, a multiply-add being two. of: what reached them."""

    flops: float
    of: str

    def seconds(self, macs: int) -> float:
        """The least time that so many multiply-adds take."""
        return 2 * macs / self.flops


def measured_peak(threads: int) -> Peak:
    """The best block of a matrix product and of a 3x3 convolution by PyTorch, on so many threads."""
    found = []
    for name, opener, macs in (
        (f"a product of {SIDE}x{SIDE} matrices", _product, SIDE**3),
        (
            f"a 3x3 convolution, {CHANNELS} to {CHANNELS} channels at {MAP}x{MAP}",
            _convolution,
            IMAGES * 9 * CHANNELS**2 * MAP**2,
        ),
    ):
        worker = start(name, opener, (threads,), threads)
        try:
            best = min(min(worker.block(SECONDS)) for _ in range(BLOCKS))
        finally:
            worker.stop()
        found.append(Peak(2 * macs / best, name))
    return max(found, key=lambda peak: peak.flops)


def _product(threads: int) -> Callable[[], None]:
    import torch

    torch.set_num_threads(threads)
    left, right = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)

    def call() -> None:
        torch.mm(left, right)

    return call


def _convolution(threads: int) -> Callable[[], None]:
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    x = torch.rand(IMAGES, CHANNELS, MAP, MAP).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(CHANNELS, CHANNELS, 3, 3).contiguous(memory_format=torch.channels_last)

    def call() -> None:
        with torch.inference_mode():
            F.conv2d(x, weight, padding=1)

    return call
