"""What a run will do: the user's wishes, and defaults from the data and the machine with their reasons."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

import torch

from goingdeeper import catalogue
from goingdeeper.data.sources import Source
from goingdeeper.edits import without_heads
from goingdeeper.errors import ResourceError, UsageError
from goingdeeper.layers import Conv, Network
from goingdeeper.recipes import recipe
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.settings import change
from goingdeeper.runs.model import Model
from goingdeeper.trace import smallest_input, trace

IMAGES_SEEN = 36_000
"""The default length of a run from scratch: so many images, however often each comes round."""

SMALL = 48
"""Networks for images up to this side are of CIFAR: their papers normalise the contrast of each image."""


@dataclass(frozen=True)
class Wishes:
    """What was asked for; None is left to the defaults. from_run: a run whose weights are gone on from.
    time: a budget such as `10m`, instead of epochs.

    settings: recipe fields by name, as text.
    """

    source: str
    model: str | None = None
    recipe: str = "scratch"
    epochs: int | None = None
    batch: int | None = None
    size: int | None = None
    seed: int = 0
    device: str = "auto"
    from_run: str | None = None
    time: str | None = None
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Reason:
    what: str
    value: str
    why: str


@dataclass(frozen=True)
class Plan:
    """Everything resolved that does not need the images to be read."""

    network: Network
    size: int
    device: str
    reasons: tuple[Reason, ...] = ()


def choose_device(wish: str) -> Reason:
    """`auto`, `cpu`, `cuda` or `cuda:1`. Raises ResourceError where the device is not there."""
    if wish == "auto":
        if torch.cuda.is_available():
            return Reason("device", "cuda", torch.cuda.get_device_name(0))
        return Reason("device", "cpu", f"{torch.get_num_threads()} threads")
    try:
        device = torch.device(wish)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda") or wish.startswith("cpu:"):
        raise UsageError(f"unknown device '{wish}'; give auto, cpu, cuda or cuda:1")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ResourceError(f"device {wish} is not there: torch finds no CUDA GPU; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ResourceError(f"device {wish} is not there; torch finds {torch.cuda.device_count()} GPU(s)")
    return Reason("device", wish, "asked for")


def choose_network(wishes: Wishes, source: Source, device: str, begun: Model | None = None) -> Plan:
    """The network and its input size: those of the model that is gone on from, unless others are asked for.

    Raises ShapeError for too small a size.
    """
    side = typical_side(source)
    if wishes.model is not None:
        model = Reason("model", wishes.model, "asked for")
    elif begun is not None:
        model = Reason("model", begun.net.description.name, "that of the weights")
    elif side > 160 and device != "cpu":
        model = Reason("model", "resnet-18-b", "large images and a GPU")
    else:
        why = "a CPU trains it in minutes" if side > 48 else "small images"
        model = Reason("model", "cifar-resnet-20-a", why)
    if begun is not None and wishes.model is None:
        network = begun.net.description
    else:
        network = catalogue.network(model.value)
    if wishes.size is not None:
        size, why = wishes.size, "asked for"
    elif begun is not None:
        size, why = begun.preprocessing.size, "that of the weights"
    else:
        size, why = _size(network, side)
    reasons = [model, Reason("size", f"{size}x{size}", why)]
    needs = smallest_input(network) or 0
    if network.heads and size < needs and size >= (smallest_input(without_heads(network)) or 0):
        network = without_heads(network)
        reasons.append(Reason("heads", "none", f"auxiliary heads need {needs}x{needs}"))
    network = replace(network, input=(3, size, size), classes=len(source.classes))
    trace(network)
    return Plan(network, size, device, tuple(reasons))


def _size(network: Network, side: int) -> tuple[int, str]:
    """The input side for images of a typical side, and why. Heads may at most double it."""
    published = network.input[1]
    images = f"images of about {side} pixels"
    if published <= SMALL:
        return (32 if side <= 48 else 64), images
    size = max(32 * -(-side // 32), 32, smallest_input(without_heads(network)) or published)
    with_heads = smallest_input(network) or published
    size = max(size, with_heads) if with_heads <= 2 * size else size
    return (size, images) if size < published else (published, "the published input")


def choose_recipe(
    wishes: Wishes, network: Network, source: Source, images: int
) -> tuple[Recipe, list[Reason]]:
    """The recipe for so many training images, every field resolved, and why."""
    asked = {name.rpartition(".")[2]: value for name, value in wishes.settings}
    for name, value in (("epochs", wishes.epochs), ("batch", wishes.batch)):
        if value is not None and name in asked:
            raise UsageError(f"--{name} {value} and --set {name}={asked[name]}: give one of them")
        if value is not None:
            asked[name] = str(value)
    if wishes.time is not None and "epochs" in asked:
        raise UsageError(f"--time {wishes.time} and {asked['epochs']} epochs: give one of them")
    chosen = change(recipe(wishes.recipe), asked)
    normed = any(isinstance(step.layer, Conv) and step.layer.norm for step in trace(network))
    if "batch" not in asked:
        sizes = (128, 64, 32, 16) if normed else (32, 16)
        batch = next(b for b in sizes if b == 16 or images >= 20 * b)
        chosen = replace(chosen, batch=min(batch, images))
    rate, at_batch = (0.1, 128) if normed else (0.01, 32)
    defaults = [
        Reason("batch", str(chosen.batch), f"{images:,} training images"),
        Reason(
            "epochs",
            str(min(100, max(10, round(IMAGES_SEEN / images)))),
            f"about {IMAGES_SEEN:,} images seen, 10 to 100 epochs",
        ),
        Reason(
            "rate",
            f"{rate * chosen.batch / at_batch:.4g}",
            f"{rate} at batch {at_batch}{'' if normed else ', as there is no batch norm'}",
        ),
        Reason("flip", "false", "single characters or numbers as classes; --set flip=true mirrors images")
        if source.oriented
        else Reason("flip", "true", "images are mirrored at random; --set flip=false turns it off"),
    ]
    if not normed and catalogue.network(network.name).input[1] > SMALL:
        why = "mean subtracted only, bytes 0 to 255: without batch norm the scale matters"
        defaults.append(Reason("input", "Centre", why))
    reasons = [reason for reason in defaults if reason.what not in asked]
    chosen = change(chosen, {reason.what: reason.value for reason in reasons})
    reasons += [Reason(name, value, "asked for") for name, value in asked.items()]
    if chosen.epochs < 1 or chosen.batch < 1:
        raise UsageError(f"epochs {chosen.epochs}, batch {chosen.batch}: each must be at least 1")
    if chosen.batch > images:
        raise UsageError(
            f"a batch of {chosen.batch} from {images} training images; give --batch {images} or less"
        )
    if chosen.batch < 2 and normed:
        raise UsageError("a batch of 1 leaves batch normalisation nothing to average; give --batch 2 or more")
    return chosen, reasons


def typical_side(source: Source, most: int = 200) -> int:
    """Median of the shorter sides of up to `most` images, in pixels, read from the headers alone."""
    sides = []
    for item in source.items[:: -(-len(source.items) // most) or 1]:
        found = source.size(item.path)
        if found:
            sides.append(min(found))
    return int(statistics.median(sides)) if sides else 224
