"""What training minimises, as one module: the network, its heads and their losses."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from goingdeeper.nn.build import Net
from goingdeeper.recipes.losses import CrossEntropy, Loss


class Losses(NamedTuple):
    """total: what is minimised. parts: each classifier's own loss. wrong: number of images misclassified."""

    total: Tensor
    parts: dict[str, Tensor]
    wrong: Tensor


class Objective(nn.Module):
    """Cross-entropy with label smoothing; every auxiliary head adds its own, weighted.

    Szegedy et al. 2014, section 5: total = main + 0.3 * each head. Distribution and compilation see one
    call of this module.
    """

    def __init__(
        self,
        net: Net,
        loss: Loss = CrossEntropy(),
        head_weights: tuple[tuple[str, float], ...] = (("*", 0.3),),
    ) -> None:
        super().__init__()
        self.net = net
        assert isinstance(loss, CrossEntropy)
        self.smoothing = loss.smoothing
        weights = dict(head_weights)
        self.weights = {name: weights.get(name, weights.get("*", 0.0)) for name, _ in net.description.heads}

    def forward(self, images: Tensor, labels: Tensor) -> Losses:
        """images: (N, C, H, W), normalised; labels: (N,) class numbers."""
        heads = [name for name, _ in self.net.description.heads]
        logits, tapped = self.net.tap(images, [f"heads.{name}" for name in heads])
        main = self._loss(logits, labels)
        total, parts = main, {"main": main.detach()}
        for name in heads:
            side = self._loss(tapped[f"heads.{name}"], labels)
            total = total + self.weights[name] * side
            parts[name] = side.detach()
        return Losses(total, parts, (logits.detach().argmax(1) != labels).sum())

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=self.smoothing)
