"""`deeper train` and `deeper demo`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goingdeeper.cli import show_json
from goingdeeper.errors import UsageError

if TYPE_CHECKING:
    from goingdeeper.training.plan import Wishes

DEMO_EPOCHS = 12
SEED = click.IntRange(0, 2**31 - 1)


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


@click.command("train", short_help="Train a classifier on a folder of images.")
@click.argument("images")
@click.option("--model", metavar="ID", help="Network, as `deeper list` names it.")
@click.option("--recipe", default="scratch", show_default=True, metavar="NAME", help="How to train.")
@click.option("--epochs", type=click.IntRange(1), help="Times each image is seen.")
@click.option("--batch", type=click.IntRange(1), help="Images a step, of all devices together.")
@click.option("--lr", metavar="RATE", help="Learning rate.")
@click.option("--size", type=click.IntRange(1), metavar="PIXELS", help="Side of the network's input.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of every draw.")
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
@click.option("--teacher", metavar="RUN", help="A run to learn from, where the recipe does.")
@click.option(
    "--group/--no-group",
    default=None,
    help="Keep images that are nearly the same on one side; off by default.",
)
@click.option("--exclude", metavar="LIST", help="Images to leave out, as `deeper check --out` lists them.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder; otherwise a new one in runs/.")
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
    lr: str | None,
    out: Path | None,
    settings: tuple[tuple[str, str], ...],
    as_json: bool,
    **wishes: Any,
) -> None:
    """Train a classifier on IMAGES: a folder with one folder of images a class, or `digits`.

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
    _train(Wishes(images, settings=settings, **wishes), out, as_json)


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
    result = folder.run()["result"]
    low, high = result["interval_95"]
    classifies = folder.run()["recipe"]["loss"]["kind"] != "Hint"
    if classifies and high >= result["guessing_error"]:
        click.echo(
            "not clearly better than always naming the most frequent class "
            f"({result['guessing_error']:.1f} %); train longer (--epochs) or at another --set rate=...",
            err=True,
        )
    if as_json:
        show_json({
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
        })  # fmt: skip
        return
    click.echo(
        f"val error {result['top1_error']:.2f} % (95 %: {low:.1f} to {high:.1f}, n = {result['images']}, "
        f"1 crop), epoch {result['best_epoch']} of {result['epochs']}, in {duration(result['seconds'])}"
    )
    click.echo(str(report))
    path = shlex.quote(str(folder.path))
    click.echo(f"next:  deeper predict {path} IMAGE")
    click.echo(f"       deeper evaluate {path} FOLDER")
