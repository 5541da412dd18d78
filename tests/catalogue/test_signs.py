"""The hand-sign ResNet-50 against its fact sheet."""

from goingdeeper import catalogue
from goingdeeper.costs.counts import cost
from goingdeeper.layers import Conv, Residual
from goingdeeper.published import figures
from goingdeeper.trace import trace

SIGNS = catalogue.network("resnet-50-signs")


def test_maps_shrink_from_15_to_2_pixels() -> None:
    out = {step.path: step.shape_out for step in trace(SIGNS)}
    assert out["conv1"] == (64, 32, 32)
    assert out["pool1"] == (64, 15, 15)
    assert out["conv2_3"] == (256, 15, 15)
    assert out["conv3_4"] == (512, 8, 8)
    assert out["conv4_6"] == (1024, 4, 4)
    assert out["conv5_3"] == (2048, 2, 2)
    assert out["pool5"] == (2048, 1, 1)
    assert out["fc"] == (6,)


def test_every_convolution_keeps_its_bias() -> None:
    convs = [step.layer for step in trace(SIGNS) if isinstance(step.layer, Conv)]
    assert len(convs) == 53
    assert all(conv.bias for conv in convs)


def test_blocks_are_those_of_the_exercise() -> None:
    """A "convolution block" has a projection and starts each stage; "identity blocks" follow."""
    blocks = {name: layer for name, layer in SIGNS.layers if isinstance(layer, Residual)}
    projected = [name for name, block in blocks.items() if isinstance(block.shortcut, Conv)]
    assert projected == ["conv2_1", "conv3_1", "conv4_1", "conv5_1"]


def test_parameters_with_running_statistics() -> None:
    counted = cost(SIGNS)
    assert (
        counted.params + counted.norm
        == figures("resnet-50-signs").params_with_running_statistics
        == 23_600_006
    )
