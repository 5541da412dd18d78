"""An exported folder, measured in its own runtime."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from goingdeeper import catalogue
from goingdeeper.costs.counts import cost
from goingdeeper.data.decode import decode
from goingdeeper.edits import without_heads
from goingdeeper.runtimes.exported import TOLERANCES, ExportedModel
from goingdeeper.timing.bench import Note, Subject, Tell, measured, silent
from goingdeeper.timing.rows import Bench
from goingdeeper.timing.wishes import Wishes, threads_of


def of_export(exported: ExportedModel, wishes: Wishes) -> Wishes:
    """As wished, of the one runtime and precision that an export has. Raises UsageError as `threads_of`."""
    runtime, precision = str(exported.config["runtime"]), str(exported.config["precision"])
    return replace(
        wishes, runtimes=(runtime,), named=frozenset((runtime,)), precisions=(precision,), against=(),
        threads=threads_of(wishes),
    )  # fmt: skip


def bench_export(
    exported: ExportedModel, wishes: Wishes, *, note: Note = silent, tell: Tell = silent
) -> Bench:
    """Measures an exported folder in its own runtime, as `bench`; its golden image has to come out.

    Raises UsageError where its network is none of the catalogue's, whose multiply-adds are not known.
    """
    config = exported.config
    bare = without_heads(catalogue.network(config["network"]))  # heads may need larger images
    network = replace(bare, classes=len(exported.classes), input=(3, exported.size, exported.size))
    picture = decode(exported.path / Path(config["golden"]["image"]).name)
    count = max(wishes.batches)
    logits = np.array([config["golden"]["logits"]] * count, np.float32)
    with tempfile.TemporaryDirectory(prefix="goingdeeper-") as name:
        folder = Path(name)
        np.save(folder / "pixels.npy", np.stack([picture] * count))
        subject = Subject(
            network.name, cost(network).macs, logits, TOLERANCES[config["precision"]],
            lambda one: replace(one, model=exported.file),
        )  # fmt: skip
        return measured(subject, wishes, folder, note, tell)
