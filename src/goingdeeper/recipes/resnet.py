"""Plain and residual nets' training, ImageNet and CIFAR-10, and the Torch re-implementation's."""

from __future__ import annotations

from dataclasses import replace

from goingdeeper.recipes.alexnet import IMAGENET
from goingdeeper.recipes.images import (
    AreaCrop,
    Augmentation,
    MeanImage,
    Padded,
    PCAColour,
    ScaleJitter,
    Standardise,
    TorchColour,
)
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.optimisers import SGD, CaffeSGD
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.schedules import Plateau, Steps, UntilLearning

CIFAR = 50_000
"""Training images of CIFAR-10."""

RESNET_IMAGENET = Recipe(
    "resnet-imagenet",
    "He et al., Deep residual learning for image recognition (2015)",
    networks=(
        "resnet-50", "resnet-101", "resnet-152", "resnet-18-a", "resnet-34-a", "resnet-34-b", "resnet-34-c",
        "plain-18", "plain-34",
    ),
    images=IMAGENET,
    iterations=600_000,
    batch=256,
    optimiser=CaffeSGD(rate=0.1, momentum=0.9, weight_decay=1e-4),
    schedule=Plateau(times=0.1, most=3),
    input=MeanImage(255.0),
    augmentation=Augmentation(ScaleJitter(256, 480), flip=True, colour=PCAColour(0.1)),
    loss=CrossEntropy(),
    norm_batch=32,
    population=True,
    said=says({
        "iterations": "section 3.4: up to 60 x 10^4",
        "batch": "section 3.4",
        "optimiser": "section 3.4; authors' release notes for the form of the momentum",
        "schedule": "section 3.4",
        "schedule.patience": "inferred: lowered when the error plateaus; where is not published",
        "schedule.most": "inferred: not given",
        "input": "section 3.4",
        "input.scale": "inferred: bytes",
        "augmentation": "section 3.4",
        "loss": "section 3.3: softmax",
        "norm_batch": "authors' release notes: 256 images on 8 GPUs",
        "population": "authors' release notes",
    }),
    remarks=(
        "No dropout, and every net from scratch.",
        "Three times as many iterations do not remove plain-34's degradation.",
    ),
)  # fmt: skip

RESNET_IMAGENET_STEPS = replace(
    RESNET_IMAGENET,
    name="resnet-imagenet-steps",
    iterations=0,
    epochs=120,
    schedule=Steps((30, 60, 90), 0.1, "epochs"),
    said=says({
        "iterations": "",
        "epochs": "inferred: 60 x 10^4 iterations are 119.9",
        "schedule": "inferred: the common fixed form of the paper's plateaus",
        "schedule.patience": "",
        "schedule.most": "",
    }, RESNET_IMAGENET),
    remarks=(*RESNET_IMAGENET.remarks, "Many stop after 90 epochs, before the last drop."),
)  # fmt: skip

RESNET_TORCH = Recipe(
    "resnet-torch",
    "Torch re-implementation of ResNets by Facebook (2016)",
    networks=("resnet-50-v1.5", "resnet-101-v1.5", "resnet-152-v1.5", "resnet-18-b", "resnet-34-b"),
    images=IMAGENET,
    epochs=90,
    batch=256,
    optimiser=SGD(rate=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
    schedule=Steps((30, 60), 0.1, "epochs"),
    decay_all=True,
    input=Standardise(),
    augmentation=Augmentation(
        AreaCrop(low=0.08, aspect=4 / 3), flip=True, colour=TorchColour(strength=0.4, pca=0.1)
    ),
    loss=CrossEntropy(),
    said=says({
        "epochs": "release",
        "batch": "inferred: as in the paper",
        "optimiser": "inferred: as in the paper",
        "optimiser.nesterov": "recalled from the release",
        "schedule": "release",
        "decay_all": "release",
        "input": "release",
        "augmentation": "release",
        "loss": "release",
    }),
    remarks=(
        "The release draws initial weights by fan-out and the catalogue by fan-in; they differ in layers "
        "that change width.",
        "One crop of 224 from a shorter side of 256: ResNet-18 30.43 / 10.76, 34 26.73 / 8.74, 50 24.01 / "
        "7.02, 101 22.44 / 6.21, 152 22.16 / 6.16 % errors.",
    ),
)  # fmt: skip

RESNET_CIFAR = Recipe(
    "resnet-cifar",
    RESNET_IMAGENET.source,
    networks=(
        "cifar-resnet-20-a", "cifar-resnet-32-a", "cifar-resnet-44-a", "cifar-resnet-56-a", "cifar-plain-*",
    ),
    images=CIFAR,
    iterations=64_000,
    batch=128,
    optimiser=CaffeSGD(rate=0.1, momentum=0.9, weight_decay=1e-4),
    schedule=Steps((32_000, 48_000), 0.1, "iterations"),
    input=MeanImage(255.0),
    augmentation=Augmentation(Padded(4 / 32), flip=True),
    loss=CrossEntropy(),
    norm_batch=64,
    said=says({
        "iterations": "section 4.2",
        "batch": "section 4.2",
        "optimiser": "section 4.2; authors' release notes for the form of the momentum",
        "schedule": "section 4.2",
        "input": "section 4.2",
        "input.scale": "inferred: bytes",
        "augmentation.crop": "section 4.2; inferred: zeros after the mean is subtracted",
        "augmentation.flip": "section 4.2",
        "loss": "section 4.2: softmax",
        "norm_batch": "section 4.2: 128 images on two GPUs",
    }),
    remarks=(
        "The schedule was chosen on 45,000 images with 5,000 held out, of which 64,000 iterations are 182 "
        "epochs; whether the reported nets then saw all 50,000 is not said.",
    ),
)  # fmt: skip

RESNET_CIFAR_110 = replace(
    RESNET_CIFAR,
    name="resnet-cifar-110",
    networks=("cifar-resnet-110-a", "cifar-resnet-1202-a"),
    until_learning=UntilLearning(share=0.1, error=80.0),
    said=says({
        "until_learning": "section 4.2",
        "until_learning.over": "inferred: the error of one batch is too coarse",
    }, RESNET_CIFAR),
    remarks=(
        *RESNET_CIFAR.remarks,
        "The lower rate lasts about 400 iterations; without it, the net starts to converge after several "
        "epochs and ends as well.",
        "The paper trains the net of 110 layers 5 times; that the one of 1202 layers warms up, too, is "
        "inferred.",
    ),
)  # fmt: skip

RECIPES = (RESNET_IMAGENET, RESNET_IMAGENET_STEPS, RESNET_CIFAR, RESNET_CIFAR_110, RESNET_TORCH)
