"""What a file of weights is, told by its content; what is none is called by its name, with the remedy."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias

from goingdeeper.errors import DataError, shown

Kind: TypeAlias = Literal["safetensors", "torch", "keras", "caffe", "index"]
"""torch: of torch.save, in either form. keras: .h5 or .keras. index: the JSON list of a sharded file."""

ENDINGS: dict[Kind, tuple[str, ...]] = {
    "safetensors": (".safetensors",),
    "torch": (".pth", ".pt", ".bin", ".ckpt", ".th"),
    "keras": (".h5", ".hdf5", ".keras"),
    "caffe": (".caffemodel",),
    "index": (".index.json",),
}
READ = "safetensors, torch's .pth, Keras' .h5 and .keras and Caffe's .caffemodel are read"

_LFS = b"version https://git-lfs"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_TORCH = re.compile(rb"\x80[\x02-\x05].{0,9}?\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", re.DOTALL)
"""The number at the start of torch.save's older form; from protocol 4 on a frame comes before it."""
_TENSORFLOW = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
_PACKED = {
    b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf": "7z", b"Rar!": "rar",
}  # fmt: skip
_OTHERS = {
    b"\x93NUMPY": "an array of NumPy", b"MATLAB": "a file of MATLAB", b"GGUF": "a file of GGUF",
    b"%PDF": "a PDF", b"\x89PNG": "a PNG image", b"\xff\xd8\xff": "a JPEG image",
    b"\x08\x01\x12": "a SavedModel",
}  # fmt: skip


def kind_of(file: Path) -> Kind:
    """The kind of a regular file. Raises DataError where it is missing, unreadable, or holds no weights."""
    if not file.exists():
        raise DataError(f"{shown(file)} is not there; check the name")
    if not file.is_file():
        raise DataError(f"{shown(file)} is no regular file; name a file of weights, or a folder with one")
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            start = stream.read(1024)
            stream.seek(max(0, size - 8))
            end = stream.read(8)
    except OSError as problem:
        raise DataError(f"{shown(file)} cannot be read: {problem.strerror or problem}") from None
    if not start:
        raise DataError(f"{shown(file)} is empty (0 bytes); download or copy it again")
    if start.startswith(b"PK\x03\x04"):
        return _archive(file)
    if _TORCH.match(start):
        return "torch"
    if start.startswith(_HDF5):
        return "keras"
    if len(start) > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000:
        return "safetensors"
    if start.lstrip().startswith(b"{") and file.name.endswith(ENDINGS["index"]):
        return "index"
    _refuse_known(file, start, end)
    if _is_caffe(start) or file.suffix.lower() in ENDINGS["caffe"]:
        return "caffe"
    raise DataError(
        f"{shown(file)} is no file of weights known here (it starts with {start[:8].hex(' ')}); {READ}"
    )


def _archive(file: Path) -> Kind:
    """Which of the files that are zip archives this is. Nothing is unpacked."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeDecodeError):
        raise DataError(
            f"{shown(file)} is cut short or damaged: the list at the end of the archive cannot be read; "
            "download or copy it again"
        ) from None
    names = [entry.filename for entry in entries]
    if "config.json" in names and "model.weights.h5" in names:
        return "keras"
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        raise DataError(
            f"{shown(file)} is a TorchScript program, which holds code; save the state_dict of the model "
            "instead: torch.save(model.state_dict(), 'weights.pth')"
        )
    if "data.pkl" in inner:
        held = sum(entry.file_size for entry in entries)
        if held > file.stat().st_size or any(entry.compress_type for entry in entries):
            raise DataError(
                f"{shown(file)} claims {held:,} bytes and has {file.stat().st_size:,}, where torch.save "
                "packs nothing; it is refused"
            )
        return "torch"
    if names and all(name.endswith(".npy") for name in names):
        _no(file, "holds NumPy's arrays; save them with safetensors.numpy.save_file, and name that file")
    listed = ", ".join(shown(name) for name in names[:3]) or "nothing"
    raise DataError(
        f"{shown(file)} is an archive of {listed}{', ...' if len(names) > 3 else ''}; unpack it, and name "
        f"the file of weights in it: {READ}"
    )


def _refuse_known(file: Path, start: bytes, end: bytes) -> None:
    """Raises DataError for what is often taken for weights."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(_LFS):
        claimed = re.search(rb"size (\d{1,15})\s", text)
        _no(
            file,
            "is a pointer of Git LFS"
            + (f" to a file of {int(claimed[1]):,} bytes" if claimed else "")
            + "; run `git lfs pull` where it was cloned, or download the file itself",
        )
    if re.match(rb"<(!doctype|html|head|\?xml|error)", text, re.IGNORECASE):
        _no(
            file,
            "is a web page (of a login or an error, it may be), not weights; download the file itself",
        )
    if text.startswith((b"{", b"[")):
        _no(file, "is JSON, not weights; name the file of weights, or the folder that it is in")
    for magic, packing in _PACKED.items():
        if start.startswith(magic):
            _no(file, f"is packed ({packing}); unpack it, and name the file of weights")
    if start[257:262] == b"ustar" or _is_tar(file, start):
        _tar(file)
    if end == _TENSORFLOW:
        _no(
            file,
            "is a checkpoint of TensorFlow, which is not read; take the network's .h5 of Keras",
        )
    for magic, name in _OTHERS.items():
        if start.startswith(magic):
            _no(file, f"is {name}, not weights as they are read here; {READ}")
    if re.match(rb"\x80[\x02-\x05]", start):
        _no(
            file,
            "is a pickle, but not of torch.save, and is not read, for it could execute code; save the "
            "weights as .safetensors, or with torch.save",
        )
    if not start.strip(b"\0"):
        _no(file, "starts with zeros only, as a download that was not finished; download it again")


def _is_tar(file: Path, start: bytes) -> bool:
    """Whether the first header sums up: the oldest archives have no word that marks them."""
    return len(start) >= 512 and start[148:156].strip(b" \0").isdigit() and tarfile.is_tarfile(file)


def _tar(file: Path) -> NoReturn:
    try:
        with tarfile.open(file, "r:") as archive:
            names = [entry.name for _, entry in zip(range(4), archive, strict=False)]
    except (tarfile.TarError, OSError, ValueError):
        names = []
    if {"sys_info", "pickle", "storages"} & set(names):
        _no(
            file,
            "is of torch's oldest form (a tar), which cannot be read without executing it; if you trust it, "
            "load it with torch.load(weights_only=False) and torch.save its state_dict",
        )
    _no(file, "is a tar archive; unpack it, and name the file of weights")


def _no(file: Path, reason: str) -> NoReturn:
    raise DataError(f"{shown(file)} {reason}")


def _is_caffe(start: bytes) -> bool:
    """Whether this starts as a NetParameter does: its name, or a layer of either form."""
    if start[:1] == b"\n":
        length = start[1] if len(start) > 1 else 0
        name = start[2 : 2 + length]
        return (
            length < 0x80 and all(32 <= letter < 127 for letter in name) and start[2 + length :][:1] != b"\n"
        )
    return start[:1] == b"\x12" or start[:2] == b"\xa2\x06"
