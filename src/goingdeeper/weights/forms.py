"""Tensors from another library's form to ours, and back, to the bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from goingdeeper.names import Entry


def to_ours(entries: Sequence[Entry], theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of our network from tensors by their keys; `num_batches_tracked` is 0 where a file has none."""
    found = {}
    for entry in entries:
        if entry.theirs not in theirs and entry.ours.endswith(".num_batches_tracked"):
            found[entry.ours] = torch.tensor(0)
        else:
            found[entry.ours] = _ours(entry, theirs)
    for entry in entries:  # dialects that keep no count
        if entry.ours.endswith(".running_var"):
            found.setdefault(entry.ours.replace("running_var", "num_batches_tracked"), torch.tensor(0))
    return found


def to_theirs(entries: Sequence[Entry], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by their keys from the state of our network. Raises KeyError for one that it lacks."""
    found = {}
    for entry in entries:
        found[entry.theirs] = _theirs(entry, ours[entry.ours])
        if entry.by:
            found[entry.by] = torch.ones(1)
    return found


def _ours(entry: Entry, theirs: Mapping[str, Tensor]) -> Tensor:
    value = theirs[entry.theirs]
    match entry.form:
        case "hwio" | "hwio reversed":
            value = value.permute(3, 2, 0, 1)
        case "transposed":
            value = value.T
        case "hwc":
            channels, height, width = entry.chw
            value = value.view(height, width, channels, -1).permute(3, 2, 0, 1).flatten(1)
        case "map":
            value = value.flatten(1)
        case "divided":
            by = theirs[entry.by]
            value = value / by if float(by) else torch.zeros_like(value)  # as Caffe has it
        case _:
            pass
    return (value.flip(1) if entry.form.endswith("reversed") else value).contiguous()


def _theirs(entry: Entry, value: Tensor) -> Tensor:
    if entry.form.endswith("reversed"):
        value = value.flip(1)
    match entry.form:
        case "hwio" | "hwio reversed":
            value = value.permute(2, 3, 1, 0)
        case "transposed":
            value = value.T
        case "hwc":
            channels, height, width = entry.chw
            value = value.view(-1, channels, height, width).permute(2, 3, 1, 0).flatten(0, 2)
        case "map":
            value = value.view(entry.shape)
        case _:
            pass
    return value.contiguous()
