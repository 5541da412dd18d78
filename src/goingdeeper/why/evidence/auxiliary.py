"""Auxiliary classifiers: what they are given, what they weigh, what they do to gradients."""

from __future__ import annotations

from goingdeeper.catalogue import network
from goingdeeper.layers import Concat
from goingdeeper.recipes import recipe
from goingdeeper.trace import trace
from goingdeeper.why.charts import Lines, curve
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part

BATCH = 8


def arithmetic() -> Part:
    weights = dict(recipe("googlenet").head_weights)
    shapes = {step.path: step.shape_out for step in trace(network("googlenet"))}
    (low, side, _), (high, other, _) = (shapes[f"heads.{name}.pool"] for name in ("4a", "4d"))
    assert side == other
    return Part(
        (
            measured("auxiliary-loss", *(weights.get(name, weights["*"]) for name in ("4a", "4d"))),
            measured("auxiliary-input", side, low, high),
        )
    )


def init(seed: int) -> Part:
    """GoogLeNet's gradients by module, with its heads' losses and without them: no batch norm, noise."""
    import torch
    from torch.nn import functional as F

    from goingdeeper.nn.build import Net, build
    from goingdeeper.probes.watch import read_once
    from goingdeeper.why.noise import noise, source

    description = network("googlenet")
    weights = dict(recipe("googlenet").head_weights)
    names = [name for name, layer in description.layers if isinstance(layer, Concat)]
    images = noise(seed, BATCH, *description.input)
    labels = torch.randint(description.classes, (BATCH,), generator=source(seed, stream=1))

    class Losses(torch.nn.Module):
        """The net's loss, with its heads' or without them."""

        def __init__(self, net: Net, heads: bool) -> None:
            super().__init__()
            self.net, self.heads = net, heads

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            wanted = [f"heads.{name}" for name, _ in description.heads] if self.heads else []
            logits, found = self.net.tap(images, wanted)
            total = F.cross_entropy(logits, labels)
            for name, _ in description.heads if self.heads else ():
                weight = weights.get(name, weights["*"])
                total = total + weight * F.cross_entropy(found[f"heads.{name}"], labels)
            return total

    def norms(heads: bool) -> list[float]:
        module = Losses(build(description, seed=seed), heads)
        for part in module.modules():  # which draws, and would make the two differ by more than the heads
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        found = read_once(module, images, lambda total: total, [f"net.{name}" for name in names])
        return [one.gradient for one in found]

    bare, helped = norms(heads=False), norms(heads=True)
    places = tuple(map(float, range(1, len(names) + 1)))
    chart = Lines(
        "auxiliary",
        "GoogLeNet at initialisation, no batch norm",
        "module: 1 is 3a, 9 is 5b",
        "norm of the gradient with respect to the module's output",
        (curve("with heads at 4a and 4d", places, helped), curve("without", places, bare)),
        y_scale="log",
    )
    return Part((measured("auxiliary-gradient", helped[0] / bare[0]),), (chart,))
