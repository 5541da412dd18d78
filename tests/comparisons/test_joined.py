"""Alike changes in one row, and addresses in few words."""

import pytest

from goingdeeper.comparisons.joined import Told, in_short, joined, names, shortened

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


@pytest.mark.parametrize(
    ("places", "pattern", "expected"),
    [
        (["3a.1x1"], "all", ["3a.1x1"]),
        (["3a.1x1", "3b.1x1", "4a.1x1"], "all", ["3a to 4a: 1x1"]),
        (["conv1 > stem.conv1", "fc > classifier"], "", ["conv1 > stem.conv1", "fc > classifier"]),
        (["conv1", "3a.1x1", "3b.3x3.reduce"], "all 1x1", ["all 1x1"]),
        # 4a, a block that has none of them, is not passed over; pool3 is no block.
        (["3a.1x1", "3b.norm", "4b.3x3.reduce"], "", ["in 3a, 3b, 4b"]),
        (["3a.1x1", "3b.norm", "4a.3x3.reduce"], "", ["in 3a to 4a"]),
        # Layers themselves: pool3 would be one of them.
        (["3b > another1", "4a > another2", "4b > another3"], "", ["3b, 4a, 4b"]),
        (["conv1", "3b", "4a", "4b", "fc", "pool9", "norm17"], "", ["conv1 ... norm17"]),
        (["heads.4a.fc", "heads.4d.conv", "heads.4d.fc", "4a.1x1"], "", ["in heads.4a,", "  heads.4d, 4a"]),
        # A name that alone takes more stays whole.
        (
            ["a-name.of-many > words.that.go-on > on"],
            "",
            ["a-name.of-many >", "  words.that.go-on", "  > on"],
        ),
    ],
)
def test_names(places: list[str], pattern: str, expected: list[str]) -> None:
    assert names(Told(tuple(places), "", 0, 0), KNOWN, 18, 2, pattern) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("- conv 3x3, 8, ReLU\n+ conv 3x3, 9, ReLU", "- conv 3x3, 8\n+ conv 3x3, 9"),
        ("- conv 3x3, 8, ReLU; 4 in\n+ conv 3x3, 8, bias, ReLU; 5 in", "- conv 3x3, 8\n+ conv 3x3, 8, bias"),
        # One side, and layers with others inside, stay as they are.
        ("+ conv 3x3, 8, ReLU", "+ conv 3x3, 8, ReLU"),
        ("- [1x1, 8; 3x3, 8]\n+ [1x1, 8; 3x3, 9]", "- [1x1, 8; 3x3, 8]\n+ [1x1, 8; 3x3, 9]"),
        # So do those of which nothing would be left to tell them apart.
        ("- pool 3x3, pad 0; 7x7x8 in\n+ pool 3x3, pad 0; 6x6x8 in",) * 2,
        ("- conv 3x3, 8, maxout of 2, bias, maxout of 2\n+ conv 3x3, 8, maxout of 2, bias",) * 2,
    ],
)
def test_shortened(said: str, expected: str) -> None:
    assert shortened(said) == expected
