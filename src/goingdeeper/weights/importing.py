"""Weights from elsewhere as a model folder: read, recognised, converted, and proven by loading it."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goingdeeper.data.decode import Pixels, content, decode
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.edits import without_heads
from goingdeeper.errors import DataError, UsageError, shown
from goingdeeper.files import make_folder, sha256_of
from goingdeeper.layers import CLASSES, Conv, Linear, Network
from goingdeeper.names import Naming, Scale
from goingdeeper.names.recognise import Match, recognise
from goingdeeper.nn.build import Net
from goingdeeper.published.imagenet import imagenet
from goingdeeper.runs.folder import check_named
from goingdeeper.runs.model import UNSAID, is_model, load_model, save_model
from goingdeeper.trace import replace_classes, replace_input, trace
from goingdeeper.version import __version__
from goingdeeper.weights.download import Fetched, Progress, cache, check_hash, fetch_url, is_remote, public
from goingdeeper.weights.files import read, shapes
from goingdeeper.weights.forms import to_ours
from goingdeeper.weights.hub import fetch_hub, hub_name, local
from goingdeeper.weights.known import Known, find_known, is_known, known_at

CIFAR_10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
USUAL = Scale((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Imported:
    """A model folder made of weights from elsewhere, and what is to be said of it.

    library, model: whose names the file has. network: the id of the network in the catalogue that it is, or
    is nearest to. left: keys of the file that hold nothing of the network's. others: what it fits as well.
    notes: what was assumed. licence: `unknown` where nothing says it. published: the score that its source
    claims, if one is known.
    """

    path: Path
    library: str
    model: str
    network: str
    classes: int
    left: tuple[str, ...]
    others: tuple[str, ...]
    notes: tuple[str, ...]
    source: str
    sha256: str
    revision: str
    licence: str
    published: str


def import_weights(source: str | Path, **options: Any) -> Path:
    """As `imported`, of which only the folder comes back."""
    return imported(source, **options).path


def weights_at(source: str) -> Path:
    """The model of a run or model folder, of `hf:owner/name`, or, imported once, of what `imported` takes.

    What was imported is kept beside the downloads, by the source and, of a file, its size and time. Raises
    UsageError where there is nothing of that name, and otherwise as `imported` does.
    """
    place = Path(source)
    if place.is_dir():
        return place
    if source.startswith("hf:"):
        if not hub_name(source).file:
            with suppress(DataError):  # no model of ours, so weights
                return local(source)
    elif not (place.is_file() or is_remote(source) or is_known(source)):
        raise UsageError(
            f"--weights {source}: there is no such folder or file; give a run, a model, a file of weights, "
            "a URL, hf:owner/name, or a name of `deeper import --list`"
        )
    stamp = (place.stat().st_size, place.stat().st_mtime_ns, str(place.resolve())) if place.is_file() else ()
    key = hashlib.sha256(repr((source, stamp, __version__)).encode()).hexdigest()[:16]
    kept = cache() / "models" / key
    if kept.is_dir():
        return kept
    make_folder(kept.parent)
    # Aside, as another process may import the same; the first to be done is kept.
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".") as aside:
        made = import_weights(source, out=Path(aside) / "model")
        try:
            made.rename(kept)
        except OSError:
            if not kept.is_dir():
                raise
    return kept


def imported(
    source: str | Path,
    *,
    network: str | None = None,
    library: str | None = None,
    classes: str | Path | Sequence[str] | None = None,
    background: bool = False,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    shorter: int | None = None,
    size: int | None = None,
    sha256: str | None = None,
    licence: str | None = None,
    golden: str | Path | None = None,
    out: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Makes a model folder of a file of weights, a URL, `hf:owner/name`, or a name of the known ones.

    network, library: the file's, where its keys and shapes leave a choice. classes: names, or a file of them,
    one a line or a JSON list; otherwise ImageNet's for 1,000, CIFAR-10's for 10 of the CIFAR repository.
    background: class 0 means none of the others, and is dropped. mean, std: of the input, from 0 to 1, and
    shorter: the side in pixels that images are made first, instead of the library's. size: side of the input
    in pixels. sha256: what the file must have. golden: an image for the golden image, instead of a made one.
    out: the folder, `models/LIBRARY-MODEL` unless given; a model that is there is replaced with `force`, and
    nothing else is. Raises DataError for a file that cannot be used, UsageError for options that do not fit,
    GateError for another hash, ResourceError for network and disk.
    """
    if out is not None:
        _free(Path(out), force)  # before anything is fetched
    source = str(source)
    known = known_at(source)
    if known is None and not Path(source).exists() and is_known(source):
        known = find_known(source)
    fetched = _fetched(source, known, sha256, progress)
    weights = read(fetched.file)
    if known is not None:
        network, library = network or known.network, library or known.library
    try:
        match = recognise(shapes(weights.tensors), network=network, library=library)
    except DataError as problem:
        raise DataError(f"{shown(fetched.file)}: {problem}") from None
    state = to_ours(match.entries, weights.tensors)
    described, dropped = match.network, []
    if background:
        described, state = _without_background(described, state)
        dropped.append(f"class 0 of {described.classes + 1:,} was dropped, as --background says")
    if described.heads:
        dropped.append("its auxiliary heads are left out: a model has none")
    described = without_heads(described)
    state = {key: value for key, value in state.items() if not key.startswith("heads.")}
    notes = [*weights.notes, *match.notes, *dropped]
    naming = match.naming
    if naming.differs and network in (None, naming.nearest):
        notes.append(f"not {naming.nearest} to the letter, but as {naming.library} has it: {naming.differs}")
    chosen = _scale(naming, known, notes, mean, std, shorter)
    side = size or (known.size if known and known.size else described.input[1])
    described = _checked(
        replace_input(described, (described.input[0], side, side)), state, fetched.file, size
    )
    names, data = _classes(classes, described.classes, naming.library, notes)
    terms = licence or (known.licence if known else "") or fetched.licence or UNKNOWN
    published = known.score if known else ""
    place = Path(out) if out is not None else Path("models", _name(match, known))
    if out is None:
        _free(place, force)
    preprocessing = Preprocessing(side, chosen.mean, chosen.std, shorter=_shorter(chosen, side))
    provenance = {
        "data": data,
        "source": public(fetched.source),
        "file": fetched.file.name,
        "format": weights.format,
        "sha256": fetched.sha256,
        **({"revision": fetched.revision} if fetched.revision else {}),
        "library": naming.library,
        "model": naming.model,
        "licence": terms,
        **({"published": published} if published else {}),
        "imported": datetime.now(UTC).isoformat(timespec="seconds"),
        "goingdeeper": __version__,
    }
    picture = made_picture() if golden is None else decode(Path(golden))
    net = _answering(described, state, preprocessing, picture, fetched.file)
    save_model(place, net, state, names, preprocessing, picture, {"provenance": provenance})
    load_model(place)
    return Imported(
        place, naming.library, naming.model, described.name, len(names), tuple(match.left),
        tuple(f"{library} {id}" for library, id in match.others), tuple(notes), public(fetched.source),
        fetched.sha256, fetched.revision, terms, published,
    )  # fmt: skip


