"""AlexNet's training: the paper's, and the Caffe replication's."""

from __future__ import annotations

from dataclasses import replace

from goingdeeper.recipes.images import Augmentation, MeanImage, PCAColour, Window
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.optimisers import CaffeSGD, Rule
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.schedules import Exponential, Plateau

IMAGENET = 1_281_167
"""Training images of ILSVRC 2012."""

ALEXNET = Recipe(
    "alexnet",
    "Krizhevsky et al., ImageNet classification with deep convolutional neural networks (2012)",
    networks=("alexnet", "alexnet-ungrouped"),
    images=IMAGENET,
    epochs=90,
    batch=128,
    optimiser=CaffeSGD(rate=0.01, momentum=0.9, weight_decay=5e-4),
    schedule=Plateau(times=0.1, most=3),
    input=MeanImage(255.0),
    augmentation=Augmentation(Window(256, square=True), flip=True, colour=PCAColour(0.1)),
    loss=CrossEntropy(),
    said=says({
        "epochs": "section 5",
        "batch": "section 5",
        "optimiser": "section 5",
        "schedule": "section 5",
        "schedule.patience": "inferred: lowered by hand when validation stopped improving",
        "decay_all": "inferred: as in the Caffe replication; section 5 only says weights",
        "input": "section 2",
        "input.scale": "inferred: bytes",
        "augmentation.crop": "sections 2 and 4.1",
        "augmentation.flip": "section 4.1",
        "augmentation.colour": "section 4.1",
        "loss": "section 3.5",
    }),
    remarks=(
        "The paper cuts 224x224 out of the central 256x256; the network here takes 227x227, and the "
        "image grows in proportion.",
    ),
)  # fmt: skip

ALEXNET_CAFFE = replace(
    ALEXNET,
    name="alexnet-caffe",
    networks=("alexnet",),
    epochs=Recipe.epochs,
    iterations=450_000,
    batch=256,
    schedule=Exponential(0.1, 100_000, "iterations"),
    rules=(Rule("biases", rate=2.0, decay=0.0),),
    augmentation=Augmentation(Window(256 * 224 / 227), flip=True),
    said=says({
        "epochs": "",
        "iterations": "Caffe replication",
        "batch": "Caffe replication",
        "optimiser": "inferred: momentum and decay as in the paper",
        "optimiser.rate": "Caffe replication",
        "schedule": "Caffe replication",
        "schedule.patience": "",
        "decay_all": "",
        "rules": "Caffe replication",
        "augmentation.crop": "Caffe replication: 227 out of 256",
        "augmentation.flip": "inferred: as in the paper",
        "augmentation.colour": "Caffe replication: none",
    }, ALEXNET),
    remarks=(
        "The replication squashed every image to 256x256 first; here the shorter side is 256.",
        "It also started from other biases and deviations: 0.1 for 1, and 0.005 in fc6 and fc7.",
    ),
)  # fmt: skip

RECIPES = (ALEXNET, ALEXNET_CAFFE)
