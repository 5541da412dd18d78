"""Files are recognised by keys and shapes, written down here by hand, or refused with what is wrong."""

from __future__ import annotations

import pytest

from goingdeeper import catalogue, edits
from goingdeeper.errors import DataError, UsageError
from goingdeeper.names import namings
from goingdeeper.names.naming import entries
from goingdeeper.names.own import own_namings
from goingdeeper.names.recognise import recognise

NORM = ("weight", "bias", "running_mean", "running_var")


def unit(conv, norm, out, inp, kernel):
    shapes = {f"{conv}.weight": (out, inp, kernel, kernel)}
    return shapes | {f"{norm}.{part}": (out,) for part in NORM} | {f"{norm}.num_batches_tracked": ()}


def resnet(blocks, widens, classes=1000):
    """torchvision's keys and shapes: (2, 2, 2, 2) with 1 are resnet18's, (3, 4, 6, 3) with 4 resnet50's."""
    shapes = unit("conv1", "bn1", 64, 3, 7)
    channels = 64
    for stage, (count, width) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True), start=1):
        for index in range(count):
            name = f"layer{stage}.{index}"
            kernels = (1, 3, 1) if widens == 4 else (3, 3)
            widths = (width, width, 4 * width)[: len(kernels)]
            if index == 0 and channels != widths[-1]:
                shapes |= unit(f"{name}.downsample.0", f"{name}.downsample.1", widths[-1], channels, 1)
            for number, (kernel, out) in enumerate(zip(kernels, widths, strict=True), start=1):
                shapes |= unit(f"{name}.conv{number}", f"{name}.bn{number}", out, channels, kernel)
                channels = out
    return shapes | {"fc.weight": (classes, channels), "fc.bias": (classes,)}


def vgg16(side=7):
    shapes, channels, position = {}, 3, 0
    for count, width in zip((2, 2, 3, 3, 3), (64, 128, 256, 512, 512), strict=True):
        for _ in range(count):
            shapes |= {f"features.{position}.weight": (width, channels, 3, 3)}
            shapes |= {f"features.{position}.bias": (width,)}
            channels, position = width, position + 2
        position += 1
    for place, widths in zip((0, 3, 6), ((512 * side**2, 4096), (4096, 4096), (4096, 1000)), strict=True):
        shapes |= {f"classifier.{place}.weight": widths[::-1], f"classifier.{place}.bias": widths[1:]}
    return shapes


RESNET18, RESNET50 = resnet((2, 2, 2, 2), 1), resnet((3, 4, 6, 3), 4)


def own(id):
    """Our own keys; tests of `own` compare them with built networks."""
    (naming,) = (one for one in own_namings() if one.model == id)
    return {entry.theirs: entry.shape for entry in entries(naming)}


def test_the_counts_of_tensors_are_the_published_ones():
    assert (len(RESNET18), len(RESNET50)) == (122, 320)
    assert sum("num_batches" not in key for key in RESNET50) == 267


def test_torchvision_is_taken_before_timm_and_both_are_told():
    found = recognise(RESNET50)
    assert (found.naming.library, found.naming.model) == ("torchvision", "resnet50")
    assert found.network == catalogue.network("resnet-50-v1.5")
    assert found.others == (("timm", "resnet-50-v1.5"), ("torchvision", "resnet-50"))
    assert found.left == () and found.notes == () and not found.background
    assert {entry.theirs for entry in found.entries} == set(RESNET50)
    assert recognise(RESNET50, library="timm").naming.library == "timm"


def test_what_differs_only_in_the_stride_is_taken_when_it_is_asked_for():
    found = recognise(RESNET50, network="resnet-50")
    assert found.network == catalogue.network("resnet-50")
    assert found.naming.library == "torchvision"
    assert ("torchvision", "resnet-50-v1.5") in found.others


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "_orig_mod.", "model.module.", "backbone.", "lit.inner."]
)
def test_what_stands_before_every_key_is_left_out(prefix):
    found = recognise({prefix + key: shape for key, shape in RESNET18.items()})
    assert found.network == catalogue.network("resnet-18-b")
    assert found.entries[0].theirs == f"{prefix}conv1.weight"
    assert found.left == ()


def test_what_stands_beside_a_wrapped_network_is_told():
    found = recognise({f"model.{key}": shape for key, shape in RESNET18.items()} | {"loss.weight": (5,)})
    assert found.left == ("loss.weight",)


def test_counters_may_be_missing():
    found = recognise({key: shape for key, shape in RESNET18.items() if "num_batches" not in key})
    assert found.network == catalogue.network("resnet-18-b")


def test_classes_channels_and_a_background():
    other = {"fc.weight": (7, 512), "fc.bias": (7,), "conv1.weight": (64, 1, 7, 7)}
    found = recognise(RESNET18 | other).network
    assert (found.classes, found.input) == (7, (1, 224, 224))

    slim = recognise(RESNET18 | {"fc.weight": (1001, 512), "fc.bias": (1001,)})
    assert slim.network.classes == 1001
    assert slim.background and "background" in slim.notes[0]


