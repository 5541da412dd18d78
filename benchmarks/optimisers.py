"""The update alone, beside torch's optimisers: `python benchmarks/optimisers.py [--threads 1 2]`.

Ours is the recipe's optimiser as training calls it, rates and rules included. Ratios are to torch's SGD with
`foreach`, for the other kinds to torch's nearest relative.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import torch

import goingdeeper as gd
from goingdeeper.recipes import SCRATCH
from goingdeeper.recipes.optimisers import LAMB, SGD, Adam, CaffeSGD, Optimiser, RMSProp, Rule
from goingdeeper.recipes.schedules import Now
from goingdeeper.timing.side_by_side import compare, show
from goingdeeper.training.optimisers import bound_norms, optimiser, set_rates

NETWORKS = ["cifar-resnet-20-a", "resnet-50", "inception-v3"]
SMALL = 1e-6
"""A rate at which weights do not leave their range in thousands of updates."""


def parameters(model: str) -> dict[str, torch.Tensor]:
    net = gd.build(model).to(memory_format=torch.channels_last)
    found = dict(net.named_parameters())
    for value in found.values():
        value.grad = torch.randn_like(value) * 1e-3
    return found


def ours(model: str, part: Optimiser, *rules: Rule) -> Callable[[], object]:
    recipe = replace(SCRATCH, optimiser=replace(part, rate=SMALL), rules=rules)
    own = parameters(model)
    made = optimiser(own, gd.network(model), recipe)
    now = Now(50, 100, 10)

    def step() -> None:
        set_rates(made, recipe, now)
        made.step()
        if rules:
            bound_norms(made)

    return step


def theirs(model: str, kind: type[torch.optim.Optimizer], **options: object) -> Callable[[], object]:
    """As people write it: one group, or decay for weights only, in two."""
    own = parameters(model).values()
    groups = [
        {"params": [value for value in own if value.ndim > 1]},
        {"params": [value for value in own if value.ndim <= 1], "weight_decay": 0.0},
    ]
    return kind(groups, lr=SMALL, weight_decay=5e-4, **options).step


def sgds(model: str) -> dict[str, Callable[[], object]]:
    nesterov = {"momentum": 0.9, "nesterov": True}
    return {
        "SGD": ours(model, SGD()),
        "torch SGD, fused": theirs(model, torch.optim.SGD, fused=True, **nesterov),
        "torch SGD, foreach": theirs(model, torch.optim.SGD, foreach=True, **nesterov),
    }


def relatives(model: str) -> list[tuple[str, dict[str, Callable[[], object]]]]:
    """Each of our own kinds, and last its reference."""
    momentum = {"momentum": 0.9}
    adam = torch.optim.AdamW
    return [
        ("torch SGD, foreach", {
            "CaffeSGD": ours(model, CaffeSGD()),
            "SGD and norms bounded": ours(model, SGD(), Rule("weights", max_norm=1e9)),
            "torch SGD, fused": theirs(model, torch.optim.SGD, fused=True, **momentum),
            "torch SGD, foreach": theirs(model, torch.optim.SGD, foreach=True, **momentum),
        }),
        ("torch RMSprop, foreach", {
            "RMSProp": ours(model, RMSProp()),
            "torch RMSprop, foreach": theirs(model, torch.optim.RMSprop, foreach=True, **momentum),
        }),
        ("torch AdamW, foreach", {
            "Adam": ours(model, Adam(decoupled=True, weight_decay=0.05)),
            "LAMB": ours(model, LAMB()),
            "torch AdamW, fused": theirs(model, adam, fused=True),
            "torch AdamW, foreach": theirs(model, adam, foreach=True),
        }),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each block of calls")
    parser.add_argument("--networks", nargs="*", default=NETWORKS)
    options = parser.parse_args()
    for threads in options.threads:
        torch.set_num_threads(threads)
        for model in options.networks:
            for reference, candidates in [("torch SGD, foreach", sgds(model)), *relatives(model)]:
                rows = compare(candidates, reference, rounds=options.rounds, block_seconds=options.seconds)
                show(f"update of {model}, {threads} threads", rows, unit="updates")


if __name__ == "__main__":
    main()
