"""Which parts of an image speak for a class: Grad-CAM and occlusion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goingdeeper.errors import UsageError, unknown
from goingdeeper.probes.untouched import kept_map, untouched


def grad_cam(module: nn.Module, images: Tensor, layer: str, classes: Sequence[int] | None = None) -> Tensor:
    """(N, height, width) of the images: how much each place of a layer's map speaks for a class, 0 or more.

    The layer's channels, weighted by the mean gradient of the class's logit, summed, negative sums left out,
    and enlarged to the images bilinearly. Selvaraju et al. 2017, section 3. images: (N, C, H, W), as the
    module takes them. layer: name of a submodule that gives maps, of which the last call counts. classes: one
    for each image; the likeliest unless given. Raises UsageError for a layer that is not there or gives no
    map, or a class that is not one.
    """
    _check(images)
    parts = dict(module.named_modules(remove_duplicate=False))
    if layer not in parts or not layer:
        raise unknown("layer", layer, [one for one in parts if one], "module.named_modules() lists them")
    # The gradient is asked for through the images, as all weights may be frozen.
    with (
        untouched(module, training=False),
        torch.inference_mode(False),
        torch.enable_grad(),
        kept_map(parts[layer]) as made,
    ):
        logits = _logits(module, images.detach().clone().requires_grad_())
        if not made:
            raise UsageError(f"{layer} gives no map, so that nothing in the image can be pointed at")
        chosen = _of_classes(logits, classes).sum()
        (gradient,) = torch.autograd.grad(chosen, made[-1], allow_unused=True)
        if gradient is None:
            raise UsageError(f"the logits do not depend on what {layer} gives; name another layer")
        weights = gradient.mean((2, 3), keepdim=True)
        maps = (weights * made[-1].detach()).sum(1, keepdim=True).relu()
        size = (images.shape[2], images.shape[3])
        return F.interpolate(maps, size, mode="bilinear", align_corners=False)[:, 0]


@torch.no_grad()
def occlusion(
    module: nn.Module,
    images: Tensor,
    *,
    window: int,
    stride: int,
    value: float = 0.0,
    classes: Sequence[int] | None = None,
    batch: int = 64,
) -> Tensor:
    """(N, height, width): by how much a class's logit falls where a square window is covered.

    Mean over the windows that cover a pixel. Zeiler and Fergus 2014, section 4.2. images: (N, C, H, W), as
    the module takes them; value: what covers, in their scale. The last window of a row ends with the image.
    classes: as `grad_cam`. batch: images a pass. Raises UsageError for a window larger than the images, or a
    stride that leaves gaps.
    """
    _check(images)
    height, wide = images.shape[2:]
    if not 1 <= window <= min(height, wide):
        raise UsageError(f"a window of {window} pixels for images of {wide}x{height}")
    if not 1 <= stride <= window:
        raise UsageError(f"a stride of {stride} leaves gaps between windows of {window} pixels")
    rows, columns = (_starts(size, window, stride) for size in (height, wide))
    places = [(row, column) for row in rows for column in columns]
    if not len(images):
        return images.new_zeros(0, height, wide)
    total, times = images.new_zeros(len(images), height, wide), images.new_zeros(height, wide)
    with untouched(module, training=False):
        logits = torch.cat([_logits(module, part) for part in torch.split(images, batch)])
        chosen = _classes(logits, classes)
        before = logits.gather(1, chosen[:, None])[:, 0]
        for some in _parts(places, max(1, batch // len(images))):
            covered = images.repeat(len(some), 1, 1, 1)
            for number, (row, column) in enumerate(some):
                own = covered[number * len(images) : (number + 1) * len(images)]
                own[:, :, row : row + window, column : column + window] = value
            after = torch.cat([module(part) for part in torch.split(covered, batch)])
            found = after.gather(1, chosen.repeat(len(some))[:, None]).view(len(some), len(images))
            for (row, column), fall in zip(some, before - found, strict=True):
                total[:, row : row + window, column : column + window] += fall[:, None, None]
                times[row : row + window, column : column + window] += 1
    return total / times


def _check(images: Tensor) -> None:
    if images.ndim != 4:
        raise UsageError(f"images of {images.ndim} dimensions; give (N, channels, height, width)")


def _logits(module: nn.Module, images: Tensor) -> Tensor:
    """Raises UsageError where the module gives anything else than (N, classes)."""
    logits = module(images)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise UsageError(f"{type(module).__name__} gives no logits, (N, classes); wrap it so that it does")
    return logits


def _parts(places: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(places), size):
        yield places[start : start + size]


def _starts(size: int, window: int, stride: int) -> list[int]:
    return sorted({*range(0, size - window + 1, stride), size - window})


def _of_classes(logits: Tensor, classes: Sequence[int] | None) -> Tensor:
    return logits.gather(1, _classes(logits, classes)[:, None])


def _classes(logits: Tensor, classes: Sequence[int] | None) -> Tensor:
    """Class numbers, one for each image."""
    if classes is None:
        return logits.detach().argmax(1)
    if len(classes) != len(logits) or not all(0 <= one < logits.shape[1] for one in classes):
        raise UsageError(
            f"classes {list(classes)}: one for each of {len(logits)} images is needed, "
            f"from 0 to {logits.shape[1] - 1}"
        )
    return torch.tensor(classes, device=logits.device)
