"""Inception-v2's and v3's training: the rows of the paper's Table 3, and the released scripts."""

from __future__ import annotations

from dataclasses import replace

from goingdeeper.recipes.alexnet import IMAGENET
from goingdeeper.recipes.images import AreaCrop, Augmentation, InceptionColour, Range
from goingdeeper.recipes.losses import CrossEntropy
from goingdeeper.recipes.optimisers import SGD, RMSProp
from goingdeeper.recipes.recipe import Recipe, says
from goingdeeper.recipes.schedules import Exponential

V2 = Recipe(
    "inception-v2",
    "Szegedy et al., Rethinking the Inception architecture for computer vision (2015)",
    networks=("inception-v2-released-modules", "inception-v2-table1-7x7", "inception-v2-table1-3x3"),
    images=IMAGENET,
    epochs=100,
    batch=32,
    optimiser=SGD(rate=0.045, momentum=0.9, nesterov=False, weight_decay=4e-5),
    schedule=Exponential(0.94, 2, "epochs"),
    input=Range(-1.0, 1.0),
    augmentation=Augmentation(
        AreaCrop(low=0.05, aspect=4 / 3, any_resize=True, tries=100, otherwise="whole"),
        flip=True,
        colour=InceptionColour(),
    ),
    loss=CrossEntropy(),
    head_weights=(("*", 0.4),),
    clip=2.0,
    average=0.9999,
    said=says({
        "epochs": "section 8",
        "batch": "section 8: 32 on each of 50 replicas; inferred: each updates on its own",
        "optimiser": "section 8: momentum 0.9 in earlier runs",
        "optimiser.rate": "inferred: as with RMSProp",
        "optimiser.nesterov": "inferred: not mentioned",
        "optimiser.weight_decay": "inferred: as released; not given",
        "schedule": "section 8",
        "input": "inferred: as released",
        "augmentation": "inferred: as released; not given",
        "loss": "Table 3: without label smoothing",
        "head_weights": "inferred: as released; not given",
        "clip": "section 8; inferred: of the global norm, after Pascanu et al.",
        "average": "section 8; recalled: the decay, as released",
    }),
    remarks=(
        "Training was on 50 replicas.",
        "Figures are of the 48,238 validation images that are not on the list of faulty ones; about 0.2 "
        "points worse on all 50,000.",
    ),
)  # fmt: skip

V2_RMSPROP = replace(
    V2,
    name="inception-v2-rmsprop",
    networks=V2.networks,
    optimiser=RMSProp(rate=0.045, decay=0.9, momentum=0.0, eps=1.0, weight_decay=4e-5),
    said=says({
        "optimiser": "section 8; inferred: TensorFlow's form",
        "optimiser.rate": "section 8",
        "optimiser.nesterov": "",
        "optimiser.momentum": "inferred: none mentioned; the release has 0.9",
    }, V2),
)  # fmt: skip

V2_SMOOTHING = replace(
    V2_RMSPROP,
    name="inception-v2-smoothing",
    loss=CrossEntropy(0.1),
    said=says({"loss": "section 7; inferred: on the auxiliary loss, too, as released"}, V2_RMSPROP),
    remarks=(
        *V2.remarks,
        "With smoothing 0.1 over 1000 classes no loss is below 1.0148; plain cross-entropy is reported "
        "apart.",
    ),
)

V2_FACTORIZED = replace(
    V2_SMOOTHING,
    name="inception-v2-factorized",
    networks=("inception-v2-factorized-7x7",),
    remarks=(*V2_SMOOTHING.remarks, "The row differs from the one above it in the network alone."),
)

V3 = replace(
    V2_SMOOTHING,
    name="inception-v3",
    networks=("inception-v3", "inception-v3-keras"),
    remarks=(
        *V2_SMOOTHING.remarks,
        "Table 3's last row, which differs from the one above it in the network alone: batch norm in the "
        "hidden layer of the auxiliary head.",
    ),
)

V3_RELEASED = replace(
    V3,
    name="inception-v3-released",
    optimiser=RMSProp(rate=0.045, decay=0.9, momentum=0.9, eps=1.0, weight_decay=4e-5),
    norm_decay=0.9997,
    said=says({
        "optimiser": "released script",
        "optimiser.rate": "released script",
        "optimiser.momentum": "released script",
        "optimiser.weight_decay": "released script: of convolutions and fully connected layers",
        "schedule.stairs": "released script",
        "input": "released preprocessing",
        "augmentation": "released preprocessing",
        "loss": "released script: on the auxiliary loss, too",
        "head_weights": "released script",
        "average": "recalled from the release",
        "norm_decay": "released script",
    }, V3),
    remarks=(
        "Crops of the release also hold at least a tenth of the annotated box, if there is one; here there "
        "are no boxes.",
        "The released graph drops 20 % of the features and has no gamma; inception-v3 is the PyTorch port's "
        "graph, which drops 50 % and has it.",
        *V2_SMOOTHING.remarks,
    ),
)  # fmt: skip

RECIPES = (V2, V2_RMSPROP, V2_SMOOTHING, V2_FACTORIZED, V3, V3_RELEASED)
