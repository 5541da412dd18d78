"""Changes in fewer words: nothing goes missing from the sums."""

import pytest

from goingdeeper.comparisons.diff import diff
from goingdeeper.comparisons.tellings import briefly, by_block, each

PAIRS = [
    ("inception-v2-table1-7x7", "inception-v3"),
    ("bn-inception-caffe", "inception-v3"),
    ("alexnet", "resnet-50"),
    ("resnet-50", "vgg-16"),
    ("googlenet", "resnet-50"),
]


@pytest.mark.parametrize("tell", [each, briefly, by_block])
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_sums(a, b, tell):
    whole = diff(a, b)
    for changes in (whole.changes, [change for change in whole.changes if not change.head]):
        told = tell(changes, whole)
        assert sum(one.params for one in told) == sum(one.params for one in changes)
        assert sum(one.macs for one in told) == sum(one.macs for one in changes)
    assert sum(one.macs for one in told) == whole.macs


def rows(a, b):
    whole = diff(a, b)
    return {one.places[0]: one.said for one in by_block(whole.changes, whole)}


def test_stages_that_one_side_lacks():
    # Table 1: 3, 4, 6 and 3 blocks; AlexNet has none.
    found = rows("alexnet", "resnet-50")
    stages = {place: said for place, said in found.items() if place.endswith("_x")}
    assert stages == {f"conv{n}_x": f"+ {many} blocks" for n, many in ((2, 3), (3, 4), (4, 6), (5, 3))}
    assert found["conv2"] == "- conv 5x5, 256, 2 groups, bias, ReLU"
    assert rows("resnet-50", "alexnet")["conv4_x"] == "- 6 blocks"


def test_blocks_of_a_stage_that_both_have():
    # Six blocks of conv4_x against 23; a VGG stage of three layers against three blocks.
    assert rows("resnet-50", "resnet-101") == {"conv4_x": "+ 17 blocks"}
    found = rows("vgg-16", "resnet-50")
    assert (found["conv2_3"], found["conv4_x"]) == ("+ block", "+ 3 blocks")
    assert found["conv2_2"] == "- conv 3x3, 128, bias, ReLU\n+ block"


def test_modules_say_how_many_layers_differ():
    found = rows("googlenet", "googlenet-torchvision")
    # Six convolutions of each module, two of conv2; of each head the pool and the convolution.
    assert {found[f"{module}"] for module in ("3a", "4e", "5b")} == {"differs in 6 layers"}
    assert found["conv2"] == found["heads.4a"] == "differs in 2 layers"
    assert found["pool4"].startswith("- max pool 3x3/2")
    assert rows("googlenet", "bn-googlenet")["heads.4d"] == "- block"


def test_the_other_name_of_a_module_is_said():
    found = rows("bn-inception-caffe", "inception-v3")
    assert found["3a"].startswith("differs from mixed5b in ")
    assert found["mixed7c"] == "+ block"
    # Fitting another number of channels is no change of the layer.
    assert found["fc"] == "= the same layer, other input"


def test_branches_are_not_told_in_brief():
    whole = diff("inception-v2-released-modules", "inception-v2-table1-3x3")
    told = {one.places[0]: one.said for one in briefly(whole.changes, whole)}
    assert told["mixed6f"] == "+ block"
    assert told["mixed6e.double7x7.7x1_2"] == "- conv 7x1, 192\n+ conv 7x1, 160"
