"""The command line in this process, and a finished run to use it on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goingdeeper.cli import main
from goingdeeper.training.plan import Wishes
from goingdeeper.training.train import train


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str

    def refusal(self, status: int) -> str:
        """The one line that a refusal consists of, its status checked."""
        assert self.status == status, self
        assert self.out == ""
        assert self.err.startswith("deeper: ")
        assert self.err.count("\n") == 1
        assert self.err.endswith("\n")
        assert "Traceback" not in self.err
        assert "Usage:" not in self.err
        return self.err


@pytest.fixture
def deeper(monkeypatch, capsys) -> Callable[..., Said]:
    """`deeper("show", "googlenet")`, as from a shell."""
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["deeper", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main()
        out, err = capsys.readouterr()
        code = leaving.value.code
        assert isinstance(code, int)
        return Said(code, out, err)

    return run


@pytest.fixture
def environment() -> dict[str, str]:
    """For commands in a process of their own."""
    kept = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty working folder, where `runs/` goes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_pictures(root: Path, names: tuple[str, ...], count: int) -> Path:
    """So many 20x20 pictures a class, each class with more of one colour."""
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = np.random.default_rng([number, index]).integers(0, 150, (20, 20, 3), np.uint8)
            pixels[:, :, number % 3] += 80
            Image.fromarray(pixels).save(root / name / f"{index:02}.png")
    return root


@pytest.fixture(scope="session")
def pets(tmp_path_factory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pets", ("cat", "dog", "owl"), 12)


@pytest.fixture(scope="session")
def many(tmp_path_factory) -> Path:
    """150 images: one unreadable one is below 1 %, two are above it."""
    return make_pictures(tmp_path_factory.mktemp("data") / "many", ("cat", "dog"), 75)


@pytest.fixture(scope="session")
def run(pets, tmp_path_factory) -> Path:
    """A finished run of one epoch."""
    return train(Wishes(str(pets), epochs=1, size=16), tmp_path_factory.mktemp("run") / "pets").path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder; to see that nothing was touched."""
    return {str(file): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    return contents
