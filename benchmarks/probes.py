"""What watching a network costs its training: `python benchmarks/probes.py [--rounds 15]`.

Training steps of ResNet-20 on noise, plain, and with `Watch` reading every layer at every 100th step, at
every 10th and at each. Prints each one's time of a step relative to the plain one's, with a bootstrap 95 %
interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch.nn import functional as F

import goingdeeper as gd
from goingdeeper.probes.watch import Watch
from goingdeeper.timing.side_by_side import compare, machine

BATCH = 32


def steps(every: int) -> Callable[[], None]:
    """One training step at each call; every: of `Watch`, 0 without it."""
    net = gd.create_model("cifar-resnet-20-a").train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    images = torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (BATCH,))
    watch = Watch(net, every=every).__enter__() if every else None

    def step() -> None:
        F.cross_entropy(net(images), labels).backward()
        optimiser.step()
        optimiser.zero_grad()
        if watch:
            watch.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    candidates = {"plain": steps(0)} | {f"watched every {n}": steps(n) for n in (100, 10, 1)}
    found = compare(candidates, "plain", rounds=options.rounds, block_seconds=4.0)
    print(machine())
    for one in found:
        longer, low, high = 1 / one.ratio.value, 1 / one.ratio.high, 1 / one.ratio.low
        times = f"{longer:.3f} times as long ({low:.3f} to {high:.3f})"
        print(f"{one.name:20} {1e3 * one.seconds:6.2f} ms a step, {times}")


if __name__ == "__main__":
    main()