def made_picture() -> Pixels:
    """(320, 448, 3): waves of every colour and a disc, so that no photograph need come along."""
    rows, columns = np.mgrid[:320, :448].astype(np.float64)
    waves = [
        np.sin(columns / across + turn) * np.cos(rows / down - turn)
        for across, down, turn in ((31.0, 17.0, 0.0), (13.0, 41.0, 1.0), (57.0, 23.0, 2.0))
    ]
    found = 127.5 + 90 * np.stack(waves, axis=2)
    found[(rows - 140) ** 2 + (columns - 260) ** 2 < 80**2] += (60, -30, -60)
    return np.ascontiguousarray(found.round().clip(0, 255).astype(np.uint8))


def _fetched(source: str, known: Known | None, sha256: str | None, progress: Progress | None) -> Fetched:
    named = source.startswith("hf:") or is_remote(source)
    where = known.where if known and not named else source
    if where.startswith("hf:"):
        found = fetch_hub(where, progress)
    elif is_remote(where):
        found = fetch_url(where, progress)
    else:
        file = Path(source)
        if not file.is_file():
            what = "is a folder; name the file in it"
            if not file.is_dir():
                what = (
                    "is not there; give a file, or one of `deeper import --list` such as torchvision/resnet18"
                )
            raise DataError(f"{shown(file)} {what}")
        found = Fetched(file, file.name, sha256_of(file))
    expected = [sha256, known.hash if known else ""]
    for one in filter(None, expected):
        check_hash(found.file, one, found.source)
    return found


def _scale(
    naming: Naming,
    known: Known | None,
    notes: list[str],
    mean: tuple[float, float, float] | None,
    std: tuple[float, float, float] | None,
    shorter: int | None,
) -> Scale:
    """The library's, with what the table has of the weights' own, with what is given."""
    if naming.scale is None and not (mean and std) and not (known and known.mean):
        notes.append(
            f"{naming.library} does not say how the input is scaled; taken as ImageNet's usual mean and std, "
            "which --mean and --std change"
        )
    found = naming.scale or USUAL
    if known is not None:
        found = known.scaled(found)
    found = Scale(mean or found.mean, std or found.std, shorter or found.shorter)
    if min(found.std) <= 0 or not all(map(math.isfinite, (*found.mean, *found.std))):
        raise UsageError(f"a std of {found.std} is no scale; each must be above 0")
    return found


