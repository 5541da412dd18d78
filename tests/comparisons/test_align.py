"""Which parts stand for each other."""

import pytest

from goingdeeper.comparisons.align import Match, align
from goingdeeper.layers import LRN, AvgPool, Chain, Conv, GlobalAvgPool, Layer, MaxPool, Named

KINDS: dict[str, Layer] = {
    "c": Conv(4, 3),
    "m": MaxPool(3),
    "a": AvgPool(3),
    "g": GlobalAvgPool(),
    "n": LRN(),
    "s": Chain({"x": LRN()}),
}


def parts(names: str) -> Named:
    """`c1 n1`: layers by name, of the kind that the first letter says."""
    return tuple((name, KINDS[name[0]]) for name in names.split())


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("c1 m1 c2", "c1 m1 c2", "c1=c1 m1=m1 c2=c2"),
        ("c1 n1 c2", "c1 c2", "c1=c1 n1= c2=c2"),
        ("c1 c2", "c1 n1 c2", "c1=c1 =n1 c2=c2"),
        # Names that only one side has: in order by kind; pools are of a kind.
        ("c1 m1 c9", "c1a m1 c9", "c1=c1a m1=m1 c9=c9"),
        ("c1 m9", "c1a c1b c1c m9", "c1=c1a =c1b =c1c m9=m9"),
        ("c1 g1", "c1 a2", "c1=c1 g1=a2"),
        ("c1 n1 s1 c5", "c1 s2 c5", "c1=c1 n1= s1=s2 c5=c5"),
        ("c1 n1 c2", "c1 s1 c2", "c1=c1 n1= =s1 c2=c2"),
        # The same names in another order.
        ("m1 n1 c1", "n1 m1 c1", "m1=m1 n1~ c1=c1"),
    ],
)
def test_align(a: str, b: str, expected: str) -> None:
    found = list(align(parts(a), parts(b)))
    said = " ".join(f"{one.a}~" if one.moved else f"{one.a or ''}={one.b or ''}" for one in found)
    assert said == expected


def test_every_name_once() -> None:
    found = list(align(parts("c1 c2 m1 n1 c3"), parts("n1 c3 c2 g1")))
    assert sorted(one.a for one in found if one.a) == ["c1", "c2", "c3", "m1", "n1"]
    assert sorted(one.b for one in found if one.b) == ["c2", "c3", "g1", "n1"]
    assert [one for one in found if one.moved] == [Match("c2", "c2", moved=True)]
