"""Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3), fast on a CPU.

torch's own takes a dozen passes over the whole tensor, among them a pooling over channels that is slow on a
CPU. Here all that is computed is computed for a part of the tensor that a cache holds, then for the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PART = 2**18  # numbers: 1 MB, what the second cache of a core holds


class LocalResponseNorm(nn.LocalResponseNorm):
    """x / (k + alpha/size * the sum of squares of `size` neighbouring channels) ** beta, of (N, C, H, W).

    torch's own on a GPU, in another precision than float32, and where torch traces, compiles or exports.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.dtype != torch.float32 or x.dim() != 4 or _recorded():
            return super().forward(x)
        return _Normalised.apply(x, _Neighbourhood(self.size, self.alpha, self.beta, self.k))  # type: ignore[no-any-return, no-untyped-call]


def _recorded() -> bool:
    traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return traced or torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export()


@dataclass(frozen=True)
class _Neighbourhood:
    """The constants; `channels` below is the dimension they lie in."""

    size: int
    alpha: float
    beta: float
    k: float

    def denominator(self, x: Tensor, channels: int) -> Tensor:
        """k + alpha/size * sums of squares."""
        sums = _sums(x * x, channels, self.size // 2, (self.size - 1) // 2)
        return sums.mul_(self.alpha / self.size).add_(self.k)

    def scale(self, denominator: Tensor) -> Tensor:
        """denominator ** -beta."""
        if self.beta != 0.75:
            return denominator.pow(-self.beta)
        root = denominator.rsqrt()
        return root.sqrt().mul_(root)

    def slope(self, x: Tensor, above: Tensor, channels: int, out: Tensor) -> None:
        """The gradient with respect to x, into out."""
        denominator = self.denominator(x, channels)
        torch.mul(above, self.scale(denominator), out=out)
        shared = _sums((out * x).div_(denominator), channels, (self.size - 1) // 2, self.size // 2)
        out.addcmul_(x, shared, value=-2 * self.beta * self.alpha / self.size)


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, near: _Neighbourhood) -> Tensor:
        normalised = torch.empty_like(x, memory_format=_layout(x))
        for channels, (part, out) in _parts(x, normalised):
            torch.mul(part, near.scale(near.denominator(part, channels)), out=out)
        return normalised

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, _Neighbourhood], output: Tensor) -> None:
        x, ctx.near = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        near = ctx.near
        if torch.is_grad_enabled():  # the gradient is itself to be differentiated
            normalised = F.local_response_norm(x, near.size, near.alpha, near.beta, near.k)
            return *torch.autograd.grad(normalised, x, above, create_graph=True), None
        slope = torch.empty_like(x, memory_format=_layout(x))
        for channels, (part, came, out) in _parts(x, above, slope):
            near.slope(part, came, channels, out)
        return slope, None


def _layout(x: Tensor) -> torch.memory_format:
    last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _parts(*tensors: Tensor) -> Iterator[tuple[int, list[Tensor]]]:
    """Views of the same places of each, two-dimensional, with the dimension of the channels."""
    width = tensors[0].shape[1]
    step = max(1, PART // width)
    if _layout(tensors[0]) == torch.channels_last:
        rows = [torch.split(t.permute(0, 2, 3, 1).flatten(0, 2), step) for t in tensors]
        yield from ((1, list(parts)) for parts in zip(*rows, strict=True))
        return
    for images in zip(*tensors, strict=True):
        columns = [torch.split(image.flatten(1), step, 1) for image in images]
        yield from ((0, list(parts)) for parts in zip(*columns, strict=True))


def _sums(values: Tensor, channels: int, before: int, after: int) -> Tensor:
    """Of each channel, `before` channels below it and `after` above it."""
    sums = values.clone()
    width = values.shape[channels]
    for far in range(1, min(before, width - 1) + 1):
        sums.narrow(channels, far, width - far).add_(values.narrow(channels, 0, width - far))
    for far in range(1, min(after, width - 1) + 1):
        sums.narrow(channels, 0, width - far).add_(values.narrow(channels, far, width - far))
    return sums
