"""What a run will do: the user's wishes, and defaults from the data and the machine with their reasons."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace

import torch

from goingdeeper import catalogue
from goingdeeper.data.sources import Source
from goingdeeper.errors import ResourceError, UsageError
from goingdeeper.layers import BatchNorm, Conv, Network
from goingdeeper.trace import smallest_input, trace
from goingdeeper.training.recipes import Recipe, change, recipe

IMAGES_SEEN = 36_000
"""The default length of a run from scratch: so many images, however often each comes round."""


@dataclass(frozen=True)
class Wishes:
    """What was asked for; None is left to the defaults. settings: recipe fields by name, as text."""

    source: str
    model: str | None = None
    recipe: str = "scratch"
    epochs: int | None = None
    batch: int | None = None
    size: int | None = None
    seed: int = 0
    device: str = "auto"
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
    reasons: tuple[Reason, ...] = field(default=())


def choose_device(wish: str) -> Reason:
    """`auto`, `cpu`, `cuda` or `cuda:1`. Raises ResourceError where the device is not there."""
    if wish == "auto":
        if torch.cuda.is_available():
            return Reason("device", "cuda", torch.cuda.get_device_name(0))
        return Reason("device", "cpu", f"{torch.get_num_threads()} threads")
    try:
        device = torch.device(wish)
    except RuntimeError:
        raise UsageError(f"unknown device '{wish}'; give auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ResourceError(f"device {wish} is not there: torch finds no CUDA GPU; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ResourceError(f"device {wish} is not there; torch finds {torch.cuda.device_count()} GPU(s)")
    return Reason("device", wish, "asked for")


def choose_network(wishes: Wishes, source: Source, device: str) -> Plan:
    """The network and its input size. Raises ShapeError for too small a size."""
    side = typical_side(source)
    small_machine = device == "cpu"
    reasons = []
    if wishes.model is None:
        large = side > 160 and not small_machine
        name = "resnet-18-b" if large else "cifar-resnet-20-a"
        why = (
            "large images and a GPU"
            if large
            else ("a CPU trains it in minutes" if side > 48 else "small images")
        )
    else:
        name, why = wishes.model, "asked for"
    reasons.append(Reason("model", name, why))
    network = catalogue.network(name)
    published = network.input[1]
    if wishes.size is not None:
        size, why = wishes.size, "asked for"
    elif published <= 32:
        size, why = (
            (32, f"images of about {side} pixels") if side <= 48 else (64, f"images of about {side} pixels")
        )
    else:
        size = min(published, max(32, 32 * -(-side // 32)))
        if any(name for name, _ in network.heads) or size < published:
            size = min(published, max(size, smallest_input(network) or published))
        why = "the published input" if size == published else f"images of about {side} pixels"
    reasons.append(Reason("size", f"{size}x{size}", why))
    network = replace(network, input=(3, size, size), classes=len(source.classes))
    trace(network)
    return Plan(network, size, device, tuple(reasons))


def choose_recipe(
    wishes: Wishes, network: Network, source: Source, images: int
) -> tuple[Recipe, list[Reason]]:
    """The recipe for so many training images, every field resolved."""
    chosen, reasons = recipe(wishes.recipe), []
    batch = next(b for b in (128, 64, 32, 16) if b == 16 or images >= 20 * b)
    chosen = replace(chosen, batch=min(batch, images))
    reasons.append(Reason("batch", str(chosen.batch), f"{images:,} training images"))
    epochs = min(100, max(10, round(IMAGES_SEEN / images)))
    chosen = replace(chosen, epochs=epochs)
    reasons.append(Reason("epochs", str(epochs), f"about {IMAGES_SEEN:,} images seen, 10 to 100 epochs"))
    if source.oriented:
        chosen = change(chosen, {"flip": "false"})
        reasons.append(
            Reason("flip", "off", "single characters or numbers as classes; --set flip=true mirrors images")
        )
    else:
        reasons.append(Reason("flip", "on", "images are mirrored at random; --set flip=false turns it off"))
    if wishes.epochs is not None:
        chosen = replace(chosen, epochs=wishes.epochs)
    if wishes.batch is not None:
        chosen = replace(chosen, batch=wishes.batch)
    normed = any(isinstance(s.layer, Conv) and isinstance(s.layer.norm, BatchNorm) for s in trace(network))
    per_image = 0.1 / 128 if normed else 0.01 / 32
    rate = per_image * chosen.batch
    chosen = change(chosen, {"rate": f"{rate:.6g}"})
    why = "0.1 at batch 128" if normed else "0.01 at batch 32, as there is no batch norm"
    reasons.append(Reason("rate", f"{rate:.4g}", why))
    asked = dict(wishes.settings)
    chosen = change(chosen, asked)
    given = {"epochs": wishes.epochs, "batch": wishes.batch}
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in (given | asked).items():
        short = name.rpartition(".")[2]
        reasons = [reason for reason in reasons if reason.what != short]
        reasons.append(Reason(short, str(value), "asked for"))
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
    for item in source.items[:: max(1, len(source.items) // most)]:
        found = source.size(item.path)
        if found:
            sides.append(min(found))
    return int(statistics.median(sides)) if sides else 224
