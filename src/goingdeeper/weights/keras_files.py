"""Keras' weights files: `.h5` of Keras 1 to 3, `.weights.h5` and `.keras`, read and written with h5py."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from goingdeeper.errors import DataError, MissingExtra, ResourceError, shown
from goingdeeper.files import write_whole
from goingdeeper.weights import keras_arrays

SECONDS = 60
"""How long one file may take, beyond a second for each MB, which slow places need."""


def read_keras(path: Path) -> dict[str, Tensor]:
    """Every array of a model by `layer/variable`, such as `conv1_conv/kernel`; half precision as float32.

    Layers that Keras numbers as they are made, such as `conv2d_97`, are numbered from `conv2d` on. Models
    within the model are flattened, and its only dense layer is called `predictions`. A `.weights.h5` without
    names gives `layers/conv2d_1/kernel`, numbered by position. The optimiser's state is left out. The file is
    read by a program of its own under limits. Raises DataError for what is no such file, ResourceError where
    memory or disk is short, MissingExtra without h5py.
    """
    _check_h5py()
    if not path.is_file():
        raise DataError(f"{shown(path)} is not there, or no file; check the path")
    size = path.stat().st_size
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "arrays"
        command = [sys.executable, "-P", "-B", "-W", "ignore", "-m", keras_arrays.__name__]
        try:
            done = subprocess.run(
                [*command, str(path), str(out)],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS + size // 1_000_000,
            )  # fmt: skip
        except subprocess.TimeoutExpired as problem:
            raise DataError(
                f"{shown(path)} took longer than {problem.timeout:,.0f} s to read; it is refused"
            ) from None
        if done.returncode:
            raise _reason(path, done)
        return load_file(out)


def _reason(path: Path, done: subprocess.CompletedProcess[bytes]) -> DataError | ResourceError:
    said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:400]
    if done.returncode == DataError.exit_status:
        return DataError(said)
    if done.returncode == -getattr(signal, "SIGXCPU", 0):
        return DataError(f"{shown(path)} takes far longer to read than its size needs; it is refused")
    if done.returncode < 0 and done.returncode != -9:
        return DataError(
            f"{shown(path)} is damaged: h5py ended with signal {-done.returncode}; load it again"
        )
    return ResourceError(
        f"{shown(path)} could not be read: the program that reads it ended "
        f"({said[:160] or 'most likely for want of memory'}); close other programs, free space in "
        f"{tempfile.gettempdir()}"
    )


def write_keras(path: Path, tensors: Mapping[str, Tensor], order: Sequence[str]) -> None:
    """Writes a weights file in the older form, which Keras 2 reads as well as 3, by `weights=path` or later.

    tensors: by `layer/variable`, each layer's in Keras' order. order: the layers in the order in which Keras
    lists them (`goingdeeper.names.keras.layer_order`): by it alone the file is read. path ends in `.h5`, but
    not in `.weights.h5`, which is another form. Raises DataError for another ending, or where `order` is not
    that of the tensors' layers.
    """
    _check_h5py()
    import h5py

    if path.suffix != ".h5" or path.name.endswith(".weights.h5"):
        raise DataError(f"{shown(path)}: Keras tells formats by name; end it in '.h5', not in '.weights.h5'")
    held = defaultdict(list)
    for key in tensors:
        held[key.rpartition("/")[0]].append(key)
    if odd := sorted(held.keys() ^ set(order)):
        raise DataError(f"{shown(path)}: '{odd[0]}' is not both in the order of layers and among the weights")
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in order]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.15.0"  # without it kernels would be taken for Keras 1's
        for name in order:
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{key}:0".encode() for key in held[name]]
            for key in held[name]:
                group.create_dataset(f"{key}:0", data=tensors[key].detach().cpu().numpy())
    write_whole(path, content.getvalue())


def _check_h5py() -> None:
    if find_spec("h5py") is None:
        raise MissingExtra("h5py is not installed: pip install 'goingdeeper[keras]'")
