"""What a run will do: the user's wishes, and defaults from the data and the machine with their reasons."""

from __future__ import annotations

import os
import re
import statistics
from collections import Counter
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import get_args

import torch

from goingdeeper import catalogue
from goingdeeper.data.batches import steps_in_epoch
from goingdeeper.data.processors import cpus
from goingdeeper.data.sources import Source, Split
from goingdeeper.data.split import Holding
from goingdeeper.edits import without_heads
from goingdeeper.errors import ResourceError, UsageError
from goingdeeper.layers import Conv, Network
from goingdeeper.recipes import recipe, recipes
from goingdeeper.recipes.losses import Distillation, Hint
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.schedules import Steps
from goingdeeper.recipes.settings import change, full_name, lasting
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import Model
from goingdeeper.trace import smallest_input, trace
from goingdeeper.training.reason import Reason
from goingdeeper.training.tuning import FINETUNE, finetuned

IMAGES_SEEN = 36_000
"""The default length of a run from scratch: so many images, however often each comes round."""

PAPER = "paper"
"""The recipe of the network's own paper."""

SMALL = 48
"""Networks for images up to this side are of CIFAR: their papers normalise the contrast of each image."""


GROUP = False
"""Whether images nearly the same stay on one side where nothing is asked; the survey takes a tenth longer."""


@dataclass(frozen=True)
class Wishes:
    """What was asked for; None is left to the defaults.

    recipe: its name; "" is `finetune` for weights, and else `scratch`. from_run: a run that is gone on from,
    with its classes. weights: trained weights that are fitted to the images: a run or a model folder. time: a
    budget such as `10m`, instead of epochs. devices: processes that share each batch. teacher: a run that the
    recipe's loss learns from. seed: of the order of images, of every draw in training, and of the initial
    weights unless init_seed is given. split_seed: of the images held out; the same for all seeds, so that
    runs can be compared. split: a run, or its split.csv, whose sides are taken. fold: `2/5` holds out the
    second of five parts. test_share: of the images, for a test set that training never sees. tensorboard:
    curves for it, too, which changes nothing else. exclude: a list of images to leave out. group: whether
    images that are nearly the same stay on one side. settings: recipe fields by name, as text.
    """

    source: str
    model: str | None = None
    recipe: str = ""
    epochs: int | None = None
    batch: int | None = None
    size: int | None = None
    seed: int = 0
    device: str = "auto"
    from_run: str | None = None
    time: str | None = None
    devices: int = 1
    teacher: str | None = None
    init_seed: int | None = None
    split_seed: int = 0
    split: str | None = None
    fold: str | None = None
    test_share: float = 0.0
    tensorboard: bool = False
    exclude: str | None = None
    group: bool | None = None
    settings: tuple[tuple[str, str], ...] = ()
    weights: str | None = None

    def __post_init__(self) -> None:
        if not self.recipe:
            object.__setattr__(self, "recipe", FINETUNE if self.weights is not None else "scratch")


@dataclass(frozen=True)
class Plan:
    """Everything resolved that does not need the images to be read."""

    network: Network
    size: int
    device: str
    reasons: tuple[Reason, ...] = ()


def choose_device(wish: str, devices: int = 1) -> Reason:
    """`auto`, `cpu`, `cuda` or `cuda:1`. Raises ResourceError where the device is not there."""
    if devices > 1 and wish.startswith("cuda:"):
        raise UsageError(f"--device {wish} with --devices {devices}: they take the GPUs from 0 on; give cuda")
    here, found = int(os.environ.get("LOCAL_WORLD_SIZE", devices)), torch.cuda.device_count()
    processors = max(2, cpus())
    if here > processors and (wish == "cpu" or not found):
        raise ResourceError(f"--devices {here}: there are {processors} processors; give that many at most")
    if here > 1 and wish != "cpu" and 0 < found < here:
        raise ResourceError(f"--devices {here}: torch finds {found} GPU(s); give that many, or --device cpu")
    if wish == "auto":
        if torch.cuda.is_available():
            return Reason("device", "cuda", torch.cuda.get_device_name(0))
        threads = torch.get_num_threads()
        return Reason("device", "cpu", f"{threads} thread{'' if threads == 1 else 's'}")
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


def choose_network(
    wishes: Wishes, source: Source, device: str, begun: Model | None = None, teacher: Model | None = None
) -> Plan:
    """The network and its input size: those of the model that is gone on from, unless others are asked for.

    Raises ShapeError for too small a size.
    """
    side = typical_side(source)
    published = recipe(wishes.recipe).networks if wishes.recipe != PAPER else ()
    if wishes.model is not None:
        model = Reason("model", wishes.model, "asked for")
    elif published and begun is None:
        model = Reason("model", published[0], f"the recipe {wishes.recipe} is for it")
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
    elif teacher is not None:
        size, why = teacher.preprocessing.size, "the teacher's"
    elif network.input[1] <= SMALL and (published or wishes.recipe == PAPER):
        size, why = network.input[1], "the published input"
    else:
        size, why = _size(network, side)
        own = 0 if wishes.recipe == PAPER else recipe(wishes.recipe).size
        if own and size == network.input[1]:
            size, why = own, f"that of the recipe {wishes.recipe}"
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


