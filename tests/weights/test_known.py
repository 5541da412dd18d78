"""The table of public weights: against the libraries' own metadata, and how a name is found in it."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from goingdeeper import catalogue
from goingdeeper.errors import UsageError
from goingdeeper.names import Scale
from goingdeeper.weights.hub import hub_name
from goingdeeper.weights.known import find_known, is_known, known_at, known_weights

ORACLE = """
import json
import torch

library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from timm.models import get_pretrained_cfg, list_pretrained
from torchvision import models

nets = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "googlenet", "inception_v3"]
nets += ["vgg11", "vgg13", "vgg16", "vgg19"]
found = {}
for net in nets:
    for one in models.get_model_weights(net):
        metrics = one.meta["_metrics"]["ImageNet-1K"]
        kind = one.transforms.keywords
        found[f"torchvision/{net}.{one.name}"] = {
            "where": one.url, "size": kind["crop_size"], "shorter": kind.get("resize_size", 256),
            "top1": 100 - metrics["acc@1"], "top5": 100 - metrics["acc@5"],
        }
    for tag in list_pretrained(f"{net}.*"):
        one = get_pretrained_cfg(tag)
        if one.num_classes:
            found[f"timm/{tag}"] = {
                "where": f"hf:{one.hf_hub_id}", "size": one.input_size[1], "crop": one.crop_pct,
                "mean": one.mean, "std": one.std, "licence": one.license, "resize": one.interpolation,
            }
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("timm") is None or find_spec("torchvision") is None, reason="timm is not installed"
)
def test_the_table_is_what_torchvision_and_timm_say():
    done = subprocess.run(
        [sys.executable, "-c", ORACLE], capture_output=True, text=True, check=True, timeout=300
    )
    said = json.loads(done.stdout)
    # Its classifier holds no numbers: features for a detector.
    del said["torchvision/vgg16.IMAGENET1K_FEATURES"]
    own = {id: one for id, one in known_weights().items() if one.library in ("torchvision", "timm")}
    assert own.keys() == said.keys()
    for id, theirs in said.items():
        ours = own[id]
        assert (ours.where, ours.size) == (theirs["where"], theirs["size"])
        if ours.library == "torchvision":
            assert ours.shorter == theirs["shorter"]
            assert ours.hash == f"sha256:{re.search('-([0-9a-f]{8})[.]pth', ours.where)[1]}"
            assert ours.top1_error == pytest.approx(theirs["top1"], abs=1e-3)
            assert ours.top5_error == pytest.approx(theirs["top5"], abs=1e-3)
        else:
            assert (ours.shorter or ours.size) == math.floor(theirs["size"] / theirs["crop"])
            assert [list(ours.mean), list(ours.std)] == [theirs["mean"], theirs["std"]]
            assert (ours.licence, ours.resize) == (theirs["licence"], theirs["resize"])


@pytest.mark.parametrize("one", known_weights().values(), ids=lambda one: one.id)
def test_every_entry_can_be_followed(one):
    assert one.network in catalogue.names()
    assert one.where.startswith(("https://", "http://", "hf:"))
    if one.where.startswith("hf:"):
        assert str(hub_name(one.where)) == one.where
    else:
        assert re.fullmatch("sha256:[0-9a-f]{8}|md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}", one.hash)
    assert is_known(one.id)
    assert find_known(one.id) is one
    assert one.source
    assert not one.tried  # no host was in reach where the table was written


def test_a_name_is_found_without_its_tag_where_there_is_one():
    assert find_known("torchvision/resnet18").id == "torchvision/resnet18.IMAGENET1K_V1"
    assert find_known("keras/ResNet50").network == "resnet-50"
    with pytest.raises(UsageError, match=r"IMAGENET1K_V1, IMAGENET1K_V2; name one, as torchvision/resnet50"):
        find_known("torchvision/resnet50")
    with pytest.raises(UsageError, match=r"unknown weights 'timm/resnet18.a1'; did you .*resnet18.a1_in1k"):
        find_known("timm/resnet18.a1")
    assert not is_known("runs/model.pth")
    assert not is_known("torchvision")


def test_the_score_is_told_with_its_source():
    assert find_known("torchvision/resnet18").score == (
        "top-1 error 30.24 %, top-5 error 10.92 % (torchvision 0.28.0)"
    )
    assert find_known("timm/resnet18.a1_in1k").score == ""


def test_the_weights_own_scale_comes_before_the_librarys():
    own = Scale((0.4, 0.4, 0.4), (0.2, 0.2, 0.2), shorter=235)
    found = find_known("timm/resnet50.tv2_in1k").scaled(own)
    assert found == Scale((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), shorter=math.floor(176 / 0.875))
    assert find_known("torchvision/resnet50.IMAGENET1K_V2").scaled(own) == Scale(
        own.mean, own.std, shorter=232
    )


def test_what_is_known_of_a_place():
    """timm's tensors have torchvision's names, so that the file alone would not tell its scale."""
    for place in ("hf:timm/resnet50.a1_in1k", "hf:timm/resnet50.a1_in1k@main"):
        found = known_at(place)
        assert found is not None and (found.library, found.network) == ("timm", "resnet-50-v1.5")
    assert known_at("https://download.pytorch.org/models/resnet18-f37072fd.pth").model == "resnet18"
    assert known_at("hf:me/mine") is None and known_at("resnet18.pth") is None
