"""How batches reach the update: loaded, made of images on the device, or there within a captured step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import nn

from goingdeeper.data.pictures import Pictures
from goingdeeper.data.resident import can_reside
from goingdeeper.data.sources import Item
from goingdeeper.nn.build import Net
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.schedules import Constant
from goingdeeper.training.engine import Engine

Way: TypeAlias = Literal["loaded", "resident", "captured"]

SHARE, MOST = 0.25, 4 << 30
"""Resident images take up to this share of the device's free memory, and so many bytes at most."""

SIDE = 64
"""Images up to this side are small: their nets' kernels take less time than their launches."""


def choose_way(net: Net, recipe: Recipe, pictures: Pictures, train: Sequence[Item], engine: Engine) -> Way:
    """Captured or resident where the device is a GPU, one process runs and images and recipe allow it.

    The way changes no number, but for the order in which a kernel adds.
    """
    if engine.device.type != "cuda" or engine.ranks > 1 or not train:
        return "loaded"
    free = torch.cuda.mem_get_info(engine.device)[0]
    if not _reside(recipe, pictures, train, min(MOST, SHARE * free)):
        return "loaded"
    return "captured" if can_capture(net, recipe) else "resident"


def can_capture(net: Net, recipe: Recipe) -> bool:
    """Whether one graph can hold the step, over and over, and whether that is worth it.

    It holds no random numbers: those of dropout and stochastic depth depend on the step's seed, and of mixup
    and cutmix the shapes do. float16 decides on the host whether to step. Momentum is a number in the graph,
    and what trains is fixed in it, which `head_epochs` change.
    """
    draws = recipe.stochastic_depth or any(isinstance(module, nn.Dropout) for module in net.modules())
    mixes = recipe.augmentation.mixup or recipe.augmentation.cutmix
    whole = recipe.accumulate == 1 and not recipe.compile and not recipe.recompute
    fixed = recipe.momentum_schedule == Constant() and not any(rule.max_norm for rule in recipe.rules)
    fixed = fixed and not recipe.head_epochs
    small = max(net.description.input[1:]) <= SIDE
    return small and whole and fixed and not draws and not mixes and recipe.precision != "float16"


def _reside(recipe: Recipe, pictures: Pictures, train: Sequence[Item], room: float) -> bool:
    if not can_reside(recipe.augmentation, [(0, 0)]):
        return False
    height, width = pictures[train[0].path].shape[:2]
    if 3 * height * width * len(train) > room:
        return False
    return all(pictures[item.path].shape[:2] == (height, width) for item in train)