def test_another_side_shows_in_a_fully_connected_layer():
    found = recognise(vgg16(side=2))
    assert found.network.input == (3, 64, 64)
    assert found.notes == ("fc6 fits inputs of 64 to 95 pixels a side; 64 is taken",)
    assert recognise(vgg16()).network == catalogue.network("vgg-16")


def test_the_head_that_is_there_is_kept():
    whole = own("googlenet-torchvision")
    (naming,) = (one for one in namings("torchvision") if one.model == "googlenet")
    theirs = {entry.theirs: entry.shape for entry in entries(naming)}
    first = recognise({key: shape for key, shape in theirs.items() if not key.startswith("aux2")})
    assert [address for address, _ in first.network.heads] == ["4a"]
    none = recognise({key: shape for key, shape in whole.items() if not key.startswith("heads.")})
    assert none.network == edits.without_heads(catalogue.network("googlenet-torchvision"))
    with pytest.raises(
        DataError, match=r"torchvision's googlenet .* missing: aux2.fc1.weight \(and 3 more\)"
    ):
        recognise({key: shape for key, shape in theirs.items() if not key.startswith("aux2.fc")})


def test_our_own_keys():
    assert recognise(own("inception-v3-keras")).naming.library == "goingdeeper"
    assert recognise(own("prelu-net-a")).network == catalogue.network("prelu-net-a")
    with pytest.raises(DataError, match=r"resnet-50, resnet-50-v1.5 alike.*name the network"):
        recognise(own("resnet-50"))
    assert recognise(own("resnet-50"), network="resnet-50").network == catalogue.network("resnet-50")
    with pytest.raises(DataError, match="not the weights of resnet-101 but those of our resnet-50 or our"):
        recognise(own("resnet-50"), network="resnet-101")


def without(shapes, *starts):
    return {key: shape for key, shape in shapes.items() if not key.startswith(starts)}


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (without(RESNET50, "fc."), "265 of 267 tensors fit; missing: fc.weight (and 1 more)"),
        (RESNET50 | {"neck.weight": (3, 3)}, "267 of 267 tensors fit; left over: neck.weight"),
        (RESNET50 | {"fc.weight": (9, 2048)}, "266 of 267 tensors fit; fc.bias is 1000, not 9"),
        (RESNET50 | {"bn1.bias": ()}, "bn1.bias is one number, not 64"),
        (RESNET50 | {"fc.weight": (0, 2048), "fc.bias": (0,)}, "fc.weight is 0x2048, not 1000x2048 (and "),
        (without(RESNET50, "layer4", "fc"), "missing: layer4.0.conv1.weight (and "),
        (vgg16() | {"classifier.0.weight": (4096, 513)}, ".0.weight is 4096x513, not 4096x25088"),
    ],
)  # fmt: skip
def test_what_nearly_fits_is_refused_with_the_first_that_does_not(shapes, said):
    with pytest.raises(DataError) as caught:
        recognise(shapes)
    assert said in str(caught.value)
    assert "nearest is torchvision's " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({"features.0.weight": (64, 3, 11, 11), "features.0.bias": (64,)}, "torchvision's alexnet"),
        (vgg16() | {"features.1.running_mean": (64,)}, "a VGG with batch norm"),
        (RESNET50 | {"layer1.0.conv2.weight": (128, 4, 3, 3)}, "a ResNeXt"),
        (RESNET50 | {"layer1.0.conv2.weight": (128, 128, 3, 3)}, "a wide residual network"),
        ({"encoder.wte": (5, 5), "encoder.wpe": (5, 5)}, "no library known here has names such as enc"),
        ({}, "not one tensor"),
    ],
)  # fmt: skip
def test_strangers_are_called_by_name(shapes, said):
    with pytest.raises(DataError, match=said):
        recognise(shapes)


def test_what_is_asked_for_but_not_there():
    with pytest.raises(DataError, match="not the weights of resnet-101 but those of torchvision's resnet50"):
        recognise(RESNET50, network="resnet-101")
    with pytest.raises(DataError, match="not cifar's names but those of torchvision's resnet50"):
        recognise(RESNET50, library="cifar")
    with pytest.raises(UsageError, match="unknown network 'resnet50'; did you mean resnet-50"):
        recognise(RESNET50, network="resnet50")
    with pytest.raises(UsageError, match="unknown library 'torchvison'; did you mean torchvision"):
        recognise(RESNET50, library="torchvison")


def test_weights_without_their_classifier_are_told_what_is_lacking():
    """Counted without the batch counters, as its 267 tensors are."""
    with pytest.raises(DataError) as caught:
        recognise(without(RESNET50, "fc."))
    assert "no network here has exactly these 265 tensors" in str(caught.value)
    assert "that is its classifier: save the weights with one under these names" in str(caught.value)
    with pytest.raises(DataError) as caught:
        recognise(without(RESNET50, "layer4", "fc"))
    assert "classifier" not in str(caught.value)
