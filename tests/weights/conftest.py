"""Small weights, and a way to read files of torch.save without a process for each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from goingdeeper.errors import DataError
from goingdeeper.weights import pickled, unpickle


@pytest.fixture
def state() -> dict[str, Any]:
    """Weights of one convolution with batch norm, and of a layer whose values do not lie in order."""
    random = torch.Generator().manual_seed(0)
    return {
        "conv1.weight": torch.randn(4, 3, 3, 3, generator=random),
        "bn1.running_var": torch.rand(4, generator=random),
        "bn1.num_batches_tracked": torch.tensor(7),
        "fc.weight": torch.randn(4, 5, generator=random).T,
    }


@pytest.fixture
def unpickled() -> Callable[..., unpickle.Found]:
    """What the program that reads torch's files finds, in this process; its refusal as DataError."""

    def take(file: Path, ema: bool = True) -> unpickle.Found:
        try:
            return unpickle.read(file, ema, torch)
        except Exception as problem:
            raise DataError(f"{file} {unpickle.reason(problem)}") from None

    return take


@pytest.fixture
def write_out(unpickled: Callable[..., unpickle.Found]) -> Callable[[Path], dict[str, Any]]:
    """The tensors of a file of torch.save after they were written and mapped, as between the processes."""

    def take(file: Path) -> dict[str, Any]:
        with tempfile.TemporaryFile() as out:
            try:
                unpickle.write(out, unpickled(file), file.stat().st_size, torch)
            except unpickle.Refused as problem:
                raise DataError(f"{file} {unpickle.reason(problem)}") from None
            out.flush()
            return pickled._mapped(file, out).tensors

    return take
