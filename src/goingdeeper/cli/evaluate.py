"""`deeper evaluate`."""

from __future__ import annotations

import math
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from goingdeeper.cli import show_json
from goingdeeper.cli.tell import show_problems, show_score, show_threshold
from goingdeeper.errors import UsageError

if TYPE_CHECKING:
    from goingdeeper.evaluation.evaluate import Evaluation


@click.command("evaluate", short_help="Score a run, or several together, as the papers did.")
@click.argument("paths", nargs=-1, metavar="RUN [RUN...] [IMAGES]")
@click.option(
    "--protocol",
    "protocols",
    metavar="NAME[,NAME...]",
    help="The views of an image: 1crop (the default), 10crop, 144crop, dense, ...; several with --table.",
)
@click.option(
    "--split", type=click.Choice(["val", "test"]), default="val", show_default=True, help="Held out for what."
)
@click.option("--table", is_flag=True, help="A row for the first model, the first two, ... by each protocol.")
@click.option(
    "--none-of-these",
    "share",
    type=click.FloatRange(0, 100, max_open=True),
    metavar="PERCENT",
    help="Choose a threshold below which an answer is none: at most so many of the right ones are.",
)
@click.option("--predictions", type=click.Path(path_type=Path), metavar="FILE", help="Write them as CSV.")
@click.option(
    "--show-views",
    type=click.Path(path_type=Path),
    metavar="IMAGE",
    help="Draw its views; score nothing.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where --show-views draws; IMAGE_PROTOCOL.png here.",
)
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Views at a time.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--devices", type=click.IntRange(1), default=1, show_default=True, help="Processes to share the images."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def evaluate_command(
    paths: tuple[str, ...],
    protocols: str | None,
    split: Literal["val", "test"],
    table: bool,
    share: float | None,
    predictions: Path | None,
    show_views: Path | None,
    out: Path | None,
    batch: int,
    device: str,
    devices: int,
    as_json: bool,
) -> None:
    """Score RUN on IMAGES, labelled images; without IMAGES, on those that it held out.

    Of several RUNs the probabilities are averaged. Classes are matched by name. Errors are per cent, with a
    95 % Wilson interval. Interrupted, the same command goes on.
    """
    names = [name.strip() for name in protocols.split(",")] if protocols else ["1crop"]
    if table and not protocols:
        names = ["1crop", "10crop"]
    if len(names) > 1 and not table:
        raise UsageError(f"--protocol {protocols}: one protocol, or several with --table")
    if share is not None and (split == "test" or table):
        why = "of one row" if table else "on validation images"
        raise UsageError(
            f"--none-of-these chooses a threshold, {why}; leave out {'--table' if table else '--split test'}"
        )
    for option, file in (("--predictions", predictions), ("--out", out)):
        if file is not None and not file.parent.is_dir():
            raise UsageError(f"{option} {file}: there is no folder {file.parent}")
    runs, images = _sorted(paths)
    if show_views is not None:
        drawn = str(_draw(show_views, names[0], runs, out))
        show_json({"views": drawn}) if as_json else click.echo(drawn)
        return
    if out is not None:
        raise UsageError("--out is for --show-views; --predictions FILE writes the answers")
    if not runs:
        raise UsageError("no RUN is given; `deeper runs` lists what there is")
    from goingdeeper import api
    from goingdeeper.cli.watch import Watch
    from goingdeeper.evaluation.reject import none_of_these
    from goingdeeper.opened import load_trained

    trained = [load_trained(run) for run in runs]
    watch = Watch()
    try:
        found = [
            api.evaluation(
                trained, images, protocol=name, split=split, batch=batch,
                device=device, devices=devices, progress=watch.scoring,
            )
            for name in names
        ]  # fmt: skip
    finally:
        watch.close()
    _remarks(found[0])
    if images is not None and found[0].side:
        click.echo(f"{found[0].side}, {len(found[0].items):,} images", err=True)
    if images is not None and any(run.trained_on(images, split=split) for run in trained):
        click.echo(
            "these images include those the run was trained on; without IMAGES only the others are scored",
            err=True,
        )
    if predictions is not None:
        _write_predictions(found[-1], predictions)
    chosen = none_of_these(found[0].joined(), found[0].labels, share) if share is not None else None
    if table:
        _table(found, as_json)
    elif as_json:
        failed = [asdict(problem) for problem in found[0].problems]
        rejection = {"none_of_these": asdict(chosen)} if chosen else {}
        show_json({**asdict(found[0].score()), **rejection, "failed": failed})
    else:
        show_score(found[0].score())
        if chosen:
            show_threshold(chosen)
            if len(runs) == 1 and names == ["1crop"]:
                # Rounded up, it would reject the answer that it was taken from.
                least = math.floor(chosen.threshold * 1e6) / 1e6
                click.echo(f"next:  deeper predict {shlex.quote(runs[0])} IMAGE --threshold {least:.6f}")
    for one in found:
        one.forget()


