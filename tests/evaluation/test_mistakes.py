"""The mistakes of runs, as they wrote them down or anew, and pairs of runs that cannot be compared."""

from __future__ import annotations

import math

import pytest
import torch

from goingdeeper.data.sources import Item
from goingdeeper.errors import DataError, RunFolderError, UsageError
from goingdeeper.evaluation.evaluate import Evaluation
from goingdeeper.evaluation.mistakes import evaluated_mistakes, same_classes, written_mistakes
from goingdeeper.evaluation.protocols import PROTOCOLS
from goingdeeper.runs.folder import RunFolder

HEADING = ("path", "true", "predicted", "probability", "probability_true")
ROWS = [("1.png", "cat", "cat"), ("2.png", "cat", "dog"), ("3.png", "dog", "dog")]
RECORD = {
    "status": "finished",
    "command": "deeper train photos",
    "classes": ["cat", "dog"],
    "data": {"location": "/photos", "fingerprint": "f"},
}


@pytest.fixture
def write(tmp_path):
    def make(name: str, rows=ROWS, probability="0.9", **changes) -> RunFolder:
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir()
        folder.write_run({**RECORD, **changes})
        if rows is not None:
            folder.write_rows("predictions.csv", HEADING, [(*row, probability, "0.5") for row in rows])
        return folder

    return make


def test_what_runs_wrote_down_is_matched_by_path(write):
    other = [("3.png", "dog", "cat"), ("1.png", "cat", "cat"), ("2.png", "cat", "cat")]
    a, b = written_mistakes(write("a"), write("b", other, classes=["dog", "cat"]))
    assert a == {("1.png", "cat"): False, ("2.png", "cat"): True, ("3.png", "dog"): False}
    assert b == {("1.png", "cat"): False, ("2.png", "cat"): False, ("3.png", "dog"): True}


def test_a_probability_that_is_no_number_is_a_mistake(write):
    """Of no numbers the largest is the first, so such a run seems to know one class well."""
    a, b = written_mistakes(write("a", probability=f"{math.nan:.6f}"), write("b"))
    assert list(a.values()) == [True, True, True]
    assert list(b.values()) == [False, True, False]


@pytest.mark.parametrize("data", [{"location": "/photos"}, {"fingerprint": "f"}])
def test_data_are_the_same_by_place_or_by_content(write, data):
    other = {"location": "/store", "fingerprint": "g", **data}
    a, b = written_mistakes(write("a"), write("b", data=other))
    assert a == b


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"data": {"location": "/store", "fingerprint": "g"}},
            r"the runs are of different data \(/photos, /store\); train one with --split .*a to hold out the",
        ),
        (
            {"rows": ROWS[:2]},
            r"scored on different images: 2 in common, 1 of .*a alone, 0 of .*b alone; train",
        ),
        (
            {"rows": [("1.png", "dog", "cat"), *ROWS[1:]]},
            r"2 in common, 1 of .*a alone, 1 of .*b alone.*--split",
        ),
        (
            {"classes": ["cat", "cow", "dog"]},
            r"the runs know different classes \(.*a lacks cow\); only the same can be compared",
        ),
        ({"classes": ["cow", "dog"]}, r"different classes \(.*a lacks cow; .*b lacks cat\)"),
    ],
)
def test_runs_that_did_not_score_the_same_are_refused(write, changes, problem):
    with pytest.raises(UsageError, match=problem):
        written_mistakes(write("a"), write("b", **changes))


def test_of_many_classes_some_are_named():
    with pytest.raises(UsageError, match=r"\(b lacks c000, c001, .*c007 and 2 more\)"):
        same_classes([f"c{number:03}" for number in range(10)], [], ("a", "b"))


@pytest.mark.parametrize("status", ["running", "interrupted", "stopped"])
def test_an_unfinished_run_is_refused(write, status):
    with pytest.raises(RunFolderError, match=r"b is unfinished; go on with: deeper train photos --out .*b"):
        written_mistakes(write("a"), write("b", status=status))


def test_what_is_no_run_is_refused(write, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").touch()
    with pytest.raises(
        RunFolderError, match=r"model is a model folder, which keeps no predictions; name images"
    ):
        written_mistakes(write("a"), RunFolder(tmp_path / "model"))
    with pytest.raises(RunFolderError, match=r"there is no run folder .*none"):
        written_mistakes(RunFolder(tmp_path / "none"), write("b"))
    with pytest.raises(RunFolderError, match=r"is not a run folder: it has no run\.json"):
        written_mistakes(RunFolder(tmp_path), write("c"))


@pytest.mark.parametrize("data", [None, {}, {"location": "/photos"}])
def test_a_record_that_lacks_what_is_needed(write, data):
    with pytest.raises(DataError, match=r"run\.json does not say what the run learned from; name images"):
        written_mistakes(write("a"), write("b", data=data))


@pytest.mark.parametrize("rows", [None, []])
def test_a_run_without_predictions(write, rows):
    with pytest.raises(DataError, match=r"b has no predictions\.csv; name images to score both runs on"):
        written_mistakes(write("a"), write("b", rows=rows))


def test_mistakes_of_each_model_of_an_evaluation():
    """Two models of three images; the second has no number for the last."""
    one = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]).log()
    other = torch.tensor([[0.4, 0.6], [0.3, 0.7], [math.nan, math.nan]]).log()
    items = tuple(Item(f"{number}.png", "cat") for number in range(3))
    found = Evaluation(PROTOCOLS["1crop"], ("cat", "dog"), items, torch.tensor([0, 0, 0]), (one, other), ())
    assert evaluated_mistakes(found) == [[False, True, False], [True, True, True]]
