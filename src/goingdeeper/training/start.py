"""Going on from the weights of another run, as GoogLeNet's converged models were."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from goingdeeper.errors import UsageError
from goingdeeper.layers import CLASSES, Conv, Layer, Linear, Network
from goingdeeper.nn.build import Net
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.runs.model import Model, load_model
from goingdeeper.trace import trace
from goingdeeper.training.plan import Wishes
from goingdeeper.training.reason import Reason
from goingdeeper.training.tuning import FINETUNE
from goingdeeper.weights.fitting import fit
from goingdeeper.weights.importing import weights_at


def begin_from(path: str | None) -> Model | None:
    """The model to go on from, its golden image checked; None where nothing was asked for."""
    return None if path is None else load_model(Path(path))


def begin(wishes: Wishes) -> Model | None:
    """The model of --from or of --weights. Raises UsageError where both are asked for."""
    if wishes.weights is None:
        return begin_from(wishes.from_run)
    if wishes.from_run is not None:
        raise UsageError("--weights fits weights to the images, --from goes on from a run; give one of them")
    return load_model(weights_at(wishes.weights))


def adapt(net: Net, begun: Model, classes: Sequence[str], recipe: Recipe) -> list[Reason]:
    """Puts weights into the network, fitted to classes and size, and says what was done."""
    reasons = []
    origin = begun.config.get("provenance", {})
    if "library" in origin:
        why = f"imported from {origin['source']}, licence {origin['licence']}"
        reasons.append(Reason("weights", f"{origin['library']} {origin['model']}", why))
    reasons += [Reason(*said) for said in fit(net, begun, classes)]
    scale = ", ".join(f"{value:.3g}" for value in begun.preprocessing.mean)
    reasons.append(Reason("input", f"mean {scale}", "the scale of the weights, not of these images"))
    if recipe.freeze == "head":
        why = "only the classifier trains; `deeper features` and a logistic regression do the same"
        reasons.append(Reason("freeze", "head", why))
    return reasons


def take_over(net: Net, begun: Model, classes: Sequence[str], recipe: Recipe) -> list[Reason]:
    """Copies the weights, or those that the recipe takes, and says what starts anew.

    Auxiliary heads, which a model does not have, keep their initial weights, and so does the classifier
    where the recipe `finetune` meets other classes. Raises UsageError where classes or network do not fit.
    """
    own, given = net.state_dict(), begun.net.state_dict()
    reasons = []
    before = begun.config.get("provenance", {}).get("recipe")
    if recipe.after and before != recipe.after:
        reasons.append(Reason("from", before or "?", f"a run of {recipe.after} is what {recipe.name} is for"))
    if recipe.takes:
        chosen = {n: v for n, v in given.items() if any(_under(n, pattern) for pattern in recipe.takes)}
        reasons.append(Reason("weights", ", ".join(recipe.takes), f"taken from {begun.path}"))
    elif tuple(classes) == begun.classes:
        chosen = given
    elif recipe.name == FINETUNE:
        new = classifiers(net.description)
        chosen = {n: v for n, v in given.items() if not any(_under(n, address) for address in new)}
        reasons.append(Reason("classifier", "new", "the classes are others than those of the weights"))
    else:
        only = sorted(set(classes) ^ set(begun.classes))
        raise UsageError(
            f"{begun.path} knows other classes than the images ({', '.join(only[:5])}); "
            f"--recipe {FINETUNE} gives it a new classifier"
        )
    trunk = {name for name in own if not name.startswith("heads.")}
    partly = recipe.takes or len(chosen) < len(given)
    fits = all(name in own and own[name].shape == value.shape for name, value in chosen.items())
    if not chosen or not fits or not (partly or trunk == set(chosen)):
        raise UsageError(
            f"{begun.path} holds {begun.net.description.name}, whose weights do not fit "
            f"{net.description.name} at this size; leave out --model and --size"
        )
    with torch.no_grad():
        for name, value in chosen.items():
            own[name].copy_(value)
    return reasons


def classifiers(network: Network) -> list[str]:
    """Addresses of the layers as wide as there are classes, heads' too."""
    return [step.path for step in trace(network) if _width(step.layer) == CLASSES]


def _width(layer: Layer) -> object:
    match layer:
        case Conv():
            return layer.filters
        case Linear():
            return layer.features
        case _:
            return None


def _under(name: str, pattern: str) -> bool:
    """Whether a weight's name is that of a layer under an address or pattern."""
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[:count]), pattern) for count in range(1, len(parts) + 1))


def origin(begun: Model) -> dict[str, Any]:
    """Where the weights come from, for the record: the folder, its weights' sha256, what they came from."""
    return {
        "path": str(begun.path),
        "sha256": begun.config["weights"]["sha256"],
        "provenance": begun.config.get("provenance", {}),
    }
