"""What training minimises, as one module: the network, its heads and their losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from goingdeeper.errors import UsageError, unknown
from goingdeeper.layers import Network
from goingdeeper.nn.build import Net
from goingdeeper.recipes.losses import CrossEntropy, Distillation, Hint, Loss
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.schedules import Now
from goingdeeper.runs.model import Model
from goingdeeper.shapes import dims
from goingdeeper.stages import classifier, frozen, under
from goingdeeper.training.hints import hint_losses, probed, regressor
from goingdeeper.training.losses import (
    class_weights,
    full,
    image_weights,
    mean,
    misclassified,
    of_each,
    softened_cross_entropy,
)

HeadWeights = tuple[tuple[str, float], ...]

REGRESSOR = "regressor"
"""Begins the names of the parameters of a hint's regressor."""


class Losses(NamedTuple):
    """total: what is minimised. parts: each loss in it by name, unweighted. wrong: images misclassified.

    The parts are `main`, each head that has a weight, and `teacher` in distillation; of a hint only `hint`,
    and then every image is wrong, as none is classified.
    """

    total: Tensor
    parts: dict[str, Tensor]
    wrong: Tensor


class Objective(nn.Module):
    """The loss of the network, and of every auxiliary head that has a weight, by a recipe's record.

    Szegedy et al. 2014, section 5: total = main + 0.3 * each head. Distribution and compilation see one
    call of this module. Losses are means over the images: those of equal parts of a batch average to the
    batch's.

    head_weights: by the head's address; `*` is for all others. A head of weight 0 stays in the network, and
    is neither computed nor trained. class_weights: (K,), on all of an image's loss. teacher: for Hint and
    Distillation; it only evaluates, and is in neither parameters() nor state_dict(). generator: for a hint's
    regressor, which is no part of `net`. frozen: addresses of layers that do not train.

    Parameters of the network that the loss does not reach are set to ask for no gradient, all others to ask.
    Raises UsageError for a head or an address that is not there, and a missing or unfit teacher.
    """

    class_weights: Tensor | None
    teacher_weight: Tensor

    def __init__(
        self,
        net: Net,
        loss: Loss = CrossEntropy(),
        head_weights: HeadWeights = (("*", 0.3),),
        *,
        class_weights: Tensor | None = None,
        teacher: Net | None = None,
        generator: torch.Generator | None = None,
        frozen: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.net = net
        self.loss = loss
        weights = _weighted_heads(net.description, head_weights)
        # A head on what is frozen would train for itself alone.
        weights = {name: weight for name, weight in weights.items() if not under(name, frozen)}
        self.head_weights = {} if isinstance(loss, Hint) else weights
        self._each = of_each(loss)
        self._teacher: list[Net] = []  # in a list, it is no part of this module
        device = next(net.parameters()).device
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.register_buffer("teacher_weight", torch.tensor(0.0), persistent=False)
        if isinstance(loss, Hint | Distillation):
            if teacher is None:
                raise UsageError(f"{type(loss).__name__} needs a teacher, a trained run: --teacher RUN")
            _check_input(net.description, teacher.description)
            self._teacher.append(teacher.requires_grad_(False).eval().to(device))
        elif teacher is not None:
            raise UsageError(
                f"{type(loss).__name__} has no use for a teacher; leave it out, or --set loss=Distillation"
            )
        reached = frozenset(n for n, _ in net.named_parameters() if not _idle(n, self.head_weights))
        if isinstance(loss, Hint):
            generator = generator or torch.Generator().manual_seed(0)
            self.regressor = regressor(net.description, self._teacher[0].description, loss, generator)
            self.regressor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            reached = _reached(net, loss.student)
        if isinstance(loss, Distillation):
            self.teacher_weight.fill_(loss.weight)
        reached = frozenset(name for name in reached if not under(name, frozen))
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name in reached)
        if not reached:
            raise UsageError(f"nothing of {net.description.name} is left to train; freeze less")
        last = classifier(net.description)
        self._behind = [name for name in reached if not (under(name, (last,)) or name.startswith("heads."))]
        self.to(device)

    def forward(self, images: Tensor, labels: Tensor) -> Losses:
        """images: (N, C, H, W), normalised; labels: (N,) class numbers, or (N, K) probabilities."""
        weights = None if self.class_weights is None else image_weights(labels, self.class_weights)
        if isinstance(self.loss, Hint):
            return self._hint(self.loss, images, weights)
        logits, tapped = self.net.tap(images, [f"heads.{name}" for name in self.head_weights])
        logits = full(logits)
        total = mean(self._each(logits, labels), weights)
        parts = {"main": total.detach()}
        for name, weight in self.head_weights.items():
            side = mean(self._each(full(tapped[f"heads.{name}"]), labels), weights)
            total = total + weight * side
            parts[name] = side.detach()
        if isinstance(self.loss, Distillation):
            with torch.no_grad():
                taught = full(self._teacher[0](images))
            side = mean(softened_cross_entropy(logits, taught, self.loss.temperature), weights)
            total = total + self.teacher_weight * side
            parts["teacher"] = side.detach()
        return Losses(total, parts, misclassified(logits.detach(), labels))

    def advance(self, now: Now) -> None:
        """Sets what follows a schedule, before each step: the teacher's weight in distillation."""
        if isinstance(self.loss, Distillation):
            self.teacher_weight.fill_(self.loss.weight * self.loss.schedule.factor(now))

    def alone(self, alone: bool) -> None:
        """The classifier and the heads train alone, or with all that is reached."""
        for name in self._behind:
            self.net.get_parameter(name).requires_grad_(not alone)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parts, in their order."""
        if isinstance(self.loss, Hint):
            return ("hint",)
        return ("main", *self.head_weights, *(["teacher"] if isinstance(self.loss, Distillation) else []))

    def trained(self) -> dict[str, nn.Parameter]:
        """What the loss reaches: the network's parameters by their names there, and `regressor. ...`."""
        found = {name: value for name, value in self.net.named_parameters() if value.requires_grad}
        return found | {name: v for name, v in self.named_parameters() if name.startswith(f"{REGRESSOR}.")}

    def _hint(self, loss: Hint, images: Tensor, weights: Tensor | None) -> Losses:
        with torch.no_grad():
            taught = self._teacher[0].until(images, loss.teacher)
        total = mean(hint_losses(self.net.until(images, loss.student), taught, self.regressor), weights)
        return Losses(total, {"hint": total.detach()}, torch.full_like(total, len(images), dtype=torch.int64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        for teacher in self._teacher:
            teacher._apply(fn, recurse)  # type: ignore[no-untyped-call]
        moved: Self = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return moved


def objective_for(
    net: Net,
    recipe: Recipe,
    teacher: Model | None = None,
    counts: Mapping[str, int] | None = None,
    generator: torch.Generator | None = None,
) -> Objective:
    """The objective of a recipe.

    counts: training images of each class, in the order of the classes; needed where rare classes weigh more.
    generator: for a hint's regressor. Raises UsageError for a recipe that needs a teacher without one, one
    without use for it, a teacher of another input or, in distillation, of other classes.
    """
    if isinstance(recipe.loss, Distillation) and teacher is not None:
        _check_classes(teacher, net.description, tuple(counts or ()))
    if recipe.balance == "loss" and counts is None:
        raise UsageError("balance=loss weighs classes by their numbers of images, which are not known here")
    return Objective(
        net,
        recipe.loss,
        recipe.head_weights,
        class_weights=class_weights(tuple(counts.values())) if counts and recipe.balance == "loss" else None,
        teacher=teacher.net if teacher else None,
        generator=generator,
        frozen=frozen(net.description, recipe.freeze),
    )


def _weighted_heads(network: Network, given: HeadWeights) -> dict[str, float]:
    """The weight of each head that has one, in the order of the network."""
    weights, heads = dict(given), [name for name, _ in network.heads]
    for name, weight in given:
        if name != "*" and name not in heads:
            remedy = f"the heads are {', '.join(heads)}" if heads else "there are no heads; leave it out"
            raise unknown(f"head of {network.name} in head_weights:", name, heads, remedy)
        if not math.isfinite(weight) or weight < 0:
            raise UsageError(f"head_weights: {weight:g} for {name}; a number of at least 0 is needed")
    found = {name: weights.get(name, weights.get("*", 0.0)) for name in heads}
    return {name: weight for name, weight in found.items() if weight}


def _idle(parameter: str, heads: Mapping[str, float]) -> bool:
    """Whether a parameter is of a head that has no weight."""
    inside = parameter.removeprefix("heads.")
    return inside != parameter and not any(inside.startswith(f"{name}.") for name in heads)


def _reached(net: Net, address: str) -> frozenset[str]:
    """The parameters that a hint at an address trains."""
    reached = probed(net.description, address)[1]
    name = net.description.name
    if not reached:
        raise UsageError(f"{address} in {name} depends on no weights, so a hint has nothing to teach there")
    if REGRESSOR in dict(net.description.layers):
        raise UsageError(f"a layer of {name} is called {REGRESSOR}, as what a hint adds is; rename it")
    return reached


def _check_input(student: Network, teacher: Network) -> None:
    if student.input != teacher.input:
        raise UsageError(
            f"the teacher {teacher.name} takes {dims(teacher.input)}, {student.name} {dims(student.input)}: "
            f"both see the same images; give --size {teacher.input[1]} or another teacher"
        )


def _check_classes(teacher: Model, student: Network, classes: tuple[str, ...]) -> None:
    """Classes by name where they are known, else their number."""
    if teacher.net.description.classes != student.classes:
        raise UsageError(
            f"the teacher {teacher.path} has {teacher.net.description.classes} classes, {student.name} "
            f"{student.classes}; give a teacher of the same classes"
        )
    if classes and classes != teacher.classes:
        theirs, ours = next(pair for pair in zip(teacher.classes, classes, strict=True) if pair[0] != pair[1])
        raise UsageError(
            f"the teacher {teacher.path} has '{theirs}' where the images have '{ours}'; "
            "give a teacher of the same classes"
        )
