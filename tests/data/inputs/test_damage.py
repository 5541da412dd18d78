"""Damaged files: an image or a refusal that names the file, in no time, and never another image."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from golden import GOLDEN

from goingdeeper.data.decode import decode
from goingdeeper.errors import DataError

BATCHES = (1, 25)
"""Of 2,000 files each: in CI, in full."""

SCRIPT = Path(__file__).with_name("damage.py")


def test_damaged_files(batch, tmp_path, record_property):
    """In a process of their own: a decoder that ends it is noticed, and so is one that hangs."""
    file = tmp_path / "case"
    try:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), str(batch), "2000", str(file)],
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.fail(f"hung on {file.read_bytes().hex()}")
    assert done.returncode == 0, f"{done.stderr}\nthe file: {file.read_bytes().hex()}"
    tally = json.loads(done.stdout)
    record_property("tally", tally)
    assert tally["cases"] >= 2000
    assert min(tally["read"], tally["refused"]) > 300
    assert min(tally["by_format"].values()) > 100
    assert tally["longest"] < 2


@pytest.fixture(scope="module")
def ruined(tmp_path_factory) -> Path:
    """Two classes of damaged files, a whole one among them now and then."""
    root, chance = tmp_path_factory.mktemp("ruined"), random.Random(0)
    for number, (_, golden) in enumerate(sorted(GOLDEN.items())):
        content = bytearray(golden.content)
        if number % 4 == 1:
            del content[chance.randrange(len(content)) :]
        elif number % 4:
            for _ in range(number % 4):
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        part = root / ("cat", "dog")[number // 4 % 2]
        part.mkdir(exist_ok=True)
        (part / f"{number:03}{golden.suffix if number % 3 else '.jpg'}").write_bytes(content)
    return root


@pytest.fixture(scope="module")
def readable(ruined) -> dict[str, np.ndarray | None]:
    """What each file gives on its own; None where it is refused."""
    found: dict[str, np.ndarray | None] = {}
    for file in sorted(ruined.glob("*/*")):
        try:
            found[file.relative_to(ruined).as_posix()] = decode(file)
        except DataError:
            found[file.relative_to(ruined).as_posix()] = None
    counts = [pixels is None for pixels in found.values()]
    assert 30 < sum(counts) < len(counts) - 30
    return found


def test_each_answer_is_of_its_own_file(ruined, readable, read, run):
    """No image takes the place of a neighbour that could not be read."""
    from goingdeeper.opened import load

    said = read("predict", ruined, "--json")
    assert said.status == 3
    answers = {found["path"]: found["top"] for found in said.document["predictions"]}
    problems = said.problems()
    assert len(said.document["predictions"]) == len(answers)
    assert answers.keys() == {str(ruined / path) for path, pixels in readable.items() if pixels is not None}
    assert problems.keys() == {str(ruined / path) for path, pixels in readable.items() if pixels is None}
    assert all(problem.startswith(f"{path} ") for path, problem in problems.items())
    trained = load(run)
    for path, pixels in readable.items():
        if pixels is not None:
            (alone,) = trained.predict([pixels])
            top = {one["class"]: one["probability"] for one in answers[str(ruined / path)]}
            assert top == pytest.approx(dict(alone.top), abs=1e-5)


def test_training_goes_on_without_them_and_counts_all(ruined, readable, read):
    said = read("train", ruined, "--json", "--set", "bad_share=1")
    assert said.status == 0, said
    refused = {path for path, pixels in readable.items() if pixels is None}
    left_out = {p: text for p, text in said.problems().items() if text.startswith(f"{ruined}/{p} ")}
    assert left_out.keys() == refused
    rows = (Path(said.document["run"]) / "split.csv").read_text().splitlines()[1:]
    assert sorted(row.split(",")[0] for row in rows) == sorted(readable.keys() - refused)
    assert "left out" in said.err


def test_evaluation_and_training_refuse_as_many(ruined, readable, read):
    bad = sum(pixels is None for pixels in readable.values())
    for verb in ("train", "evaluate"):
        said = read(verb, ruined)
        assert said.status == 3
        assert said.out == ""
        assert f"deeper: {bad} of {len(readable)} images cannot be read" in said.err
        assert str(ruined) in said.err
