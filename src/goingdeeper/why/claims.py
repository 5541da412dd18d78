"""What is claimed, what should come out, and what did."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from goingdeeper.errors import unknown
from goingdeeper.why.intervals import Interval

Tier = Literal["arithmetic", "init", "training"]
TIERS: tuple[Tier, ...] = get_args(Tier)
"""Of evidence, each dearer than the one before: instantly, in seconds, in minutes."""

Verdict = Literal["right", "imprecise", "wrong", "disputed", "not seen here", "not separated"]


@dataclass(frozen=True)
class Expected:
    """A quantity that a claim leads one to expect.

    printed: as its source has it, to the last digit that counts. low, high: bounds of what is measured, where
    there is a spread. text: what is expected, where that is no number. quoted: a measurement of the source's
    own, which is only repeated; read_off: which was read off a figure there.
    """

    what: str
    printed: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    text: str = ""
    quoted: bool = False
    read_off: bool = False

    @property
    def shown(self) -> str:
        """`120,422,400 multiplications`, `39 (20 to 80)`"""
        if self.text:
            return self.text
        low, high = (None if bound is None else f"{bound:,g}" for bound in (self.low, self.high))
        if not self.printed[:1].isdigit() or self.low == self.high or (low is None and high == "0"):
            return self.of(self.printed)
        if low and high:
            return f"{self.of(self.printed)} ({low} to {high})"
        return self.of(self.printed) + (f" (at least {low})" if low else f" (at most {high})" if high else "")

    def seen(self, value: float) -> str:
        """A value as this one is printed, with more digits where these would hide that it is another."""
        told = ", read off a figure" if self.read_off else ", as printed" if self.quoted else ""
        return self.of(self._digits(value)) + told

    def _digits(self, value: float) -> str:
        if not re.fullmatch(r"[-\d,.e]+", self.printed):
            return f"{value:.3g}"
        if "e" in self.printed:
            return f"{value:.1e}"
        decimals = len(self.printed.partition(".")[2])
        rounded = f"{value:,.{decimals}f}"
        return rounded if not self.bounded or float(rounded.replace(",", "")) else f"{value:.2g}"

    def agrees(self, value: float) -> bool:
        """Whether a value rounds to what is printed, or lies within the bounds."""
        if not self.bounded:
            return self._digits(value) == self.printed
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def holds(self, found: Interval) -> bool:
        """Whether a whole interval lies within the bounds, and does not touch them."""
        return (self.low is None or found.low > self.low) and (self.high is None or found.high < self.high)

    def apart(self, found: Interval) -> bool:
        """Whether a whole interval lies outside of the bounds."""
        return (self.low is not None and found.high < self.low) or (
            self.high is not None and found.low > self.high
        )

    @property
    def bounded(self) -> bool:
        return self.low is not None or self.high is not None

    def of(self, number: str) -> str:
        return f"{number} {self.unit}".strip() if self.unit != "%" else f"{number} %"


@dataclass(frozen=True)
class Claim:
    """id: a name that stays. said: in our words; source: who says so. verdict: if what is expected comes out;
    because: what makes it so."""

    id: str
    topic: str
    tier: Tier
    said: str
    source: str
    expected: tuple[Expected, ...]
    verdict: Verdict
    because: str


@dataclass(frozen=True)
class Topic:
    """name: as the command takes it. story: what leads to it, in a few sentences."""

    name: str
    title: str
    story: str
    claims: tuple[Claim, ...]

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """Those that it has evidence of."""
        return tuple(tier for tier in TIERS if any(claim.tier == tier for claim in self.claims))


@dataclass(frozen=True)
class Evidence:
    """seen: what came out, one text for each quantity that was expected."""

    claim: Claim
    seen: tuple[str, ...]
    verdict: Verdict
    because: str


def topics() -> tuple[Topic, ...]:
    """All of them, in the order of the story."""
    return tuple(_topics().values())


def topic(name: str) -> Topic:
    """Raises UsageError, suggesting close names, for an unknown one."""
    known = _topics()
    if name not in known:
        raise unknown("topic", name, known, "`deeper why` lists them")
    return known[name]


def claim(id: str) -> Claim:
    """Raises KeyError for an unknown one."""
    return {claim.id: claim for topic in topics() for claim in topic.claims}[id]


def sources() -> dict[str, str]:
    """What `lecture` and `blog` stand for."""
    return dict(_read()["sources"])


def measured(id: str, *values: float | None) -> Evidence:
    """A claim beside what was computed or measured, a value for each quantity that is expected.

    None stands for one that is quoted, and that nothing else here knows.
    """
    about = claim(id)
    pairs = list(zip(about.expected, values, strict=True))
    seen = tuple(f"{one.shown}, as printed" if value is None else one.seen(value) for one, value in pairs)
    other = [one.what for one, value in pairs if value is not None and not one.agrees(value)]
    if other:
        return Evidence(about, seen, "not seen here", f"another value came out: {'; '.join(other)}")
    return Evidence(about, seen, about.verdict, about.because)


def judged(id: str, *values: Interval, remedy: str = "a longer --time or more seeds") -> Evidence:
    """A claim beside what came out over several seeds, an interval for each quantity that is expected.

    An interval that lies within the bounds shows what is expected, one that lies outside of them that it is
    not so here; one that reaches a bound tells nothing either way, and neither does one without a width,
    which is that of seeds that came out alike by chance. remedy: what may tell then.
    """
    about = claim(id)
    pairs = list(zip(about.expected, values, strict=True))
    seen = tuple(one.of(str(value)) for one, value in pairs)
    alike = [one.what for one, value in pairs if value.low == value.high]
    other = [one.what for one, value in pairs if one.apart(value) and one.what not in alike]
    open_ = [one.what for one, value in pairs if not one.holds(value) and one.what not in (*alike, *other)]
    if other:
        return Evidence(about, seen, "not seen here", f"it came out otherwise: {'; '.join(other)}")
    if open_ or alike:
        reasons = [f"the interval holds both sides: {'; '.join(open_)}"] if open_ else []
        reasons += [f"all came out alike, which has no interval: {'; '.join(alike)}"] if alike else []
        told = f"{'; '.join(reasons)}. {remedy[0].upper()}{remedy[1:]} may tell"
        return Evidence(about, seen, "not separated", told)
    return Evidence(about, seen, about.verdict, about.because)


@cache
def _read() -> dict[str, Any]:
    return tomllib.loads(files("goingdeeper.why").joinpath("claims.toml").read_text("utf-8"))


@cache
def _topics() -> dict[str, Topic]:
    return {
        entry["name"]: Topic(
            entry["name"],
            entry["title"],
            entry["story"],
            tuple(_claim(one, entry["name"]) for one in entry["claim"]),
        )
        for entry in _read()["topic"]
    }


def _claim(entry: Mapping[str, Any], topic: str) -> Claim:
    expected = tuple(
        Expected(**{"printed" if key == "is" else key: value for key, value in one.items()})
        for one in entry["expected"]
    )
    return Claim(**{**entry, "topic": topic, "expected": expected})
