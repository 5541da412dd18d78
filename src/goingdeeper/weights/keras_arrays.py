"""The program that reads a file of Keras in a process of its own: `.h5`, `.weights.h5` and `.keras`.

Only arrays and names are read; no layer is built, so that nothing in a file can run. It is started by
`keras_files.py`: on damaged files the HDF5 library may loop without end, or end the process. It imports no
torch, so that it is there quickly.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from safetensors.numpy import save_file

from goingdeeper.errors import DataError, shown

CPU_SECONDS: Final = 5
"""Beyond one for each 20 MB, of which a reader needs a tenth."""

SPARE: Final = 64 * 2**20
PACKED: Final = 100
"""A file may hold `SPARE` bytes and `PACKED` times its own size: more is a bomb, not weights."""

DEPTH: Final = 16  # of models within models
CONTAINERS: Final = ("layers", "_layer_checkpoint_dependencies")  # the second in TensorFlow 2.12
KERNEL: Final = ("kernel", "bias")
NORM: Final = ("gamma", "beta", "moving_mean", "moving_variance")

# Keras 1: `conv1_W:0`, `block1_conv1_b_1:0`, `bn_conv1_running_std:0`; the last has always been the variance.
OLD: Final = {
    "W": "kernel", "b": "bias", "gamma": "gamma", "beta": "beta",
    "running_mean": "moving_mean", "running_std": "moving_variance",
}  # fmt: skip
_OLD_NAME: Final = re.compile(rf"_({'|'.join(OLD)})(_\d+)?$")
_COUNTED: Final = re.compile(r"(conv2d|batch_normalization|dense)(?:_v\d)?(?:_(\d+))?")

Array: TypeAlias = np.ndarray[Any, Any]
Arrays: TypeAlias = dict[tuple[str, str], Array]
"""By layer and variable."""


def read(path: Path) -> dict[str, Array]:
    """Every array of a model by `layer/variable`, as `keras_files.read_keras` says. Raises DataError."""
    import h5py

    name = shown(path)
    try:
        with path.open("rb") as start:
            zipped = start.read(4) == b"PK\x03\x04"
        if zipped:
            found = _zipped(h5py, path)
        else:
            with h5py.File(path, "r") as file:
                found = _Reader(h5py, path.stat().st_size).read(file, {})
                found = _headed(found, _text(file.attrs.get("model_config", "")))
    except FileNotFoundError:
        raise DataError(f"{name} is not there; check the path") from None
    except DataError as problem:
        raise DataError(f"{name}: {problem}") from None
    except (
        OSError, KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError, RecursionError,
        zipfile.BadZipFile, NotImplementedError, EOFError, MemoryError, OverflowError,
    ) as problem:  # fmt: skip
        text = " ".join(str(problem).split())[:120] or type(problem).__name__
        raise DataError(
            f"{name} cannot be read as a Keras file ({text}); it may be cut short, load it again"
        ) from None
    if not found:
        raise DataError(f"{name} holds no layer with weights; save the model with its weights")
    return {f"{layer}/{variable}": value for (layer, variable), value in _counted(found).items()}


def main() -> None:
    """Reads the file that is named first and writes its arrays to the one named second, as safetensors."""
    path, out = Path(sys.argv[1]), Path(sys.argv[2])
    with suppress(ImportError, ValueError, OSError):  # Windows has no limits
        import resource

        size = path.stat().st_size
        seconds = CPU_SECONDS + size // 20_000_000
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        memory = 4 * 2**30 + 4 * size
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        save_file(read(path), out)
    except DataError as problem:
        print(problem, file=sys.stderr)
        sys.exit(problem.exit_status)


def _zipped(h5py: Any, path: Path) -> Arrays:
    with zipfile.ZipFile(path) as archive:
        parts = []
        for member in ("config.json", "model.weights.h5"):
            if member not in archive.namelist():
                raise DataError(f"there is no {member} in it, as there is in a .keras file; save it again")
            size = archive.getinfo(member)
            if size.file_size > SPARE + PACKED * size.compress_size:
                raise DataError(f"{member} in it claims {size.file_size:,} bytes; nothing was unpacked")
            parts.append(archive.read(member))
    config, weights = parts
    named = _groups(json.loads(config))
    with h5py.File(io.BytesIO(weights), "r") as file:
        return _headed(_Reader(h5py, len(weights)).read(file, named), config.decode())


def _groups(config: Any, above: str = "") -> dict[str, tuple[str, str]]:
    """Name and class of the layer behind each group of a weights file, from the model's configuration."""
    found = {}
    counts = Counter[str]()
    for layer in config["config"]["layers"]:
        kind = layer["class_name"]
        snake = re.sub("(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", kind).lower()
        group = f"{above}layers/{snake}_{counts[snake]}" if counts[snake] else f"{above}layers/{snake}"
        counts[snake] += 1
        whole = layer["config"].get("center", True)  # without beta it is no layer of ours
        found[group] = (str(layer["config"]["name"]), str(kind) if whole else "")
        if "layers" in layer["config"]:
            found |= _groups(layer, f"{group}/")
    return found


