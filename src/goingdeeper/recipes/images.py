"""What becomes of images before the network: the scale of the input, crops, colours, mixtures. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Standardise:
    """Minus the training set's mean of each channel, divided by its standard deviation."""


@dataclass(frozen=True)
class Centre:
    """Minus the training set's mean of each channel, on bytes 0 to 255, as before batch norm."""


@dataclass(frozen=True)
class MeanImage:
    """Minus the training set's mean of each pixel, on the scale 0 to `scale`."""

    scale: float = 255.0


@dataclass(frozen=True)
class Range:
    """From `low` (black) to `high`."""

    low: float = -1.0
    high: float = 1.0


@dataclass(frozen=True)
class Contrast:
    """Global contrast normalisation: each image minus its mean, divided by its L2 norm, times `scale`.

    whiten: what is added to the eigenvalues in the ZCA that follows, fitted on the training set; 0 for no
    ZCA. mean_image: the training set's mean of each pixel is subtracted after it.
    """

    scale: float = 55.0
    whiten: float = 0.0
    mean_image: bool = False


Input: TypeAlias = Standardise | Centre | MeanImage | Range | Contrast


@dataclass(frozen=True)
class Padded:
    """A window of the input's size, anywhere in the image with a margin of `pad` of the size around it.

    The margin is 0 after the input was scaled; `reflect` mirrors the image there instead.
    """

    pad: float = 0.125
    reflect: bool = False


@dataclass(frozen=True)
class Window:
    """The image with its shorter side at `side`, and a window of the input's size in it.

    side: pixels for an input of 224, in proportion for others. square: only within the central square.
    """

    side: float = 256.0
    square: bool = False


@dataclass(frozen=True)
class ScaleJitter:
    """The shorter side at a whole number of pixels drawn from low to high, and a window anywhere.

    low, high: for an input of 224, in proportion for others. Simonyan and Zisserman 2014, section 3.1.
    """

    low: int = 256
    high: int = 480


@dataclass(frozen=True)
class AreaCrop:
    """A part of the image's area with an aspect ratio, resized to the input. Szegedy et al. 2014, section 6.

    low: smallest share of the area, up to 1. aspect: from its inverse to it. logarithmic: the ratio's
    logarithm is uniform and sides are not swapped, as later libraries have it. any_resize: bilinear, area,
    nearest or cubic at random. tries: then the central square, or the whole image as in the released
    Inception.
    """

    low: float = 0.08
    aspect: float = 4 / 3
    logarithmic: bool = False
    any_resize: bool = False
    tries: int = 10
    otherwise: Literal["centre", "whole"] = "centre"


Crop: TypeAlias = Padded | Window | ScaleJitter | AreaCrop


@dataclass(frozen=True)
class PCAColour:
    """Along the principal components of ImageNet's colours, N(0, std) of each. AlexNet's section 4.1."""

    std: float = 0.1


@dataclass(frozen=True)
class Howard:
    """Contrast, brightness and saturation in random order, each by 1 - strength to 1 + strength; then PCA.

    Howard 2013.
    """

    strength: float = 0.5
    pca: float = 0.1


@dataclass(frozen=True)
class InceptionColour:
    """The released Inception's brightness, saturation, hue and contrast in one of four orders, clipped.

    fast: only brightness and saturation.
    """

    fast: bool = False


@dataclass(frozen=True)
class TorchColour:
    """The Torch ResNet's brightness, contrast and saturation in random order, then PCA."""

    strength: float = 0.4
    pca: float = 0.1


Colour: TypeAlias = PCAColour | Howard | InceptionColour | TorchColour


@dataclass(frozen=True)
class RandAugment:
    """`count` drawn operations at a magnitude of 0 to 10 with some spread. Cubuk et al. 2020."""

    magnitude: float = 7.0
    std: float = 0.5
    count: int = 2


@dataclass(frozen=True)
class TrivialAugment:
    """One operation, drawn, at a drawn magnitude; the wide set. Mueller and Hutter 2021."""


Policy: TypeAlias = RandAugment | TrivialAugment


@dataclass(frozen=True)
class Augmentation:
    """What is drawn anew for each image in each epoch.

    flip: half of the images are mirrored; with alternate_flips an image is so in every other epoch. erase:
    share of the images that lose a rectangle (random erasing). cutout: side of a square that is set to the
    mean, as a share of the size. mixup, cutmix: alpha of the beta distribution that images of a batch are
    mixed with; where both are given, half of the batches each. repeats: versions of each image in a batch.
    reduced_decoding: a JPEG is decoded at 1/2, 1/4 or 1/8 of its size where its crop still has a pixel for
    each of the input's; faster for photographs of several megapixels, and not the same pixels.
    """

    crop: Crop = Padded()
    flip: bool = True
    alternate_flips: bool = False
    colour: Colour | None = None
    policy: Policy | None = None
    erase: float = 0.0
    cutout: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    repeats: int = 1
    reduced_decoding: bool = False
