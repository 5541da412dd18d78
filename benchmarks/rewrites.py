"""What each rewrite gains in PyTorch eager: `python benchmarks/rewrites.py [--networks googlenet]`.

The deployed module, from bytes to logits and channels-last, with one rewrite more in each row; the first has
none but that its heads are gone. Ratios are to that one. All in one process.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

import goingdeeper as gd
from goingdeeper.deploy.form import Deployed, form_of
from goingdeeper.deploy.rewrite import ALL
from goingdeeper.nn.heap import kept_heap
from goingdeeper.runs.model import Model
from goingdeeper.timing.case import noise, random_model
from goingdeeper.timing.side_by_side import compare, show

NETWORKS = ["resnet-18-b", "resnet-50", "inception-v3", "googlenet"]


def deployed(model: Model, rewrites: int, batch: int) -> Callable[[], object]:
    """With so many of the rewrites, in their order."""
    net = model.net
    module = Deployed(form_of(net.description, net.state_dict(), model.preprocessing, ALL[:rewrites]))
    images = torch.from_numpy(noise(model, batch))

    def call() -> None:
        with torch.inference_mode():
            module(images)

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    first = ALL[0].__name__
    for name in options.networks:
        model = random_model(gd.network(name))
        for batch in options.batches:
            calls = {
                ("+ " if number else "") + rewrite.__name__: deployed(model, number + 1, batch)
                for number, rewrite in enumerate(ALL)
            }
            with kept_heap("cpu"):
                rows = compare(calls, first, rounds=options.rounds, block_seconds=options.seconds)
            show(f"{name}, batch {batch}, PyTorch eager, channels-last", rows, batch, "images")


if __name__ == "__main__":
    main()
