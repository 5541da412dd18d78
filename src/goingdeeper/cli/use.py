"""`deeper predict` and `deeper runs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from goingdeeper.cli import show_json
from goingdeeper.errors import DataError, GoingDeeperError, UsageError, shown

if TYPE_CHECKING:
    from goingdeeper.prediction.explain import Method
    from goingdeeper.prediction.predictor import Answer, Failure, Held

    Drawn: TypeAlias = tuple[Answer | Failure, dict[str, object] | None]
    """An answer, and what JSON says of its picture."""


@click.command("predict", short_help="Classify images with a trained run.")
@click.argument("run")
@click.argument("images", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Classes an image.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    metavar="PROBABILITY",
    help="Answer 'none of these' below it; `deeper evaluate RUN --none-of-these 5` chooses one.",
)
@click.option(
    "--explain",
    "method",
    type=click.Choice(["cam", "occlusion"]),
    help="Also draw what speaks for the likeliest class, by Grad-CAM or, slower, by occlusion.",
)
@click.option("--explain-class", metavar="NAME", help="Draw what speaks for this class instead.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where --explain draws; ./explained otherwise.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def predict_command(
    run: str,
    images: tuple[str, ...],
    top: int,
    threshold: float | None,
    method: Method | None,
    explain_class: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Name the likeliest classes of IMAGES with a trained RUN, a model, or what `deeper export` wrote: a
    folder, or hf:owner/name. An export answers without loading torch, and so does a run for which `deeper
    bench` recommends one.

    Files and folders of images, and all that `deeper train` takes: stores, lists, tar shards, HDF5, Parquet,
    CIFAR's batches, with the images of every split. Labels there are not looked at.
    Images that cannot be read are listed on stderr, the rest is done, and the exit status is 3.

    --explain takes the weights of RUN itself, in torch, whatever `deeper bench` recommends, and no export.
    """
    if method is None and (explain_class is not None or out is not None):
        option = "--out" if explain_class is None else "--explain-class"
        raise UsageError(f"{option} is for --explain cam or --explain occlusion")
    from goingdeeper.nn.heap import kept_heap
    from goingdeeper.prediction.predictor import Failure, expand

    if method is None:
        paths = expand(images)
        found, who = _answers(run, paths, top, threshold)
    else:
        out = out or Path("explained")
        paths = _without_pictures(images, out.resolve())
        found = _explained(run, paths, top, threshold, method, explain_class, out)
        who = ITSELF
    wide = max(len(path if isinstance(path, str) else path.path) for path in paths)
    answers, failed = [], []
    watch = None
    if as_json:
        from goingdeeper.cli.watch import Watch  # takes longer to import than an export to answer

        watch = Watch()
    try:
        with kept_heap():
            for answer, drawn in found:
                if isinstance(answer, Failure):
                    failed.append(answer)
                    continue
                answers.append((answer, drawn))
                if watch:
                    watch.reading(len(answers) + len(failed), len(paths))
                    continue
                likely = "   ".join(f"{name}: {100 * p:.1f} %" for name, p in answer.top)
                likely = likely if answer.accepted else f"none of these   ({likely})"
                picture = f"   -> {shown(str(drawn['picture']))}" if drawn else ""
                click.echo(f"{shown(answer.path):<{min(wide, 60)}}  {likely}{picture}")
    finally:
        if watch:
            watch.close()
    if as_json:
        show_json({
            "predictions": [
                {
                    "path": answer.path,
                    "top": [{"class": name, "probability": p} for name, p in answer.top],
                    **({} if threshold is None else {"none_of_these": not answer.accepted}),
                    **({"explanation": drawn} if drawn else {}),
                }
                for answer, drawn in answers
            ],
            "failed": [asdict(failure) for failure in failed],
            **who,
        })  # fmt: skip
    if failed and len(paths) == 1:
        raise DataError(failed[0].problem)
    if failed:
        for failure in failed:
            click.echo(f"left out: {failure.problem}", err=True)
        raise DataError(f"{len(failed)} of {len(paths)} images could not be read")


ITSELF: dict[str, str | None] = {"answered_by": None, "runtime": "eager", "precision": "float32"}
"""What JSON says where a run's own weights answer."""


def _answers(
    run: str, paths: list[str | Held], top: int, threshold: float | None
) -> tuple[Iterator[Drawn], dict[str, str | None]]:
    """The answers, and what JSON says of who gives them."""
    from goingdeeper.opened import load
    from goingdeeper.prediction.predictor import BATCH, predict

    model = load(run, goal="latency" if len(paths) < BATCH else "throughput")
    if model.note:
        click.echo(model.note, err=True)
    if model.answered_by:
        click.echo(f"answered by {model.answered_by}, as `deeper bench` recommended", err=True)
    told = {key: model.opened.config.get(key, usual) for key, usual in ITSELF.items()}
    found = predict(model.opened, paths, top=top, threshold=threshold or 0.0)
    return ((answer, None) for answer in found), told | {"answered_by": model.answered_by or None}


def _without_pictures(images: Sequence[str], out: Path) -> list[str | Held]:
    """The images, but for those in `out` of a folder above it: the pictures of an earlier call."""
    from goingdeeper.prediction.predictor import expand

    def inside(path: str | Held) -> bool:
        return isinstance(path, str) and Path(path).resolve().is_relative_to(out)

    return [path for text in images for path in expand([text]) if inside(text) or not inside(path)]


def _explained(
    run: str,
    paths: list[str | Held],
    top: int,
    threshold: float | None,
    method: Method,
    name: str | None,
    out: Path,
) -> Iterator[Drawn]:
    """Each picture is in its place before its answer is told."""
    from goingdeeper.opened import load_trained
    from goingdeeper.prediction.explain import explain
    from goingdeeper.prediction.gallery import Gallery
    from goingdeeper.prediction.predictor import Failure

    gallery = Gallery(out, (path for path in paths if isinstance(path, str)))
    model = load_trained(run).model
    for one in explain(model, paths, method=method, name=name, threshold=threshold or 0.0):
        if isinstance(one, Failure):
            yield one, None
            continue
        file = gallery.add(one.answer.path, method, one.png())
        said = {"method": method, "class": one.name, "probability": one.probability}
        layer = {"layer": one.layer} if one.layer else {}
        yield replace(one.answer, top=one.answer.top[:top]), {**said, **layer, "picture": str(file)}


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
                "seed": run.get("seed"),
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
        click.echo(f"{error:>11}  {names}  seed {row['seed']}  {row['run']}")
