import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from goingdeeper.errors import RunFolderError
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.listing import locked
from goingdeeper.training.place import check_out, choose_folder, differences
from goingdeeper.training.plan import Wishes

WISHES = Wishes("photos", epochs=10)


def wished(wishes):
    return {**asdict(wishes), "settings": dict(wishes.settings)}


def record(wishes=WISHES, **changes):
    """What of run.json decides whether two runs are one."""
    return {
        "status": "running",
        "version": "0.1.0",
        "network": "tiny",
        "wishes": wished(wishes),
        "description": {"layers": [["conv", 1]]},
        "recipe": {"epochs": 10},
        "seed": wishes.seed,
        "device": "cpu",
        "data": {"name": "photos", "fingerprint": "abc"},
        **changes,
    }


def written(path, **changes):
    path.mkdir(parents=True)
    folder = RunFolder(path)
    folder.write_run(record(**changes))
    return folder


def test_the_first_run_gets_a_folder_of_its_own(here):
    folder, going_on = choose_folder(None, record())
    assert not going_on
    assert folder.path.parent == Path("runs")
    assert folder.path.name.endswith("_tiny_photos")
    assert folder.path.is_dir()
    assert list(folder.path.iterdir()) == []


def test_two_runs_of_one_second_do_not_meet(here):
    paths = {choose_folder(None, record())[0].path for _ in range(5)}
    assert len(paths) == 5


def test_names_of_data_as_long_as_file_systems_allow(here):
    folder, _ = choose_folder(None, record(data={"name": "x" * 255, "fingerprint": ""}))
    assert folder.path.is_dir()


@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_an_unfinished_run_of_the_same_settings_goes_on(here, status):
    old = written(Path("runs/a"), status=status)
    assert choose_folder(None, record()) == (old, True)


def test_the_newest_of_several_goes_on(here):
    written(Path("runs/2026-01-01_a"))
    newest = written(Path("runs/2026-02-01_b"))
    assert choose_folder(None, record()) == (newest, True)


CHANGES = {
    "finished": {"status": "finished"},
    "wishes": {"wishes": replace(WISHES, settings=(("rate", "0.3"),))},
    "version": {"version": "0.0.9"},
    "network": {"description": {"layers": []}},
    "recipe": {"recipe": {"epochs": 9}},
    "device": {"device": "cuda"},
    "images": {"data": {"name": "photos", "fingerprint": "xyz"}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_run_is_not_gone_on_with(here, change):
    written(Path("runs/a"), **CHANGES[change])
    folder, going_on = choose_folder(None, record())
    assert not going_on
    assert folder.path != Path("runs/a")


@pytest.mark.parametrize("content", ["", "{", "[]", "\xff\xfe"])
def test_an_unreadable_record_beside_it_does_not_matter(here, content):
    Path("runs/zz").mkdir(parents=True)
    Path("runs/zz/run.json").write_text(content, "latin-1")
    Path("runs/zy/run.json").mkdir(parents=True)
    old = written(Path("runs/a"))
    assert choose_folder(None, record()) == (old, True)


def test_a_run_that_a_process_works_on_is_left_to_it(here):
    old = written(Path("runs/a"))
    with locked(old):
        folder, going_on = choose_folder(None, record())
        assert not going_on
        assert folder.path != old.path
        with pytest.raises(RunFolderError, match="being trained by another process"), locked(old):
            pass
    assert choose_folder(None, record()) == (old, True)


def tree(path):
    return {str(file): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


@pytest.mark.parametrize("make", ["absent", "empty", "nothing written yet"])
def test_out_where_nothing_is_yet(here, make):
    out = Path("deep/er/out")
    if make != "absent":
        out.mkdir(parents=True)
    if make == "nothing written yet":
        (out / ".lock").touch()
        (out / f".run.json.{os.getpid()}").touch()
    check_out(out)
    assert choose_folder(out, record()) == (RunFolder(out), False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ("a folder of something else", "out is there already and is not a run folder; give another --out"),
        ("a hidden file", "out is there already and is not a run folder; give another --out"),
        ("a file", "out is there already and is not a run folder; give another --out"),
        ("a finished run", "out holds a finished run, which is kept; give another --out"),
        ("other settings", r"out holds an unfinished run of other settings \(epochs 20, now 10\); give"),
    ],
)
def test_out_that_is_not_to_be_touched(here, make, message):
    out = Path("out")
    if make == "a file":
        out.write_text("precious")
    elif make == "a finished run":
        written(out, status="finished")
    elif make == "other settings":
        written(out, wishes=replace(WISHES, epochs=20))
    else:
        out.mkdir()
        (out / (".hidden" if "hidden" in make else "thesis.txt")).write_text("precious")
    before = tree(here)
    with pytest.raises(RunFolderError, match=message):
        choose_folder(out, record())
    assert tree(here) == before


def test_out_with_an_unfinished_run_of_the_same_settings_goes_on(here):
    old = written(Path("out"), status="interrupted")
    assert choose_folder(Path("out"), record()) == (old, True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"wishes": Wishes("photos", epochs=20)}, "epochs 10, now 20"),
        ({"wishes": Wishes("photos")}, "epochs 10, now default"),
        ({"wishes": Wishes("photos", "resnet-18-b", epochs=10)}, "model default, now resnet-18-b"),
        ({"wishes": Wishes("photos", epochs=10, settings=(("rate", "0.3"),))}, "rate default, now 0.3"),
        ({"wishes": Wishes("photos", epochs=10, seed=3), "seed": 3}, "seed 0, now 3"),
        ({"version": "0.2.0"}, "another version: 0.1.0, now 0.2.0"),
        ({"recipe": {"epochs": 11}, "device": "cuda"}, "another recipe; another device"),
        ({"data": {"name": "photos", "fingerprint": "x"}}, "the images have changed"),
    ],
)
def test_differences_in_words(changes, words):
    assert differences(json.loads(json.dumps(record())), record(**changes)) == words


def test_an_option_that_a_run_is_older_than_was_left_out():
    old = json.loads(json.dumps(record()))
    for name in ("test_share", "group", "fold"):
        del old["wishes"][name]
    assert differences(old, record()) == ""
    assert differences(old, record(wishes=replace(WISHES, test_share=0.1))) == "test_share 0.0, now 0.1"


def test_tuples_and_lists_are_the_same_to_json():
    recipe = {"epochs": 10, "sizes": (1, 2)}
    assert differences(json.loads(json.dumps(record(recipe=recipe))), record(recipe=recipe)) == ""
