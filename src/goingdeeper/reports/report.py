"""The report: a run folder as one HTML file that opens offline and holds no scripts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from goingdeeper.costs.counts import cost
from goingdeeper.drawings.draw import draw
from goingdeeper.files import write_whole
from goingdeeper.notation import from_data
from goingdeeper.prediction.overlay import scale
from goingdeeper.reports import plots, scores, words
from goingdeeper.reports.gradients import gradients
from goingdeeper.reports.pictures import Shown, thumbnail
from goingdeeper.runs.folder import RunFolder
from goingdeeper.stages import last_map
from goingdeeper.tables.grid import rounded
from goingdeeper.tables.table import table

PICTURES = 24
MATRIX_CLASSES = 20
"""Up to so many classes a confusion matrix can be read; beyond, only the most confused pairs are listed."""
PAIRS = 20
PROBLEMS = 200


@dataclass(frozen=True)
class Bar:
    """A class's images; the shares are of the largest class, in per cent."""

    name: str
    train: int
    val: int
    test: int
    train_share: float
    val_share: float
    test_share: float


def write_report(
    folder: RunFolder,
    picture: Callable[[str], bytes | None],
    heat: Callable[[str, str], bytes | None] = lambda path, name: None,
) -> Path:
    """Renders the run folder, finished or not, to its report.html and returns that path.

    picture: the PNG or JPEG bytes of a small version of a validation image, by its path as in
    predictions.csv; None where the image is gone. heat: the same of what speaks in it for a class, by path
    and class, asked for right after the picture; None where that cannot be computed.
    """
    # File names that are not Unicode arrive as lone surrogates, which UTF-8 cannot hold.
    write_whole(folder.report, _render(folder, picture, heat).encode("utf-8", "backslashreplace"))
    return folder.report


def _render(
    folder: RunFolder, picture: Callable[[str], bytes | None], heat: Callable[[str, str], bytes | None]
) -> str:
    run, metrics, predictions = folder.run(), folder.metrics(), scores.read(folder.predictions())
    classes: list[str] = run["classes"]
    network = from_data(run["description"])
    best = best_epoch(run["result"], metrics)
    mistakes = scores.worst(predictions, PICTURES)
    shown = [
        Shown(p, thumbnail(picture(p.path)), thumbnail(heat(p.path, p.predicted)))
        for p in mistakes or scores.least_certain(predictions, PICTURES)
    ]
    by_depth = gradients(folder.gradients(), network, best)
    drawn = plots.curves(metrics, best) + by_depth if metrics else []
    return _template().render(
        run=run,
        data=run["data"],
        result=run["result"],
        folder=folder.path.resolve().name,
        classes=classes,
        metrics=metrics,
        best=best,
        best_row=next((row for row in metrics if row["epoch"] == best), None),
        diverged=diverged(metrics),
        bars=bars(run["data"]["per_class"], classes),
        problems_shown=PROBLEMS,
        curves=[(plot, plots.draw(plot)) for plot in drawn],
        gradients=bool(by_depth),
        wrong=sum(p.wrong for p in predictions),
        matrix=scores.matrix(predictions, classes) if len(classes) <= MATRIX_CLASSES else None,
        confused=scores.confused(predictions),
        confused_shown=PAIRS,
        class_errors=scores.class_errors(predictions, classes),
        mistakes=bool(mistakes),
        pictures=shown,
        heated=any(one.heat for one in shown),
        explained=last_map(network),
        colours=scale(),
        network=network,
        cost=cost(network),
        table=Markup(table(network, style="html")),
        drawing=Markup(draw(network)),
    )


def best_epoch(result: Mapping[str, Any] | None, metrics: Sequence[Mapping[str, float]]) -> int | None:
    """The epoch that was chosen; of an unfinished run, the first of those with the lowest error so far."""
    if result:
        return int(result["best_epoch"])
    rows = [row for row in metrics if math.isfinite(row.get("val_error", math.nan))]
    return int(min(rows, key=lambda row: row["val_error"])["epoch"]) if rows else None


def diverged(metrics: Sequence[Mapping[str, float]]) -> int | None:
    """The first epoch whose training loss is not a finite number."""
    lost = (row for row in metrics if not math.isfinite(row.get("train_loss", 0.0)))
    return next((int(row["epoch"]) for row in lost), None)


def bars(per_class: Mapping[str, Mapping[str, int]], classes: Sequence[str]) -> list[Bar]:
    counts = [(name, per_class.get(name, {})) for name in classes]
    sizes = [(name, [split.get(side, 0) for side in ("train", "val", "test")]) for name, split in counts]
    largest = max((sum(size) for _, size in sizes), default=0) or 1
    return [Bar(name, *size, *(100 * part / largest for part in size)) for name, size in sizes]


def axis_end(value: float) -> float:
    """The round number (one even digit, or a power of ten; at most 100) at which an axis of errors ends."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(min(100.0, next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)))


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (words.percent, words.number, words.probability, words.count, rounded,
                    words.duration, words.date, words.protocol, words.plural, words.pixels,
                    plots.tick, axis_end):  # fmt: skip
        environment.filters[filter_.__name__] = filter_
    return environment.get_template("report.html.jinja")
