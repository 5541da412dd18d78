"""Which images a run learned from, wherever they are named from."""

from __future__ import annotations

import os

from goingdeeper.data.sources import Source, base_of, original
from goingdeeper.data.sources.source import SPLITS
from goingdeeper.runs.folder import RunFolder


def sides_of(run: RunFolder, source: Source) -> dict[str, str]:
    """The side that a run gave each image of a source that is one of its own, by the image's path there.

    Told by where they are, also where one of the two locations is a store made from the other.
    """
    own, theirs = (base_of(original(place)) for place in (run.run()["data"]["location"], source.location))
    sides = {os.path.normpath(own / row["path"]): row["split"] for row in run.split()}
    places = {item.path: os.path.normpath(theirs / item.path) for item in source.items}
    return {path: sides[place] for path, place in places.items() if place in sides}


def sides_by_name(run: RunFolder, source: Source) -> dict[str, str]:
    """The side that a run gave each image that is called like one of its own, by the image's path.

    As a copy at another place is: of the same path within the location, and the same class. A folder such as
    train or val at the front may be lacking on either side; of several images that are called alike then,
    one that was trained on counts.
    """
    exact: dict[tuple[str, str], str] = {}
    bare: dict[tuple[str, str], str] = {}
    for row in run.split():
        exact[row["path"], row["class"]] = row["split"]
        name = _bare(row["path"]), row["class"]
        if bare.get(name) != "train":
            bare[name] = row["split"]
    found = {
        item.path: exact.get((item.path, item.label)) or bare.get((_bare(item.path), item.label))
        for item in source.items
    }
    return {path: side for path, side in found.items() if side}


def _bare(path: str) -> str:
    """A path without a split's folder at its front."""
    first, _, rest = path.partition("/")
    return rest if rest and first.lower() in SPLITS else path
