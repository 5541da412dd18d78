"""How the report writes its figures: errors, counts, durations, dates and protocols, in English."""

from __future__ import annotations

import re
from datetime import datetime

SPACE = "\N{NO-BREAK SPACE}"


def percent(value: float) -> str:
    """An error, in per cent already: two decimals below 1, else one."""
    return f"{number(value)}{SPACE}%"


def number(value: float) -> str:
    """As `percent`, without the sign; 0 and 100 are written only where nothing was rounded."""
    if value in (0, 100):
        return f"{value:.0f}"
    return f"{value:.2f}" if round(value, 2) < 1 else f"{min(value, 99.9):.1f}"


def probability(value: float) -> str:
    """A probability of 0 to 1 in per cent; never 100 or 0 by rounding."""
    if 0.9995 <= value < 1:
        return f">{SPACE}99.9{SPACE}%"
    if 0 < value < 0.0005:
        return f"<{SPACE}0.1{SPACE}%"
    return f"{100 * value:.1f}{SPACE}%"


def count(value: float) -> str:
    return f"{value:,.0f}"


def duration(seconds: float) -> str:
    """The two largest units: 48 s, 6 min 41 s, 3 h 12 min, 2 d 5 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f}{SPACE}s" if seconds < 10 else f"{whole}{SPACE}s"
    for size, unit, part, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{SPACE}{unit}" + (f" {rest}{SPACE}{small}" if rest else "")
    raise AssertionError(seconds)


def date(iso: str) -> str:
    """ "2026-11-20T18:04:05" as "20 November 2026, 18:04"."""
    time = datetime.fromisoformat(iso)
    return f"{time.day}{SPACE}{time:%B %Y, %H:%M}"


def protocol(name: str) -> str:
    """ "1crop" as "1 crop", "144crop" as "144 crops"; other names as they are."""
    crops = re.fullmatch(r"(\d+)crops?", name)
    return plural(int(crops[1]), "crop") if crops else name


def plural(value: int, noun: str, many: str | None = None) -> str:
    return f"{count(value)}{SPACE}{noun if value == 1 else many or noun + 's'}"


def pixels(size: list[int]) -> str:
    """[width, height] as 64 × 48."""
    return f"{size[0]}{SPACE}×{SPACE}{size[1]}"
