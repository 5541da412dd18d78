"""The same images give the same training, whatever they are kept in."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter

import numpy as np
import pytest

import goingdeeper as gd
from goingdeeper.data.pictures import survey
from goingdeeper.data.sources import open_source
from goingdeeper.data.split import Holding, divide


def sides(location, seed=0):
    """Class and pixels of each image, in the order of both sides."""
    source = open_source(location)
    found = survey(source, 32)
    assert found.problems == ()
    division = divide(source, found.digests, Holding(seed))
    return [
        [(item.label, source.read(item.path)) for item in side] for side in (division.train, division.val)
    ]


def test_every_source_gives_the_same_samples_in_the_same_order(written, kind, pictures):
    expected, found = sides(written("folder")), sides(written(kind))
    for side, other in zip(expected, found, strict=True):
        assert [label for label, _ in side] == [label for label, _ in other]
        for (_, pixels), (_, again) in zip(side, other, strict=True):
            assert (again.dtype, again.shape) == (np.uint8, (32, 32, 3))
            assert np.array_equal(pixels, again)
    written_down = Counter((label, pixels.tobytes()) for label, pixels in pictures)
    assert Counter((label, p.tobytes()) for side in found for label, p in side) == written_down


def test_a_source_says_where_it_is_and_opens_again(written, kind):
    location = written(kind)
    source = open_source(location)
    assert source.location == str(location.resolve())
    assert source.name == location.name
    assert source.classes == ("airplane", "bird", "cat")
    assert not source.oriented
    assert {item.split for item in source.items} == {None}
    assert len({item.path for item in source.items}) == 30
    assert source.size(source.items[0].path) == (32, 32)
    again = open_source(source.location)
    assert again.items == source.items
    assert np.array_equal(again.read(again.items[7].path), source.read(source.items[7].path))


def test_the_bytes_of_files_are_those_that_were_written(written, kind):
    """A store keeps them without coding them again."""
    source = open_source(written(kind))
    if kind in ("hdf5",) or kind.startswith("cifar"):
        assert source.content is None
    else:
        assert all(source.content(item.path)[:8] == b"\x89PNG\r\n\x1a\n" for item in source.items)


def test_threads_read_at_once(written, kind):
    source = open_source(written(kind))
    expected = {item.path: source.read(item.path).tobytes() for item in source.items}
    wrong, ready = [], threading.Barrier(6)

    def look(seed):
        ready.wait()
        for n in np.random.default_rng(seed).integers(0, 30, 60):
            path = source.items[n].path
            try:
                if source.read(path).tobytes() != expected[path]:
                    wrong.append(path)
            except Exception as problem:
                wrong.append(problem)

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.slow
def test_every_source_gives_the_same_weights(written, tmp_path):
    digests, errors = {}, set()
    for kind in ("folder", "csv", "tar", "parquet", "hdf5", "cifar-10", "cifar-100 binary"):
        run = gd.train(
            written(kind), model="cifar-resnet-20-a", epochs=1, batch=8, size=32, device="cpu",
            out=tmp_path / "runs" / kind,
        )  # fmt: skip
        weights = (run.path / "model" / "model.safetensors").read_bytes()
        digests[kind] = hashlib.sha256(weights).hexdigest()
        scored = run.evaluate()  # on the images that split.csv names
        errors.add((scored.images, scored.top1_error, scored.cross_entropy))
    assert len(set(digests.values())) == 1, digests
    assert len(errors) == 1
