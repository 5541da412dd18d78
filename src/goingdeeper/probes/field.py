"""The receptive field as the gradient has it: which pixels one value of a layer depends on, and how much."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from goingdeeper.errors import UsageError, unknown
from goingdeeper.probes.untouched import kept_map, untouched


@dataclass(frozen=True)
class MeasuredField:
    """gradient: (height, width), of the input's pixels, mean of the absolute gradient, its sum 1.

    side: of the smallest square outside of which it is 0, in pixels, at most the input's.
    """

    gradient: Tensor = field(repr=False)
    side: int

    def holding(self, share: float) -> int:
        """Side of the smallest square around the centre that holds a share of the gradient."""
        height, wide = self.gradient.shape
        row, column = _centre(self.gradient)
        for side in range(1, 2 * max(height, wide), 2):
            reach = side // 2
            top, left = max(0, row - reach), max(0, column - reach)
            if float(self.gradient[top : row + reach + 1, left : column + reach + 1].sum()) >= share - 1e-6:
                return side
        return max(height, wide)


def receptive_field(
    module: nn.Module, layer: str, shape: tuple[int, int, int], *, images: int = 8, seed: int = 0
) -> MeasuredField:
    """Of the value in the middle of the map that `layer` gives, over noise.

    layer: name of a submodule; "" is the module itself. shape: of the input, (channels, height, width).
    images: of noise, as many maps of gradients are averaged. Of a layer that is called several times the last
    call counts. The module is in evaluation mode meanwhile, and stays as it was. After Luo et al. 2016,
    "Understanding the effective receptive field". Raises UsageError for a layer that is not there or gives
    no map.
    """
    parts = dict(module.named_modules(remove_duplicate=False))
    if len(shape) != 3:
        raise UsageError(f"a shape of {len(shape)} numbers; give (channels, height, width)")
    if layer not in parts:
        raise unknown("layer", layer, [one for one in parts if one], "module.named_modules() lists them")
    weights = next(module.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(seed)
    with (
        untouched(module, training=False),
        torch.inference_mode(False),
        torch.enable_grad(),
        kept_map(parts[layer]) as made,
    ):
        noise = torch.randn(images, *shape, generator=generator).to(weights).requires_grad_()
        module(noise)
        if not made:
            raise UsageError(f"{layer or 'the module'} gives no map, so that it has no receptive field")
        values = made[-1][:, :, made[-1].shape[2] // 2, made[-1].shape[3] // 2]
        signs = torch.randn(values.shape, generator=generator).to(weights)
        (gradient,) = torch.autograd.grad((values * signs).sum(), noise, materialize_grads=True)
    found = gradient.detach().abs().mean((0, 1)).double().cpu()
    touched = found.nonzero()
    if not len(touched):
        raise UsageError(f"{layer or 'the module'} does not depend on its input")
    low, high = touched.amin(0), touched.amax(0)
    return MeasuredField(found / found.sum(), int((high - low + 1).max()))


def _centre(gradient: Tensor) -> tuple[int, int]:
    """Where the gradient's mass has its middle, in pixels."""
    rows, columns = (torch.arange(size, dtype=gradient.dtype) for size in gradient.shape)
    return round(float((gradient.sum(1) * rows).sum())), round(float((gradient.sum(0) * columns).sum()))
