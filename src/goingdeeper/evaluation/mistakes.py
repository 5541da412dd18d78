"""Which images runs mistook: as they were evaluated, or as they wrote it down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from goingdeeper.errors import DataError, RunFolderError, UsageError, shown
from goingdeeper.evaluation.evaluate import Evaluation
from goingdeeper.evaluation.scores import answered_right
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.listing import going_on

Mistakes: TypeAlias = Mapping[tuple[str, str], bool]
"""Whether an image, by its path and true class, was taken for another class."""


def evaluated_mistakes(found: Evaluation) -> list[list[bool]]:
    """Of each model, in the order of the images."""
    return [(~answered_right(likely, found.labels)).tolist() for likely in found.likely]


def finished(folder: RunFolder) -> dict[str, Any]:
    """run.json of a finished run. Raises RunFolderError where it is none, or has not ended."""
    if (folder.path / "config.json").is_file():
        raise RunFolderError(
            f"{folder.path} is a model folder, which keeps no predictions; name images to score both on"
        )
    run = folder.run()
    if run.get("status") != "finished":
        raise RunFolderError(f"{folder.path} is unfinished; go on with: {going_on(folder, run)}")
    return run


def same_classes(a: Iterable[str], b: Iterable[str], names: tuple[str, str]) -> None:
    """Raises UsageError, naming them, where two models do not know the same classes; order is no matter."""
    first, second = set(a), set(b)
    if first != second:
        parts = [
            f"{name} lacks {', '.join(shown(one) for one in sorted(lacking)[:8])}"
            + (f" and {len(lacking) - 8} more" if len(lacking) > 8 else "")
            for name, lacking in ((names[0], second - first), (names[1], first - second))
            if lacking
        ]
        raise UsageError(
            f"the runs know different classes ({'; '.join(parts)}); only the same can be compared"
        )


def written_mistakes(a: RunFolder, b: RunFolder) -> tuple[Mistakes, Mistakes]:
    """Those of two finished runs that scored the same images of the same data, from predictions.csv.

    Raises UsageError where they did not, naming the difference; DataError where there are no predictions.
    """
    names = (shown(a.path), shown(b.path))
    (classes, *data), (other_classes, *other_data) = _known(a), _known(b)
    same_classes(classes, other_classes, names)
    found = _written(a), _written(b)
    remedy = f"train one with --split {names[0]} to hold out the same images, or name images to score both on"
    if not any(one == other for one, other in zip(data, other_data, strict=True)):
        raise UsageError(
            f"the runs are of different data ({shown(data[0])}, {shown(other_data[0])}); {remedy}"
        )
    if found[0].keys() != found[1].keys():
        alone = [len(found[0].keys() - found[1].keys()), len(found[1].keys() - found[0].keys())]
        common = len(found[0].keys() & found[1].keys())
        raise UsageError(
            f"the runs were scored on different images: {common} in common, {alone[0]} of {names[0]} alone, "
            f"{alone[1]} of {names[1]} alone; {remedy}"
        )
    return found


def _known(folder: RunFolder) -> tuple[list[str], str, str]:
    """Classes, location and fingerprint of the data of a finished run."""
    run = finished(folder)
    try:
        return list(run["classes"]), str(run["data"]["location"]), str(run["data"]["fingerprint"])
    except (KeyError, TypeError):
        raise DataError(
            f"{folder.path / 'run.json'} does not say what the run learned from; name images to score both on"
        ) from None


def _written(folder: RunFolder) -> Mistakes:
    rows = folder.predictions()
    if not rows:
        raise DataError(f"{folder.path} has no predictions.csv; name images to score both runs on")
    return {
        (row["path"], row["true"]): row["true"] != row["predicted"] or row["probability"] == "nan"
        for row in rows
    }
