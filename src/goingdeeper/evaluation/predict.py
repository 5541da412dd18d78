"""Probabilities of a network for images, one central crop each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from goingdeeper.data.batches import evaluation_batches
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item
from goingdeeper.nn.build import Net
from goingdeeper.nn.heap import kept_heap


def log_probabilities(
    net: Net,
    pictures: Pictures,
    items: Sequence[Item],
    preprocessing: Preprocessing,
    *,
    batch: int = 128,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
    rank: int = 0,
    ranks: int = 1,
) -> Tensor:
    """Log of softmax, (N, classes), on the CPU, in the order of the items; the net's mode is restored."""
    training = net.training
    net.eval()
    found = []
    seen = 0
    try:
        with torch.inference_mode(), kept_heap(torch.device(device).type):
            for images in evaluation_batches(pictures, items, preprocessing, batch, rank, ranks):
                found.append(net(images.to(device)).float().log_softmax(1).cpu())
                seen += len(images)
                if progress:
                    progress(seen, len(items))
    finally:
        net.train(training)
    return torch.cat(found) if found else torch.empty(0, net.description.classes)
