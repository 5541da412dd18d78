"""A figure as it is printed, and when an exact one agrees with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from goingdeeper.published.papers import papers

Figure: TypeAlias = Literal[
    "params", "macs", "layers", "layers_with_pools", "input", "output", "params_ratio", "macs_ratio",
    "top1_error", "top5_error", "compared_to_base", "cost",
]  # fmt: skip

# GoogLeNet's Table 1 counts parameters in K = 1024: its 112K and 1000K are exact only so.
_UNITS = {"": 1, "K": 1024, "M": 10**6, "Bn": 10**9, " times": 1}

_ROUNDING = 1e-9
"""Of a step: what binary fractions may add to 9.2 - 0.05."""


@dataclass(frozen=True)
class Printed:
    """A figure as a paper prints it.

    value: what the text says; step: one unit of its last digit; both 0 where the text is a shape such as
    "28x28x576". below: the text is an upper bound. rounded: the paper itself shows that no digits were left
    out. paper, place: where it is printed, "He et al. 2015" and "Table 1". against: the other network of a
    ratio. erratum: why the exact figure is another one.
    """

    figure: Figure
    text: str
    value: float
    step: float
    below: bool = False
    rounded: bool = False
    paper: str = ""
    place: str = ""
    against: str = ""
    remark: str = ""
    erratum: str = ""

    def agrees(self, exact: float | str) -> bool:
        """Whether an exact figure, rounded or truncated to the last printed digit, is what is printed.

        One that is known to be rounded agrees only with a figure that rounds to it.
        """
        if isinstance(exact, str):
            return exact == self.text
        if self.below:
            return exact < self.value
        beyond = 0.5 + _ROUNDING if self.rounded else 1 - _ROUNDING
        return -self.step * (0.5 + _ROUNDING) <= self._off(exact) < self.step * beyond

    def truncated(self, exact: float | str) -> bool:
        """Whether it agrees only because digits were left out: 3.858 billion printed as 3.8."""
        if isinstance(exact, str) or self.below or not self.agrees(exact):
            return False
        return self._off(exact) > self.step * (0.5 + _ROUNDING)

    def _off(self, exact: float) -> float:
        """How far the exact figure lies beyond the printed one, away from zero."""
        return (exact - self.value) * (-1 if self.value < 0 else 1)


def printed(
    figure: Figure,
    text: str,
    below: bool = False,
    rounded: bool = False,
    paper: str = "",
    place: str = "",
    against: str = "",
    remark: str = "",
    erratum: str = "",
) -> Printed:
    """A printed figure from its text, such as "13.6e6", "1.5 Bn", "2.7K", "-3.45" or "28x28x576".

    paper: a key of papers.toml.
    """
    short = papers()[paper].short if paper else ""
    told = (below, rounded, short, place, against, remark, erratum)
    if re.fullmatch(r"\d+(x\d+)+", text):
        return Printed(figure, text, 0, 0, *told)
    match = re.fullmatch(r"(-?\d+)(?:\.(\d+))?(?:e(\d+))?( times| ?(?:K|M|Bn|))", text)
    if match is None:
        raise ValueError(f"'{text}' is not a printed figure")
    whole, decimals, exponent, unit = match.groups(default="")
    scale = 10 ** int(exponent or 0) * _UNITS[unit if unit == " times" else unit.strip()]
    parts = 10 ** len(decimals)
    return Printed(figure, text, int(whole + decimals) * scale / parts, scale / parts, *told)