def _sorted(paths: tuple[str, ...]) -> tuple[list[str], str | None]:
    """The runs, and the images, which come last if at all."""
    if (
        len(paths) > 1
        and not paths[-1].startswith("hf:")
        and not any(
            (Path(paths[-1]) / name).is_file() for name in ("run.json", "config.json", "model/config.json")
        )
    ):
        return list(paths[:-1]), paths[-1]
    return list(paths), None


def _remarks(found: Evaluation) -> None:
    show_problems(found.problems)
    present = {item.label for item in found.items}
    missing = [name for name in found.classes if name not in present]
    if missing:
        click.echo(f"no image of: {', '.join(missing[:12])}{', ...' if len(missing) > 12 else ''}", err=True)


def _table(found: list[Evaluation], as_json: bool) -> None:
    from goingdeeper.evaluation.breakdown import breakdown

    rows = breakdown(found)
    if as_json:
        show_json({"rows": [asdict(row) for row in rows]})
        return
    top5 = rows[0].top5_error is not None
    head = ["models", "crops", "cost", "top-1 error (95 %)", *(["top-5"] if top5 else []), "to base (95 %)"]
    lines = [head]
    for row in rows:
        low, high = row.interval_95
        lines.append([
            str(row.models),
            row.protocol if row.crops is None else str(row.crops),
            "" if row.cost is None else f"{row.cost}",
            f"{row.top1_error:.2f} % ({low:.1f} to {high:.1f})",
            *([f"{row.top5_error:.2f} %"] if top5 else []),
            "base"
            if row.difference is None or row.difference_95 is None
            else f"{row.difference:+.2f} ({row.difference_95[0]:+.2f} to {row.difference_95[1]:+.2f})",
        ])  # fmt: skip
    wide = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.rjust(width) for cell, width in zip(line, wide, strict=True)).rstrip())
    click.echo(f"n = {rows[0].images}; errors in per cent, cost in forward passes of one view an image")


def _write_predictions(found: Evaluation, file: Path) -> None:
    import csv
    import io

    from goingdeeper.evaluation.predictions import COLUMNS, prediction_rows
    from goingdeeper.files import write_whole

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(prediction_rows(found.items, found.joined(), found.classes))
    write_whole(file, text.getvalue().encode("utf-8", "surrogateescape"))


def _draw(image: Path, name: str, runs: list[str], out: Path | None) -> Path:
    """Draws the views of an image for the first run's input, or the protocol's own; where to is given."""
    from goingdeeper.data.decode import decode
    from goingdeeper.evaluation.picture import picture
    from goingdeeper.evaluation.protocols import protocol

    chosen = protocol(name)
    size, shorter = chosen.base, None
    if runs:
        from goingdeeper.opened import load_trained

        scale = load_trained(runs[0]).model.preprocessing
        size, shorter = scale.size, scale.shorter
    file = out or Path(f"{image.stem}_{name}.png")
    if file.suffix.lower() != ".png":
        raise UsageError(f"--out {file}: the picture is a PNG; give a name that ends in .png")
    picture(decode(image), chosen, size, shorter).save(file, "PNG")
    return file
