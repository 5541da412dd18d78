"""Which library's names a file's tensors have, and which network they are the weights of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from goingdeeper import catalogue
from goingdeeper.errors import DataError, unknown
from goingdeeper.layers import Network
from goingdeeper.names import Entry, Naming, entries, namings, own
from goingdeeper.names.fitting import COUNTER, File, Fit, fit, opened, weights
from goingdeeper.shapes import Shape, dims
from goingdeeper.stages import classifier, under

# Networks that people take for ours: a tensor that only they have, and what to say of them.
STRANGERS: tuple[tuple[str, Shape, str], ...] = (
    ("features.0.weight", (64, 3, 11, 11), "torchvision's alexnet, the one-tower network of 2014 with other "
     "widths (64, 192, 384, 256, 256) than our alexnet of 2012"),
    ("features.1.running_mean", (64,), "a VGG with batch norm; ours have none, as in the paper"),
    ("layer1.0.conv2.weight", (128, 128, 3, 3), "a wide residual network; ours have the paper's widths"),
    ("layer1.0.conv2.weight", (128, 4, 3, 3), "a ResNeXt; our residual networks have no groups"),
    ("layer1.0.conv2.weight", (256, 8, 3, 3), "a ResNeXt; our residual networks have no groups"),
    ("layer1.0.conv2.weight", (256, 4, 3, 3), "a ResNeXt; our residual networks have no groups"),
)  # fmt: skip

FEWER = 5
"""How many times fewer weights than a network a file may have, or the other way, to be compared with it."""


@dataclass(frozen=True)
class Match:
    """A file's tensors as the weights of a network.

    naming: the library's names that they have. network: with the class count, input channels and heads of the
    file. entries: each tensor of the network, with the file's own keys. left: its keys that hold nothing of
    ours. others: what else the tensors fit, as (library, id), and are taken for when asked. background: one
    class more than the library's own, so that class 0 may mean none of the others. notes: what was assumed.
    """

    naming: Naming
    network: Network
    entries: tuple[Entry, ...]
    left: tuple[str, ...]
    others: tuple[tuple[str, str], ...] = ()
    background: bool = False
    notes: tuple[str, ...] = ()


def recognise(
    shapes: Mapping[str, tuple[int, ...]], *, network: str | None = None, library: str | None = None
) -> Match:
    """The network that a file's tensors are the weights of, from their keys and shapes.

    network: an id of ours; also one that differs from what the library computes only in what holds no
    weights, such as `resnet-50` for torchvision's. library: whose names to look for. Where several fit, the
    first of `names.FILES` is taken, and what its library computes. Our own keys do not tell networks apart
    that have the same layers with weights: there, `network` must.

    Raises UsageError for an unknown id or library, DataError where no network has exactly these tensors,
    naming the nearest, or where several of ours have.
    """
    candidates = list(_candidates(network, library))
    if not shapes:
        raise DataError("there is not one tensor in the file")
    file = opened(shapes)
    near, far = _parted(candidates, file)
    fits = [fit(*one, file) for one in near]
    whole = [one for one in fits if one.whole]
    if not whole:
        _refuse_strangers(file)
        fits += [fit(*one, file) for one in far]
        whole = [one for one in fits if one.whole]
    if not whole:
        raise DataError(_refusal(fits, file, network, library))
    if whole[0].naming.library == own.LIBRARY and len(whole) > 1:
        ids = ", ".join(one.naming.nearest for one in whole)
        raise DataError(f"these tensors fit {ids} alike, which compute different things; name the network")
    return _match(whole[0], whole[1:], file)


Candidate: TypeAlias = tuple[Naming, Network]


def _parted(candidates: list[Candidate], file: File) -> tuple[list[Candidate], list[Candidate]]:
    """Those that have as many weights as the file, with or without heads, and others of about its size."""
    count = sum(len(shape) > 1 for shape in file.shapes.values())
    near: list[Candidate] = []
    far: list[Candidate] = []
    for one in candidates:
        trunk, heads = weights(one[1].layers), weights(one[1].heads)
        if trunk <= count <= trunk + heads:
            near.append(one)
        elif trunk <= FEWER * count and count <= FEWER * trunk:
            far.append(one)
    return near, far


def _candidates(network: str | None, library: str | None) -> Iterator[Candidate]:
    """Names and descriptions that may be meant, by preference."""
    known = [*namings(), *own.own_namings()]
    libraries = list(dict.fromkeys(one.library for one in known))
    if library is not None and library not in libraries:
        raise unknown("library", library, libraries, f"there are {', '.join(libraries)}")
    asked = None if network is None else catalogue.network(network)
    for naming in known:
        if library in (None, naming.library):
            if asked is None or naming.nearest == asked.name:
                yield naming, naming.network()
            elif naming.library != own.LIBRARY and _same_weights(naming.network(), asked):
                yield naming, asked


def _same_weights(one: Network, other: Network) -> bool:
    """Whether two networks differ only in what holds no weights; heads aside."""
    if weights(one.layers) != weights(other.layers):
        return False
    return _weights(one) == _weights(other)


def _weights(network: Network) -> list[tuple[str, Shape]]:
    naming = own.own_namings()[0]
    made = entries(naming, network)
    return [(entry.ours, entry.shape) for entry in made if not entry.ours.startswith("heads.")]


def _match(chosen: Fit, rest: list[Fit], file: File) -> Match:
    naming, made = chosen.naming, chosen.naming.network()
    others = [(one.naming.library, one.network.name) for one in rest]
    if naming.library != own.LIBRARY:
        alike = (catalogue.network(id) for id in catalogue.names() if id != chosen.network.name)
        others += [
            (naming.library, one.name) for one in alike
            if _same_weights(made, one) and fit(naming, one, file).whole
        ]  # fmt: skip
    background = naming.library != own.LIBRARY and chosen.network.classes == made.classes + 1
    notes = chosen.notes
    if background:
        notes += (f"{chosen.network.classes:,} classes are one more than usual: is the first a background?",)
    return Match(naming, chosen.network, chosen.entries, chosen.beside, tuple(others), background, notes)


def _refuse_strangers(file: File) -> None:
    for key, shape, what in STRANGERS:
        if file.shapes.get(key) == shape:
            raise DataError(f"these are the weights of {what}; no network here takes them")


def _refusal(fits: list[Fit], file: File, network: str | None, library: str | None) -> str:
    """One line on a file that is of none of them: the nearest, and what is wrong with it."""
    if network or library:
        wanted = " in ".join(
            filter(None, (network and f"the weights of {network}", library and f"{library}'s names"))
        )
        near, _ = _parted(list(_candidates(None, None)), file)
        others = dict.fromkeys(_called(one) for pair in near if (one := fit(*pair, file)).whole)
        if others:
            return f"these are not {wanted} but those of {' or '.join(others)}"
    total = sum(not key.endswith(COUNTER) for key in (*file.full, *file.outside))
    nearest = max(fits, key=lambda one: one.found / (one.wanted + len(one.left)), default=None)
    if not nearest or not nearest.found:
        first = ", ".join(list(file.full.values())[:3])
        return (
            f"no library known here has names such as {first} (of {total} tensors); `deeper import --list` "
            "and docs/names.md have the networks that are taken"
        )
    said = [f"nearest is {_called(nearest)}, of which {nearest.found} of {nearest.wanted} tensors fit"]
    if nearest.missing:
        said.append(f"missing: {_first(nearest.missing)}")
        last = classifier(nearest.network)
        own_classifier = {entry.theirs for entry in nearest.entries if under(entry.ours, (last,))}
        if set(nearest.missing) <= own_classifier:
            said.append("that is its classifier: save the weights with one under these names, of any width")
    if nearest.misshapen:
        key, shape, expected = nearest.misshapen[0]
        more = f" (and {len(nearest.misshapen) - 1} more)" if len(nearest.misshapen) > 1 else ""
        said.append(f"{key} is {dims(shape) or 'one number'}, not {dims(expected) or 'one number'}{more}")
    if nearest.left:
        said.append(f"left over: {_first(nearest.left)}")
    return f"no network here has exactly these {total} tensors; {'; '.join(said)}"


def _called(found: Fit) -> str:
    naming = found.naming
    if naming.library == own.LIBRARY:
        return f"our {found.network.name}"
    return f"{naming.library}'s {naming.model} (our {found.network.name})"


def _first(keys: tuple[str, ...]) -> str:
    return keys[0] + (f" (and {len(keys) - 1} more)" if len(keys) > 1 else "")
