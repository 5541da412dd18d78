"""Images to logits on the CPU: `python benchmarks/inference.py [--precisions float32 int8]`.

`deeper bench` of networks with random weights, against all rivals on the unrewritten networks: PyTorch eager
in both memory formats, torch.compile with freezing, ONNX Runtime and OpenVINO, all in float32. Prints each
network's table and JSON; then, in Markdown, a line for each network at each batch, and geometric means over
these: of ours to the fastest rival there, and in float32 to PyTorch eager, channels-last. int8 is calibrated
on noise: its speed is meant alone. --quick leaves out what compiles. --read FILE ... prints the lines of what
was printed earlier, and measures nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean
from typing import Any, TypeAlias

import goingdeeper as gd
from goingdeeper.tables.grid import text
from goingdeeper.timing.bench import bench
from goingdeeper.timing.candidates import AGAINST, CHANNELS_LAST, OURS, WAYS
from goingdeeper.timing.case import random_model
from goingdeeper.timing.table import digits, document, grid
from goingdeeper.timing.wishes import PRECISIONS, Wishes, checked

NETWORKS = ["resnet-18-b", "resnet-50", "inception-v3", "googlenet"]
COMPILING = {"torch", "compile"}

Measured: TypeAlias = dict[str, Any]
"""A row of a document of `deeper bench --json`, or the whole."""


@dataclass(frozen=True)
class Case:
    """A network at a batch: the fastest rival, and our fastest row of each precision."""

    network: str
    batch: int
    rival: Measured
    ours: dict[str, Measured]

    def ratio(self, precision: str) -> float:
        """To the fastest rival."""
        return float(self.ours[precision]["ratio_to"][self.rival["what"]]["ratio"])

    @property
    def eager(self) -> float:
        """In float32 to PyTorch eager, channels-last."""
        return float(self.ours["float32"]["ratio_to"][CHANNELS_LAST]["ratio"])

    def cells(self, precisions: Iterable[str]) -> list[str]:
        """What the case's line says."""
        said = [
            f"{self.network}, {self.batch}",
            f"{self.rival['what']}, {digits(self.rival['images_per_second'])} images/s",
        ]
        for precision in precisions:
            row = self.ours[precision]
            low, high = row["ratio_to"][self.rival["what"]]["interval_95"]
            ratio = f"{self.ratio(precision):.2f} ({low:.2f} to {high:.2f})"
            said.append(f"{row['runtime']}, {digits(row['images_per_second'])}: {ratio}")
            if precision == "float32":
                said += [f"{row['percent_of_floor']:.0f} %", f"{self.eager:.1f}"]
        return said


def cases(found: Measured, precisions: Sequence[str]) -> Iterator[Case]:
    """Those of a document that have a rival, PyTorch eager among them, and ours in each precision."""
    for batch in sorted({row["batch"] for row in found["rows"]}):
        rows = sorted(
            (row for row in found["rows"] if row["batch"] == batch), key=lambda row: row["images_per_second"]
        )
        rivals = {row["what"]: row for row in rows if row["what"] != OURS}  # the last is the fastest
        ours = {row["precision"]: row for row in rows if row["what"] == OURS}
        if CHANNELS_LAST in rivals and ours.keys() >= {*precisions}:
            yield Case(found["network"], batch, [*rivals.values()][-1], ours)
        else:
            print(f"{found['network']}, batch {batch}: not all was measured")


def markdown(found: Sequence[Case], precisions: Sequence[str]) -> str:
    """A line a case, and one of geometric means."""
    head, means = ["network, batch", "the fastest rival"], ["geometric mean", ""]
    for precision in precisions:
        head.append(f"ours, {precision}")
        means.append(f"{geometric_mean(case.ratio(precision) for case in found):.2f}")
        if precision == "float32":
            head += ["of the floor", "over eager, channels-last"]
            means += ["", f"{geometric_mean(case.eager for case in found):.2f}"]
    lines = [head, ["---"] * len(head), *(case.cells(precisions) for case in found), means]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def measured(options: argparse.Namespace) -> Iterator[Measured]:
    """A document of each network, printed with its table."""
    left_out = COMPILING if options.quick else set()
    wishes = checked(
        Wishes(
            runtimes=tuple(name for name in WAYS if name not in left_out),
            against=tuple(name for name in AGAINST if name not in left_out),
            precisions=tuple(options.precisions), batches=tuple(options.batches), threads=options.threads,
            rounds=options.rounds, seconds=options.seconds,
        )
    )  # fmt: skip
    for name in options.networks:
        found = bench(random_model(gd.network(name)), wishes)
        print(text(grid(found)))
        for problem in (*found.skipped, *(one.said for one in found.wrong)):
            print(problem)
        print(json.dumps(document(found)), flush=True)
        yield document(found)


def read(files: Sequence[Path]) -> Iterator[Measured]:
    """The documents that were printed earlier."""
    for file in files:
        for line in file.read_text("utf-8").splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--precisions", nargs="+", default=["float32"], choices=PRECISIONS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--read", nargs="+", type=Path, metavar="FILE")
    options = parser.parse_args()
    documents = read(options.read) if options.read else measured(options)
    found = [case for one in documents for case in cases(one, options.precisions)]
    print(markdown(found, options.precisions) if found else "not one case was measured whole")


if __name__ == "__main__":
    main()
