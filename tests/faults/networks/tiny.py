"""A network of a moment's training, with what must resume: batch statistics, dropout's draws, a head."""

from goingdeeper.layers import CLASSES, BatchNorm, Conv, Dropout, GlobalAvgPool, Linear, MaxPool, Network


def tiny() -> Network:
    layers = {
        "conv1": Conv(8, 3, norm=BatchNorm()),
        "pool": MaxPool(2, stride=2, padding=0),
        "conv2": Conv(8, 3, norm=BatchNorm()),
        "gap": GlobalAvgPool(),
        "dropout": Dropout(0.2),
        "fc": Linear(CLASSES),
    }
    heads = {"conv1": {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}}
    return Network("tiny", layers, heads=heads, input=(3, 8, 8), classes=10)


NETWORKS = {"tiny": tiny}
