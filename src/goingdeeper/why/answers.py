"""What a trained network says of images: of those that it learned from, or of others of the same source."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from goingdeeper.data.sources import open_source
from goingdeeper.data.split import turns
from goingdeeper.evaluation.evaluate import VIEWS
from goingdeeper.evaluation.predict import parts
from goingdeeper.evaluation.protocols import protocol
from goingdeeper.evaluation.scores import answered_right
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model
from goingdeeper.runs.sides import sides_of
from goingdeeper.training.plan import choose_device

MOST = 2000
"""Images that are scored, unless another number is asked for."""


@dataclass(frozen=True)
class Answers:
    """likely: log of the averaged probabilities, (N, classes). labels: (N,) class numbers."""

    likely: Tensor
    labels: Tensor

    @property
    def error(self) -> float:
        """Top-1, per cent."""
        return 100 * (1 - float(answered_right(self.likely, self.labels).double().mean()))


def unseen(run: RunFolder, scheme: str = "1crop", most: int = MOST) -> Answers:
    """Of a run, for images of its source that it did not learn from: held out, or left out of its training.

    scheme: the protocol, by its name. most: images at the most, of each class as many; the same ones for runs
    that learned from the same. Raises DataError where the source has gone.
    """
    return _answers(run, False, scheme, most)


def learned(run: RunFolder, most: int = MOST) -> Answers:
    """The same for images that it did learn from, one crop of each, as in an evaluation: nothing is drawn."""
    return _answers(run, True, "1crop", most)


def _answers(run: RunFolder, known: bool, scheme: str, most: int) -> Answers:
    model = load_model(run.path)
    source = open_source(run.run()["data"]["location"], model.classes)
    sides = sides_of(run, source)
    chosen = turns([item for item in source.items if (sides.get(item.path) == "train") == known], most, 0)
    found = list(
        parts(
            model.net, source, chosen, protocol(scheme), model.preprocessing,
            batch=VIEWS, device=choose_device("auto").value,
        )
    )  # fmt: skip
    number = {name: index for index, name in enumerate(model.classes)}
    read = torch.tensor([readable for part in found for readable in part.read])
    labels = torch.tensor([number[item.label] for item in chosen])
    return Answers(torch.cat([part.likely for part in found])[read], labels[read])
