"""The scale of a network's input: from bytes to what the first layer sees, fitted to the training images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from goingdeeper.data.decode import Pixels, centre, fit
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.processors import cpus
from goingdeeper.data.sources import Item
from goingdeeper.errors import UsageError
from goingdeeper.recipes.images import Centre, Contrast, Input, MeanImage, Range, Standardise

SEEN = 2_000
"""Images that means and standard deviations by channel are taken from, spread evenly over the set."""

MOST = 50_000
"""Images that mean images and ZCA are fitted on: all of CIFAR's; of a larger set as many, spread evenly."""

WIDEST = 44
"""Side of the largest images that ZCA takes: its matrix, of 5,808 x 5,808, holds 135 MB."""


@dataclass(frozen=True)
class Windows:
    """Where crops lie in pictures whose central square has `side` pixels.

    tops, lefts: (N,) rows and columns of the crops' corners, counted from that square's corner.
    """

    tops: Tensor
    lefts: Tensor
    side: int


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """From a decoded image to the network's input: shorter side to `size`, or to `shorter` where weights from
    elsewhere were evaluated so, central square of `size`, then in this order

    1. bytes / 255;
    2. contrast, where not 0: minus the image's mean, divided by its L2 norm, times `contrast`; an image of
       one colour becomes zeros;
    3. minus `mean_image`, or `mean` by channel where there is none; divided by `std`;
    4. whiten: the values in the order channel, row, column, times this matrix.

    mean, std: by channel; with a mean image, `mean` holds its means. mean_image: (3, M, M), resized where the
    images' side is not M. whiten: (3 S S, 3 S S) for size S. Tensors are float32.
    """

    size: int
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    contrast: float = 0.0
    mean_image: Tensor | None = None
    whiten: Tensor | None = None
    shorter: int | None = None
    _rows: dict[object, tuple[Tensor, Tensor]] = field(default_factory=dict, init=False, repr=False)

    @property
    def whole(self) -> bool:
        """Whether the scale is that of the whole central square, so that a margin and crops come after it."""
        return bool(self.contrast) or self.mean_image is not None or self.whiten is not None

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Those that there are, by name."""
        both = {"mean_image": self.mean_image, "whiten": self.whiten}
        return {name: value for name, value in both.items() if value is not None}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Preprocessing):
            return NotImplemented
        mine, theirs = self.tensors, other.tensors
        return (
            (self.size, self.shorter, self.mean, self.std, self.contrast)
            == (other.size, other.shorter, other.mean, other.std, other.contrast)
            and mine.keys() == theirs.keys()
            and all(torch.equal(value, theirs[name]) for name, value in mine.items())
        )

    __hash__ = None  # type: ignore[assignment]

    def to(self, device: str | torch.device) -> Preprocessing:
        """The same with its tensors on a device, so that `normalise` need not copy them for each batch."""
        return replace(
            self,
            mean_image=None if self.mean_image is None else self.mean_image.to(device),
            whiten=None if self.whiten is None else self.whiten.to(device),
        )

    def at(self, size: int) -> Preprocessing:
        """The same for training on images of a size, to which they are fitted.

        Raises UsageError where it whitens another size.
        """
        if self.whiten is not None and size != self.size:
            raise UsageError(
                f"the run whitens images of {self.size}x{self.size}, which cannot be done at {size}x{size}; "
                "leave out --size"
            )
        return replace(self, size=size, shorter=None)

    def fit(self, pixels: Pixels) -> Pixels:
        """The image with its shorter side at the length that central squares are taken from."""
        return fit(pixels, self.shorter or self.size)

    def normalise(self, pixels: Tensor, windows: Windows | bool = True) -> Tensor:
        """(N, H, W, 3) bytes, or floats from 0 to 255, to (N, 3, H, W) float32 in channels-last memory.

        windows: True for central squares; for crops where they lie in the square, which takes the mean
        image's own windows (its border goes on outside of it); False where that has no meaning, as after
        another scale or aspect, which takes the mean image's means by channel. On the pixels' device.
        """
        values = pixels.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        if self.contrast:
            _contrast(values, self.contrast)
        factor, offset = self._row(windows, values.shape[1:3], values.device)
        values.flatten(2).mul_(factor).sub_(offset)
        planes = values.permute(0, 3, 1, 2)
        if self.whiten is None:
            return planes
        flat = planes.flatten(1) @ self.whiten.to(values.device)
        return flat.view(planes.shape).contiguous(memory_format=torch.channels_last)

    def normalise_one(
        self, pixels: NDArray[np.uint8] | NDArray[np.float32], windows: Windows | bool, out: Tensor
    ) -> None:
        """As `normalise`, to the bit, of one image. pixels: (H, W, 3). out: (3, H, W), channels last.

        While the image is in the processor's cache, in a sixth of the time that each of a whole batch takes;
        and with numpy, as torch would start threads of its own from each of the loader's.
        """
        if self.contrast or self.whiten is not None:
            values = np.require(pixels, requirements=("C", "W"))
            out.copy_(self.normalise(torch.from_numpy(values)[None], windows)[0])
            return
        factor, offset = self._row(windows, pixels.shape[:2], torch.device("cpu"))
        rows = out.permute(1, 2, 0).flatten(1).numpy()[None]
        rows[...] = pixels.reshape(rows.shape)
        rows *= factor.numpy()
        rows -= offset.numpy()

    def views(self, fitted: Sequence[Pixels]) -> Tensor:
        """The single central crop of fitted images, as the network wants them."""
        return self.normalise(torch.from_numpy(np.stack([centre(image, self.size) for image in fitted])))

    def mean_square(self) -> Tensor:
        """(3, size, size): what is subtracted from a central square, from 0 to 1 without `contrast`."""
        mean = self._mean(True, (self.size, self.size), torch.device("cpu"))
        return mean.expand(self.size, self.size, 3).permute(2, 0, 1).contiguous()

    def _row(
        self, windows: Windows | bool, shape: Sequence[int], device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """What rows of 3 W values are multiplied by, and what is subtracted then: (3 W,) or (..., H, 3 W).

        Over whole rows, as an inner axis of 3 took five times as long. Kept on their device, as a captured
        graph can copy nothing there; but those of windows differ from batch to batch.
        """
        key = (windows is False, tuple(shape), device)
        alike = self.mean_image is None or not isinstance(windows, Windows)
        kept = self._rows.get(key) if alike else None
        if kept is None:
            std = torch.tensor(self.std, dtype=torch.float64, device=device)
            offset = (self._mean(windows, shape, device) / std).float()
            offset = offset.repeat(shape[1]) if offset.ndim == 1 else offset.flatten(-2)
            kept = (1 / ((1.0 if self.contrast else 255.0) * std)).float().repeat(shape[1]), offset
            if alike:
                self._rows[key] = kept
        return kept

    def _mean(self, windows: Windows | bool, shape: Sequence[int], device: torch.device) -> Tensor:
        """(3,), (H, W, 3) or (N, H, W, 3)."""
        if self.mean_image is None or windows is False:
            return torch.tensor(self.mean, dtype=torch.float64, device=device)
        side = windows.side if isinstance(windows, Windows) else shape[0]
        image = _resized(self.mean_image.to(device), side).permute(1, 2, 0).contiguous()
        if not isinstance(windows, Windows):
            return image

        def inside(corners: Tensor, length: int) -> Tensor:
            return (corners.to(device)[:, None] + torch.arange(length, device=device)).clamp(0, side - 1)

        rows, columns = inside(windows.tops, shape[0]), inside(windows.lefts, shape[1])
        return image[rows[:, :, None], columns[:, None, :]]


def check_input(kind: Input, size: int) -> None:
    """Raises UsageError for a scale of the input that cannot be, before anything is read or written."""
    match kind:
        case Range(low, high) if not low < high:
            raise UsageError(f"an input from {low:g} to {high:g}; input.high must be above input.low")
        case MeanImage(scale) | Contrast(scale) if not scale > 0:
            raise UsageError(f"an input at a scale of {scale:g}; input.scale must be above 0")
        case Contrast(_, whiten) if whiten and size > WIDEST:
            raise UsageError(
                f"ZCA of {size}x{size} images takes a matrix of {3 * size**2:,} x {3 * size**2:,}; "
                f"--size {WIDEST} is the most, or leave it out with --set input.whiten=0"
            )


def prepare_input(kind: Input, pictures: Pictures, items: Iterable[Item], size: int) -> Preprocessing:
    """The scale that a recipe asks for, fitted to the training images.

    The same images give the same bits, whatever the number of threads. Raises UsageError as `check_input`.
    """
    check_input(kind, size)
    chosen = list(items)
    match kind:
        case Standardise():
            return Preprocessing(size, *_mean_and_std(pictures, chosen))
        case Centre():
            mean, _ = _mean_and_std(pictures, chosen)
            return Preprocessing(size, mean, (1 / 255,) * 3)
        case Range(low, high):
            return Preprocessing(size, (-low / (high - low),) * 3, (1 / (high - low),) * 3)
        case MeanImage(scale):
            image = _mean_image(pictures, chosen, size)
            return Preprocessing(size, _channels(image), (1 / scale,) * 3, mean_image=image.float())
        case Contrast(scale, whiten, mean_image):
            plain = Preprocessing(size, (0.0,) * 3, (1.0,) * 3, scale)
            if not whiten and not mean_image:
                return plain
            return _fitted(plain, pictures, chosen, whiten)


def _contrast(values: Tensor, scale: float) -> None:
    """Global contrast normalisation in place. values: (N, H, W, 3), from 0 to 255.

    Goodfellow et al. 2013 and pylearn2's `global_contrast_normalize`: one mean and one norm over all values
    of an image, the norm not divided by their number. Sums of bytes and of their squares are exact in double.
    """
    flat = values.flatten(1)
    mean = flat.sum(1, dtype=torch.float64) / flat.shape[1]
    square = flat.square().sum(1, dtype=torch.float64) - flat.shape[1] * mean**2
    # Images whose bytes differ at all have at least 2/3 here; an image of one colour is 0 by now.
    factor = scale / square.clamp(min=0.5).sqrt()
    flat.sub_(mean.float()[:, None]).mul_(factor.float()[:, None])


def _fitted(plain: Preprocessing, pictures: Pictures, items: Sequence[Item], whiten: float) -> Preprocessing:
    """With the mean image of what `plain` gives and, where `whiten` is not 0, ZCA.

    As pylearn2's: V diag(1 / sqrt(l + whiten)) V^T, where l and V are the eigenvalues and eigenvectors of
    the covariance, of the values minus their mean over the images and divided by the number of images.
    With fewer images than values the rest of the eigenvalues is 0, and those directions are multiplied by
    1 / sqrt(whiten).
    """
    width = 3 * plain.size**2
    first = torch.zeros(width, dtype=torch.float64)
    second = torch.zeros(width if whiten else 0, width, dtype=torch.float64)
    count = 0
    with _one_thread():
        for squares in _squares(pictures, items, plain.size):
            values = plain.normalise(squares).flatten(1).double()
            first += values.sum(0)
            if whiten:
                second.addmm_(values.T, values)
            count += len(values)
        mean = first / count
        image = mean.view(3, plain.size, plain.size)
        found = replace(plain, mean=_channels(image), mean_image=image.float())
        if not whiten:
            return found
        covariance = second.div_(count).addr_(mean, mean, alpha=-1)
        values, vectors = torch.linalg.eigh(covariance)
        matrix = (vectors / (values.clamp(min=0) + whiten).sqrt()) @ vectors.T
        return replace(found, whiten=matrix.float())


def _mean_image(pictures: Pictures, items: Sequence[Item], size: int) -> Tensor:
    """(3, size, size), double, from 0 to 1."""
    total = torch.zeros(size, size, 3, dtype=torch.int64)
    count = 0
    for squares in _squares(pictures, items, size):
        total += squares.sum(0, dtype=torch.int64)
        count += len(squares)
    return (total.double() / (255 * count)).permute(2, 0, 1).contiguous()


def _channels(image: Tensor) -> tuple[float, ...]:
    return tuple(image.mean((1, 2)).tolist())


def _squares(pictures: Pictures, items: Sequence[Item], side: int, block: int = 500) -> Iterator[Tensor]:
    """The central squares of up to `MOST` images, (N, side, side, 3) bytes at a time."""
    chosen = _spread(items, MOST)
    with ThreadPoolExecutor(cpus()) as pool:
        for start in range(0, len(chosen), block):
            read = pictures.read([item.path for item in chosen[start : start + block]], pool)
            yield torch.from_numpy(np.stack([centre(fit(image, side), side) for image in read]))


def _mean_and_std(pictures: Pictures, items: Sequence[Item]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per-channel mean and standard deviation of up to `SEEN` images, on the scale 0..1."""
    count, first, second = 0, np.zeros(3), np.zeros(3)
    for item in _spread(items, SEEN):
        values = pictures[item.path].reshape(-1, 3) / 255.0
        count += len(values)
        first += values.sum(0)
        second += (values**2).sum(0)
    mean = first / count
    std = np.sqrt(np.maximum(second / count - mean**2, 1e-6))
    return tuple(round(float(v), 4) for v in mean), tuple(round(max(float(v), 0.01), 4) for v in std)


def _spread(items: Sequence[Item], most: int) -> Sequence[Item]:
    return items[:: max(1, -(-len(items) // most))]


def _resized(image: Tensor, side: int) -> Tensor:
    if image.shape[1] == side:
        return image
    return F.interpolate(image[None], (side, side), mode="bilinear", antialias=True)[0]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums of doubles depend on how threads share them; a resumed run and other ranks need the same bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
