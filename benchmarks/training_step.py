"""One training step on the CPU, beside plain PyTorch: `python benchmarks/training_step.py [--compile]`.

Rivals train the same network, of torch's own modules, with torch.optim.SGD as PyTorch's examples write it:
eager in the default memory format, eager channels-last, and compiled where asked. Each is a process of its
own, since how memory is kept is part of what is compared. Ratios are to channels-last eager.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

import goingdeeper as gd
from goingdeeper.data.batches import Batch
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.errors import ResourceError
from goingdeeper.layers import Network
from goingdeeper.nn.heap import kept_heap
from goingdeeper.recipes import SCRATCH
from goingdeeper.timing.side_by_side import compare_blocks, show
from goingdeeper.timing.workers import start
from goingdeeper.training.job import Job
from goingdeeper.training.loop import Trainer

CASES = [
    ("cifar-resnet-20-a", 32, 128),
    ("cifar-resnet-20-a", 64, 64),
    ("resnet-18-b", 224, 32),
    ("googlenet", 224, 16),
]


HELD = ExitStack()
"""What lasts as long as the process."""


def ours(network: Network, batch: int) -> Callable[[], object]:
    """The step as the training loop takes it, on images that are already decoded."""
    size = network.input[1]
    nothing: list[object] = []
    job = Job(
        gd.build(network), replace(SCRATCH, batch=batch), None, nothing, nothing,
        [str(n) for n in range(network.classes)], Preprocessing(size), 0, "cpu",
    )  # fmt: skip
    trainer = Trainer(job)
    trainer.net.train()
    images = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
    labels = torch.randint(network.classes, (batch,))
    return lambda: trainer.step(Batch(images, labels))


def plain(network: Network, batch: int, memory: torch.memory_format, compiled: bool) -> Callable[[], object]:
    """The step as PyTorch's examples have it."""
    net = gd.build(network).to(memory_format=memory).train()
    for place, module in list(net.named_modules()):
        if isinstance(module, nn.LocalResponseNorm):  # ours is faster
            torchs = nn.LocalResponseNorm(module.size, module.alpha, module.beta, module.k)
            net.set_submodule(place, torchs)
    heads = [f"heads.{name}" for name, _ in network.heads]

    def forward(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits, tapped = net.tap(images, heads)
        sides = sum(F.cross_entropy(tapped[head], labels, label_smoothing=0.1) for head in heads)
        return F.cross_entropy(logits, labels, label_smoothing=0.1) + 0.3 * sides

    loss_of = torch.compile(forward) if compiled else forward
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    images = torch.randn(batch, *network.input).to(memory_format=memory)
    labels = torch.randint(network.classes, (batch,))

    def step() -> None:
        optimiser.zero_grad()
        loss = loss_of(images, labels)
        loss.backward()
        optimiser.step()
        loss.item()

    return step


def candidate(name: str, number: int) -> Callable[[], None]:
    """A step that answers nothing, in a process of its own."""
    step = step_of(name, *case(number))

    def call() -> None:
        step()

    return call


def step_of(name: str, network: Network, batch: int) -> Callable[[], object]:
    match name:
        case "goingdeeper":
            HELD.enter_context(kept_heap("cpu"))
            return ours(network, batch)
        case "eager, channels-last":
            return plain(network, batch, torch.channels_last, False)
        case "eager":
            return plain(network, batch, torch.contiguous_format, False)
        case _:
            return plain(network, batch, torch.channels_last, True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compile", action="store_true", help="also torch.compile (minutes to compile)")
    parser.add_argument(
        "--patience", type=float, default=300, help="seconds to wait for a candidate's first step"
    )
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    names = ["goingdeeper", "eager, channels-last", "eager", *["compiled, channels-last"] * options.compile]
    for number, (name, size, batch) in enumerate(CASES):
        workers = {}
        for peer in names:
            try:
                workers[peer] = start(
                    peer, candidate, (peer, number), torch.get_num_threads(), options.patience
                )
            except ResourceError as problem:
                print(f"{name}, {peer}: {problem}")
        blocks = {peer: worker.block for peer, worker in workers.items()}
        rows = compare_blocks(blocks, "eager, channels-last", rounds=options.rounds)
        show(f"training step, {name} at {size}x{size}, batch {batch}", rows, batch, "images")
        for worker in workers.values():
            worker.stop()


def case(number: int) -> tuple[Network, int]:
    name, size, batch = CASES[number]
    return replace(gd.network(name), input=(3, size, size), classes=10), batch


if __name__ == "__main__":
    main()
