"""Small kernels in place of large ones: what is saved, what is seen, and what is no longer the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goingdeeper.layers import Conv, Layer, Pair
from goingdeeper.why.charts import Bars, Lines, curve, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import counted, steps


def arithmetic() -> Part:
    five, threes = [(5, 5)], [(3, 3), (3, 3)]
    three, lines = [(3, 3)], [(1, 3), (3, 1)]
    evidence = (
        measured(
            "factorise-28", *(_two_3x3(*widths) for widths in ((64, 64, 64), (48, 64, 64), (16, 32, 32)))
        ),
        measured(
            "factorise-625",
            *(multiplied(5, kernels) for kernels in (five, threes)),
            *(multiplied(5, kernels, padded=False) for kernels in (five, threes)),
        ),
        measured(
            "factorise-33",
            saved(three, lines),
            *(multiplied(3, kernels, padded=False) for kernels in (three, lines)),
            saved([(7, 7)], [(1, 7), (7, 1)]),
        ),
        measured("factorise-2x2", saved(three, [(2, 2), (2, 2)])),
        measured("factorise-field", seen(1, 1), seen(1, 1, 1), seen(2, 1, 1)),
        measured("factorise-relu", None, None),
    )
    return Part(evidence, (_widths_chart(), _maps_chart()))


def weights(kernels: Sequence[Pair], widths: Sequence[int]) -> int:
    """Of convolutions in a row. widths: channels before the first, between them and behind the last."""
    layers: dict[str, Layer] = {
        f"conv{place}": Conv(filters, kernel)
        for place, (kernel, filters) in enumerate(zip(kernels, widths[1:], strict=True))
    }
    return counted(layers, (widths[0], 35, 35)).weights


def saved(before: Sequence[Pair], after: Sequence[Pair]) -> float:
    """Of the multiplications, in per cent, where all widths are equal."""
    old, new = (weights(kernels, (64,) * (len(kernels) + 1)) for kernels in (before, after))
    return 100 * (1 - new / old)


def multiplied(side: int, kernels: Sequence[Pair], *, padded: bool = True) -> int:
    """Multiplications of one channel on a square map, whose size is kept; those with padding, or without."""
    if padded:
        layers: dict[str, Layer] = {f"conv{n}": Conv(1, kernel) for n, kernel in enumerate(kernels)}
        return counted(layers, (1, side, side)).macs
    return sum(_inside(side, high) * _inside(side, wide) for high, wide in kernels)


def seen(*strides: int) -> int:
    """Side of the receptive field of 3x3 convolutions in a row with these strides."""
    layers: dict[str, Layer] = {f"conv{n}": Conv(1, 3, stride=stride) for n, stride in enumerate(strides)}
    return steps(layers, (1, 35, 35))[-1].field.size[0]


def _two_3x3(before: int, between: int, behind: int) -> float:
    """Of a 5x5, what two 3x3 save, in per cent."""
    new = weights([(3, 3), (3, 3)], (before, between, behind))
    return 100 * (1 - new / weights([(5, 5)], (before, behind)))


def _inside(side: int, kernel: int) -> int:
    """Taps of a kernel along one axis that fall on the map and not on its padding, over all positions."""
    reach = kernel // 2
    return sum(0 <= place + tap < side for place in range(side) for tap in range(-reach, reach + 1))


def _widths_chart() -> Lines:
    behind = tuple(range(32, 161, 8))
    return Lines(
        "factorise-widths",
        "Two 3x3 in place of a 5x5, 64 channels before",
        "channels behind",
        "multiplications saved, %",
        (
            curve(
                "as wide between as behind",
                behind,
                (_two_3x3(64, n, n) for n in behind),
            ),
            curve("64 between", behind, (_two_3x3(64, 64, n) for n in behind)),
        ),
        level=(0.0, "nothing saved"),
    )


def _maps_chart() -> Lines:
    sides = tuple(range(3, 36))

    def part(before: Sequence[Pair], after: Sequence[Pair]) -> tuple[float, ...]:
        return tuple(
            100 * (1 - multiplied(side, after, padded=False) / multiplied(side, before, padded=False))
            for side in sides
        )

    return Lines(
        "factorise-maps",
        "Without the taps that fall on padding",
        "side of the map, pixels",
        "multiplications saved, %",
        (
            curve("two 3x3 for a 5x5", sides, part([(5, 5)], [(3, 3), (3, 3)])),
            curve("1x3 and 3x1 for a 3x3", sides, part([(3, 3)], [(1, 3), (3, 1)])),
        ),
    )


def init(seed: int) -> Part:
    """What one channel's kernels in a row can make of a random kernel, by least squares."""
    random = np.random.default_rng(seed)
    three, five = random.standard_normal((3, 3)), random.standard_normal((5, 5))
    separable = np.outer(random.standard_normal(3), random.standard_normal(3))
    values = np.linalg.svd(three, compute_uv=False)
    evidence = measured(
        "factorise-equivalent",
        float(np.linalg.matrix_rank(three)),
        _beyond_rank_1(separable),
        _beyond_rank_1(three),
        left_of_5x5(five),
    )
    chart = Bars(
        "factorise-rank",
        "Singular values of a random 3x3 kernel",
        "share of the kernel's square, %",
        ("first: what a 1x3 and a 3x1 make", "second", "third"),
        (heights("share", 100 * values**2 / (values**2).sum()),),
    )
    return Part((evidence,), (chart,))


def _beyond_rank_1(kernel: NDArray[np.float64]) -> float:
    """Share of a kernel's square that the best outer product of a column and a row leaves."""
    values = np.linalg.svd(kernel, compute_uv=False)
    return float((values[1:] ** 2).sum() / (values**2).sum())


def left_of_5x5(kernel: NDArray[np.float64], starts: int = 20) -> float:
    """Share of a 5x5 kernel's square that the best two 3x3 in a row leave.

    By turns each of the two is the best for the other, a linear problem, from several starts.
    """
    best = float((kernel**2).sum())
    for start in range(starts):
        one = np.random.default_rng(start).standard_normal((3, 3))
        two = one
        for _ in range(200):
            two = _partner(one, kernel)
            one = _partner(two, kernel)
        made = _matrix(one) @ two.ravel()
        best = min(best, float(((made - kernel.ravel()) ** 2).sum()))
    return best / float((kernel**2).sum())


def _partner(one: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 3x3 that, behind this one, comes nearest to a 5x5."""
    taps = np.linalg.lstsq(_matrix(one), kernel.ravel(), rcond=None)[0]
    return taps.reshape(3, 3).astype(np.float64)


def _matrix(one: NDArray[np.float64]) -> NDArray[np.float64]:
    """(25, 9): what a 3x3 makes of each tap of another, as a 5x5."""
    columns = np.zeros((9, 5, 5))
    for place in range(9):
        row, column = divmod(place, 3)
        columns[place, row : row + 3, column : column + 3] = one
    return columns.reshape(9, 25).T