class _Reader:
    """Reads arrays out of one file, and keeps count of how much they claim to be."""

    def __init__(self, h5py: Any, size: int) -> None:
        self.h5py = h5py
        self.left = SPARE + PACKED * size

    def read(self, file: Any, named: Mapping[str, tuple[str, str]]) -> Arrays:
        group = self._inside(file, "model_weights") if "model_weights" in file else file
        if "layer_names" in group.attrs or "layer_names0" in group.attrs:
            return self._legacy(group)
        if not any(name in file for name in CONTAINERS):
            raise DataError("it is HDF5, but neither Keras' model_weights nor its layers are in it")
        found = dict(self._walk(file, "", named))
        layers = [place for place, _, _ in found]
        if len(set(layers)) == len({name for _, name, _ in found}):  # no name twice in models within
            return {(name, variable): value for (_, name, variable), value in found.items()}
        return {(place, variable): value for (place, _, variable), value in found.items()}

    def _legacy(self, group: Any) -> Arrays:
        found: dict[tuple[str, ...], Array] = {}
        for layer in _texts(group, "layer_names"):
            inside = self._inside(group, layer)
            names = _texts(inside, "weight_names")
            owners = {name.split("/")[-2] for name in names if "/" in name}
            for name in names:
                *above, variable = name.removesuffix(":0").split("/")
                old = _OLD_NAME.search(variable)
                if not above and old:
                    variable = OLD[old[1]]
                # A model within has layers of its own; a layer's name may have been altered in its weights'.
                owner = above if len(owners) > 1 else [layer]
                key = (*owner, variable)
                if key in found:
                    raise DataError(f"{'/'.join(key)} is in it twice")
                found[key] = self._array(inside, name)
        short = {key: (key[-2], key[-1]) for key in found}
        if len(set(short.values())) < len(short):
            short = {key: ("/".join(key[:-1]), key[-1]) for key in found}
        return {short[key]: value for key, value in found.items()}

    def _walk(
        self, group: Any, above: str, named: Mapping[str, tuple[str, str]], depth: int = 0
    ) -> Iterator[tuple[tuple[str, str, str], Array]]:
        """((place, layer, variable), array) of every layer below; place is the path of its group."""
        if depth > DEPTH:
            raise DataError(f"models within models more than {DEPTH} deep")
        for container in CONTAINERS:
            if container not in group:
                continue
            inside = self._inside(group, container)
            for name in inside:
                layer = self._inside(inside, name)
                place = f"{above}layers/{name}"
                if "vars" in layer:
                    variables = self._inside(layer, "vars")
                    title, kind = named.get(place, ("", name))
                    title = _text(variables.attrs.get("name", title)) or f"layers/{name}"
                    count = len(variables)
                    for index, variable in enumerate(_variables(kind, count)):
                        yield (place, title, variable), self._array(variables, str(index))
                yield from self._walk(layer, f"{place}/", named, depth + 1)

    def _inside(self, group: Any, name: str) -> Any:
        found = self._hard(group, name)
        if not isinstance(found, self.h5py.Group):
            raise DataError(f"'{name[:60]}' is no group")
        return found

    def _hard(self, group: Any, name: str) -> Any:
        """What stands under a name in this very file: links that lead elsewhere are not followed."""
        for part in name.split("/"):
            if not isinstance(group, self.h5py.Group) or part not in group:
                raise DataError(f"'{name[:60]}' is listed in it, but not there")
            if not isinstance(group.get(part, getlink=True), self.h5py.HardLink):
                raise DataError(f"'{name[:60]}' is a link, which is not followed")
            group = group[part]
        return group

    def _array(self, group: Any, name: str) -> Array:
        data = self._hard(group, name)
        if not isinstance(data, self.h5py.Dataset) or data.external or data.is_virtual or data.shape is None:
            raise DataError(f"'{name[:60]}' is no array of its own")
        self.left -= data.nbytes
        if self.left < 0:
            raise DataError(f"'{name[:60]}' claims {data.nbytes:,} bytes, far more than the file has")
        if _text(data.attrs.get("dtype", "")) == "bfloat16" and data.dtype.itemsize == 2:
            bits = np.frombuffer(np.asarray(data[()]).tobytes(), np.uint16).astype(np.uint32) << 16
            return bits.view(np.float32).reshape(data.shape)
        if data.dtype.kind not in "fiu":
            raise DataError(f"'{name[:60]}' holds {data.dtype}, not numbers")
        value = np.array(data[()])  # a copy of its own, native to this machine
        wide = (
            np.float32
            if data.dtype.kind == "f" and data.dtype.itemsize <= 4
            else data.dtype.newbyteorder("=")
        )
        return np.ascontiguousarray(value.astype(wide, copy=False))


