"""Images to logits on the CPU: `python benchmarks/inference.py [--precisions float32 int8]`.

`deeper bench` of networks with random weights, against all rivals on the unrewritten networks: PyTorch eager
in both memory formats, torch.compile with freezing, ONNX Runtime and OpenVINO, all in float32. Prints each
network's table and JSON, then geometric means over the cases, for each of our precisions: of ours to the best
rival, and to PyTorch eager, channels-last. int8 is calibrated on noise: its speed is meant alone. --quick
leaves out what compiles.
"""

from __future__ import annotations

import argparse
import json
from statistics import geometric_mean

import goingdeeper as gd
from goingdeeper.tables.grid import text
from goingdeeper.timing.bench import bench
from goingdeeper.timing.candidates import AGAINST, CHANNELS_LAST, WAYS
from goingdeeper.timing.case import random_model
from goingdeeper.timing.rows import Bench
from goingdeeper.timing.table import best_rival, document, grid
from goingdeeper.timing.wishes import PRECISIONS, Wishes, checked

NETWORKS = ["resnet-18-b", "resnet-50", "inception-v3", "googlenet"]
COMPILING = {"torch", "compile"}


def ratios(found: Bench, batch: int, precision: str) -> tuple[float, float] | None:
    """Our fastest row's of a precision to the fastest rival, and to PyTorch eager, channels-last.

    None where one of these was not measured.
    """
    rows = [row for row in found.rows if row.candidate.batch == batch]
    own = [row for row in rows if row.candidate.ours and row.candidate.precision == precision]
    ours = max(own, key=lambda row: row.images_per_second, default=None)
    best = best_rival(rows)
    if ours is None or best is None or CHANNELS_LAST not in ours.ratio_to:
        return None
    return ours.ratio_to[best.candidate.what].value, ours.ratio_to[CHANNELS_LAST].value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--precisions", nargs="+", default=["float32"], choices=PRECISIONS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    left_out = COMPILING if options.quick else set()
    wishes = checked(
        Wishes(
            runtimes=tuple(name for name in WAYS if name not in left_out),
            against=tuple(name for name in AGAINST if name not in left_out),
            precisions=tuple(options.precisions), batches=tuple(options.batches), threads=options.threads,
            rounds=options.rounds, seconds=options.seconds,
        )
    )  # fmt: skip
    cases: dict[str, list[tuple[float, float]]] = {precision: [] for precision in wishes.precisions}
    for name in options.networks:
        found = bench(random_model(gd.network(name)), wishes)
        print(text(grid(found)))
        for problem in (*found.skipped, *(one.said for one in found.wrong)):
            print(problem)
        print(json.dumps(document(found)), flush=True)
        for precision, ours in cases.items():
            ours += [both for batch in wishes.batches if (both := ratios(found, batch, precision))]
    for precision, ours in cases.items():
        if not ours:
            print(f"{precision}: not one case was measured")
            continue
        best, eager = (geometric_mean(one) for one in zip(*ours, strict=True))
        print(
            f"{precision}, {len(ours)} cases: {best:.2f}x the best rival, "
            f"{eager:.2f}x PyTorch eager, channels-last"
        )


if __name__ == "__main__":
    main()
