"""A kill, a power cut, a full disk, an I/O error or a short write at each file operation of a save.

The operations are counted first; then each of them fails once, in a process and a folder of its own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.errors import RunFolderError
from goingdeeper.nn.build import build
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model
from goingdeeper.runtimes.exported import load_export
from goingdeeper.trace import replace_classes
from goingdeeper.training.checkpoints import newest_checkpoint

SPEC = importlib.util.spec_from_file_location("saves", Path(__file__).parent / "saves.py")
SAVES = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(SAVES)

DEATHS = ("kill", "cut", "cut with renames")
ACTS = [*DEATHS, "ENOSPC", "EIO", "short"]


def each_operation(forker, tmp_path, record_property, job, words, kind, act, state, check) -> None:
    """Lets `act` happen at operation 1, 2, ... of the job, and behind the last one where it is a death.

    state: the folder to begin with. check: (folder, whether the job said that it was done).
    """
    here = tmp_path / "trials"
    here.mkdir()
    deaths = act in DEATHS
    run = forker.run("each_operation", job, words, kind, act, str(state), deaths, cwd=here)
    assert run.status == 0, run
    ends = json.loads(run.out)
    assert len(ends) > 6
    for number, end in enumerate(ends):
        if number == 0 or act == "short":
            assert end == "", (number, ends)
        elif deaths:
            assert end == "killed", (number, ends)
        elif act == "ENOSPC":
            assert end == "" or end.startswith("ResourceError: the disk is full at "), (number, ends)
        else:
            assert end == "" or "Input/output error" in end, (number, ends)
        done = end == "" or (deaths and number == len(ends) - 1)
        folder = here / str(number)
        check(folder, done)
        with contextlib.chdir(folder):
            getattr(SAVES, job)(*words)  # what was left is no hindrance
        check(folder, True)
        assert not [path for path in (folder / "run").rglob(".*") if path.suffix in (".new", ".old")]
    if not deaths and act != "short":
        assert any(ends), "no fault was felt"
    record_property("trials", len(ends) - 1)


def value_of(folder: Path) -> float | None:
    """What the newest checkpoint holds; all of its numbers must be the same."""
    found = newest_checkpoint(folder, lambda text: None)
    if found is None:
        return None
    value: float = found.progress["value"]
    for tensor in found.tensors.values():
        assert torch.equal(tensor, torch.full((50, 2), value))
    return value


def make_states(folder: Path) -> None:
    """Run folders as a save may find them, by name."""
    (folder / "none" / "run").mkdir(parents=True)
    for name, steps in {"two": (4, 8), "again": (4, 12)}.items():
        (folder / name / "run").mkdir(parents=True)
        with contextlib.chdir(folder / name):
            for step in steps:
                SAVES.checkpoint(step, float(step))
    shutil.copytree(folder / "again", folder / "killed before")
    inside = folder / "killed before" / "run" / "checkpoints"
    for name in (".step-00000012.new", ".step-00000012.old"):
        shutil.copytree(inside / "step-00000012", inside / name)
        (inside / name / "progress.json").unlink()
    shutil.copytree(folder / "again", folder / "killed between")
    inside = folder / "killed between" / "run" / "checkpoints"
    (inside / "step-00000012").rename(inside / ".step-00000012.old")


# What may be found after a fault: the checkpoint that was the newest.
BEFORE = {"none": None, "two": 8.0, "again": 12.0, "killed before": 12.0, "killed between": 12.0}


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("state", BEFORE)
def test_a_checkpoint(forker, tmp_path, record_property, state, act):
    make_states(tmp_path / "states")

    def check(here: Path, done: bool) -> None:
        folder = here / "run" / "checkpoints"
        assert value_of(folder) in ((12.5,) if done else (12.5, BEFORE[state]))
        if done:
            steps = [path.name for path in folder.iterdir()]
            assert "step-00000012" in steps
            # An error while older ones are removed leaves one more, until the next save.
            assert len(steps) <= 4

    each_operation(
        forker,
        tmp_path,
        record_property,
        "checkpoint",
        (12, 12.5),
        "save",
        act,
        tmp_path / "states" / state,
        check,
    )


@pytest.fixture(autouse=True)
def nothing_waits_for_the_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: None)


@pytest.fixture(scope="module")
def weights() -> dict[int, torch.Tensor]:
    """The classifier of the network by the seed of its initial weights."""
    network = replace_classes(catalogue.network("tiny"), 3)
    return {seed: build(network, seed=seed).get_parameter("fc.weight").detach() for seed in (1, 2)}


@pytest.fixture(scope="module", autouse=True)
def known_here():
    """The network of these tests is in the catalogue of this process too."""
    further = str(Path(__file__).parent / "networks")
    catalogue.__path__.append(further)
    catalogue._catalogue.cache_clear()
    yield
    catalogue.__path__.remove(further)
    catalogue._catalogue.cache_clear()
    catalogue._built.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("state", ["none", "a model", "killed between"])
def test_a_model(forker, tmp_path, record_property, weights, state, act):
    start = tmp_path / "state"
    (start / "run").mkdir(parents=True)
    RunFolder(start / "run").write_run({"status": "running", "command": "deeper train photos"})
    if state != "none":
        with contextlib.chdir(start):
            SAVES.model(1)
    if state == "killed between":
        (start / "run" / "model").rename(start / "run" / ".model.old")

    def check(here: Path, done: bool) -> None:
        for path in (here / "run", here / "run" / "model"):
            try:
                found = load_model(path)
            except RunFolderError as problem:
                assert state == "none" and not done
                assert "\n" not in str(problem)
                assert path.name == "model" or "has no model yet; go on with: deeper train" in str(problem)
                continue
            seed = int(found.config["provenance"]["data"])
            assert seed == 2 or not done
            assert torch.equal(found.net.get_parameter("fc.weight"), weights[seed])

    each_operation(forker, tmp_path, record_property, "model", (2,), "model", act, start, check)


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("there", [False, True])
def test_an_export(forker, tmp_path, record_property, there, act):
    """Nothing looks finished that is not: what can be opened proves itself."""
    start = tmp_path / "state"
    (start / "run").mkdir(parents=True)
    with contextlib.chdir(start):
        SAVES.model(1)
        if there:
            SAVES.export()
        SAVES.model(2)
    config = json.loads((start / "run" / "model" / "config.json").read_text())
    newest = config["weights"]["sha256"]

    def check(here: Path, done: bool) -> None:
        place = here / "run" / "export" / "onnx"
        try:
            found = load_export(place, threads=1).config
        except RunFolderError as problem:
            assert not there and not done
            assert not place.exists(), problem
            return
        assert found["of"]["weights"] == newest or (there and not done)

    each_operation(forker, tmp_path, record_property, "export", (), "table", act, start, check)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("there", [False, True])
def test_run_json_and_a_table(forker, tmp_path, record_property, there, act):
    start = tmp_path / "state"
    (start / "run").mkdir(parents=True)
    if there:
        (start / "run" / "run.json").write_text(json.dumps({"value": 1}))
        (start / "run" / "metrics.csv").write_text("epoch,value\n1,1\n")

    def check(here: Path, done: bool) -> None:
        folder = RunFolder(here / "run")
        rows = folder.metrics()
        if (here / "run" / "run.json").exists() or there or done:
            assert folder.run()["value"] == 2 or (there and not done and folder.run()["value"] == 1)
        new, old = [{"epoch": 1, "value": 2}, {"epoch": 2, "value": 2}], [{"epoch": 1, "value": 1}] * there
        assert rows == new or (not done and rows == old)

    each_operation(forker, tmp_path, record_property, "tables", (2,), "table", act, start, check)
