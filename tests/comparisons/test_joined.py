"""Alike changes in one row, and addresses in few words."""

import pytest

from goingdeeper.comparisons.joined import Told, in_short, joined

KNOWN = {
    "": ["conv1", "3a", "3b", "pool3", "4a", "4b", "5a", "fc"],
    "1x1": ["3a", "3b", "4a", "4b", "5a"],
    "3x3.reduce": ["3a", "3b", "4a", "4b", "5a"],
    "norm": ["3a", "4a", "5a"],
}


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["conv1"], ["conv1"]),
        (["3a.1x1"], ["3a.1x1"]),
        (["3a.1x1", "3a.3x3.reduce"], ["3a: 1x1, 3x3.reduce"]),
        (["3a.1x1", "3b.1x1"], ["3a, 3b: 1x1"]),
        # pool3 has no 1x1, so it is not left out; 4a has one.
        (["3a.1x1", "3b.1x1", "4a.1x1"], ["3a to 4a: 1x1"]),
        (["3a.1x1", "3b.1x1", "4b.1x1", "5a.1x1"], ["3a, 3b, 4b, 5a: 1x1"]),
        (["3a.norm", "4a.norm", "5a.norm"], ["3a to 5a: norm"]),
        (["3a.1x1", "4a.1x1", "5a.1x1", "3a.norm", "4a.norm", "5a.norm"], ["3a, 4a, 5a: 1x1, norm"]),
        (["3b", "pool3", "4a"], ["3b to 4a"]),
        (["3a", "3b", "4a"], ["3a, 3b, 4a"]),
        (["3a.1x1 > 3x3", "3b.1x1 > 3x3", "4a.1x1 > 3x3"], ["3a to 4a: 1x1 > 3x3"]),
        (["conv1", "3a.1x1", "3b.1x1"], ["conv1", "3a, 3b: 1x1"]),
        (["heads.4a.fc", "heads.4d.fc"], ["heads: 4a.fc, 4d.fc"]),
    ],
)
def test_in_short(addresses: list[str], expected: list[str]) -> None:
    assert in_short(addresses, KNOWN) == expected


TOLD = [
    Told(("a",), "- conv 1x1/2, 64, pad 0/1/0/1; 28x28x96 in", 1, 10),
    Told(("b",), "+ LRN 5", 2, 20),
    Told(("c",), "- conv 1x1/2, 256, pad 0/1/0/1; 14x14x8 in", 4, 40),
    Told(("d",), "+ LRN 5", 8, 80),
    Told(("e",), "- conv 3x3/2, 64, pad 0/1/0/1; 28x28x96 in", 16, 160),
    Told(("f",), "- conv 1x1/2, 32, pad 0/1/0/1; 7x7x9 in", 32, 320),
]


def test_none_are_joined() -> None:
    assert joined(TOLD, "none") == TOLD


def test_the_same_words_are_joined() -> None:
    assert joined(TOLD, "same") == [TOLD[0], Told(("b", "d"), "+ LRN 5", 10, 100), TOLD[2], TOLD[4], TOLD[5]]


def test_words_are_joined_but_for_their_numbers() -> None:
    assert joined(TOLD, "ranges") == [
        Told(("a", "c", "f"), "- conv 1x1/2, 32 to 256, pad 0/1/0/1; 28x28x96 to 7x7x9 in", 37, 370),
        Told(("b", "d"), "+ LRN 5", 10, 100),
        TOLD[4],
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("- conv 1x1, 64", "- conv 1x1/2, 64"),
        ("- conv 1x3, 64", "- conv 3x1, 64"),
        ("- conv 1x1, 64, pad 0/1/0/1", "- conv 1x1, 64, pad 1/0/1/0"),
        ("- LRN 5, alpha 0.001", "- LRN 5, alpha 0.002"),
        ("- conv 1x1, 4, norm eps 1e-05", "- conv 1x1, 4, norm eps 1e-03"),
        ("- after conv1", "- after conv2"),
        ("- head that reads 4a", "- head that reads 4d"),
    ],
)
def test_kernels_strides_paddings_and_fractions_keep_apart(one: str, other: str) -> None:
    assert len(joined([Told(("a",), one, 0, 0), Told(("b",), other, 0, 0)], "ranges")) == 2
