"""Images that disappear or go bad in the middle of training, and a loader's thread that dies."""

from __future__ import annotations

import random
import shutil

import pytest

TRIALS = {"test_an_image_goes": (6, 20), "test_the_loader_dies": (2, 10)}


@pytest.mark.slow
def test_an_image_goes(here, train, finish, photos, steps_saved, trial):
    """The images are read again at each use; one is removed, or cut to half, at a step of the first two
    epochs, so that it is wanted again."""
    chance = random.Random(trial)
    (here / "photos").unlink()
    shutil.copytree(photos, here / "photos")
    path = here / "photos" / chance.choice(("ant", "bee", "cow", "dog")) / f"{chance.randrange(40):02}.png"
    act = ("delete", "cut short")[trial % 2]
    fault = {"at": "step", "number": chance.randint(1, 16), "act": act, "path": str(path)}
    done = train(fault=fault, not_resident=True, cpus=1 + trial // 2 % 2, timeout=30)
    assert done.happened
    assert done.status == 3, done
    name = path.relative_to(here)
    said = "cannot be read: No such file or directory" if act == "delete" else "is truncated at"
    assert f"{name} {said}" in done.last
    assert steps_saved(here / "run") == done.counts["step"]
    again = train(not_resident=True)  # without the image it would be another run
    assert again.status == 2
    assert "the images have changed" in again.last
    shutil.copy(photos / path.parent.name / path.name, path)
    finish(not_resident=True)


@pytest.mark.slow
def test_the_loader_dies(train, finish, trial):
    """Of something that nobody foresaw: a bug of ours, so it shows its traceback; it never hangs."""
    number = random.Random(trial).randint(1, 16)
    done = train(fault={"at": "step", "number": number, "act": "loader"}, not_resident=True, timeout=30)
    assert done.happened
    assert (done.status, done.last) == (1, "ZeroDivisionError: in the loader")
    finish()
