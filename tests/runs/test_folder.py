"""The run folder's files: written whole or not at all, read back as they were, named where damaged."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goingdeeper.errors import DataError, ResourceError, RunFolderError
from goingdeeper.runs.folder import RunFolder, write_whole


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


def test_its_places(folder):
    assert (folder.model.name, folder.checkpoints.name, folder.report.name) == (
        "model",
        "checkpoints",
        "report.html",
    )


@pytest.mark.parametrize("content", ["new ☃\n", b"\x00\xff new"])
def test_a_file_is_written_and_replaced(tmp_path, content):
    file = tmp_path / "a.txt"
    for old in (None, b"old and longer than what comes"):
        if old:
            file.write_bytes(old)
        write_whole(file, content)
        assert file.read_bytes() == (content if isinstance(content, bytes) else content.encode())
        assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("function", ["fsync", "replace", "open"])
@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (OSError(28, "No space left on device"), ResourceError),
        (OSError(5, "I/O"), OSError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, function, problem, kind):
    file = tmp_path / "a.txt"
    file.write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise problem

    with monkeypatch.context() as patched:
        if function == "open":
            patched.setattr("pathlib.Path.open", fail)
        else:
            patched.setattr(os, function, fail)
        with pytest.raises(kind):
            write_whole(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    """A limit on file sizes stands for the disk: the write itself comes up short."""
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from goingdeeper.runs.folder import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, {resource.RLIM_INFINITY}))\n"
        "try: write_whole(Path(sys.argv[1]), b'x' * 100_000)\n"
        "except Exception as problem: print(type(problem).__name__, problem)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"ResourceError the disk is full at {file}, where 0.1 MB are needed; free")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


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
