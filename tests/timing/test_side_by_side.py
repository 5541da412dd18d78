"""The method: order of blocks, their lengths by a clock of our own, and intervals as SciPy has them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from goingdeeper.timing.side_by_side import block, compare_blocks, in_turn, ratio
from goingdeeper.timing.workers import warm_up


class Clock:
    """A clock that calls move on by so many seconds each."""

    def __init__(self, *steps):
        self.now, self.steps, self.calls = 100.0, list(steps), 0

    def __call__(self):
        return self.now

    def call(self):
        self.now += self.steps[self.calls % len(self.steps)]
        self.calls += 1


def test_a_block_begins_no_call_after_its_seconds():
    clock = Clock(0.5, 0.25)
    assert block(clock.call, 1.0, clock) == [0.5, 0.25, 0.5]
    clock = Clock(3.0)
    assert block(clock.call, 1.0, clock) == [3.0]  # one at least
    clock = Clock(0.5)
    assert block(clock.call, 1.0, clock) == [0.5, 0.5]


def test_ten_calls_warm_up_and_slow_ones_three_at_least():
    for step, calls in ((0.01, 10), (1.0, 4), (60.0, 3), (0.4, 10), (0.5, 8)):
        clock = Clock(step)
        warm_up(clock.call, clock)
        assert clock.calls == calls, step


def test_candidates_take_turns_and_every_other_round_goes_backwards():
    asked, times = [], {"a": [], "b": [], "c": []}

    def candidate(name):
        def blocks(seconds):
            asked.append((name, seconds))
            return [len(asked)]

        return blocks

    told = []
    in_turn({name: candidate(name) for name in times}, 3, 0.5, times, lambda: told.append(len(asked)))
    assert "".join(name for name, _ in asked) == "abccbaabc"
    assert {seconds for _, seconds in asked} == {0.5}
    assert times == {"a": [[1], [6], [7]], "b": [[2], [5], [8]], "c": [[3], [4], [9]]}
    assert told == list(range(1, 10))


def test_what_is_measured_stays_when_interrupted():
    times = {"a": [], "b": []}

    def second(seconds):
        if len(times["a"]) == 3:
            raise KeyboardInterrupt
        return [2.0]

    with pytest.raises(KeyboardInterrupt):
        in_turn({"a": lambda seconds: [1.0], "b": second}, 5, 1.0, times)
    assert times == {"a": [[1.0]] * 3, "b": [[2.0]] * 2}


def test_the_ratio_is_the_median_over_pairs_with_scipys_interval():
    random = np.random.default_rng(3)
    base = random.lognormal(0, 0.3, 41)
    own = base / random.lognormal(0.4, 0.1, 41)  # the machine's drift hits both
    found = ratio(base.tolist(), own.tolist())
    ratios = base / own
    assert found.value == pytest.approx(np.sort(ratios)[20])
    expected = bootstrap(
        (ratios,), np.median, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=0.004)
    assert found.low < found.value < found.high
    one = ratio([3.0], [2.0])
    assert one.value == 1.5 and np.isnan([one.low, one.high]).all()
    few = ratio([3.0, 8.0, 1.0, 4.0], [2.0, 2.0, 2.0, 2.0])
    assert (few.value, few.low, few.high) == (1.75, 0.5, 4.0)


def test_a_comparison_is_of_mean_times_of_a_call():
    """Blocks of hand-made seconds: the reference's 4 and 6 over 2 and 2, and over 4 and 3."""
    blocks = {"base": iter([[3.0, 5.0], [6.0]]), "b": iter([[2.0], [1.0, 3.0]]), "c": iter([[4.0], [3.0]])}
    rows = compare_blocks(
        {name: lambda seconds, own=own: next(own) for name, own in blocks.items()}, "base", rounds=2
    )
    assert {row.name: (row.seconds, row.ratio.value) for row in rows} == {
        "base": (5.0, 1.0), "b": (2.0, 2.5), "c": (3.5, 1.5),
    }  # fmt: skip
