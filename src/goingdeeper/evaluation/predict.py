"""Probabilities of a network for images: one central crop each, or the views of a protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from goingdeeper.data.batches import evaluation_batches
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item, Problem, Source
from goingdeeper.evaluation.dense import Dense
from goingdeeper.evaluation.protocols import Protocol
from goingdeeper.evaluation.views import Seen, cut, seen, starts
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


@dataclass(frozen=True)
class Part:
    """Log of the averaged probabilities (N, classes) of images from number `first` on; `read` says which of
    them could be read. On the CPU."""

    first: int
    likely: Tensor
    read: list[bool]
    problems: list[Problem]


def parts(
    net: Net,
    source: Source,
    items: Sequence[Item],
    protocol: Protocol,
    preprocessing: Preprocessing,
    *,
    batch: int,
    device: str = "cpu",
    begin: Sequence[int] | None = None,
) -> Iterator[Part]:
    """What the network says of the images, some at a time.

    batch: views at a time. begin: of `starts`, those that are wanted; all of them otherwise. An image that
    cannot be read is a problem of its part. The net is left in evaluation mode, on the device.
    """
    place = torch.device(device)
    net.eval().to(place)
    call = _densely(net) if protocol.dense else net
    preprocessing, ways = preprocessing.to(place), starts(protocol, batch, len(items))
    begin = ways if begin is None else begin
    with kept_heap(place.type):
        for found in seen(source, items, protocol, preprocessing, ways.step, begin):
            with torch.inference_mode():
                likely = _averaged(call, found.to(place), protocol, preprocessing, batch)
            yield Part(found.first, likely, [planned is not None for planned in found.plans], found.problems)


def _densely(net: Net) -> Callable[[Tensor], Tensor]:
    """The network at every position of an image, or of as much of its centre as the network can take."""
    whole, sizes = Dense(net).eval(), dict[tuple[int, int], tuple[int, int]]()

    def call(images: Tensor) -> Tensor:
        found = images.shape[2], images.shape[3]
        height, width = sizes[found] = sizes.get(found) or whole.fitting(*found)
        top, left = (found[0] - height) // 2, (found[1] - width) // 2
        logits: Tensor = whole(images[:, :, top : top + height, left : left + width])
        return logits

    return call


def _averaged(
    call: Callable[[Tensor], Tensor],
    found: Seen,
    protocol: Protocol,
    preprocessing: Preprocessing,
    batch: int,
) -> Tensor:
    """(N, classes) of the images; nan for those without views."""
    count = len(found.plans)
    sums, total = torch.empty(count, 0), torch.empty(0)
    for views, owners, times in cut(found, preprocessing, batch):
        for images in (views, views.flip(3)) if protocol.mirror else (views,):
            said = times[:, None] * _said(call(images), protocol)
            if not len(total):
                sums, total = said.new_zeros(count, said.shape[1]), said.new_zeros(count)
            sums.index_add_(0, owners, said)
            total.index_add_(0, owners, times)
    mean = sums / total[:, None] if len(total) else sums
    return (mean.log() if protocol.average == "probabilities" else mean.log_softmax(1)).float().cpu()


def _said(scores: Tensor, protocol: Protocol) -> Tensor:
    """(N, classes), double, of scores (N, classes) or, of a dense net, (N, classes, h, w)."""
    if protocol.average == "probabilities":
        scores = scores.float().softmax(1)
    return scores.double().flatten(2).mean(2) if scores.ndim == 4 else scores.double()
