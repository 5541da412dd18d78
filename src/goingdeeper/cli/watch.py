"""Progress on stderr: one live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import textwrap
import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from goingdeeper.training.events import EpochEnd, Events, Pace

PLAIN_SECONDS = 30.0
BAR = 24


class _Stderr(Console):
    def on_broken_pipe(self) -> None:
        """Work goes on when nobody reads its progress any more."""
        self.quiet = True


class Board:
    """Where progress is drawn: a live line of each run below the notes, whichever run they are of."""

    def __init__(self) -> None:
        self.console = _Stderr(stderr=True, highlight=False, soft_wrap=True)
        self.live: Live | None = None
        self.rows: dict[str, Table] = {}
        self.notes: set[str] = set()

    @property
    def moving(self) -> bool:
        """Whether lines can be drawn over: a terminal that is not dumb."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def note(self, text: str) -> None:
        self.clear()
        if self.console.is_terminal:
            # Between words only, so that paths and commands can be copied.
            text = textwrap.fill(
                text, self.console.width, subsequent_indent="    ",
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
        self.console.print(Text(text))

    def draw(self, name: str, row: Table) -> None:
        self.rows[name] = row
        if self.live is None:
            self.live = Live(
                console=self.console, refresh_per_second=8, transient=True, redirect_stdout=False
            )
            self.live.start()
        self.live.update(Group(*self.rows.values()))

    def clear(self) -> None:
        if self.live:
            self.live.stop()
            self.live = None


class Watch(Events):
    """Draws what training tells; `close` it at the end.

    Of several runs each has a watch with its name and the same board; what all of them say is shown once.
    """

    def __init__(self, board: Board | None = None, name: str = "") -> None:
        self.board = board or Board()
        self.name = name
        self.pace: Pace | None = None
        self.end: EpochEnd | None = None
        self.said = time.monotonic()
        self.estimated = False
        self.begun: tuple[float, int] | None = None

    def note(self, text: str) -> None:
        if not self.name:
            self.board.note(text)
        elif text not in self.board.notes:
            self.board.notes.add(text)
            self.board.note(f"{self.name}: {text}")

    def reading(self, done: int, total: int) -> None:
        self._count("reading images", done, total)

    def fetching(self, done: int, total: int) -> None:
        """Bytes of a file from the network."""
        self._count("fetching, MB", round(done / 1e6), max(1, round(total / 1e6)))

    def scoring(self, done: int, total: int) -> None:
        """Images scored, those of all models together."""
        begun, before = self.begun or (time.monotonic(), done)
        self.begun = (begun, before)
        spent, made = time.monotonic() - begun, done - before
        left = f"  {duration(spent / made * (total - done))} left" if made and spent > 5 else ""
        self._count("scoring images", done, total, left)

    def measuring(self, done: int, total: int) -> None:
        """Candidates loaded, and blocks measured."""
        self._count("measuring", done, total)

    def _count(self, what: str, done: int, total: int, left: str = "") -> None:
        facts = f"{done:,} of {total:,}{left}"
        if done == total:
            self.begun = None
            self.board.rows.pop(self.name, None)
            self.board.clear()
        elif self.board.moving:
            self._draw(_row(self._named(what), done, total, facts, self.board.console.width))
        else:
            self._plain(f"{what}: {facts}")

    def step(self, pace: Pace) -> None:
        self.pace = pace
        if pace.seconds_left is not None and not self.estimated:
            self.estimated = True
            epochs = pace.epochs - pace.epoch + 1
            if pace.seconds_left >= 5:
                self.note(
                    f"about {roughly(pace.seconds_left)} for {epochs} epoch{'' if epochs == 1 else 's'}"
                )
        if self.board.moving:
            self._draw(self._line(self.board.console.width))
        else:
            self._plain(self._text())

    def epoch(self, end: EpochEnd) -> None:
        self.end = end

    def close(self) -> None:
        self.board.rows.pop(self.name, None)
        self.board.clear()
        # A run that goes on may end with an evaluation, without a step.
        if self.end and self.pace and not self.board.moving and self.end.epoch == self.end.epochs:
            self._print(self._text())
        self.end = None

    def _named(self, text: str) -> str:
        return f"{self.name}: {text}" if self.name else text

    def _print(self, text: str) -> None:
        self.board.console.print(Text(self._named(text)))

    def _line(self, width: int) -> Table:
        pace = self.pace
        assert pace is not None
        done = (pace.epoch - 1) * pace.steps + pace.step
        label = self._named(f"epoch {pace.epoch:>{len(str(pace.epochs))}}/{pace.epochs}")
        return _row(label, done, pace.epochs * pace.steps, self._facts(width - len(label) - 5), width)

    def _facts(self, width: int) -> str:
        """As many facts as there is room for, the most wanted first, in the usual order.

        The last ones give way to the bar.
        """
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
        for wanted, number in sorted((wanted, number) for number, (wanted, text) in enumerate(facts) if text):
            room = width if wanted < 3 else width - BAR
            if len("  ".join(facts[k][1] for k in [*kept, number])) <= room:
                kept.append(number)
        return "  ".join(facts[number][1] for number in sorted(kept))

    def _text(self) -> str:
        pace = self.pace
        assert pace is not None
        return f"epoch {pace.epoch}/{pace.epochs}  step {pace.step}/{pace.steps}  {self._facts(200)}"

    def _draw(self, row: Table) -> None:
        self.board.draw(self.name, row)

    def _plain(self, text: str) -> None:
        now = time.monotonic()
        if now - self.said >= PLAIN_SECONDS:
            self.said = now
            self._print(text)


def duration(seconds: float) -> str:
    """`45 s`, `3:07`, `1:02:09`"""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"


def roughly(seconds: float) -> str:
    """`45 s`, `3 min`, `1.5 h`"""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _row(label: str, done: int, total: int, facts: str, width: int) -> Table:
    row = Table.grid(padding=(0, 2, 0, 0))
    parts: list[Text | ProgressBar] = [Text(label, no_wrap=True)]
    bar = min(BAR, width - len(label) - len(facts) - 7)  # leaves room for the terminal's own ^C
    if bar >= 4:
        parts.append(ProgressBar(total, done, width=bar))
    row.add_row(*parts, Text(facts, no_wrap=True, overflow="ellipsis"))
    return row
