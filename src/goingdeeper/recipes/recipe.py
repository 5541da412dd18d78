"""How a network is trained, as one frozen record that is changed with `replace`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from goingdeeper.recipes.images import Augmentation, Input, Standardise
from goingdeeper.recipes.losses import CrossEntropy, Loss
from goingdeeper.recipes.optimisers import SGD, Optimiser, Rule
from goingdeeper.recipes.schedules import Constant, Schedule, UntilLearning, WarmupCosine

Said: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Recipe:
    """Everything about training that is not the network or the data.

    source: the paper. networks: ids it was used for, as patterns; the first is an id, the one to take where
    none is asked for. after: the recipe whose run it goes on from. takes: of that run's weights, those under
    these addresses or patterns; all of them if empty. said: where a setting is printed, by its name or that
    of the part it belongs to; `inferred` begins what is not. remarks: what the source says and no setting
    can.

    images: of the training set that it was written for, which turns iterations into epochs. size: side of the
    images while training, 0 for the network's own.

    epochs, iterations: the length; iterations where they are not 0. batch: images an update, of all devices
    together. momentum_schedule: on the optimiser's momentum. until_learning: a lower rate at the start.
    decay_all: biases, norms and slopes decay, too. head_weights: of the auxiliary heads' losses, by address;
    `*` is for all others.
    clip: bound on the global norm of the gradients, 0 for none. average: decay of the running mean of the
    weights, which then is evaluated and kept; 0 for none.
    norm_batch: images that batch norm takes its statistics over, 0 for all of a device. norm_decay: of the
    running statistics, 0 for the network's own. population: exact statistics at the end, over the training
    set, in place of the running ones. stochastic_depth: chance that the last residual block is left out, in
    proportion for earlier ones.
    freeze: what stays as the weights that are gone on from have it: `none` of it; all up to a layer or stage,
    by its address, such as `conv4`; or all but the classifier, `head`. norm_frozen: batch norm computes with
    the weights' own statistics in training, too, and leaves them. stage_rate: of the next stage's rate, what
    each stage of the trunk has; a stage halves the map. head_epochs: first epochs, half of all at most, in
    which only the classifier and auxiliary heads train, at their full rate; schedules begin after them.
    stop_after: epochs without a better validation error after which training ends; 0 for never.
    balance: rare classes weigh more in the loss, or are drawn more often. recompute: so many blocks at a
    time are computed again in the backward pass; 0 keeps everything. accumulate: parts that a batch is
    computed in. bad_share: images that may be unreadable and left out.
    """

    name: str
    source: str = ""
    networks: tuple[str, ...] = ()
    after: str = ""
    takes: tuple[str, ...] = ()
    images: int = 0
    size: int = 0
    epochs: int = 30
    iterations: int = 0
    batch: int = 128
    optimiser: Optimiser = SGD()
    schedule: Schedule = WarmupCosine()
    until_learning: UntilLearning | None = None
    momentum_schedule: Schedule = Constant()
    rules: tuple[Rule, ...] = ()
    decay_all: bool = False
    input: Input = Standardise()
    augmentation: Augmentation = Augmentation()
    loss: Loss = CrossEntropy(0.1)
    head_weights: tuple[tuple[str, float], ...] = (("*", 0.3),)
    clip: float = 0.0
    average: float = 0.0
    norm_batch: int = 0
    norm_decay: float = 0.0
    population: bool = False
    stochastic_depth: float = 0.0
    freeze: str = "none"
    norm_frozen: bool = False
    stage_rate: float = 1.0
    head_epochs: int = 0
    stop_after: int = 0
    balance: Literal["none", "loss", "sampling"] = "none"
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    compile: bool = False
    recompute: int = 0
    accumulate: int = 1
    bad_share: float = 0.01
    said: Said = ()

    def __post_init__(self) -> None:
        if self.iterations:  # they are the length then
            object.__setattr__(self, "epochs", 0)

    remarks: tuple[str, ...] = ()


def says(places: Mapping[str, str], before: Recipe | None = None) -> Said:
    """Where settings are printed; those of an earlier recipe go on, unless said anew, or taken out by ""."""
    merged = {**(dict(before.said) if before else {}), **places}
    return tuple((name, place) for name, place in merged.items() if place)


def printed(recipe: Recipe, name: str) -> str:
    """Where a setting, or else the part it belongs to, is printed; empty where nothing is said."""
    places = dict(recipe.said)
    while name and name not in places:
        name = name.rpartition(".")[0]
    return places.get(name, "")


def passes(recipe: Recipe) -> float:
    """The length in epochs of the training set that it was written for."""
    if recipe.iterations and recipe.images:
        return recipe.iterations * recipe.batch / recipe.images
    return recipe.epochs


def used_for(recipe: Recipe, network: str) -> bool:
    """Whether the recipe's source trained this network with it."""
    return any(fnmatchcase(network, pattern) for pattern in recipe.networks)
