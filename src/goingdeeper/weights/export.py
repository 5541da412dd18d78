"""A model's weights under another library's names, in a file that the library loads."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from goingdeeper import edits
from goingdeeper.comparisons.diff import diff
from goingdeeper.errors import UsageError, shown, unknown
from goingdeeper.files import make_folder, room_for, sync_folder, write_whole
from goingdeeper.layers import Dropout, Initialisation, Layer, Network
from goingdeeper.names import Naming, entries, namings
from goingdeeper.runs.model import Model
from goingdeeper.trace import replace_classes, replace_input
from goingdeeper.weights.forms import to_theirs

Writer = Callable[[Path, Naming, Network, dict[str, Tensor]], None]


@dataclass(frozen=True)
class Exported:
    """A file for another library. notes: what whoever loads it there has to know."""

    file: Path
    library: str
    model: str
    tensors: int
    notes: tuple[str, ...]


def export(model: Model, library: str, out: Path, named: str | None = None) -> Exported:
    """Writes a model's weights as another library's network has them, whole or not at all.

    library: torchvision, timm, keras, caffe, cifar, ... named: the library's name for the network, where it
    is not the one that computes the same; its tensors must still be ours. out: by its ending .safetensors,
    .pth or .pt, for Keras .h5, for Caffe .caffemodel. Raises UsageError where the library has no such network
    or computes another, naming the difference, and for another ending; MissingExtra without h5py or protobuf.
    """
    naming = _naming(library, model.net.description, named)
    write = _writer(naming, out)
    network = model.net.description
    made = entries(naming, network)
    _check(naming, network)
    tensors = to_theirs(made, {key: value.cpu() for key, value in model.net.state_dict().items()})
    make_folder(out.parent)
    write(out, naming, network, tensors)
    return Exported(out, library, naming.model, len(tensors), tuple(_notes(naming, model)))


def _naming(library: str, network: Network, named: str | None) -> Naming:
    """The library's names for the network. Raises UsageError, with what differs."""
    own = namings(library)
    if not own:
        known = dict.fromkeys(one.library for one in namings())
        raise unknown("library", library, known, f"there are {', '.join(known)}")
    if named is not None:
        chosen = [one for one in own if one.model == named]
        if not chosen:
            raise unknown(f"network of {library}", named, [one.model for one in own], "see docs/weights.md")
        return chosen[0]
    same = [one for one in own if _bare(one.network(), network) == _bare(network, network)]
    if same:
        return same[0]
    near = [one for one in own if one.nearest == network.name] or [
        one for one in own if _shapes(one, one.network()) == _shapes(one, network)
    ]
    if not near:
        has = ", ".join(dict.fromkeys(f"{one.model} ({one.nearest})" for one in own))
        raise UsageError(f"{library} has no network such as {network.name}; it has {has}")
    theirs = near[0]
    raise UsageError(
        f"{library}'s {theirs.model} is not {network.name}: {_difference(network, theirs)}; "
        f"--as {theirs.model} writes its weights all the same, where the tensors are those"
    )


def _bare(network: Network, like: Network) -> Network:
    """What an evaluation computes: no heads, dropout or initial weights; the other's input and classes."""

    def edit(layer: Layer) -> Layer:
        return Dropout(0.5) if isinstance(layer, Dropout) else layer

    found = edits.rewrite(edits.without_heads(network), edit)
    found = replace_classes(replace_input(found, like.input), like.classes)
    return replace(found, name="", init=Initialisation())


def _difference(ours: Network, naming: Naming) -> str:
    theirs = replace_classes(replace_input(edits.without_heads(naming.network()), ours.input), ours.classes)
    changes = diff(edits.without_heads(ours), theirs).changes
    if not changes:
        return naming.differs or "they differ in what holds no weights"
    first = changes[0]
    more = f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""
    return f"{first.path} is {first.a or 'not there'} here, {first.b or 'not there'} there{more}"


