"""Published errors, each with its protocol."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from goingdeeper.errors import unknown
from goingdeeper.published.networks import figures, ids
from goingdeeper.published.papers import papers, read, source
from goingdeeper.published.printed import Figure

_TRUST = ("primary", "read off", "recalled")


@dataclass(frozen=True)
class Result:
    """One published error, per cent.

    network: an id, or one of the ensembles "vgg", "resnet", "prelu-net". table: "resnet-table3" and the
    like, or "other". split: "val" is the 50,000 ILSVRC-2012 validation images, "val48238" without the
    blacklisted ones. crops: views of an image, in words where they are not countable. relation: "about" for
    a figure read off a plot, "above" for a lower bound. ablation: another training of a network whose final
    form has a row of its own. compared_to_base: points of top-5 error. errata: by figure, where what is
    printed is not what the table itself or the network's own paper gives. differs: how the network that was
    measured is not quite this one.
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
    errata: tuple[tuple[Figure, str], ...] = ()
    differs: str = ""

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
        top1, top5 = per_cent(self.top1_error), per_cent(self.top5_error)
        return f"{sign}{' / '.join(filter(None, (top1, top5)))} %{'' if top1 else ' top-5'}"

    @property
    def own(self) -> bool:
        """Whether it is printed in the paper that the network or ensemble is from."""
        if self.network in ids():
            return self.paper == figures(self.network).paper
        return self.paper == papers()[ensembles()[self.network]].short

    def erratum(self, figure: Figure) -> str:
        """Why a figure of this row is not what is printed; empty if it is."""
        return dict(self.errata).get(figure, "")

    @property
    def summary(self) -> str:
        """`24.52 / 7.46 %, 10 crops`"""
        return ", ".join(filter(None, (self.errors, self.protocol)))


def ensembles() -> dict[str, str]:
    """The ensembles that have results, and the key of the paper that each is from."""
    return dict(read("results.toml")["ensembles"])


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

    With augmented training images, as nearly all are, before without. What was read in the source comes
    before what is recalled, and among equals what has no erratum.
    """
    singles = [result for result in results(network) if result.models == 1 and result.split != "test"]
    return min(singles, key=_preference, default=None)


def _preference(result: Result) -> tuple[bool, bool, int, float, bool, bool, bool, bool]:
    return (
        not result.own,
        result.augmentation is False,
        _TRUST.index(result.provenance),
        result.crops if isinstance(result.crops, int) else float("inf"),
        result.ablation,
        bool(result.errata),
        bool(result.differs),
        result.dataset == "imagenet" and None in (result.top1_error, result.top5_error),
    )


def per_cent(error: float | None) -> str:
    """`9.0`, `10.07`; empty where there is none."""
    return "" if error is None else f"{error:.1f}" if round(error, 1) == error else f"{error:g}"


@cache
def _results() -> tuple[Result, ...]:
    return tuple(_result(table, row) for table in read("results.toml")["table"] for row in table["rows"])


def _result(table: dict[str, Any], row: dict[str, Any]) -> Result:
    told = {key: value for key, value in (table | row).items() if key not in ("rows", "erratum")}
    errata = row.get("erratum", {})
    if unprinted := errata.keys() - row.keys():
        raise ValueError(f"results.toml: {row} has an erratum for {unprinted.pop()}, which it does not print")
    return Result(**{
        **told,
        "paper": papers()[table["paper"]].short if "paper" in table else "",
        "source": source(table),
        "scales": tuple(row.get("scales", ())),
        "remark": "; ".join(filter(None, (table.get("remark"), row.get("remark")))),
        "errata": tuple(errata.items()),
    })  # fmt: skip
