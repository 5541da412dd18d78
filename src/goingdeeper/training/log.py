"""log.jsonl: what happened in a run, one object a line, each written at once."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from goingdeeper.files import room_for
from goingdeeper.training.events import EpochEnd, Events, Pace


class Log(Events):
    """Keeps notes and epochs in a file on their way to whoever watches; steps only pass through."""

    def __init__(self, file: Path, watcher: Events) -> None:
        self.file, self.watcher = file, watcher

    def write(self, event: str, **facts: object) -> None:
        """One line: the time, the event, and what belongs to it; all of it or, on a full disk, nothing."""
        facts = {"time": datetime.now().isoformat(timespec="milliseconds"), "event": event, **facts}
        line = (json.dumps(facts, ensure_ascii=False) + "\n").encode()
        before = self.file.stat().st_size if self.file.exists() else 0
        try:
            with room_for(self.file, len(line)), self.file.open("ab") as stream:
                stream.write(line)
        except BaseException:
            with suppress(OSError):
                os.truncate(self.file, before)
            raise

    def note(self, text: str) -> None:
        self.write("note", text=text)
        self.watcher.note(text)

    def reading(self, done: int, total: int) -> None:
        self.watcher.reading(done, total)

    def step(self, pace: Pace) -> None:
        self.watcher.step(pace)

    def epoch(self, end: EpochEnd) -> None:
        self.write("epoch", **{name: value for name, value in asdict(end).items() if name != "row"})
        self.watcher.epoch(end)

    def close(self) -> None:
        self.watcher.close()
