"""`deeper evaluate`, `deeper predict` and `deeper runs`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

from goingdeeper.cli import show_json
from goingdeeper.errors import DataError, GoingDeeperError, shown


@click.command("evaluate", short_help="Score a trained run on labelled images.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", required=False)
@click.option("--protocol", default="1crop", show_default=True, help="Which views of an image are scored.")
@click.option(
    "--split", type=click.Choice(["val", "test"]), default="val", show_default=True, help="Held out for what."
)
@click.option("--batch", type=click.IntRange(1), default=128, show_default=True, help="Images at a time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def evaluate_command(
    run: Path, images: str | None, protocol: str, split: Literal["val", "test"], batch: int, as_json: bool
) -> None:
    """Score RUN on IMAGES, a folder of class folders; without IMAGES, on those that it held out.

    Classes are matched by name. Errors are per cent, with a 95 % Wilson interval.
    """
    from goingdeeper import api
    from goingdeeper.cli.watch import Watch

    trained = api.load(run)
    watch = Watch()
    try:
        score, problems = api.score(
            trained, images, protocol=protocol, split=split, batch=batch, progress=watch.reading
        )
    finally:
        watch.close()
    for problem in problems:
        place = shown(problem.path)
        place = "" if place in problem.problem else f"{place}: "
        click.echo(f"{problem.action}: {place}{problem.problem}", err=True)
    missing = [name for name in trained.model.classes if name not in score.per_class]
    if missing:
        click.echo(f"no image of: {', '.join(missing[:12])}{', ...' if len(missing) > 12 else ''}", err=True)
    if images is not None and split == "val" and trained.trained_on(images):
        click.echo(
            "these images include those the run was trained on; without IMAGES only the others are scored",
            err=True,
        )
    if as_json:
        show_json({**asdict(score), "failed": [asdict(problem) for problem in problems]})
        return
    low, high = score.interval_95
    top5 = f" · top-5 error {score.top5_error:.2f} %" if score.top5_error is not None else ""
    click.echo(
        f"top-1 error {score.top1_error:.2f} % (95 %: {low:.1f} to {high:.1f}, n = {score.images}, "
        f"{score.crops} crop){top5} · cross-entropy {score.cross_entropy:.4f}"
    )
    wrong = {name: found for name, found in score.per_class.items() if found.wrong}
    for name, found in sorted(wrong.items(), key=lambda pair: -pair[1].error)[:10]:
        low, high = found.interval_95
        click.echo(
            f"  {name}: {found.wrong} of {found.images} wrong, {found.error:.1f} % ({low:.1f} to {high:.1f})"
        )
    if len(wrong) > 10:
        click.echo(f"  and {len(wrong) - 10} more classes with errors; --json lists all")


@click.command("predict", short_help="Classify images with a trained run.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Classes an image.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def predict_command(run: Path, images: tuple[str, ...], top: int, as_json: bool) -> None:
    """Name the likeliest classes of IMAGES, files or folders, with a trained RUN.

    Images that cannot be read are listed on stderr, the rest is done, and the exit status is 3.
    """
    from goingdeeper import api
    from goingdeeper.cli.watch import Watch
    from goingdeeper.nn.heap import kept_heap
    from goingdeeper.prediction.predictor import Failure, expand, predict

    model = api.load(run).model
    paths = expand(images)
    wide = max(len(path) for path in paths)
    answers, failed = [], []
    watch = Watch()
    try:
        with kept_heap():
            for answer in predict(model, paths, top=top):
                if isinstance(answer, Failure):
                    failed.append(answer)
                    continue
                answers.append(answer)
                if as_json:
                    watch.reading(len(answers) + len(failed), len(paths))
                else:
                    likely = "   ".join(f"{name}: {100 * p:.1f} %" for name, p in answer.top)
                    click.echo(f"{shown(answer.path):<{min(wide, 60)}}  {likely}")
    finally:
        watch.close()
    if as_json:
        show_json({
            "predictions": [
                {"path": answer.path, "top": [{"class": name, "probability": p} for name, p in answer.top]}
                for answer in answers
            ],
            "failed": [asdict(failure) for failure in failed],
        })  # fmt: skip
    if failed and len(paths) == 1:
        raise DataError(failed[0].problem)
    if failed:
        for failure in failed:
            click.echo(f"left out: {failure.problem}", err=True)
        raise DataError(f"{len(failed)} of {len(paths)} images could not be read")


@click.command("runs", short_help="List what has been trained, with scores.")
@click.argument("folder", default="runs")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def runs_command(folder: str, as_json: bool) -> None:
    """List the run folders in FOLDER, newest first."""
    from goingdeeper.runs.listing import list_runs, status

    rows = []
    for found in list_runs(folder):
        try:
            run = found.run()
            result = run.get("result") or {}
            rows.append({
                "run": str(found.path),
                "network": run["network"],
                "recipe": run["recipe"]["name"],
                "data": run["data"]["name"],
                "status": status(found, run),
                "val_error": result.get("top1_error"),
                "interval_95": result.get("interval_95"),
            })  # fmt: skip
        except GoingDeeperError as problem:
            click.echo(f"left out: {problem}", err=True)
        except KeyError as problem:
            click.echo(f"left out: {found.path}: its run.json lacks {problem}", err=True)
    if as_json:
        show_json({"runs": rows})
        return
    if not rows:
        click.echo(f"{folder} holds no runs; `deeper train` makes one in runs/", err=True)
    parts = ("network", "recipe", "data")
    wide = {part: max((len(row[part]) for row in rows), default=0) for part in parts}
    for row in rows:
        error = f"{row['val_error']:.2f} %" if row["val_error"] is not None else row["status"]
        names = "  ".join(row[part].ljust(wide[part]) for part in wide)
        click.echo(f"{error:>11}  {names}  {row['run']}")
