import subprocess
import sys

import pytest

from goingdeeper.errors import RunFolderError
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.listing import in_use, list_runs, locked, status


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "2026-01-01_a")
    folder.path.mkdir(parents=True)
    folder.write_run({"status": "running"})
    return folder


def test_newest_first_and_only_run_folders(folder, tmp_path):
    root = tmp_path / "runs"
    for name in ("2026-03-01_c", "2026-02-01_b"):
        (root / name).mkdir()
        RunFolder(root / name).write_run({})
    (root / "2026-04-01_no-run").mkdir()
    (root / "note.txt").touch()
    names = ["2026-03-01_c", "2026-02-01_b", "2026-01-01_a"]
    assert [found.path.name for found in list_runs(root)] == names
    assert list_runs(str(root)) == list_runs(root)


def test_no_folder_and_an_empty_one(tmp_path):
    (tmp_path / "empty").mkdir()
    assert list_runs(tmp_path / "empty") == []
    (tmp_path / "file").touch()
    for name in ("absent", "file"):
        with pytest.raises(RunFolderError, match=f"no folder .*{name}; `deeper train`"):
            list_runs(tmp_path / name)


def test_a_lock_keeps_others_out_and_goes_with_its_holder(folder):
    assert not in_use(folder)
    with locked(folder):
        assert in_use(folder)
        with pytest.raises(RunFolderError, match="is being trained by another process"), locked(folder):
            pass
        assert in_use(folder)
    assert not in_use(folder)


def test_asking_leaves_nothing_behind(folder):
    assert not in_use(folder)
    assert [file.name for file in folder.path.iterdir()] == ["run.json"]


def test_a_killed_process_lets_go(folder):
    code = "import sys, time\nfrom pathlib import Path\nfrom goingdeeper.runs.folder import RunFolder\n"
    code += "from goingdeeper.runs.listing import locked\n"
    code += "with locked(RunFolder(Path(sys.argv[1]))):\n print('locked', flush=True)\n time.sleep(60)"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(folder.path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "locked\n"
    assert in_use(folder)
    assert status(folder, folder.run()) == "running"
    holder.kill()
    holder.communicate()
    assert not in_use(folder)
    assert status(folder, folder.run()) == "interrupted"


@pytest.mark.parametrize("written", ["finished", "interrupted"])
def test_what_was_written_at_the_end_holds(folder, written):
    assert status(folder, {"status": written}) == written