def _variables(kind: str, count: int) -> Iterable[str]:
    """What a layer's numbered variables are; of a kind that is not ours the numbers stay."""
    kind = kind.lower().replace("_", "")
    if re.match(r"(conv2d|dense)\d*$", kind) and count <= 2:
        return KERNEL[:count]
    if kind.startswith("batchnormalization") and 2 <= count <= 4:
        # Without gamma three, as in InceptionV3; the statistics are always there.
        return NORM[4 - count :]
    return [str(index) for index in range(count)]


def _counted(found: Arrays) -> Arrays:
    """The same with the layers that Keras counts numbered anew."""
    counted = defaultdict(set)
    for layer, _ in found:
        if match := _COUNTED.fullmatch(layer):
            counted[match[1]].add((int(match[2] or 0), layer))
    names = {
        layer: f"{kind}_{index}" if index else kind
        for kind, layers in counted.items()
        for index, (_, layer) in enumerate(sorted(layers))
    }
    return {(names.get(layer, layer), variable): value for (layer, variable), value in found.items()}


def _headed(found: Arrays, config: str) -> Arrays:
    """The same with the only dense layer called as Keras calls its classifiers.

    A new one on a network without its own has any name. Behind a maximum over the map it is no network of
    ours.
    """
    dense = [layer for (layer, name), value in found.items() if name == "kernel" and value.ndim == 2]
    if len(dense) != 1 or dense[0].startswith("layers/") or "GlobalMaxPooling2D" in config:
        return found
    return {
        ("predictions" if layer == dense[0] else layer, variable): value
        for (layer, variable), value in found.items()
    }


def _texts(group: Any, name: str) -> list[str]:
    """A list in a group's attributes, which long ones are spread over."""
    if name in group.attrs:
        return [_text(one) for one in group.attrs[name]]
    texts: list[str] = []
    chunk = 0
    while f"{name}{chunk}" in group.attrs:
        texts += [_text(one) for one in group.attrs[f"{name}{chunk}"]]
        chunk += 1
    return texts


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise DataError("a name in it is no text")
    return value


if __name__ == "__main__":
    main()
