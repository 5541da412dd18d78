"""`deeper prepare`."""

from __future__ import annotations

import shlex
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from goingdeeper.cli import Terminated, show_json
from goingdeeper.errors import DataError, Interrupted, UsageError

if TYPE_CHECKING:
    from goingdeeper.data.store import Made


@click.command("prepare", short_help="Make images small once, in a store that loads faster.")
@click.argument("images")
@click.option("-o", "out", metavar="STORE", type=click.Path(path_type=Path), help="Folder of the store.")
@click.option(
    "--side",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    metavar="PIXELS",
    help="Largest shorter side. 256 is what crops of 224 are taken from; smaller images keep their size.",
)
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    help="Of the JPEGs; 90 unless given: a ninth of the size of the pixels, levels 2.5 of 255 off.",
)
@click.option("--raw", is_flag=True, help="Pixels instead of JPEGs: no further loss, the fastest to load.")
@click.option(
    "--bad-share",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Share of the images that may be unreadable and left out.",
)
@click.option("--exclude", metavar="LIST", help="Images to leave out, as `deeper check --out` lists them.")
@click.option("--verify", is_flag=True, help="Compare every byte of the store IMAGES with its sha256.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def prepare_command(
    ctx: click.Context,
    images: str,
    out: Path | None,
    side: int,
    quality: int | None,
    raw: bool,
    bad_share: float,
    exclude: str | None,
    verify: bool,
    as_json: bool,
) -> None:
    """Write IMAGES, as `deeper train` takes them, into a STORE that loads several times faster.

    Larger images are made smaller, by the way that training has; JPEGs that are small enough keep their
    bytes. Ctrl-C stops, and the same command goes on behind the last finished shard of 100 MB. Every verb
    takes the store in place of IMAGES, and several machines can read it at once.
    """
    from goingdeeper.cli.watch import Watch
    from goingdeeper.data import store
    from goingdeeper.data.exclude import read_exclude_list, without
    from goingdeeper.data.sources import open_source, told
    from goingdeeper.data.sources.index import is_store

    if verify == (out is not None):
        raise UsageError("give -o STORE for the store to write, or --verify and the store to check")
    given = [
        name
        for name in ("side", "quality", "raw", "bad_share", "exclude")
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if verify and given:
        raise UsageError(f"--verify takes the store alone; leave out --{given[0].replace('_', '-')}")
    if raw and quality is not None:
        raise UsageError("--raw keeps no JPEGs; leave out --quality")
    watch = Watch()
    try:
        if out is None:
            if not is_store(Path(images)):
                raise DataError(f"{images} is not a store; `deeper prepare IMAGES -o STORE` makes one")
            _tell(store.verify(Path(images), watch.reading), as_json, "whole: ")
            return
        form = store.Form(side, 0 if raw else quality or 90, raw)
        source = open_source(images, split="all")
        if exclude is not None:
            excluded = read_exclude_list(Path(exclude))
            source = without(source, excluded, exclude)
            click.echo(
                f"{len(excluded):,} image{'' if len(excluded) == 1 else 's'} left out, as {exclude} says",
                err=True,
            )
        made = store.prepare(source, out, form, bad_share=bad_share, progress=watch.reading)
    except (KeyboardInterrupt, Terminated) as stop:
        raise _stopped(isinstance(stop, Terminated), out) from None
    finally:
        watch.close()
    for line in told(made.problems):
        click.echo(line, err=True)
    _tell(made, as_json)
    if not as_json:
        click.echo(f"next:  deeper train {shlex.quote(str(out))}")


def _stopped(terminated: bool, out: Path | None) -> Interrupted:
    """What is saved, and how to go on."""
    saved = "nothing was changed"
    if out:
        finished = len(list(out.glob("shard-*.json")))
        saved = f"{finished:,} finished shard{' is' if finished == 1 else 's are'} kept"
    said, number = ("terminated", signal.SIGTERM) if terminated else ("interrupted", signal.SIGINT)
    return Interrupted(f"{said}; {saved}. Go on with: {shlex.join(['deeper', *sys.argv[1:]])}", number)


def _tell(made: Made, as_json: bool, first: str = "") -> None:
    if as_json:
        show_json({
            "store": str(made.path),
            "images": made.images,
            "classes": made.classes,
            "shards": made.shards,
            "bytes": made.size,
            "failed": [asdict(problem) for problem in made.problems],
        })  # fmt: skip
        return
    click.echo(
        f"{first}{made.path} · {made.images:,} images, {made.classes} classes · "
        f"{made.shards} shard{'' if made.shards == 1 else 's'}, {made.size / 1e6:,.1f} MB"
    )
