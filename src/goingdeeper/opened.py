"""A run, a model or an export, opened: what `gd.load` gives. An export loads no torch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from goingdeeper.data.decode import Pixels
from goingdeeper.data.sources import open_scored
from goingdeeper.errors import DataError, GoingDeeperError, RunFolderError
from goingdeeper.prediction.predictor import Answer, Failure, Picture, expand, predict
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.sides import sides_of
from goingdeeper.runtimes.exported import ExportedModel, is_export, load_export, recommended
from goingdeeper.runtimes.runner import Goal

if TYPE_CHECKING:
    from goingdeeper.evaluation.evaluate import Side
    from goingdeeper.evaluation.scores import Score
    from goingdeeper.prediction.explain import Explanation, Method
    from goingdeeper.runs.model import Model

PathLike: TypeAlias = str | os.PathLike[str]
Given: TypeAlias = PathLike | Pixels | Image.Image
"""An image; or a path of several: a folder, or any other source."""


@dataclass(frozen=True)
class Run:
    """A run folder, a model folder on its own, or an exported one, with what can be done with it.

    opened: what answers. note: why that is not the export that `deeper bench` recommends, if it does.
    answered_by: where that export is below a run for which it answers, such as "export/onnx-int8".
    """

    path: Path
    opened: Model | ExportedModel = field(repr=False)
    note: str = ""
    answered_by: str = ""

    @cached_property
    def model(self) -> Model:
        """The torch module, and what is needed to use it. Raises RunFolderError for an export."""
        if isinstance(self.opened, ExportedModel):
            return load_trained(self.path).model
        return self.opened

    def predict(
        self, images: Given | Iterable[Given], *, top: int = 5, threshold: float = 0.0
    ) -> list[Answer]:
        """The likeliest classes of images: a path, a folder, any other source, a PIL image, an array of RGB
        bytes, or several.

        threshold: an answer with a lower probability is not `accepted`. Raises DataError, naming the file,
        for an image that cannot be read.
        """
        answers = []
        for answer in predict(self.opened, expanded(images), top=top, threshold=threshold):
            if isinstance(answer, Failure):
                raise DataError(answer.problem)
            answers.append(answer)
        return answers

    def explain(
        self,
        images: Given | Iterable[Given],
        *,
        method: Method = "cam",
        name: str | None = None,
    ) -> list[Explanation]:
        """What speaks for the likeliest class in images, given as to `predict`, or for the class of a name.

        method: "cam" is Grad-CAM at the last map (Selvaraju et al. 2017); "occlusion" covers square after
        square, a pass each (Zeiler and Fergus 2014). Each explanation has its `heat`, (S, S), from 0 to 1, of
        the square that the network sees, and a `picture()`. The run's own weights answer, in torch. Raises
        RunFolderError for an export, which has none; DataError as `predict`; UsageError for a name that is no
        class, and for Grad-CAM of a network without a map.
        """
        from goingdeeper.prediction.explain import explain

        found = []
        for one in explain(self.model, expanded(images), method=method, name=name):
            if isinstance(one, Failure):
                raise DataError(one.problem)
            found.append(one)
        return found

    def evaluate(
        self, images: PathLike | None = None, *, protocol: str = "1crop", split: Side = "val"
    ) -> Score:
        """The score on a folder of class folders, or on the images that the run held out."""
        from goingdeeper.api import evaluate

        return evaluate(self, images, protocol=protocol, split=split)

    def trained_on(self, images: PathLike, *, split: Side = "val") -> bool:
        """Whether the run was trained on one of the images that `evaluate` scores at a location, as
        `sides_of` tells."""
        if not (self.path / "run.json").is_file():
            return False
        scored = open_scored(images, self.opened.classes, split)
        return "train" in sides_of(RunFolder(self.path), scored).values()

    @property
    def score(self) -> dict[str, Any]:
        """The validation score that training ended with; errors in per cent."""
        scores: dict[str, Any] = self.opened.config.get("scores", {})
        return scores

    @property
    def report(self) -> Path:
        """report.html of the run folder."""
        return RunFolder(self.path).report

    def _repr_html_(self) -> str:
        from html import escape

        return (
            f"<code>{escape(str(self.path))}</code>: validation error {self.score.get('top1_error', '?')} %"
        )


def load(path: PathLike, *, goal: Goal = "latency") -> Run:
    """A finished run folder, a model folder, `hf:owner/name` on the Hub, or a folder that `deeper export`
    wrote, its golden image checked.

    A run predicts by the export that `deeper bench` recommends for it, if that is there and of its weights;
    neither that nor an export loads torch. goal: of an export, "throughput" for many images. Raises
    RunFolderError where there is none, DataError or GateError where it was damaged or altered.
    """
    place, note = _local(path), ""
    if is_export(place):
        return Run(place, load_export(place, goal=goal))
    try:
        # What another machine found fastest is of no use here, and the Hub has no exports.
        if not os.fspath(path).startswith("hf:") and (chosen := recommended(place)):
            exported = load_export(chosen.export, goal=goal, threads=chosen.threads)
            return Run(place, exported, answered_by=f"export/{chosen.export.name}")
    except GoingDeeperError as problem:
        note = f"{problem}; the run itself answers"
    _check_not_several(place)
    return Run(place, load_trained(place).model, note)


def load_trained(path: PathLike) -> Run:
    """As `load`, with the model itself, whatever is recommended. Raises RunFolderError for an export."""
    from goingdeeper.runs.model import load_model

    place = _local(path)
    return Run(place, load_model(place))


def _check_not_several(place: Path) -> None:
    """Raises RunFolderError for the folder that a run's exports are in."""
    if not place.is_dir() or any((place / name).exists() for name in ("run.json", "config.json")):
        return
    names = sorted(one.name for one in place.iterdir() if is_export(one))
    if names:
        raise RunFolderError(
            f"{place} holds exports: {', '.join(names)}; name one, such as {place / names[0]}"
        )


def expanded(images: Given | Iterable[Given]) -> list[Picture]:
    """One image or several, as `predict` takes them, with all the images of folders and other sources."""
    if isinstance(images, str | os.PathLike | np.ndarray | Image.Image):
        images = [images]
    found: list[Picture] = []
    for image in images:
        found += expand([os.fspath(image)]) if isinstance(image, str | os.PathLike) else [image]
    return found


def _local(path: PathLike) -> Path:
    if not os.fspath(path).startswith("hf:"):
        return Path(path)
    from goingdeeper.weights.hub import local

    return local(path)
