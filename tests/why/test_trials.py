"""Trainings of several networks and seeds within a time, and what is told from them."""

import math
import re
import time

import pytest
from PIL import Image

from goingdeeper.data.sources import open_source
from goingdeeper.errors import RunFolderError, UsageError
from goingdeeper.files import lock
from goingdeeper.training.events import Events
from goingdeeper.why.claims import judged
from goingdeeper.why.intervals import Interval, geometric, interval
from goingdeeper.why.trials import Arm, Terms, _fingerprint, _left_out, lasting, train


def test_an_interval_is_students():
    """A table of t: 4.303 for two degrees of freedom, 12.706 for one."""
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.high - 2.0 == pytest.approx(4.303 / 3**0.5, rel=1e-3)
    assert interval([0.0, 1.0]).low == pytest.approx(0.5 - 12.706 * 0.5, rel=1e-3)
    with pytest.raises(ValueError, match="one value"):
        interval([1.0])


def test_an_interval_of_ratios_is_by_their_logarithms():
    """1 to 100 by a factor of ten each: 10, and ten to the power of 4.303 / sqrt(3) around it."""
    found = geometric([1.0, 10.0, 100.0])
    assert found.mean == pytest.approx(10.0)
    assert found.high / 10 == pytest.approx(10 ** (4.303 / 3**0.5), rel=1e-3)
    assert found.low * found.high == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("gap", "closed", "verdict"),
    [
        (Interval(0.5, 0.1, 0.9), Interval(0.5, 0.1, 0.9), "right"),
        (Interval(0.5, -0.1, 1.1), Interval(0.5, 0.1, 0.9), "not separated"),
        (Interval(-0.5, -0.9, -0.1), Interval(0.5, 0.1, 0.9), "not seen here"),
        (Interval(-0.5, -0.9, -0.1), Interval(0.5, -0.1, 1.1), "not seen here"),
        (Interval(0.5, 0.0, 1.0), Interval(0.5, 0.1, 0.9), "not separated"),
        (interval([0.5, 0.5]), Interval(0.5, 0.1, 0.9), "not separated"),
        (interval([0.0, 0.0]), Interval(0.5, 0.1, 0.9), "not separated"),
        (interval([-0.5, -0.5]), Interval(0.5, 0.1, 0.9), "not separated"),
        (interval([math.nan, 0.5]), Interval(0.5, 0.1, 0.9), "not separated"),
    ],
)
def test_the_verdict_comes_from_the_intervals(gap, closed, verdict):
    found = judged("degradation-trained", gap, closed)
    assert found.verdict == verdict
    assert str(gap) in found.seen[0]


def test_a_ratio_of_nothing_has_an_interval():
    assert geometric([0.0, 0.0]).mean == pytest.approx(0.0, abs=1e-300)


@pytest.mark.parametrize("seeds", [(), (1,), (1, 1)])
def test_one_seed_has_no_interval(seeds):
    with pytest.raises(UsageError, match="two or more"):
        Terms(seeds=seeds)


@pytest.mark.slow
def test_arms_are_trained_alike_within_the_time_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("goingdeeper.why.trials.EPOCHS", 2)
    notes: list[str] = []

    class Noting(Events):
        def __init__(self, name):
            self.name = name

        def note(self, text):
            notes.append(f"{self.name}{text}")

    terms = Terms(time="50s", seeds=(3, 5), folder=tmp_path, events=Noting)
    arms = [Arm("narrow", "cifar-resnet-20-a"), Arm("plain", "cifar-plain-20", size=32)]
    begun = time.monotonic()
    found = train(terms, arms, "digits")
    assert time.monotonic() - begun < 100  # a busy machine may slow down after its pace was measured
    assert found.runs.keys() == {"narrow", "plain"}
    assert "4 of 4 trainings have ended" in notes
    runs = [run for own in found.runs.values() for run in own]
    assert [run.run()["seed"] for run in runs] == [3, 5, 3, 5]
    assert len({tuple(row["path"] for row in run.split()) for run in runs}) == 1
    assert {len(run.metrics()) for run in runs} == {found.epochs}
    assert {sum(row["split"] == "train" for row in run.split()) for run in runs} == {found.images}
    gap = found.gap("plain", "narrow", "train_loss")
    by_hand = [
        float(one.metrics()[-1]["train_loss"]) - float(other.metrics()[-1]["train_loss"])
        for one, other in zip(found.runs["plain"], found.runs["narrow"], strict=True)
    ]
    assert gap.mean == pytest.approx(sum(by_hand) / 2)

    monkeypatch.setattr("goingdeeper.why.trials._paces", lambda *given: pytest.fail("measured once more"))
    written = [(run.path / "run.json").stat().st_mtime_ns for run in runs]
    again = train(terms, arms, "digits")
    assert again.runs == found.runs and (again.images, again.epochs) == (found.images, found.epochs)
    assert [(run.path / "run.json").stat().st_mtime_ns for run in runs] == written


