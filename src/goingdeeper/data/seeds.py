"""Seeds that every generator of random numbers here takes."""

from __future__ import annotations

from goingdeeper.errors import UsageError

MOST = 2**31 - 1


def check_seed(name: str, seed: int) -> None:
    """Raises UsageError for a seed out of range, which has this name."""
    if not 0 <= seed <= MOST:
        raise UsageError(f"{name} {seed}: a whole number from 0 to {MOST} is needed")
