"""Which images a run learned from, wherever they are named from."""

from __future__ import annotations

import os

from goingdeeper.data.sources import Source, base_of, original
from goingdeeper.runs.folder import RunFolder


def sides_of(run: RunFolder, source: Source) -> dict[str, str]:
    """The side that a run gave each image of a source that is one of its own, by the image's path there.

    Told by where they are, also where one of the two locations is a store made from the other.
    """
    own, theirs = (base_of(original(place)) for place in (run.run()["data"]["location"], source.location))
    sides = {os.path.normpath(own / row["path"]): row["split"] for row in run.split()}
    places = {item.path: os.path.normpath(theirs / item.path) for item in source.items}
    return {path: sides[place] for path, place in places.items() if place in sides}