def choose_holding(wishes: Wishes) -> Holding:
    """What is held out. Raises UsageError where the wishes contradict each other, or a run has no split."""
    if wishes.split is not None and (wishes.fold is not None or wishes.test_share):
        raise UsageError("--split takes the sides of a run; leave out --fold and --test-share")
    if not 0 <= wishes.test_share <= 0.9:
        raise UsageError(f"--test-share {wishes.test_share:g}: a share from 0 to 0.9 is needed")
    fold, given = None, None
    if wishes.fold is not None:
        found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", wishes.fold.strip())
        part, parts = map(int, found.groups()) if found else (0, 0)
        if not (1 <= part <= parts and parts > 1):
            raise UsageError(f"--fold {wishes.fold}: not of the form 2/5, the second of five parts")
        fold = part, parts
    if wishes.split is not None:
        given = {row["path"]: row["split"] for row in RunFolder(Path(wishes.split)).split()}
        if not given or not set(given.values()) <= set(get_args(Split)):
            raise UsageError(
                f"--split {wishes.split}: there is no split.csv of train, val and test; give a run"
            )
    return Holding(wishes.split_seed, fold, wishes.test_share, given)


def named_recipe(wishes: Wishes, network: Network) -> Recipe:
    """The recipe asked for by name; `paper` is that of the network's paper."""
    if wishes.recipe != PAPER:
        return recipe(wishes.recipe)
    for one in recipes().values():
        if not one.after and any(fnmatchcase(network.name, pattern) for pattern in one.networks):
            return one
    raise UsageError(f"there is no recipe of {network.name}'s paper; `deeper recipes` lists what there is")


def choose_recipe(
    wishes: Wishes, network: Network, source: Source, images: int
) -> tuple[Recipe, list[Reason]]:
    """The recipe for so many training images, every field resolved, and why.

    A recipe without networks of its own takes batch, length and rate from the images; a paper's stays as it
    is, its schedule stretched where another length is asked for.
    """
    named = named_recipe(wishes, network)
    asked = _asked(wishes)
    chosen = change(named, {key: value for key, value in asked.items() if key != "epochs"})
    given = {full_name(chosen, key) for key in asked}
    if not named.networks and "batch" not in given:
        chosen = replace(chosen, batch=_batch(network, images))
    if "iterations" in given:
        given.add("epochs")
    reasons = []
    for reason in _defaults(wishes, chosen, network, source, images):
        if reason.what == "recipe":
            reasons.append(reason)
        elif full_name(chosen, reason.what) not in given:
            reasons.append(reason)
            chosen = change(chosen, {reason.what: reason.value})
    why = "asked for"
    if "epochs" in asked:
        epochs = change(replace(named, iterations=0), {"epochs": asked["epochs"]}).epochs
        places = any(name.startswith("schedule") for name in given)
        if named.networks and not places and epochs and chosen.batch:
            chosen = lasting(chosen, epochs, steps_in_epoch(images, chosen.batch))
            why = "asked for, its schedule in proportion"
        else:
            chosen = replace(chosen, epochs=epochs, iterations=0)
    if chosen.name == FINETUNE:
        for reason in finetuned(chosen, network):
            if reason.what not in given:
                reasons.append(reason)
                chosen = change(chosen, {reason.what: reason.value})
    names = {key: key.rpartition(".")[2] for key in asked}
    reasons += [Reason(names[k], v, why if k == "epochs" else "asked for") for k, v in asked.items()]
    _check(wishes, chosen, network, images)
    return chosen, reasons


def _asked(wishes: Wishes) -> dict[str, str]:
    """Fields of the recipe asked for, by flag or setting. Raises UsageError where one is asked for twice."""
    asked = dict(wishes.settings)
    twice = [key for key, count in Counter(key for key, _ in wishes.settings).items() if count > 1]
    if twice:
        raise UsageError(f"{twice[0]} is set twice; give one of them")
    for flag, value in (("epochs", wishes.epochs), ("batch", wishes.batch)):
        if value is not None and flag in asked:
            raise UsageError(f"--{flag} {value} and --set {flag}={asked[flag]}: give one of them")
        if value is not None:
            asked[flag] = str(value)
    if wishes.time is not None and "epochs" in asked:
        raise UsageError(f"--time {wishes.time} and {asked['epochs']} epochs: give one of them")
    if "iterations" in asked and (wishes.time is not None or "epochs" in asked):
        raise UsageError("iterations and epochs or --time: give one of them")
    return asked


