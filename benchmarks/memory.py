"""Memory and time of a training step with blocks computed again: `python benchmarks/memory.py [--batch 32]`.

Plain PyTorch eager, contiguous and channels-last, against ours with several values of `recompute`. Memory is
measured in a process of its own for each variant, over two steps: on the CPU the highest resident set less
that before the network is built (weights, gradients and momentum count, Python and torch do not), on CUDA
torch.cuda.max_memory_allocated. On the CPU glibc keeps much of what is freed in its heap; with --mapped
tensors of 128 kB or more get pages of their own, which are returned: for all variants, and for the times.
Time is measured side by side in one process, at a batch of its own. Ratios are to plain, contiguous.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

import goingdeeper as gd
from goingdeeper.nn.prepare import prepare
from goingdeeper.timing.side_by_side import compare, machine

PLAIN = {"plain": torch.contiguous_format, "plain, channels-last": torch.channels_last}

M_MMAP_THRESHOLD = -3


def step_of(variant: str, network: str, batch: int, device: str) -> Callable[[], object]:
    """The training step of a variant: one of PLAIN, or our `recompute` as a number."""
    net = gd.build(network, device=device).train()
    recompute = None if variant in PLAIN else int(variant)
    memory = PLAIN.get(variant, torch.channels_last)
    net = net.to(memory_format=memory)
    if recompute is not None:
        prepare(net, recompute=recompute)
    optimiser = torch.optim.SGD(
        net.parameters(), 0.1, momentum=0.9, weight_decay=1e-4, fused=recompute is not None
    )
    shape = net.description.input
    images = torch.randn(batch, *shape, device=device).to(memory_format=memory)
    labels = torch.randint(net.description.classes, (batch,), device=device)

    def step() -> None:
        optimiser.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        optimiser.step()
        loss.item()

    return step


def peak_of(variant: str, network: str, batch: int, device: str) -> int:
    """Bytes that two steps need at most; in this process, so once only."""
    before = _resident()
    step = step_of(variant, network, batch, device)
    step()
    step()
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def _resident() -> int:
    """Resident set in bytes, Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def in_process(variant: str, options: argparse.Namespace) -> int:
    """`peak_of` in a process of its own."""
    command = [
        sys.executable, __file__, "--peak-of", variant, "--network", options.network,
        "--batch", str(options.batch), "--device", options.device, *["--mapped"] * options.mapped,
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="cifar-resnet-1202-a")
    parser.add_argument("--batch", type=int, default=32, help="for memory; 128 needs 14 GB free")
    parser.add_argument("--time-batch", type=int, default=8, help="0 measures no time")
    parser.add_argument("--recompute", type=int, nargs="+", default=[0, 1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--mapped", action="store_true", help="glibc returns what is freed")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.mapped:
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 128 * 1024)
    if options.peak_of:
        print(peak_of(options.peak_of, options.network, options.batch, options.device))
        return
    variants = [*PLAIN, *map(str, options.recompute)]
    peaks = {variant: in_process(variant, options) for variant in variants}
    times = {}
    if options.time_batch:
        steps = {v: step_of(v, options.network, options.time_batch, options.device) for v in variants}
        for row in compare(steps, "plain", rounds=options.rounds, warm_up=1):
            times[row.name] = row
    title = f"training step, {options.network}, memory at batch {options.batch}, "
    title += f"time at batch {options.time_batch}, {options.device}{', mapped' if options.mapped else ''}"
    print(f"{title}\n{machine()}\n  {'':<22}{'memory':>9}{'':>9}{'step':>9}")
    rows = []
    for variant in variants:
        peak, ratio = peaks[variant], peaks[variant] / peaks["plain"]
        row = {"what": variant, "bytes": peak, "memory_ratio": ratio}
        label = variant if variant in PLAIN else f"recompute={variant}"
        line = f"  {label:<22}{peak / 2**30:6.2f} GB {ratio:7.3f}x"
        if variant in times:
            found = times[variant]
            low, high = 1 / found.ratio.high, 1 / found.ratio.low
            middle = 1 / found.ratio.value
            row |= {"seconds": found.seconds, "time_ratio": middle, "time_ratio_95": (low, high)}
            line += f"{found.seconds:7.2f} s {middle:6.2f}x  ({low:.2f} to {high:.2f})"
        print(line)
        rows.append(row)
    print(json.dumps({"title": title, "machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()
