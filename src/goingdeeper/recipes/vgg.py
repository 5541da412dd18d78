"""VGG's training: net A, deeper nets that start from it, and other scales of the images."""

from __future__ import annotations

from dataclasses import replace

from goingdeeper.recipes.alexnet import IMAGENET
from goingdeeper.recipes.images import Augmentation, Centre, PCAColour, ScaleJitter, Window
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.optimisers import CaffeSGD
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.schedules import Plateau

VGG = Recipe(
    "vgg",
    "Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition (2014)",
    networks=("vgg-11", "vgg-13", "vgg-16-c", "vgg-16", "vgg-19"),
    images=IMAGENET,
    iterations=370_000,
    batch=256,
    optimiser=CaffeSGD(rate=0.01, momentum=0.9, weight_decay=5e-4),
    schedule=Plateau(times=0.1, most=3),
    input=Centre(),
    augmentation=Augmentation(Window(256), flip=True, colour=PCAColour(0.1)),
    loss=CrossEntropy(),
    said=says({
        "iterations": "section 3.1",
        "batch": "section 3.1",
        "optimiser": "section 3.1; inferred: Caffe's momentum, as section 3.3 says that it is used",
        "optimiser.rate": "section 3.1",
        "optimiser.momentum": "section 3.1",
        "optimiser.weight_decay": "section 3.1",
        "schedule": "section 3.1",
        "schedule.patience": "inferred: lowered when validation stopped improving",
        "input": "section 2.1",
        "augmentation.crop": "section 3.1, S = 256",
        "augmentation.flip": "section 3.1",
        "augmentation.colour": "section 3.1",
        "loss": "section 3.1",
    }),
    remarks=(
        "The paper trains net A (vgg-11) so, and starts deeper ones from it: vgg-deep.",
        "It draws net A's weights with variance 0.01 and biases 0; the catalogue has Glorot's rule, "
        "with which the authors later found that deeper nets need no net A to start from, either.",
    ),
)  # fmt: skip

VGG_DEEP = replace(
    VGG,
    name="vgg-deep",
    networks=("vgg-16", "vgg-13", "vgg-16-c", "vgg-19"),
    after="vgg",
    takes=("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8"),
    said=says({"takes": "section 3.1: four convolutions and the fully connected layers"}, VGG),
    remarks=(
        "What is taken from net A learns at the full rate.",
        "With Glorot's rule, which the catalogue has, the recipe works without net A, too.",
    ),
)  # fmt: skip

VGG_384 = replace(
    VGG_DEEP,
    name="vgg-384",
    networks=("vgg-16", "vgg-16-c", "vgg-19"),
    after="vgg-deep",
    takes=(),
    optimiser=replace(VGG.optimiser, rate=0.001),
    augmentation=replace(VGG.augmentation, crop=Window(384)),
    said=says({
        "takes": "",
        "iterations": "inferred: as from the start, no other length is given",
        "augmentation.crop": "section 3.1, S = 384",
    }, VGG_DEEP),
    remarks=(),
)  # fmt: skip

VGG_JITTER = replace(
    VGG_384,
    name="vgg-jitter",
    after="vgg-384",
    augmentation=replace(VGG.augmentation, crop=ScaleJitter(256, 512)),
    said=says({
        "optimiser.rate": "inferred: as for S = 384",
        "augmentation.crop": "section 3.1, S from 256 to 512",
    }, VGG_384),
)  # fmt: skip

RECIPES = (VGG, VGG_DEEP, VGG_384, VGG_JITTER)
