"""`deeper train` and `deeper demo`."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goingdeeper.cli import SEED, show_json
from goingdeeper.errors import UsageError

if TYPE_CHECKING:
    from goingdeeper.runs.folder import RunFolder
    from goingdeeper.training.plan import Wishes

DEMO_EPOCHS = 12
MOST_RUNS = 100


def _settings(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """`key=value`, several times."""
    pairs = []
    for text in values:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (key and equals and value):
            raise UsageError(f"--set {text}: not of the form key=value, such as --set rate=0.05")
        pairs.append((key, value))
    return tuple(pairs)


class Several(click.ParamType[Any]):
    """`a,b` of any words, or `0,2,5-7` of seeds."""

    def __init__(self, numbers: bool) -> None:
        self.name = "integer" if numbers else "text"
        self.numbers = numbers

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):  # a default
            return value
        found: list[Any] = []
        for part in (part.strip() for part in str(value).split(",")):
            first, dash, last = part.partition("-")
            if not self.numbers and part:
                found.append(part)
            elif first.isdecimal() and (last.isdecimal() if dash else True):
                found += range(int(first), int(last or first) + 1)[: MOST_RUNS + 1]
            else:
                found = []
                break
        if len(found) > MOST_RUNS:
            self.fail(f"'{value}': {MOST_RUNS} runs at most")
        if not found:
            self.fail(f"'{value}': give one, or several as in {'0,2 or 0-4' if self.numbers else 'a,b'}")
        return tuple(found)


@click.command("train", short_help="Train a classifier on a folder of images.")
@click.argument("images")
@click.option(
    "--model",
    "models",
    type=Several(numbers=False),
    default=(None,),
    metavar="ID[,ID...]",
    help="Network, as `deeper list` names it, or a file NAME.json; several are trained side by side.",
)
@click.option(
    "--recipe", default="", metavar="NAME", help="How to train: scratch, or finetune with --weights."
)
@click.option("--epochs", type=click.IntRange(1), help="Times each image is seen.")
@click.option("--batch", type=click.IntRange(1), help="Images a step, of all devices together.")
@click.option("--lr", metavar="RATE", help="Learning rate.")
@click.option("--size", type=click.IntRange(1), metavar="PIXELS", help="Side of the network's input.")
@click.option(
    "--seed",
    "seeds",
    type=Several(numbers=True),
    default="0",
    show_default=True,
    metavar="N[,N...]",
    help="Of every draw; several, as 0-4, are trained side by side.",
)
@click.option(
    "--jobs", type=click.IntRange(1), help="Of several runs, how many at a time; as many as processors."
)
@click.option("--init-seed", type=SEED, help="Of the initial weights alone.")
@click.option("--split-seed", type=SEED, default=0, show_default=True, help="Of the images held out.")
@click.option("--split", metavar="RUN", help="Hold out the images that this run held out.")
@click.option("--fold", metavar="K/N", help="Hold out part K of N: cross-validation.")
@click.option("--test-share", type=float, default=0.0, help="Share of the images kept for a test set.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--devices", type=click.IntRange(1), default=1, show_default=True, help="Processes to share a batch."
)
@click.option("--time", metavar="TIME", help="A budget such as 10m or 1h30m, instead of --epochs.")
@click.option("--from", "from_run", metavar="RUN", help="Go on from the weights of this run.")
@click.option(
    "--weights",
    metavar="SOURCE",
    help="Trained weights to fit to IMAGES: a run, or what `deeper import` takes.",
)
@click.option("--teacher", metavar="RUN", help="A run to learn from, where the recipe does.")
@click.option(
    "--group/--no-group",
    default=None,
    help="Keep images that are nearly the same on one side; off by default.",
)
@click.option("--exclude", metavar="LIST", help="Images to leave out, as `deeper check --out` lists them.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Run folder; otherwise a new one in runs/."
)
@click.option(
    "--set",
    "settings",
    callback=_settings,
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting of the recipe.",
)
@click.option("--tensorboard", is_flag=True, help="Write curves for TensorBoard, too; an extra.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def train_command(
    images: str,
    models: tuple[str | None, ...],
    seeds: tuple[int, ...],
    jobs: int | None,
    lr: str | None,
    out: Path | None,
    settings: tuple[tuple[str, str], ...],
    as_json: bool,
    **wishes: Any,
) -> None:
    """Train a classifier on IMAGES: a folder with one folder of images a class, `digits` or `shapes`.

    Lists, tar shards, HDF5, Parquet, CIFAR's batches and prepared stores are read, too. A split into
    train and val is kept; otherwise a fifth is held out. What you leave out is
    chosen from the images and the machine, and printed with the reason. Ctrl-C saves, and the same
    command goes on. The run folder holds the model, the metrics and report.html.
    """
    from goingdeeper.training.plan import Wishes

    if lr is not None and any(key in ("rate", "lr", "optimiser.rate") for key, _ in settings):
        raise UsageError("--lr and --set rate: give one of them")
    if lr is not None:
        settings = (*settings, ("rate", lr))
    own = Wishes(images, models[0], seed=seeds[0], settings=settings, **wishes)
    if len(models) * len(seeds) == 1:
        _train(own, out, as_json)
    else:
        _train_several(own, models, seeds, jobs, out, as_json)


@click.command("demo", short_help="Train on the embedded digits and write a report.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of every draw.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def demo_command(seed: int, as_json: bool) -> None:
    """Train a residual network on scikit-learn's 1,797 handwritten digits, score it and write a report.

    Takes a few minutes on two cores; no network is used.
    """
    from goingdeeper.training.plan import Wishes

    _train(Wishes("digits", epochs=DEMO_EPOCHS, seed=seed), None, as_json)


def _train(wishes: Wishes, out: Path | None, as_json: bool) -> None:
    if out is not None and out.is_file():
        raise UsageError(f"--out {out} is a file; give a folder that is not there yet")
    from goingdeeper import api
    from goingdeeper.cli.watch import Watch, duration
    from goingdeeper.training.events import Events
    from goingdeeper.training.train import train

    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts, one speaks
    watch = Watch() if first else Events()
    try:
        folder = train(wishes, out, watch)
    finally:
        watch.close()
    if not first:
        return
    report = api.report(folder.path)
    run = folder.run()
    result = run["result"]
    low, high = result["interval_95"]
    _doubt(run)
    if as_json:
        show_json(_facts(folder, report))
        return
    click.echo(
        f"val error {result['top1_error']:.2f} % (95 %: {low:.1f} to {high:.1f}, n = {result['images']}, "
        f"1 crop), epoch {result['best_epoch']} of {result['epochs']}, in {duration(result['seconds'])}"
    )
    click.echo(str(report))
    path = shlex.quote(str(folder.path))
    click.echo(f"next:  deeper predict {path} IMAGE")
    click.echo(f"       deeper evaluate {path} FOLDER")


def _doubt(run: dict[str, Any], name: str = "") -> None:
    """Says so where a run has not clearly learnt anything."""
    result = run["result"]
    classifies = run["recipe"]["loss"]["kind"] != "Hint"
    if classifies and result["interval_95"][1] >= result["guessing_error"]:
        click.echo(
            f"{name}{': ' if name else ''}not clearly better than always naming the most frequent class "
            f"({result['guessing_error']:.1f} %); train longer (--epochs) or at another --set rate=...",
            err=True,
        )


def _facts(folder: RunFolder, report: Path) -> dict[str, Any]:
    result = folder.run()["result"]
    return {
        "run": str(folder.path),
        "epochs": result["epochs"],
        "best": {
            "val_error": result["top1_error"],
            "interval_95": result["interval_95"],
            "images": result["images"],
            "epoch": result["best_epoch"],
        },
        "seconds": result["seconds"],
        "report": str(report),
    }


def _train_several(
    wishes: Wishes,
    models: tuple[str | None, ...],
    seeds: tuple[int, ...],
    jobs: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    from goingdeeper import api
    from goingdeeper.cli.watch import Board, Watch
    from goingdeeper.training.several import raise_problems, siblings, spread, train_siblings

    runs = siblings(wishes, models, seeds, out)
    board = Board()
    watches = [Watch(board, run.name) for run in runs]
    try:
        train_siblings(runs, watches, jobs)
    finally:
        for watch in watches:
            watch.close()
    done = [(run.name, run.folder, api.report(run.folder.path)) for run in runs if run.folder]
    for name, folder, _ in done:
        _doubt(folder.run(), name)
    table = spread([folder for _, folder, _ in done])
    if as_json:
        facts = [
            {"network": folder.run()["network"], "seed": folder.run()["seed"], **_facts(folder, report)}
            for _, folder, report in done
        ]
        show_json({"runs": facts, "networks": [asdict(row) for row in table]})
    else:
        wide = max((len(name) for name, *_ in done), default=0)
        for name, folder, _ in done:
            result = folder.run()["result"]
            low, high = result["interval_95"]
            click.echo(
                f"{name:<{wide}}  val error {result['top1_error']:6.2f} % (95 %: {low:.1f} to {high:.1f}, "
                f"n = {result['images']})  {folder.path}"
            )
        for row in table:
            if row.std is not None:
                click.echo(
                    f"{row.network}: {row.mean:.2f} \u00b1 {row.std:.2f} % "
                    f"(mean, standard deviation of {row.runs} runs), best {row.best:.2f} %"
                )
    raise_problems(runs)
