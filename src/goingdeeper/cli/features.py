"""`deeper features`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from goingdeeper.cli import show_json
from goingdeeper.errors import DataError

if TYPE_CHECKING:
    from goingdeeper.prediction.features import Vectors


@click.command("features", short_help="Write what a trained run knows of images as vectors.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="A .parquet (an extra), .npz or .csv."
)
@click.option("--layer", metavar="ADDRESS", help="Of the value; what the classifier is given otherwise.")
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Images at a time.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def features_command(
    run: Path, images: tuple[str, ...], out: Path, layer: str | None, batch: int, device: str, as_json: bool
) -> None:
    """Write one vector for each of IMAGES: the value before the classifier of a trained RUN.

    With path and class, where that is known. IMAGES are what `deeper predict` takes. A map, of another
    --layer, is flattened. Images that cannot be read are listed on stderr, the rest is done, and the exit
    status is 3.
    """
    from goingdeeper.cli.watch import Watch
    from goingdeeper.opened import load_trained
    from goingdeeper.prediction.features import known_labels, vectors
    from goingdeeper.prediction.predictor import Failure, expand
    from goingdeeper.prediction.tables import check_table, write_table
    from goingdeeper.training.plan import choose_device

    check_table(out)
    place = choose_device(device).value
    model = load_trained(run).model
    paths, failed = expand(images), []
    watch = Watch()

    def found() -> Iterator[Vectors]:
        for part in vectors(
            model, paths, layer=layer, batch=batch, device=place, labels=known_labels(images),
            progress=lambda done: watch.reading(done, len(paths)),
        ):  # fmt: skip
            if isinstance(part, Failure):
                failed.append(part)
            else:
                yield part

    try:
        count, length = write_table(out, found())
    except DataError:
        if len(failed) == 1 == len(paths):
            raise DataError(failed[0].problem) from None
        raise
    finally:
        watch.close()
        for failure in failed if len(paths) > 1 else ():
            click.echo(f"left out: {failure.problem}", err=True)
    if as_json:
        listed = [{"path": failure.path, "problem": failure.problem} for failure in failed]
        show_json({"file": str(out), "images": count, "length": length, "failed": listed})
    else:
        click.echo(f"{count:,} vectors of {length:,} numbers -> {out}")
    if failed:
        raise DataError(f"{len(failed)} of {len(paths)} images could not be read")