def test_too_short_a_time_says_how_long_it_takes(tmp_path):
    with pytest.raises(UsageError, match=r"--time 1s is too short for 2 trainings .* take about \d+m here"):
        train(Terms(time="1s", seeds=(0, 1), folder=tmp_path), [Arm("one", "cifar-resnet-20-a")], "digits")


@pytest.mark.parametrize(
    ("times", "at_once", "seconds"),
    [
        ([5], 2, 5),
        ([5, 5, 5], 2, 10),  # beside the third the other processor waits
        ([5, 5, 5, 5], 2, 10),
        ([1, 2, 3, 4], 2, 5),
        ([1, 1, 1, 6], 2, 6),
        (
            [3, 3, 2, 2, 2],
            2,
            7,
        ),  # Graham 1969: the best would be 6
    ],
)
def test_trainings_last_as_long_as_their_fullest_processor(times, at_once, seconds):
    assert lasting(times, at_once) == seconds


def test_images_that_changed_are_other_images(tmp_path):
    """A label, or a file of another size."""
    for label, shade in (("a", 0), ("b", 1), ("b", 2)):
        (tmp_path / label).mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(tmp_path / label / f"{shade}.png")
    known = [_fingerprint(open_source(tmp_path))]
    known.append(_fingerprint(open_source(tmp_path)))
    (tmp_path / "b" / "2.png").rename(tmp_path / "a" / "2.png")
    known.append(_fingerprint(open_source(tmp_path)))
    Image.effect_noise((64, 64), 50).save(tmp_path / "a" / "2.png")
    known.append(_fingerprint(open_source(tmp_path)))
    assert known[0] == known[1] and len({*known}) == 3


def test_two_commands_do_not_train_the_same(tmp_path, monkeypatch):
    terms = Terms(time="1s", seeds=(0, 1), folder=tmp_path)
    arms = [Arm("one", "cifar-resnet-20-a")]
    with pytest.raises(UsageError, match="too short"):
        train(terms, arms, "digits")
    (place,) = tmp_path.iterdir()
    with (place / ".lock").open("wb") as handle:
        assert lock(handle)
        with pytest.raises(RunFolderError, match=f"another process trains in {re.escape(str(place))}"):
            train(terms, arms, "digits")


def test_images_with_a_split_keep_their_sides(tmp_path):
    """Of 8 to train on and 4 held out, 4 and the quarter of that which VAL_SHARE is."""
    for side, count in (("train", 8), ("val", 4)):
        for label in "ab":
            (tmp_path / side / label).mkdir(parents=True)
            for number in range(count // 2):
                Image.new("RGB", (8, 8), (number, len(side), ord(label))).save(
                    tmp_path / side / label / f"{number}.png"
                )
    source = open_source(tmp_path)
    out = {line for line in _left_out(source, 4).splitlines() if not line.startswith("#")}
    kept = [item for item in source.items if item.path not in out]
    assert sorted(item.split for item in kept) == ["train"] * 4 + ["val"]
    assert sum(item.label == "a" for item in kept if item.split == "train") == 2
