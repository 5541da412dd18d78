"""The lists that name the classes of a validation folder without class folders."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from goingdeeper.data.decode import content
from goingdeeper.errors import DataError

SOLUTION = "LOC_val_solution.csv"
TRUTH = "ILSVRC2012_validation_ground_truth.txt"
ANNOTATIONS = "val_annotations.txt"
META = "meta.mat"
LISTS = frozenset({SOLUTION, TRUTH, ANNOTATIONS, META})
DEVKIT = "ILSVRC2012_devkit_t12"


def labels_of(root: Path, val: Path, files: Sequence[str]) -> dict[str, str]:
    """The class of each file, by its path.

    Kaggle's list (LOC_val_solution.csv), the development kit's (ILSVRC2012_validation_ground_truth.txt with
    meta.mat) or Tiny ImageNet's (val_annotations.txt), in the folder or its validation folder. Raises
    DataError, naming file and line, where there is none or it does not fit.
    """
    places = (root, val.parent, val, root / DEVKIT / "data")
    readers: tuple[tuple[str, Callable[[Path], dict[str, str]]], ...] = (
        (SOLUTION, _solution), (ANNOTATIONS, _annotations), (TRUTH, _truth),
    )  # fmt: skip
    for name, reader in readers:
        for place in places:
            if (place / name).is_file():
                known = reader(place / name)
                return {path: _label(path, known, place / name) for path in files}
    raise DataError(
        f"{val} holds {len(files):,} images, but none in a class folder; put them into one folder a class, "
        f"or their list ({SOLUTION}, or {TRUTH} with meta.mat) beside them"
    )


def _label(path: str, known: dict[str, str], file: Path) -> str:
    stem = path.rpartition("/")[2].rpartition(".")[0]
    if stem not in known:
        raise DataError(f"{path} is not in {file}; remove it, or add its class")
    return known[stem]


def _solution(file: Path) -> dict[str, str]:
    """ImageId,PredictionString: the latter begins with the class, a box after it."""
    found = {}
    for line, row in enumerate(csv.reader(io.StringIO(_text(file))), start=1):
        if line == 1 or not row:
            continue
        words = row[1].split() if len(row) == 2 else []
        if not words:
            raise DataError(f"{file}, line {line}: not of the form ILSVRC2012_val_00000001,n01440764 ...")
        found[row[0]] = words[0]
    return found


def _annotations(file: Path) -> dict[str, str]:
    """val_0.JPEG, its class and a box, with tabs between them."""
    found = {}
    for line, text in enumerate(_text(file).splitlines(), start=1):
        words = text.split("\t")
        if len(words) < 2 or not words[1]:
            raise DataError(f"{file}, line {line}: not of the form val_0.JPEG<tab>n01440764")
        found[words[0].rpartition(".")[0]] = words[1]
    return found


def _truth(file: Path) -> dict[str, str]:
    """A class number a line, for the images in the order of their numbers.

    The numbers are the development kit's own, whose order is not that of the names: only meta.mat has it.
    """
    meta = file.with_name(META)
    if not meta.is_file():
        raise DataError(
            f"{file} numbers the classes in the order of the development kit's meta.mat; add that file"
        )
    names = _numbered(meta)
    found = {}
    for line, text in enumerate(_text(file).split(), start=1):
        if not re.fullmatch("[0-9]{1,6}", text) or int(text) not in names:
            raise DataError(f"{file}, line {line}: '{text[:20]}' is no class number of {meta}")
        found[f"ILSVRC2012_val_{line:08}"] = names[int(text)]
    return found


def _numbered(meta: Path) -> dict[int, str]:
    from scipy.io import loadmat

    try:
        synsets = loadmat(io.BytesIO(content(meta)), squeeze_me=True)["synsets"]
        return {
            int(number): str(name)
            for number, name in zip(synsets["ILSVRC2012_ID"], synsets["WNID"], strict=True)
        }
    except Exception as problem:  # whatever a damaged file makes of the reader
        raise DataError(f"{meta} is damaged: {problem or type(problem).__name__}") from None


def _text(file: Path) -> str:
    try:
        return content(file).decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DataError(f"{file} is not UTF-8 (byte {problem.start:,})") from None
