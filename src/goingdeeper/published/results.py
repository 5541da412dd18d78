"""Published errors, each with its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from goingdeeper.errors import unknown
from goingdeeper.published.networks import figures, ids
from goingdeeper.published.papers import papers, read, source

_TRUST = ("primary", "read off", "recalled")


@dataclass(frozen=True)
class Result:
    """One published error, per cent.

    network: an id, or one of the ensembles "vgg", "resnet", "prelu-net". table: "resnet-table3" and the
    like, or "other". split: "val" is the 50,000 ILSVRC-2012 validation images, "val48238" without the
    blacklisted ones. crops: views of an image, in words where they are not countable. relation: "about" for
    a figure read off a plot, "above" for a lower bound. ablation: another training of a network whose final
    form has a row of its own. compared_to_base: points of top-5 error.
    """

    network: str
    table: str
    dataset: str
    split: str
    source: str
    provenance: str
    paper: str = ""
    place: str = ""
    row: str = ""
    models: int | None = None
    crops: int | str | None = None
    scales: tuple[int, ...] = ()
    augmentation: bool | None = None
    top1_error: float | None = None
    top5_error: float | None = None
    error_mean: float | None = None
    error_std: float | None = None
    relation: Literal["", "about", "above"] = ""
    layers: int | None = None
    published_params_m: float | None = None
    cost: int | None = None
    compared_to_base: float | None = None
    cost_bn_ops: float | None = None
    ablation: bool = False
    remark: str = ""
    erratum: str = ""

    @property
    def protocol(self) -> str:
        """`1 crop`, `7 models, 144 crops`, `dense, one scale 384`"""
        models = f"{self.models} models" if self.models and self.models > 1 else ""
        crops = str(self.crops or "")
        if isinstance(self.crops, int):
            crops += " crop" if self.crops == 1 else " crops"
        return ", ".join(filter(None, (models, crops)))

    @property
    def errors(self) -> str:
        """`24.7 / 7.8 %`, top-1 / top-5; `10.07 % top-5` or `8.75 %` where there is one of them."""
        sign = {"about": "~", "above": ">"}.get(self.relation, "")
        top1, top5 = _per_cent(self.top1_error), _per_cent(self.top5_error)
        return f"{sign}{' / '.join(filter(None, (top1, top5)))} %{'' if top1 else ' top-5'}"

    @property
    def own(self) -> bool:
        """Whether it is printed in the paper that the network is from."""
        return self.network in ids() and self.paper == figures(self.network).paper

    @property
    def summary(self) -> str:
        """`24.52 / 7.46 %, 10 crops`"""
        return ", ".join(filter(None, (self.errors, self.protocol)))


def results(network: str) -> tuple[Result, ...]:
    """Every published error of a network or ensemble, in the order of the papers' tables.

    Raises UsageError, suggesting close ids, for an unknown one.
    """
    found = tuple(result for result in _results() if result.network == network)
    if not found and network not in ids():
        known = dict.fromkeys([*ids(), *(result.network for result in _results())])
        raise unknown("network", network, known, "there are no published errors for it")
    return found


def tables() -> list[str]:
    """The tables of results by name, such as `resnet-table3`; "other" holds what is in none."""
    return list(dict.fromkeys(result.table for result in _results()))


def table(name: str) -> tuple[Result, ...]:
    """The rows of one table. Raises UsageError for an unknown name."""
    if name not in tables():
        raise unknown("table", name, tables(), f"there are: {', '.join(tables())}")
    return tuple(result for result in _results() if result.table == name)


def published_error(network: str) -> Result | None:
    """The error to quote for a network: one model, its own paper's before others', the fewest crops.

    What was read in the source comes before what is recalled, and among equals what has no erratum.
    """
    singles = [result for result in results(network) if result.models == 1 and result.split != "test"]
    return min(singles, key=_preference, default=None)


def _preference(result: Result) -> tuple[bool, int, float, bool, bool, bool]:
    return (
        not result.own,
        _TRUST.index(result.provenance),
        result.crops if isinstance(result.crops, int) else float("inf"),
        result.ablation,
        bool(result.erratum),
        result.dataset == "imagenet" and None in (result.top1_error, result.top5_error),
    )


def _per_cent(error: float | None) -> str:
    return "" if error is None else f"{error:.1f}" if round(error, 1) == error else f"{error:g}"


@cache
def _results() -> tuple[Result, ...]:
    return tuple(_result(table, row) for table in read("results.toml")["table"] for row in table["rows"])


def _result(table: Mapping[str, Any], row: Mapping[str, Any]) -> Result:
    shared = {key: value for key, value in table.items() if key != "rows"}
    return Result(**{
        **shared,
        **row,
        "paper": papers()[table["paper"]].short if "paper" in table else "",
        "source": source(table),
        "scales": tuple(row.get("scales", ())),
        "erratum": " ".join(filter(None, (table.get("erratum"), row.get("erratum")))),
    })  # fmt: skip
