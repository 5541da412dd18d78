"""Curves for TensorBoard, in `tensorboard/` of the run folder; an extra."""

from __future__ import annotations

from pathlib import Path

from goingdeeper.errors import MissingExtra
from goingdeeper.training.events import EpochEnd, Events, Pace

EVERY = 10
"""So many steps between two points of the training loss."""


def check_tensorboard() -> None:
    """Raises MissingExtra where TensorBoard is not installed."""
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise MissingExtra("TensorBoard is not installed: pip install 'goingdeeper[tensorboard]'") from None


class TensorBoard(Events):
    """Writes each epoch's row and now and then the training loss, on their way to whoever watches."""

    def __init__(self, folder: Path, watcher: Events) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder))
        self.watcher = watcher

    def write(self, event: str, **facts: object) -> None:
        self.watcher.write(event, **facts)

    def note(self, text: str) -> None:
        self.watcher.note(text)

    def reading(self, done: int, total: int) -> None:
        self.watcher.reading(done, total)

    def step(self, pace: Pace) -> None:
        if pace.step % EVERY == 0:
            self.writer.add_scalar("step/train_loss", pace.loss, (pace.epoch - 1) * pace.steps + pace.step)
        self.watcher.step(pace)

    def epoch(self, end: EpochEnd) -> None:
        for name, value in end.row.items():
            if name != "epoch":
                self.writer.add_scalar(f"epoch/{name}", value, end.epoch)
        self.writer.flush()
        self.watcher.epoch(end)

    def close(self) -> None:
        self.writer.close()
        self.watcher.close()
