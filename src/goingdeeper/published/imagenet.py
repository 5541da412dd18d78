"""The names of ImageNet's 1,000 classes, in the order of the outputs of networks trained on them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def imagenet() -> dict[str, str]:
    """The name of each class by its WordNet identifier such as `n01440764`; no name is there twice.

    Source: imagenet.txt beside this file says it.
    """
    text = files("goingdeeper.published").joinpath("imagenet.txt").read_text("utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {identifier: name for identifier, name in rows}
