"""Memory or the disk is full: status 5, what to do, and a run that can be gone on with."""

from __future__ import annotations

import random
import re

import pytest

TRIALS = {"test_the_disk_is_full": (4, 10), "test_memory_is_full": (3, 10)}


@pytest.fixture(scope="session")
def most(forker, photos, words, tmp_path_factory) -> int:
    """The bytes on the disk that a run takes, at most."""
    here = tmp_path_factory.mktemp("most")
    (here / "photos").symlink_to(photos)
    done = forker.run("deeper", *words, cwd=here, disk=1 << 40)
    assert done.status == 0
    return done.counts["most"]


@pytest.mark.slow
def test_the_disk_is_full(here, train, finish, most, trial):
    """Of a disk that has room for a part of the run only."""
    room = random.Random(trial).randrange(most)
    done = train(disk=room)
    assert done.happened
    assert done.status == 5, done
    found = re.fullmatch(
        r"deeper: the disk is full at \S+, where \S+ (bytes|MB) are needed; free some space and run the same "
        r"command again",
        done.last,
    )
    assert found, done.last
    assert not list((here / "run").glob("**/.*.new")) + list((here / "run").glob("**/.*.json.*"))
    finish()


@pytest.mark.slow
def test_memory_is_full(here, forker, train, finish, words, trial):
    """More images at a time than `fits` do not fit; the batch that is advised does, and is the largest that
    halving gives."""
    fits = random.Random(trial).randint(2, 15)
    done = train(most_images=fits)
    assert done.status == 5, done
    advised = re.search(
        r"not enough memory on cpu for a batch of 16; a batch of (\d+) fits: --batch \1", done.last
    )
    assert advised, done.last
    batch = int(advised[1])
    assert batch <= fits < 2 * batch
    finish()


@pytest.mark.slow
def test_memory_is_really_full(here, forker):
    """The process may take 600 MB more than it starts with, and 16 images of 400 pixels need more."""
    (here / "few").mkdir()
    for name in ("ant", "bee"):
        (here / "few" / name).mkdir()
        for file in sorted((here / "photos" / name).iterdir())[:20]:
            (here / "few" / name / file.name).symlink_to(file)
    words = ("train", "few", "--model", "tiny", "--size", 400, "--epochs", 1, "--out", "run")
    done = forker.run("deeper", *words, "--batch", 16, cwd=here, more_memory=600 << 20, not_resident=True)
    assert done.status == 5, done
    advised = re.search(
        r"not enough memory on cpu for a batch of 16; a batch of (\d+) fits: --batch \1", done.last
    )
    assert advised, done.last
