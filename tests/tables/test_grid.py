"""Tables of cells: rounding, room, and the three styles."""

import pytest

from goingdeeper.tables.grid import Column, Grid, Part, html, markdown, rounded, text

GRID = Grid(
    "a title",
    (Column("name"), Column("two words"), Column("spare", right=True, spare=1), Column("count", right=True)),
    (
        Part("", (("one", "first\nsecond", "x", 1_234_567), ("two", "", "", 0))),
        Part("a part", (("three", "<&|>", "y", 12),), ("sum", "", "", 12)),
    ),
    (("total", "", "", 1_234_579),),
    ("a note",),
)


@pytest.mark.parametrize(
    ("count", "short"),
    [(0, "0"), (999, "999"), (1_000, "1.00K"), (9_994, "9.99K"), (9_995, "10.0K"), (99_950, "100K"),
     (999_499, "999K"), (999_500, "1.00M"), (1_582_671_872, "1.58G"), (20_736_376_832, "20.7G")],
)  # fmt: skip
def test_rounded_has_three_digits(count: int, short: str) -> None:
    assert rounded(count) == short


def test_text_in_full() -> None:
    assert (
        text(GRID)
        == """a title

       two
name   words   spare      count
-------------------------------
one    first       x  1,234,567
       second
two

a part
three  <&|>        y         12
sum                          12
-------------------------------
total  1,234,579 count

a note"""
    )


@pytest.mark.parametrize(
    ("width", "row", "notes"),
    [
        (31, "one    first       x  1,234,567", []),
        (30, "one   first      x 1,234,567", []),
        (27, "one    first       x  1.23M", ["K, M, G: 10^3, 10^6, 10^9"]),
        (24, "one   first      x 1.23M", ["K, M, G: 10^3, 10^6,", "10^9"]),
        (23, "one   first  1,234,567", ["left out for want of", "room: spare"]),
        (18, "one   first  1.23M", ["K, M, G: 10^3,", "10^6, 10^9", "left out for want", "of room: spare"]),
    ],
)
def test_text_gets_narrower_and_says_what_it_lost(width: int, row: str, notes: list[str]) -> None:
    lines = text(GRID, width).splitlines()
    assert row in lines
    assert lines[lines.index("a note") + 1 :] == notes
    assert "total  1,234,579 count" in lines


def test_text_that_cannot_fit_is_as_narrow_as_it_gets() -> None:
    assert "one   first  1.23M" in text(GRID, 5).splitlines()


def test_markdown_in_full() -> None:
    assert (
        markdown(GRID)
        == """**a title**

| name | two words | spare | count |
| --- | --- | ---: | ---: |
| one | first<br>second | x | 1,234,567 |
| two |  |  |  |
| *a part* |  |  |  |
| three | <&\\|> | y | 12 |
| *sum* |  |  | *12* |
| **total** |  |  | **1,234,579** |

a note"""
    )


def test_html_escapes_and_spans() -> None:
    written = html(GRID)
    assert "&lt;&amp;|&gt;" in written
    assert "first<br/>second" in written
    assert '<th colspan="4"' in written and ">a part</th>" in written
    assert "1,234,579" in written
