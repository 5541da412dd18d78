"""How far the tensors of a file are those of one network under one library's names."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from goingdeeper.errors import DescriptionError
from goingdeeper.layers import CLASSES, Conv, Linear, Named, Network, children, pieces
from goingdeeper.names.naming import Entry, Form, Naming, entries, units
from goingdeeper.shapes import Shape
from goingdeeper.trace import Step, replace_classes, trace

WRAPPERS = ("module", "_orig_mod", "model", "backbone", "net", "network", "encoder", "base_model", "student")
"""Names that programs give a network inside of something of theirs."""

COUNTER = ".num_batches_tracked"
"""Counts batches, computes nothing, and is missing in files from before it was there."""

LARGEST = 1024
"""Side in pixels up to which an input is looked for."""


@dataclass(frozen=True)
class Fit:
    """What was found of a network in a file.

    entries: with the file's own keys where it has them. missing: their keys that the file lacks. misshapen:
    the file's keys, the shapes they have, and those they should have. left: the file's keys that are none of
    the network's. beside: those that never hold anything of ours. notes: what had to be assumed.
    """

    naming: Naming
    network: Network
    entries: tuple[Entry, ...]
    missing: tuple[str, ...]
    misshapen: tuple[tuple[str, Shape, Shape], ...]
    left: tuple[str, ...]
    beside: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return not (self.missing or self.misshapen or self.left)

    @property
    def wanted(self) -> int:
        """Tensors that the network has, without the counters."""
        return sum(not entry.ours.endswith(COUNTER) for entry in self.entries)

    @property
    def found(self) -> int:
        return self.wanted - len(self.missing) - len(self.misshapen)


@dataclass(frozen=True)
class File:
    """A file's tensors: their shapes by their keys without what wraps the network, and those keys in full.

    outside: full keys of what is not in the wrapped network.
    """

    shapes: Mapping[str, Shape]
    full: Mapping[str, str]
    outside: tuple[str, ...]


def opened(shapes: Mapping[str, Shape]) -> File:
    inside = _unwrapped(shapes)
    kept = set(inside.values())
    outside = tuple(key for key in shapes if key not in kept)
    return File({key: tuple(shapes[was]) for key, was in inside.items()}, inside, outside)


def _unwrapped(keys: Iterable[str]) -> dict[str, str]:
    """The keys below `module.`, `model.` and what else may stand before all of them, with what they were."""
    inside = {key: key for key in keys}
    while wrapper := _wrapper(inside):
        inside = {key.removeprefix(wrapper): was for key, was in inside.items() if key.startswith(wrapper)}
    return inside


def _wrapper(keys: Mapping[str, str]) -> str | None:
    """What all keys start with, or what is known to wrap networks and is the start of most of them."""
    counts = Counter(key.partition(".")[0] for key in keys if "." in key)
    for first, count in counts.most_common(1):
        numbered = any(key[len(first) + 1 :][:1].isdigit() for key in keys)  # `features.0`, within VGG
        if (count == len(keys) and not numbered) or (first in WRAPPERS and 2 * count > len(keys)):
            return f"{first}."
    return None


def weights(layers: Named) -> int:
    """How many convolutions and fully connected layers there are, counted without a walk."""
    return sum(1 if isinstance(layer, Conv | Linear) else weights(children(layer)) for _, layer in layers)


def fit(naming: Naming, network: Network, file: File) -> Fit:
    """What of the network, with the class count, input and heads that show in the file, is in it."""
    plain = _plain(entries(naming, network))
    there, notes = adapted(naming, network, plain, file)
    if there != network:
        network, plain = there, _plain(entries(naming, there))
    made, missing, misshapen = [], [], []
    used = set()
    for entry, key in plain:
        by = file.full.get(entry.by, entry.by)
        made.append(replace(entry, theirs=file.full.get(key, entry.theirs), by=by))
        used |= {key, entry.by}
        if key in file.shapes:
            if file.shapes[key] != entry.shape:
                misshapen.append((file.full[key], file.shapes[key], entry.shape))
        elif not entry.ours.endswith(COUNTER):
            missing.append(entry.theirs)
        if entry.by and entry.by not in file.shapes and entry.by not in missing:
            missing.append(entry.by)
    left = [key for key in file.shapes if key not in used]
    beside = [key for key in left if any(key == one or fnmatchcase(key, one) for one in naming.beside)]
    return Fit(
        naming, network, tuple(made), tuple(missing), tuple(misshapen),
        tuple(file.full[key] for key in left if key not in beside),
        (*(file.full[key] for key in beside), *file.outside), notes,
    )  # fmt: skip


def _plain(made: list[Entry]) -> list[tuple[Entry, str]]:
    """Entries with their keys below what wraps them in the library itself."""
    keys = {old: new for new, old in _unwrapped(entry.theirs for entry in made).items()}
    return [(entry, keys[entry.theirs]) for entry in made]


def adapted(
    naming: Naming, network: Network, plain: list[tuple[Entry, str]], file: File
) -> tuple[Network, tuple[str, ...]]:
    """The network with the file's own heads, class count, input channels and, where it shows, input side.

    Also says in words what the file leaves open.
    """
    known = {entry.ours: (entry, file.shapes.get(key)) for entry, key in plain}

    def there(head: str) -> bool:
        prefix = f"heads.{head}."
        optional = any(prefix.startswith(start) for start in naming.optional)
        return not optional or any(shape for ours, (_, shape) in known.items() if ours.startswith(prefix))

    network = replace(network, heads=tuple(pair for pair in network.heads if there(pair[0])))
    notes: tuple[str, ...] = ()
    steps = units(network)
    try:
        for step in steps:
            assert isinstance(step.layer, Conv | Linear)
            entry, shape = known[_weight(step)]
            if shape is None or len(shape) != len(entry.shape):
                continue
            outputs, inputs = _widths(entry.form, shape)
            width = step.layer.filters if isinstance(step.layer, Conv) else step.layer.features
            if width == CLASSES and not step.path.startswith("heads."):
                network = replace_classes(network, outputs // pieces(step.layer))
            if isinstance(step.layer, Linear):
                network, notes = _resized(network, step, inputs) or (network, notes)
            elif step is steps[0]:
                channels = inputs * step.layer.groups
                network = replace(network, input=(channels, *network.input[1:]))
    except DescriptionError:  # such as no classes or no channels: the shapes will not fit
        pass
    return network, notes


def _weight(step: Step) -> str:
    return f"{step.path}.conv.weight" if isinstance(step.layer, Conv) else f"{step.path}.weight"


def _widths(form: Form, shape: Shape) -> tuple[int, int]:
    """Outputs and inputs of a weight: of a convolution by group, of a fully connected layer all of them."""
    if form.startswith("hwio"):
        return shape[3], shape[2]
    if form in ("transposed", "hwc"):
        return shape[1], shape[0]
    return shape[0], math.prod(shape[1:]) if form == "map" else shape[1]


def _resized(network: Network, step: Step, inputs: int) -> tuple[Network, tuple[str, ...]] | None:
    """The network with the smallest square input from which a fully connected layer is given `inputs`."""

    def given(side: int) -> int:
        try:
            steps = trace(network, (network.input[0], side, side))
        except DescriptionError:
            return 0
        return next(math.prod(one.shape_in) for one in steps if one.path == step.path)

    side = network.input[1]
    if inputs in (given(side), 0) or given(side) == given(2 * side):  # as it is behind a global pool
        return None
    sides = range(1, LARGEST + 1)
    at = bisect_left(sides, inputs, key=given)
    if at == len(sides) or given(sides[at]) != inputs:
        return None
    smallest, largest = sides[at], sides[bisect_right(sides, inputs, key=given) - 1]
    note = f"{step.path} fits inputs of {smallest} to {largest} pixels a side; {smallest} is taken"
    return replace(network, input=(network.input[0], smallest, smallest)), (note,)
