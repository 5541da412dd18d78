"""Files of weights from elsewhere, of any kind that is known: tensors by their keys, and nothing executed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from goingdeeper.errors import DataError, shown
from goingdeeper.weights import pickled
from goingdeeper.weights.kinds import ENDINGS, READ, Kind, kind_of

FORMATS: dict[Kind, str] = {
    "safetensors": "safetensors",
    "torch": "torch.save",
    "keras": "Keras",
    "caffe": "Caffe",
}

_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
_HOLDERS = ("model", "net", "network")
_COUNTER = "n_averaged"


@dataclass(frozen=True)
class Weights:
    """Tensors by their keys: float32, or whole numbers of one element; contiguous, on the CPU, no gradient.

    format: of the file, as `FORMATS` calls it. notes: what was done to them and what was left, a line each.
    """

    tensors: dict[str, Tensor]
    format: str
    notes: tuple[str, ...]


def read(path: Path, ema: bool = True) -> Weights:
    """The weights in a file, whose kind its content tells, or in a folder that holds one file of them.

    ema: take the averaged weights where a checkpoint of torch has them beside those of the last step. Raises
    DataError, naming the file and the remedy, for what is damaged, would execute code, is quantised, or is no
    weights at all; MissingExtra for Keras' and Caffe's files without their packages.
    """
    file, notes = _in_folder(path) if path.is_dir() else (path, [])
    kind = kind_of(file)
    if kind == "index":
        tensors, kind, lightning = _sharded(file, ema, notes)
    else:
        tensors, lightning = _read_one(file, kind, ema, notes)
    if not tensors:
        raise DataError(f"{shown(file)} holds no tensors; take another file")
    if kind in ("torch", "safetensors"):
        tensors = _unwrapped(tensors, lightning, notes)
    return Weights(_plain(file, tensors, notes), FORMATS[kind], tuple(dict.fromkeys(notes)))


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor by its key."""
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def _read_one(file: Path, kind: Kind, ema: bool, notes: list[str]) -> tuple[dict[str, Tensor], bool]:
    """The tensors of one file, and whether Lightning saved it."""
    said = next((other for other, ends in ENDINGS.items() if file.name.lower().endswith(ends)), kind)
    if said != kind:
        notes.append(f"{shown(file.name)} is a file of {FORMATS[kind]}, whatever its ending says")
    match kind:
        case "torch":
            found = pickled.read(file, ema)
            notes += found.notes
            return found.tensors, found.lightning
        case "keras":
            from goingdeeper.weights.keras_files import read_keras

            return read_keras(file), False
        case "caffe":
            from goingdeeper.weights.caffe_files import read_caffe

            return read_caffe(file), False
        case _:
            return _safetensors(file), False


def _safetensors(file: Path) -> dict[str, Tensor]:
    """Tensors on the file's mapped pages."""
    try:
        with safe_open(file, framework="pt", device="cpu") as opened:
            return {key: opened.get_tensor(key) for key in opened.keys()}
    except (
        SafetensorError,
        OSError,
        ValueError,
        RuntimeError,
        TypeError,
        KeyError,
        AttributeError,
    ) as problem:
        reason = shown(str(problem).splitlines()[0][:120]) if str(problem) else type(problem).__name__
        raise DataError(
            f"{shown(file)} is cut short or damaged ({reason}); download or copy it again"
        ) from None


def _in_folder(folder: Path) -> tuple[Path, list[str]]:
    """The file of weights in a folder, as the Hub's are, or the list of its parts."""
    try:
        names = sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))
    except OSError as problem:
        raise DataError(f"{shown(folder)} cannot be read: {problem.strerror or problem}") from None
    if "saved_model.pb" in names:
        raise DataError(
            f"{shown(folder)} is a SavedModel of TensorFlow, which is not read; save the model as .keras"
        )
    by_kind: dict[Kind, list[str]] = {}
    for kind in ("index", "safetensors", "torch", "keras", "caffe"):
        by_kind[kind] = [name for name in names if name.lower().endswith(ENDINGS[kind])]
    indexed = [name for name in by_kind["index"] if ".safetensors." in name] or by_kind["index"]
    whole = [name for name in by_kind["safetensors"] if not re.search(r"-\d+-of-\d+\.", name)]
    every = [name for kind, found in by_kind.items() if kind != "index" for name in found]
    for group in (whole, indexed, every):
        if len(group) == 1:
            others = [name for name in every if name not in group]
            beside = f", and left {', '.join(map(shown, others[:3]))}{' ...' if len(others) > 3 else ''}"
            return folder / group[0], [f"took {shown(group[0])}{beside}"] if group is whole and others else []
        if group:
            raise DataError(
                f"{shown(folder)} holds {len(group)} files of weights ({', '.join(map(shown, group[:4]))}"
                f"{', ...' if len(group) > 4 else ''}); name one of them"
            )
    raise DataError(f"{shown(folder)} holds no file of weights; {READ}")


