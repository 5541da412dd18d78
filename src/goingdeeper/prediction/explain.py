"""Images to what speaks for a class in them: heat maps by Grad-CAM or by occlusion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from PIL import Image
from torch import Tensor

from goingdeeper.data.decode import Pixels, centre, png
from goingdeeper.errors import UsageError, shown, unknown
from goingdeeper.prediction.overlay import Heat, overlay, picture
from goingdeeper.prediction.predictor import Answer, Failure, Picture, answered
from goingdeeper.probes.attribution import grad_cam, occlusion
from goingdeeper.runs.model import Model
from goingdeeper.stages import last_map

Method: TypeAlias = Literal["cam", "occlusion"]

SQUARES = 7
"""So many covered squares lie side by side in an image; they move by half of their side."""

COVERED = 16
"""Covered images at a time: of the largest networks more would take gigabytes."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """An answer, and where in the image a class has its grounds.

    name, probability: of the class. pixels: (S, S, 3) bytes, the square of the image that the network sees.
    heat: (S, S), from 0 to 1: how much each place speaks for the class, as a share of the strongest.
    strongest: what 1 stands for, by occlusion a fall of the logit, by Grad-CAM a sum without unit; 0 where
    nothing speaks for the class. layer: address of the map that Grad-CAM weighs, empty of occlusion.
    """

    answer: Answer
    name: str
    probability: float
    method: Method
    layer: str
    pixels: Pixels
    heat: Heat
    strongest: float

    def picture(self) -> Image.Image:
        """The square, beside it the heat on it, and the scale of its colours."""
        name, most = shown(self.name), "most"
        if not self.strongest:
            scale, most = f"nothing speaks for {name}", ""
        elif self.method == "occlusion":
            side = _window(len(self.heat))
            scale, most = f"fall of the logit where {side}x{side} pixels are covered", f"{self.strongest:.3g}"
        else:
            scale = f"what speaks for it: Grad-CAM at {self.layer}"
        return picture(self.pixels, self.heat, f"{name}: {100 * self.probability:.1f} %", scale, most)

    def png(self) -> bytes:
        """The picture as a PNG file."""
        return png(np.asarray(self.picture()))

    def _repr_png_(self) -> bytes:
        return self.png()


class Explainer:
    """Heat maps of one model by one method."""

    def __init__(self, model: Model, method: Method = "cam") -> None:
        """Raises UsageError for another method, and for Grad-CAM where no layer gives a map."""
        if method not in get_args(Method):
            raise unknown("way to explain", method, get_args(Method), "it is cam or occlusion")
        self.model, self.method = model, method
        network = model.net.description
        layer = last_map(network) if method == "cam" else ""
        if layer is None:
            raise UsageError(
                f"{network.name} has no convolution whose map has several places, for Grad-CAM to point at; "
                "take occlusion"
            )
        self.layer = layer

    def seen(self, fitted: Pixels) -> Pixels:
        """(S, S, 3) bytes: the square of a fitted image that the network sees."""
        return centre(fitted, self.model.preprocessing.size)

    def overlay(self, pixels: Pixels, name: str) -> Pixels:
        """(S, S, 3) bytes: the square that is seen of an image, in greys, with what speaks for a class."""
        fitted = self.model.fit(pixels)
        return overlay(self.seen(fitted), self.heat(fitted, name)[0])

    def heat(self, fitted: Pixels, name: str) -> tuple[Heat, float]:
        """What speaks for a class in a fitted image: heat and strongest, as an Explanation has them."""
        images, number = self.model.preprocessing.views([fitted]), self.model.classes.index(name)
        values = self._values(images, number)[0].clamp(min=0)
        strongest = float(values.max())
        heat: Heat = (values / (strongest or 1)).numpy()
        return heat, strongest

    def _values(self, images: Tensor, number: int) -> Tensor:
        if self.method == "cam":
            return grad_cam(self.model.net, images, self.layer, [number])
        side = _window(images.shape[2])
        return occlusion(
            self.model.net, images, window=side, stride=-(-side // 2), classes=[number], batch=COVERED
        )


def explain(
    model: Model,
    images: Iterable[Picture],
    *,
    method: Method = "cam",
    name: str | None = None,
    threshold: float = 0.0,
) -> Iterator[Explanation | Failure]:
    """Answers with all classes, and what speaks for the likeliest in each image, or for the one of a name.

    Grad-CAM (Selvaraju et al. 2017) weighs the last map of several places. Occlusion (Zeiler and Fergus 2014)
    covers square after square with what is 0 to the network, as a rule the mean colour, a pass each. What
    speaks against the class counts as 0. Raises UsageError for another method or class, and for Grad-CAM
    where no layer gives a map.
    """
    explainer = Explainer(model, method)
    if name is not None and name not in model.classes:
        known = ", ".join(map(shown, model.classes[:12])) + (", ..." if len(model.classes) > 12 else "")
        raise unknown("class", name, model.classes, f"the model knows {known}")
    for seen, answer in answered(model, images, len(model.classes), threshold):
        if isinstance(answer, Failure):
            yield answer
        elif not isinstance(seen.pixels, Failure):  # as no image is that has an answer
            yield _explained(explainer, seen.pixels, answer, name)


def _explained(explainer: Explainer, fitted: Pixels, answer: Answer, name: str | None) -> Explanation:
    likely = dict(answer.top)
    name = answer.top[0][0] if name is None else name
    heat, strongest = explainer.heat(fitted, name)
    seen, (method, layer) = explainer.seen(fitted), (explainer.method, explainer.layer)
    return Explanation(answer, name, likely[name], method, layer, seen, heat, strongest)


def _window(size: int) -> int:
    """Side of the squares that cover an image of a size, in pixels."""
    return -(-size // SQUARES)
