"""Networks with reductions in front of their 3x3 convolutions."""

import pytest

from goingdeeper.costs.counts import cost
from goingdeeper.layers import Conv
from goingdeeper.trace import trace
from goingdeeper.why.evidence.principles import arms, reduced


@pytest.mark.parametrize(
    ("by", "channels"),
    [(1, []), (2, [16, 16, 16, 32, 32, 64]), (4, [8, 8, 8, 16, 16, 32]), (8, [4, 4, 4, 8, 8, 16])],
)
def test_reductions_are_of_the_channels_before_them(by, channels):
    steps = [step for step in trace(reduced(by)) if isinstance(step.layer, Conv)]
    assert [step.shape_out[0] for step in steps if step.layer.kernel == 1] == channels
    wide = [step for step in steps if step.layer.kernel == 3]
    assert [step.shape_out for step in wide] == [
        (32, 32, 32), (32, 16, 16), (32, 16, 16), (64, 8, 8), (64, 8, 8), (128, 4, 4), (128, 4, 4),
    ]  # fmt: skip
    assert all(step.layer.norm for step in steps)


def test_costs_are_by_hand():
    stem, classifier = 9 * 3 * 32 * 32**2, 128 * 10
    pairs = [(32, 32, 16), (32, 32, 16), (32, 64, 8), (64, 64, 8), (64, 128, 4), (128, 128, 4)]
    direct = sum(9 * given * out * side**2 for given, out, side in pairs)
    quarter = sum((given + 9 * out) * (given // 4) * side**2 for given, out, side in pairs)
    assert cost(reduced(1)).macs == stem + direct + classifier
    assert cost(reduced(4)).macs == stem + quarter + classifier


def test_each_has_a_name_of_its_own():
    assert len({arm.network.name for arm in arms()}) == len(arms()) == 4