def _sharded(index: Path, ema: bool, notes: list[str]) -> tuple[dict[str, Tensor], Kind, bool]:
    """The tensors of all the parts that the list names, no key twice and none missing."""
    try:
        data = json.loads(index.read_text("utf-8"))
        wanted = {str(key): str(name) for key, name in data["weight_map"].items()}
        "".join([*wanted, *wanted.values()]).encode()  # half a character, which JSON can hold, is no name
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError):
        raise DataError(
            f"{shown(index)} is no list of parts: it has no weight_map; download it again"
        ) from None
    parts = sorted(set(wanted.values()))
    for name in parts:
        if Path(name).name != name or name in ("", ".", ".."):
            raise DataError(f"{shown(index)} names {shown(name)}, outside of its folder; it is refused")
    missing = [name for name in parts if not (index.parent / name).is_file()]
    if missing:
        raise DataError(
            f"{shown(index)} names {shown(missing[0])}, which is not there ({len(missing)} of {len(parts)} "
            "parts are missing); download them beside it"
        )
    found: dict[str, Tensor] = {}
    kinds: set[Kind] = set()
    for name in parts:
        kind = kind_of(index.parent / name)
        kinds.add(kind)
        if kind not in ("safetensors", "torch"):
            raise DataError(
                f"{shown(index)} names {shown(name)}, a file of {kind}; parts are safetensors or torch's"
            )
        held = _read_one(index.parent / name, kind, ema, notes)[0]
        lacking = next((key for key, place in wanted.items() if place == name and key not in held), None)
        if lacking is not None:
            raise DataError(
                f"{shown(index.parent / name)} lacks '{shown(lacking)}', which {shown(index.name)} says it "
                "holds; download both again"
            )
        found |= {key: tensor for key, tensor in held.items() if wanted.get(key) == name}
    return found, "torch" if "torch" in kinds else "safetensors", False


def _unwrapped(tensors: dict[str, Tensor], lightning: bool, notes: list[str]) -> dict[str, Tensor]:
    """Keys without what a wrapper of the model put in them; as they are where two would become one."""
    count = tensors.get(_COUNTER)
    if count is not None and count.numel() == 1 and len(tensors) > 1:
        tensors = {key: tensor for key, tensor in tensors.items() if key != _COUNTER}
        notes.append(f"weights averaged over {int(count):,} steps")
    dropped: dict[str, None] = {}

    def freed(key: str) -> str:
        parts = key.split(".")
        dropped.update(dict.fromkeys(part for part in parts[:-1] if part in _WRAPPERS))
        return ".".join([*(part for part in parts[:-1] if part not in _WRAPPERS), parts[-1]])

    keys = {key: freed(key) for key in tensors}
    while True:
        firsts = {key.partition(".")[0] if "." in key else "" for key in keys.values()}
        first = next(iter(firsts))
        if len(firsts) > 1 or not first or not (lightning or first in _HOLDERS):
            break
        dropped[first] = None
        keys = {key: short.partition(".")[2] for key, short in keys.items()}
    if not dropped or len(set(keys.values())) < len(keys):
        return tensors
    notes.append(f"left {', '.join(f'{shown(part)}.' for part in dropped)} out of the keys")
    return {keys[key]: tensor for key, tensor in tensors.items()}


def _plain(file: Path, tensors: dict[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    """All as float32, but for counters. Refuses what is no weight, and what is not finite."""
    found: dict[str, Tensor] = {}
    turned: dict[str, int] = {}
    for key, tensor in tensors.items():
        kind = str(tensor.dtype).removeprefix("torch.")
        if kind in ("float16", "bfloat16", "float64"):
            turned[kind] = turned.get(kind, 0) + 1
        elif kind != "float32" and (tensor.is_complex() or tensor.is_floating_point() or tensor.numel() > 1):
            quantised = "" if tensor.is_complex() else ", as quantised weights are"
            raise DataError(
                f"{shown(file)}: '{shown(key)}' is {kind}{quantised}, which is not read; take the file with "
                "the float weights"
            )
        if tensor.is_floating_point():
            value = tensor.detach().to(torch.float32)
            # The sum is quick, and says no where all are finite only beyond 1e38.
            if not bool(value.sum().isfinite()) and not bool(value.isfinite().all()):
                bad = int((~value.isfinite()).sum())
                beyond = " as float32" if bool(tensor.isfinite().all()) else ""
                raise DataError(
                    f"{shown(file)}: {bad:,} of the {value.numel():,} values of '{shown(key)}' are not "
                    f"finite{beyond} (NaN or infinite); the training behind it has failed, take another file"
                )
            found[key] = value.contiguous()
        else:
            found[key] = tensor.detach().contiguous()
    for kind, count in turned.items():
        notes.append(f"{count} tensors of {kind} became float32")
    return found
