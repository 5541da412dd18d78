"""Parts of an image that are blanked: random erasing and cutout."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from goingdeeper.data.order import Floats, Whole, whole

TRIES = 10
ERASE_DRAWS = 1 + 4 * TRIES
AREA, RATIO = (0.02, 0.33), 3.3


def erased(share: float, size: int, draws: Floats) -> Whole:
    """(N, 4) tops, lefts, heights, widths of a rectangle in a share of the images, empty in the others.

    2 to 33 % of the area, height to width from 0.3 to 3.3, uniform in the logarithm: Zhong et al. 2017 as
    PyTorch's library has it. draws: (N, `ERASE_DRAWS`).
    """
    tries = draws[:, 1:].reshape(len(draws), TRIES, 4)
    area = size * size * (AREA[0] + (AREA[1] - AREA[0]) * tries[..., 0])
    low, high = math.log(0.3), math.log(RATIO)
    ratio = np.exp(low + (high - low) * tries[..., 1])
    sides = np.rint(np.sqrt(np.stack([area * ratio, area / ratio], -1))).astype(np.int64)
    fits = sides.max(-1) < size
    first = fits.argmax(1)
    each = np.arange(len(draws))
    sides = sides[each, first]
    corners = whole(tries[each, first, 2:], size - sides + 1)
    hit = (draws[:, 0] < share) & fits[each, first]
    return np.where(hit[:, None], np.concatenate([corners, sides], 1), 0)


def cut_out(share: float, size: int, draws: Floats) -> Whole:
    """(N, 4): a square of a share of the size around any pixel, so that it may stand over the edge.

    DeVries and Taylor 2017. draws: (N, 2).
    """
    side = round(share * size)
    corners = whole(draws, size) - side // 2
    return np.concatenate([corners, np.full_like(corners, side)], 1)


def outside(boxes: Tensor, size: int) -> Tensor:
    """(N, size, size): False in each image's box."""
    along = torch.arange(size, device=boxes.device)
    top, left, height, width = boxes[:, :, None].unbind(1)
    rows = (along >= top) & (along < top + height)
    columns = (along >= left) & (along < left + width)
    return ~(rows[:, :, None] & columns[:, None, :])
