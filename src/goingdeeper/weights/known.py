"""Public weights that are known by name: where they are, their hash, licence, published score and scale."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from goingdeeper.errors import UsageError, unknown
from goingdeeper.names import Scale


@dataclass(frozen=True)
class Known:
    """One file of public weights.

    id: `torchvision/resnet50.IMAGENET1K_V1`: library, its model, tag of the weights. network: ours. where:
    a URL, or `hf:owner/name`. hash: `sha256:` and at least its first 8 digits, `sha1:` or `md5:`, or empty.
    licence: empty where the source states none for the weights. top1_error, top5_error: per cent, as `source`
    claims. size: side of the input in pixels, shorter, mean, std: as they were evaluated; what is None is the
    library's own. resize: how images are made smaller there. tried: whether it was fetched and imported here.
    """

    id: str
    network: str
    where: str
    source: str
    hash: str = ""
    licence: str = ""
    top1_error: float | None = None
    top5_error: float | None = None
    size: int | None = None
    shorter: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    resize: str = "bilinear"
    megabytes: float | None = None
    tried: bool = False
    note: str = ""

    @property
    def library(self) -> str:
        return self.id.partition("/")[0]

    @property
    def model(self) -> str:
        """The library's name for the network."""
        return self.id.partition("/")[2].partition(".")[0]

    @property
    def score(self) -> str:
        """The published errors in words; empty where none is known."""
        if self.top1_error is None:
            return ""
        top5 = f", top-5 error {self.top5_error:.2f} %" if self.top5_error is not None else ""
        return f"top-1 error {self.top1_error:.2f} %{top5} ({self.source})"

    def scaled(self, scale: Scale) -> Scale:
        """The library's scale with what these weights have of their own."""
        shorter = self.shorter if self.size is not None or self.shorter is not None else scale.shorter
        return replace(scale, mean=self.mean or scale.mean, std=self.std or scale.std, shorter=shorter)


def known_weights() -> dict[str, Known]:
    """All of the table, by id."""
    return dict(_table())


def is_known(name: str) -> bool:
    """Whether a name can only be meant for the table: `library/...` of one of its libraries."""
    return name.partition("/")[0] in {one.library for one in _table().values()} and "/" in name


def known_at(where: str) -> Known | None:
    """What is known of the weights at a URL or at `hf:owner/name`, whatever revision is asked for."""
    place = re.sub(r"(?<=.)@[^/]*", "", where) if where.startswith("hf:") else where
    return next((one for one in _table().values() if one.where == place), None)


def find_known(name: str) -> Known:
    """By its id, or without the tag where there is only one. Raises UsageError, suggesting close ids."""
    table = _table()
    if name in table:
        return table[name]
    tagged = [id for id in table if id.partition(".")[0] == name]
    if len(tagged) == 1:
        return table[tagged[0]]
    if tagged:
        tags = ", ".join(id.partition(".")[2] for id in tagged)
        raise UsageError(f"{name} has several weights: {tags}; name one, as {tagged[0]}")
    raise unknown("weights", name, table, "`deeper import --list` shows all that are known")


@cache
def _table() -> dict[str, Known]:
    text = files("goingdeeper.weights").joinpath("known.toml").read_text("utf-8")
    found = {}
    for library, group in tomllib.loads(text).items():
        shared = {key: value for key, value in group.items() if key != "weights"}
        for entry in group["weights"]:
            facts = {**shared, **entry}
            for key in ("mean", "std"):
                if key in facts:
                    facts[key] = tuple(facts[key])
            one = Known(**{**facts, "id": f"{library}/{entry['id']}"})
            found[one.id] = one
    return found