def _defaults(wishes: Wishes, chosen: Recipe, network: Network, source: Source, images: int) -> list[Reason]:
    """What a paper's recipe says, or what the images suggest."""
    if chosen.networks:
        defaults = [
            Reason("recipe", chosen.name, chosen.source),
            Reason("batch", str(chosen.batch), "the recipe's"),
            Reason("rate", f"{chosen.optimiser.rate:g}", "the recipe's"),
        ]
    else:
        found = _from_images(chosen, network, images)
        defaults = [one for one in found if one.what != "input" or not _begun(wishes)]
    if source.oriented:
        why = "single characters or numbers as classes; --set flip=true mirrors images"
        defaults.append(Reason("flip", "false", why))
    elif not chosen.networks:
        why = "images are mirrored at random; --set flip=false turns it off"
        defaults.append(Reason("flip", "true", why))
    return defaults


def _begun(wishes: Wishes) -> bool:
    """Whether there are weights to go on from, which bring the scale of their images."""
    return wishes.from_run is not None or wishes.weights is not None


def _batch(network: Network, images: int) -> int:
    sizes = (128, 64, 32, 16) if _normed(network) else (32, 16)
    return min(images, next(b for b in sizes if b == 16 or images >= 20 * b))


def _from_images(chosen: Recipe, network: Network, images: int) -> list[Reason]:
    normed = _normed(network)
    rate, at_batch = chosen.optimiser.rate, recipe(chosen.name).batch
    if not normed:
        rate = round(0.1 * rate, 6)
        at_batch = round(at_batch / 4)
    epochs = str(min(100, max(10, round(IMAGES_SEEN / images))))
    why = f"{rate:g} at batch {at_batch}{'' if normed else ', as there is no batch norm'}"
    reasons = [
        Reason("batch", str(chosen.batch), f"{images:,} training images"),
        Reason("epochs", epochs, f"about {IMAGES_SEEN:,} images seen, 10 to 100 epochs"),
        Reason("rate", f"{rate * chosen.batch / at_batch:.4g}", why),
    ]
    if not normed and _described_side(network) > SMALL:
        why = "mean subtracted only, bytes 0 to 255: without batch norm the scale matters"
        reasons.append(Reason("input", "Centre", why))
    return reasons


def _described_side(network: Network) -> int:
    """Side of the images that the catalogue has it for; of what is not in there, that it trains at."""
    known = network.name in catalogue.names()
    return (catalogue.network(network.name) if known else network).input[1]


def _normed(network: Network) -> bool:
    return any(isinstance(step.layer, Conv) and step.layer.norm for step in trace(network))


def _check(wishes: Wishes, chosen: Recipe, network: Network, images: int) -> None:
    """Raises UsageError where settings contradict each other, the images or the network."""
    batch, devices = chosen.batch, wishes.devices
    if (chosen.iterations or chosen.epochs) < 1 or batch < 1:
        raise UsageError(f"epochs {chosen.epochs}, batch {batch}: each must be at least 1")
    if isinstance(chosen.schedule, Steps) and not chosen.schedule.at:
        raise UsageError("the schedule Steps has no places; give them, such as --set schedule.at=30,60")
    if batch > images:
        raise UsageError(f"a batch of {batch} from {images} training images; give --batch {images} or less")
    parts = devices * chosen.accumulate
    if batch % parts:
        text = f"a batch of {batch} cannot be shared evenly by {devices} process{'es' if devices > 1 else ''}"
        text += f" in {chosen.accumulate} parts each" if chosen.accumulate > 1 else ""
        raise UsageError(f"{text}; give --batch {max(1, batch // parts) * parts}")
    if batch // parts < 2 and _normed(network) and not chosen.norm_frozen:
        raise UsageError(
            f"a batch of {batch // parts} leaves batch normalisation nothing to average; "
            f"give --batch {2 * parts} or more"
        )
    if chosen.after and wishes.from_run is None:
        raise UsageError(f"the recipe {chosen.name} goes on from a run of {chosen.after}; give --from RUN")
    if chosen.name == FINETUNE and not _begun(wishes):
        raise UsageError(
            "the recipe finetune goes on from trained weights; give --weights SOURCE or --from RUN"
        )
    if chosen.freeze != "none" and not _begun(wishes):
        raise UsageError(f"freeze={chosen.freeze} keeps trained weights; give --weights SOURCE or --from RUN")
    if chosen.population and (chosen.norm_frozen or chosen.freeze != "none"):
        raise UsageError(
            "population replaces the statistics that norm_frozen and freeze keep; give one of them"
        )
    if isinstance(chosen.loss, Hint) and (chosen.freeze != "none" or chosen.head_epochs):
        raise UsageError(f"{chosen.name} teaches a hint and no classifier; leave out freeze and head_epochs")
    learns = isinstance(chosen.loss, Hint | Distillation)
    if learns and wishes.teacher is None:
        raise UsageError(f"the recipe {chosen.name} learns from another network; give --teacher RUN")
    if wishes.teacher is not None and not learns:
        raise UsageError(f"the recipe {chosen.name} has no use for --teacher; leave it out")


def typical_side(source: Source, most: int = 2000) -> int:
    """Median of the shorter sides of up to `most` images, in pixels, read from the headers alone."""
    sides = []
    for item in source.items[:: -(-len(source.items) // most) or 1]:
        found = source.size(item.path)
        if found:
            sides.append(min(found))
    return int(statistics.median(sides)) if sides else 224
