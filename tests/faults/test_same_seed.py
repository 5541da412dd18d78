"""The same seed, machine and threads give the same weights, whatever loads the images."""

from __future__ import annotations

import hashlib

import pytest

TRIALS = {"test_the_same_weights": (2, 5)}

NETWORKS = (
    ("tiny", 8),
    ("cifar-resnet-20-a", 8),
    ("cifar-plain-20", 8),
    ("dsn-cifar10", 32),
    ("highway-19", 32),
)


@pytest.mark.slow
def test_the_same_weights(forker, here, record_property, times, trial):
    """One epoch of a network, `times` times: with one or two processors for the loader's threads, and the
    images in memory or read again at each use."""
    name, size = NETWORKS[trial]
    found = set()
    for time in range(times):
        words = ("train", "photos", "--model", name, "--size", size, "--epochs", 1, "--batch", 32)
        how = {"cpus": 1 + time % 2, "not_resident": time // 2 % 2 == 1}
        done = forker.run("deeper", *words, "--out", f"run{time}", cwd=here, timeout=300, **how)
        assert done.status == 0, done
        weights = (here / f"run{time}" / "model" / "model.safetensors").read_bytes()
        found.add(hashlib.sha256(weights).hexdigest())
    assert len(found) == 1
    record_property("trials", times)


@pytest.mark.slow
def test_other_seeds_give_other_weights(forker, here):
    """So that the test above can fail."""
    found = set()
    for seed in (1, 2):
        words = ("train", "photos", "--model", "tiny", "--size", 8, "--epochs", 1, "--batch", 32)
        done = forker.run("deeper", *words, "--seed", seed, "--out", f"run{seed}", cwd=here)
        assert done.status == 0, done
        found.add((here / f"run{seed}" / "model" / "model.safetensors").read_bytes())
    assert len(found) == 2