def _shapes(naming: Naming, network: Network) -> dict[str, tuple[int, ...]] | None:
    """Their shapes by their keys without heads; None where the names do not cover the network."""
    try:
        return {one.theirs: one.shape for one in entries(naming, edits.without_heads(network))}
    except (KeyError, ValueError, IndexError):
        return None


def _check(naming: Naming, network: Network) -> None:
    """Raises UsageError where their network with our classes has other tensors than ours by their names."""
    theirs = _shapes(naming, replace_classes(naming.network(), network.classes)) or {}
    ours = _shapes(naming, network)
    if ours is None:
        raise UsageError(f"{naming.library}'s names for {naming.model} do not fit {network.name}")
    for key in [*theirs, *ours]:
        if ours.get(key) != theirs.get(key):
            here, there = (str(found.get(key, "missing")) for found in (ours, theirs))
            raise UsageError(
                f"{naming.library}'s {naming.model} cannot take it: {key} is {here} here, {there} there"
            )


def _notes(naming: Naming, model: Model) -> Iterator[str]:
    if naming.optional and naming.dialect == "torch":
        yield "a model is kept without auxiliary heads; switch them off there (aux_logits=False)"
    if naming.bgr and naming.dialect != "torch":
        yield "the first convolution was turned to blue, green, red, as there"
    scale = model.preprocessing
    if scale.whole:
        yield "its input is prepared by more than a mean and a std by channel; do the same there"
        return
    own = naming.scale
    if own is None or (scale.mean, scale.std) != (own.mean, own.std):
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (scale.mean, scale.std))
        yield f"its input is RGB / 255, minus ({mean}), over ({std}); that is not what is usual there"


def _writer(naming: Naming, out: Path) -> Writer:
    kinds: Mapping[str, Mapping[str, Writer]] = {
        "torch": {".safetensors": _safetensors, ".pth": _pth, ".pt": _pth, ".th": _pth},
        "keras": {".h5": _keras},
        "caffe": {".caffemodel": _caffe},
    }
    known = kinds[naming.dialect]
    if out.suffix not in known:
        raise UsageError(f"{shown(out)}: for {naming.library} the file ends in {' or '.join(known)}")
    if out.is_dir():
        raise UsageError(f"{shown(out)} is a folder; name a file")
    return known[out.suffix]


def _safetensors(out: Path, naming: Naming, network: Network, tensors: dict[str, Tensor]) -> None:
    write_whole(out, save(tensors, metadata={"format": "pt"}))


def _pth(out: Path, naming: Naming, network: Network, tensors: dict[str, Tensor]) -> None:
    content = io.BytesIO()
    # The repository's own script looks for the key.
    torch.save({"state_dict": tensors} if naming.library == "cifar" else tensors, content)
    write_whole(out, content.getvalue())


def _keras(out: Path, naming: Naming, network: Network, tensors: dict[str, Tensor]) -> None:
    from goingdeeper.names.keras import layer_order
    from goingdeeper.weights.keras_files import write_keras

    order = layer_order(network, naming.places(network))
    with _aside(out, tensors) as file:
        write_keras(file, tensors, order)


def _caffe(out: Path, naming: Naming, network: Network, tensors: dict[str, Tensor]) -> None:
    from goingdeeper.weights.caffe_files import write_caffe

    with _aside(out, tensors) as file:
        write_caffe(file, tensors)


@contextmanager
def _aside(out: Path, tensors: Mapping[str, Tensor]) -> Iterator[Path]:
    """A path of the same ending that takes the file's place when the block ends without an exception."""
    file = out.with_name(f".{os.getpid()}.{out.name}")
    try:
        with room_for(out, sum(value.numel() * value.element_size() for value in tensors.values())):
            yield file
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
            file.replace(out)
            sync_folder(out.parent)
    finally:
        file.unlink(missing_ok=True)
