"""Progress on stderr: one live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from goingdeeper.training.events import EpochEnd, Events, Pace

PLAIN_SECONDS = 30.0


class Watch(Events):
    """Draws what training tells. Use as `with Watch() as watch`."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.live: Live | None = None
        self.pace: Pace | None = None
        self.end: EpochEnd | None = None
        self.said = time.monotonic()
        self.estimated = False

    @property
    def moving(self) -> bool:
        """Whether lines can be drawn over: a terminal that is not dumb."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def note(self, text: str) -> None:
        self._clear()
        self.console.print(Text(text))

    def reading(self, done: int, total: int) -> None:
        if done == total:
            self._clear()
        elif self.moving:
            self._draw(_row("reading images", done, total, f"{done:,} of {total:,}", self.console.width))
        else:
            self._plain(f"reading images: {done:,} of {total:,}")

    def step(self, pace: Pace) -> None:
        self.pace = pace
        if pace.seconds_left is not None and not self.estimated:
            self.estimated = True
            self.note(f"about {duration(pace.seconds_left)} for {pace.epochs - pace.epoch + 1} epochs")
        if self.moving:
            self._draw(self._line(self.console.width))
        else:
            self._plain(self._text())

    def epoch(self, end: EpochEnd) -> None:
        self.end = end

    def close(self) -> None:
        self._clear()
        if self.end and not self.moving and self.end.epoch == self.end.epochs:
            self.console.print(Text(self._text()))
        self.end = None

    def _line(self, width: int) -> Table:
        pace = self.pace
        assert pace is not None
        done = (pace.epoch - 1) * pace.steps + pace.step
        label = f"epoch {pace.epoch:>2}/{pace.epochs}"
        return _row(label, done, pace.epochs * pace.steps, self._facts(width - 26), width)

    def _facts(self, width: int) -> str:
        """As many facts as there is room for, the most wanted first, in the usual order."""
        pace = self.pace
        assert pace is not None
        left = f"{duration(pace.seconds_left)} left" if pace.seconds_left is not None else ""
        error = f"val error {self.end.val_error:.1f} %" if self.end else ""
        best = f"best {self.end.best:.1f} %" if self.end else ""
        facts = [
            (1, f"loss {pace.loss:.2f}"),
            (0, error),
            (3, best),
            (4, f"{pace.images_per_second:.0f} img/s"),
            (5, f"data wait {pace.data_wait:.0f} %"),
            (2, left),
        ]
        kept: list[int] = []
        for _, number in sorted((wanted, number) for number, (wanted, text) in enumerate(facts) if text):
            if len("  ".join(facts[k][1] for k in [*kept, number])) <= width:
                kept.append(number)
        return "  ".join(facts[number][1] for number in sorted(kept))

    def _text(self) -> str:
        pace = self.pace
        assert pace is not None
        return f"epoch {pace.epoch}/{pace.epochs}  step {pace.step}/{pace.steps}  {self._facts(200)}"

    def _draw(self, row: Table) -> None:
        if self.live is None:
            self.live = Live(
                console=self.console, refresh_per_second=8, transient=True, redirect_stdout=False
            )
            self.live.start()
        self.live.update(row)

    def _clear(self) -> None:
        if self.live:
            self.live.stop()
            self.live = None

    def _plain(self, text: str) -> None:
        now = time.monotonic()
        if now - self.said >= PLAIN_SECONDS:
            self.said = now
            print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """`45 s`, `3:07`, `1:02:09`"""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"


def _row(label: str, done: int, total: int, facts: str, width: int) -> Table:
    row = Table.grid(padding=(0, 2, 0, 0))
    bar = max(0, min(24, width - len(label) - len(facts) - 5))
    parts = [Text(label, no_wrap=True)]
    if bar >= 4:
        row.add_row(
            *parts, ProgressBar(total, done, width=bar), Text(facts, no_wrap=True, overflow="ellipsis")
        )
    else:
        row.add_row(*parts, Text(facts, no_wrap=True, overflow="ellipsis"))
    return row
