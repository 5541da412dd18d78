"""The run folder's files: read back as they were, named where damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goingdeeper.errors import DataError, ResourceError, RunFolderError
from goingdeeper.runs.folder import RunFolder, replace_folder


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


def test_its_places(folder):
    assert (folder.model.name, folder.checkpoints.name, folder.report.name) == (
        "model",
        "checkpoints",
        "report.html",
    )


def test_run_json_comes_back(folder):
    run = {"status": "finished", "classes": ["a", "ключ ☃"], "result": None, "seed": 2**40, "rate": 0.1}
    folder.write_run(run)
    assert folder.run() == run
    assert "ключ ☃" in (folder.path / "run.json").read_text("utf-8")


def test_no_run_folder_or_no_run_in_it(folder):
    with pytest.raises(
        RunFolderError, match=r"there is no run folder .*/none; `deeper runs` lists what there is"
    ):
        RunFolder(folder.path / "none").run()
    with pytest.raises(RunFolderError, match=r"is not a run folder: it has no run\.json"):
        folder.run()


@pytest.mark.parametrize("content", [b"", b'{"status": "fini', b"[]", b"7", b"\xff\xfe{}", b"[" * 100_000])
def test_a_damaged_run_json_is_named(folder, content):
    (folder.path / "run.json").write_bytes(content)
    with pytest.raises(
        DataError, match=r"run\.json (cannot be read|does not describe a run).*restore it or train again"
    ):
        folder.run()


def test_tables_are_empty_before_they_are_there(folder):
    assert folder.metrics() == folder.predictions() == folder.split() == []


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(TEXTS, TEXTS, st.sampled_from(("train", "val"))), min_size=1, max_size=6))
def test_a_table_comes_back_whatever_the_names(folder, rows):
    folder.write_rows("split.csv", ("path", "class", "split"), rows)
    assert [tuple(row.values()) for row in folder.split()] == rows


def test_metrics_come_back_as_numbers(folder):
    folder.write_rows("metrics.csv", ("epoch", "val_error", "odd"), [(1, "12.5", ""), (2, "nan", "3e-05")])
    first, second = folder.metrics()
    assert first == {"epoch": 1.0, "val_error": 12.5}
    assert second["odd"] == 3e-5 and second["val_error"] != second["val_error"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("split.csv", b"path,class\na,b\n"),
        ("split.csv", b"path,class,split\na,b\n"),
        ("split.csv", b"path,class,split\na,b,val,more\n"),
        ("split.csv", b"\xff\xfe\x00path"),
        ("split.csv", b'path,class,split\n"a,b,val\n'),
        ("split.csv", b"\x00\x01\x02"),
        ("split.csv", b""),
        ("metrics.csv", b"epoch,loss\n1,much\n"),
        ("metrics.csv", b"epoch,loss\n1\n"),
        ("metrics.csv", b"no,header\n1,2\n"),
        ("predictions.csv", b"path,true,predicted\na,b,c\n"),
    ],
)
def test_a_damaged_table_is_named(folder, name, content):
    (folder.path / name).write_bytes(content)
    reader = {
        "split.csv": folder.split,
        "metrics.csv": folder.metrics,
        "predictions.csv": folder.predictions,
    }[name]
    with pytest.raises(DataError, match=name.replace(".", r"\.")) as caught:
        reader()
    assert "\n" not in str(caught.value)


def test_numbers_in_json_keep_every_digit(folder):
    folder.write_run({"value": 0.1 + 0.2})
    assert json.loads((folder.path / "run.json").read_text())["value"] == 0.1 + 0.2


def test_a_run_of_another_version_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"schema": 2, "status": "finished"}')
    with pytest.raises(RunFolderError, match=r"is of another version of Going Deeper \(schema 2, here 1\)"):
        RunFolder(tmp_path).run()


def test_a_folder_that_cannot_be_written_is_named_itself(tmp_path):
    """And not the one aside that is renamed."""
    with pytest.raises(ResourceError, match="cannot write at /proc/nothing: "):
        replace_folder(Path("/proc/nothing"), {"a": b""})
    with pytest.raises(OSError) as refused:
        replace_folder(tmp_path / "out", {"no/folder": b""})
    assert refused.value.filename == str(tmp_path / "out") and not list(tmp_path.iterdir())
