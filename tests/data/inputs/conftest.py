"""The verbs that read images, a run to use them with, and the tally of damaged files.

`INPUTS=full` decodes the full number of them, `make inputs` does so.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from goingdeeper import catalogue
from goingdeeper.cli import main

HERE = Path(__file__).parent
NETWORKS = str(HERE.parents[1] / "faults" / "networks")
FULL = os.environ.get("INPUTS", "") == "full"
sys.path.insert(0, str(HERE))


@dataclass(frozen=True)
class Verb:
    """words: RUN stands for a trained run, IMAGES for the folder. few, many: the exit status where up to one
    per cent of the images cannot be read, and where more cannot. only: what it lists cannot be read."""

    words: tuple[str, ...]
    few: int
    many: int
    only: bool = True


TRAIN = ("train", "IMAGES", "--model", "tiny", "--size", "8", "--epochs", "1")
VERBS = {
    "check": Verb(("check", "IMAGES"), 0, 0, only=False),
    "train": Verb(TRAIN, 0, 3),
    "evaluate": Verb(("evaluate", "RUN", "IMAGES"), 0, 3),
    "predict": Verb(("predict", "RUN", "IMAGES"), 3, 3),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`verb` is each verb's name; `batch` counts up to what the module's BATCHES say: (in CI, in full)."""
    if "verb" in metafunc.fixturenames:
        metafunc.parametrize("verb", VERBS)
    if "batch" in metafunc.fixturenames:
        metafunc.parametrize("batch", range(metafunc.module.BATCHES[FULL]))


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What --json prints; the notes on stderr are one line each."""
        found = json.loads(self.out)
        assert found["schema"] == 1
        return dict(found)

    def problems(self) -> dict[str, str]:
        """What is wrong with each image that is listed; of training in run.json."""
        document = self.document
        if "run" in document:
            document = json.loads((Path(document["run"]) / "run.json").read_text("utf-8"))["data"]
        listed = document.get("problems", document.get("failed"))
        assert listed is not None
        found: dict[str, str] = {}
        for problem in listed:
            found[problem["path"]] = "; ".join(filter(None, (found.get(problem["path"]), problem["problem"])))
        return found


@pytest.fixture
def deeper(monkeypatch, capsys) -> Callable[..., Said]:
    """`deeper("evaluate", "run")`, as from a shell."""

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["deeper", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main()
        out, err = capsys.readouterr()
        assert isinstance(leaving.value.code, int)
        assert "Traceback" not in err
        return Said(leaving.value.code, out, err)

    return run


@pytest.fixture
def read(deeper, run) -> Callable[..., Said]:
    """`read("train", folder, "--json")`: a verb on a folder of class folders."""

    def of(verb: str, folder: Path, *more: object) -> Said:
        places = {"RUN": str(run), "IMAGES": str(folder)}
        return deeper(*(places.get(word, word) for word in VERBS[verb].words), *more)

    return of


@pytest.fixture
def verbs() -> dict[str, Verb]:
    return VERBS


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """An empty working folder, where `runs/` goes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def networks() -> Iterator[None]:
    """A network that is trained in a moment."""

    def forget() -> None:
        catalogue._catalogue.cache_clear()
        catalogue._built.cache_clear()

    catalogue.__path__.append(NETWORKS)
    forget()
    yield
    catalogue.__path__.remove(NETWORKS)
    forget()


def pictures(root: Path, classes: tuple[str, ...], count: int) -> Path:
    """So many different 9x9 pictures a class."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = np.random.default_rng([number, index]).integers(0, 256, (9, 9, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index:03}.bmp")
    return root


@pytest.fixture
def paint() -> Callable[..., Path]:
    return pictures


@pytest.fixture(scope="module")
def run(networks, tmp_path_factory) -> Path:
    """A finished run that knows cats and dogs."""
    from goingdeeper.training.plan import Wishes
    from goingdeeper.training.train import train

    here = tmp_path_factory.mktemp("run")
    photos = pictures(here / "photos", ("cat", "dog"), 10)
    return train(Wishes(str(photos), model="tiny", epochs=1, size=8), here / "run").path


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for status in ("passed", "failed") for report in terminalreporter.stats.get(status, [])]
    tallies = [dict(report.user_properties).get("tally") for report in reports if report.when == "call"]
    found = [tally for tally in tallies if tally]
    if FULL and found:
        terminalreporter.section("damaged files")
        total = {key: sum(tally[key] for tally in found) for key in ("cases", "read", "refused", "seconds")}
        longest = max(tally["longest"] for tally in found)
        terminalreporter.write_line(
            f"{total['cases']:,} files: {total['read']:,} read, {total['refused']:,} refused, "
            f"{total['seconds']:.0f} s, the longest {1000 * longest:.0f} ms"
        )
