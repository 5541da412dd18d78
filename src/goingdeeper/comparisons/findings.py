"""What an audit finds: each printed figure beside the exact one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from goingdeeper.errors import GateError
from goingdeeper.published import Printed, ensembles


@dataclass(frozen=True)
class Finding:
    """One printed figure beside the exact one.

    network: an id, an ensemble such as "vgg", or an entry of the winners' chart. row: the layer, protocol or
    year that the figure is of, empty for the whole network. exact_source: the paper that prints the exact
    figure, or the arithmetic behind it; empty where it is counted from the network's description. coarser:
    the exact figure as that paper prints it, where it has fewer digits than the quote.
    """

    network: str
    printed: Printed
    exact: int | float | str
    row: str = ""
    exact_source: str = ""
    coarser: Printed | None = None

    @property
    def agrees(self) -> bool:
        """Whether the one with fewer digits is the other one, rounded or truncated."""
        fewer, more = self._fewer_and_more
        return fewer.agrees(more)

    @property
    def explained(self) -> bool:
        """Whether it agrees without an erratum, or differs with one."""
        return self.agrees != bool(self.printed.erratum)

    @property
    def verdict(self) -> str:
        """`agrees`, `truncated` (it agrees, digits were left out) or `differs`."""
        if not self.agrees:
            return "differs"
        fewer, more = self._fewer_and_more
        return "truncated" if fewer.truncated(more) else "agrees"

    @property
    def remark(self) -> str:
        """What else to know of it."""
        fewer = f"judged by the digits that its own paper prints, {self.coarser.text}" if self.coarser else ""
        return "; ".join(filter(None, (self.printed.remark, fewer)))

    @property
    def ensemble(self) -> bool:
        """Whether it is of several networks together, so that its name is no network's."""
        return self.network in ensembles()

    @property
    def source(self) -> str:
        """Where it is printed: `Szegedy et al. 2014, Table 1`."""
        return ", ".join(filter(None, (self.printed.paper, self.printed.place)))

    @property
    def problem(self) -> str:
        """What is unexplained, in one line; empty if nothing is."""
        if self.explained:
            return ""
        name = " ".join(filter(None, (self.network, self.row, self.printed.figure)))
        if self.agrees:
            return f"{name}: {self.printed.text} in {self.source} agrees with {self.exact}; drop its erratum"
        return f"{name}: {self.printed.text} in {self.source} is not {self.exact}, and no erratum says why"

    def data(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return {
            "network": self.network,
            "row": self.row or None,
            "figure": self.printed.figure,
            "source": self.source,
            "printed": self.printed.text,
            "exact": self.exact,
            "exact_source": self.exact_source or "the network's description",
            "agrees": self.agrees,
            "verdict": self.verdict,
            "erratum": self.printed.erratum or None,
            "remark": self.remark or None,
            "ensemble": self.ensemble,
        }

    @property
    def _fewer_and_more(self) -> tuple[Printed, int | float | str]:
        return (self.coarser, self.printed.value) if self.coarser else (self.printed, self.exact)


@dataclass(frozen=True)
class Audit:
    """Printed figures beside exact ones; prints as a table, and displays itself in a notebook."""

    figures: tuple[Finding, ...]

    @property
    def unexplained(self) -> tuple[Finding, ...]:
        """Figures that differ without an erratum, and errata that are not needed."""
        return tuple(one for one in self.figures if not one.explained)

    @property
    def summary(self) -> str:
        """`224 figures printed, 188 agree, 36 differ with an erratum, unexplained: 0`"""
        agree = sum(one.explained and one.agrees for one in self.figures)
        differ = sum(one.explained and not one.agrees for one in self.figures)
        return (
            f"{len(self.figures)} figure{'' if len(self.figures) == 1 else 's'} printed, {agree} agree, "
            f"{differ} differ with an erratum, unexplained: {len(self.unexplained)}"
        )

    def check(self) -> None:
        """Raises GateError, naming the first of them, if figures are unexplained."""
        if self.unexplained:
            raise GateError(f"unexplained: {len(self.unexplained)}; {self.unexplained[0].problem}")

    def __str__(self) -> str:
        from goingdeeper.comparisons.audit_page import text

        return text(self)

    def _repr_markdown_(self) -> str:
        from goingdeeper.comparisons.audit_page import markdown

        return markdown(self)