def _shorter(scale: Scale, side: int) -> int | None:
    """None where it is that of the input, or below it, as where the input was made larger."""
    return scale.shorter if scale.shorter and scale.shorter > side else None


def _without_background(network: Network, state: Mapping[str, Tensor]) -> tuple[Network, dict[str, Tensor]]:
    """Without the first class: the first row of every layer that has one a class."""
    if network.classes < 2:
        raise UsageError("--background leaves no class; leave it out")
    found = dict(state)
    for step in trace(network):
        layer = step.layer
        counted = layer.features if isinstance(layer, Linear) else getattr(layer, "filters", None)
        if isinstance(layer, Conv | Linear) and counted is CLASSES:
            main = f"{step.path}.conv" if isinstance(layer, Conv) else step.path
            for key in (f"{main}.weight", f"{main}.bias"):
                if key in found:
                    found[key] = found[key][1:].contiguous()
    return replace_classes(network, network.classes - 1), found


def _checked(network: Network, state: Mapping[str, Tensor], file: Path, size: int | None) -> Network:
    """The network, if the state is whole and of its shapes. Raises DataError or UsageError."""
    if network.input[0] != 3:
        raise DataError(f"{shown(file)} is for images of {network.input[0]} channels; only RGB is read here")
    with torch.device("meta"):
        own = Net(network).state_dict()
    for key, value in own.items():
        if key not in state:
            raise DataError(f"{shown(file)} lacks {key} of {network.name}")
        if state[key].shape != value.shape:
            if size is not None:
                raise UsageError(
                    f"--size {size}: {key} is {tuple(state[key].shape)}, and would have to be "
                    f"{tuple(value.shape)}; leave out --size"
                )
            raise DataError(
                f"{shown(file)}: {key} is {tuple(state[key].shape)} instead of {tuple(value.shape)}"
            )
    return network


def _answering(
    network: Network, state: Mapping[str, Tensor], preprocessing: Preprocessing, picture: Pixels, file: Path
) -> Net:
    """The network with its weights. Raises DataError where their answer to the picture is no number."""
    with torch.device("meta"):
        net = Net(network)
    net.load_state_dict(dict(state), assign=True)
    with torch.inference_mode():
        logits = net.eval()(preprocessing.views([preprocessing.fit(picture)]))
    if not bool(torch.isfinite(logits).all()):
        raise DataError(f"{shown(file)}: its weights give an image no finite answer; it cannot classify")
    return net


def _classes(
    given: str | Path | Sequence[str] | None, count: int, library: str, notes: list[str]
) -> tuple[tuple[str, ...], str]:
    """The names, and the data that they are of as far as it is known."""
    if given is not None:
        place = "the list of classes" if not isinstance(given, str | Path) else shown(given)
        names = _listed(Path(given)) if isinstance(given, str | Path) else tuple(map(str, given))
        if len(names) != count:
            raise DataError(f"{place} names {len(names):,} classes, and the network has {count:,}")
        if len(set(names)) != count:
            twice = next(name for number, name in enumerate(names) if name in names[:number])
            raise DataError(f"{place} names the class '{twice}' twice; make the names different")
        return names, UNSAID
    if count == 1000:
        notes.append("the 1,000 classes are taken to be ImageNet's, in its order; --classes names others")
        return tuple(imagenet().values()), "ImageNet"
    if count == 1001:
        notes.append("the classes are called background and as ImageNet's; --background drops the first")
        return ("background", *imagenet().values()), "ImageNet"
    if count == 10 and library == "cifar":
        return CIFAR_10, "CIFAR-10"
    notes.append(
        f"nothing names the {count:,} classes; they are called class 0 and so on; --classes names them"
    )
    return tuple(f"class {number}" for number in range(count)), UNSAID


def _listed(file: Path) -> tuple[str, ...]:
    """One name a line, or a JSON list."""
    try:
        text = content(file).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{shown(file)} is not UTF-8; save it so") from None
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except ValueError as problem:
            raise DataError(f"{shown(file)} is no JSON list of names: {problem}") from None
        if not all(isinstance(name, str) for name in found):
            raise DataError(f"{shown(file)} is no JSON list of names: some are no text")
    else:
        found = [line.strip() for line in text.strip().splitlines()]
    if "" in found:
        raise DataError(f"{shown(file)}: name {found.index('') + 1} is empty")
    return tuple(found)


def _name(match: Match, known: Known | None) -> str:
    return known.id.replace("/", "-") if known else f"{match.naming.library}-{match.naming.model}"


def _free(place: Path, force: bool) -> None:
    """Raises UsageError where something is in the way; with `force`, where it is more than a model.

    And for `.` and the like.
    """
    check_named(place)
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    if not is_model(place):
        raise UsageError(f"{shown(place)} is there and is no model alone; name another folder with -o")
    if not force:
        raise UsageError(f"{shown(place)} is there already; --force replaces it, -o names another folder")
