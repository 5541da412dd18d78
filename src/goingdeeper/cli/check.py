"""`deeper check`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from goingdeeper.cli import show_json
from goingdeeper.errors import DataError, UsageError, shown

if TYPE_CHECKING:
    from goingdeeper.checks.health import Health

LINES = 5
"""So many problems of a kind are printed."""


@click.command("check", short_help="Say what is wrong with a collection of images, before training.")
@click.argument("images")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for check.html and exclude.txt, for --exclude.",
)
@click.option("--with", "run", metavar="RUN", help="Also find labels that this trained run doubts.")
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with status 3 where something is to be excluded or looked at, or a label is in doubt.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check_command(images: str, out: Path | None, run: str | None, strict: bool, as_json: bool) -> None:
    """Read all of IMAGES, as `deeper train` takes them and test/ besides, and say what is wrong.

    Unreadable files, wrong suffixes, sizes that stand out, images of one colour, copies and near copies,
    also across splits and classes, classes that are rare or missing; and the numbers. Nothing is changed.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; give a folder")
    from goingdeeper import api
    from goingdeeper.cli.watch import Watch

    watch = Watch()
    try:
        health = api.check(images, out=out, run=run, progress=watch.reading)
    finally:
        watch.close()
    if as_json:
        files = {"page": str(out / "check.html"), "exclude": str(out / "exclude.txt")} if out else {}
        show_json({**health.document(), **files})
    else:
        _print(health)
        _next(health, images, out, run)
    if strict and health.doubtful:
        told = ", ".join(f"{count:,} {what}" for what, count in health.doubtful.items())
        raise DataError(f"{images}: {told}, and --strict was given")


def _print(health: Health) -> None:
    from goingdeeper.checks.findings import KINDS
    from goingdeeper.cli.watch import duration

    sizes = sorted(health.classes.values())
    splits = " · ".join(f"{sum(held.values()):,} {name}" for name, held in health.splits.items())
    each = f"{sizes[0]:,} each" if sizes[0] == sizes[-1] else f"{sizes[0]:,} to {sizes[-1]:,}"
    click.echo(
        f"{health.images:,} image{'' if health.images == 1 else 's'}, {len(health.classes)} "
        f"class{'' if len(health.classes) == 1 else 'es'} of {each}"
        + (f" · {splits}" if len(health.splits) > 1 else "")
    )
    if health.sizes:
        small, middle, large = ("x".join(map(str, size)) for size in health.sizes.values())
        span = f"all {middle}" if small == large else f"{small} to {large}, median {middle}"
        kinds = " · ".join(
            ", ".join(f"{name} {count:,}" for name, count in counts.items())
            for counts in (health.formats, health.modes)
            if counts
        )
        click.echo(f"{span} pixels{f' · {kinds}' if kinds else ''}")
    turned = sum(count for value, count in health.orientations.items() if value != "1")
    if turned:
        click.echo(f"{turned:,} turned by their EXIF orientation, which every verb applies")
    short = health.decode_seconds < 10
    seconds = f"{health.decode_seconds:.1f} s" if short else duration(health.decode_seconds)
    cores = f"{health.processors} processor{'' if health.processors == 1 else 's'}"
    click.echo(f"decoding takes about {seconds} an epoch on {cores}")
    if health.passed_over:
        others = len(health.passed_over)
        click.echo(f"{others:,} other file{'' if others == 1 else 's'} in the folder, left out")
    for kind, title in KINDS.items():
        found = [one for one in health.findings if one.kind == kind]
        if found:
            click.echo(f"{title}: {len(found):,}")
        for one in found[:LINES]:
            path, problem = shown(one.path), shown(one.problem)
            named = kind in ("unreadable", "source") and path in problem
            click.echo(f"  {'' if named else f'{path}: '}{problem} · {one.action}")
        if len(found) > LINES:
            click.echo(f"  and {len(found) - LINES:,} more")
    if not health.findings:
        click.echo("no problems")
    if health.suspects is not None:
        click.echo(f"labels that the run doubts: {len(health.suspects):,}")
        for suspect in health.suspects[:LINES]:
            click.echo(
                f"  {shown(suspect.path)}: {shown(suspect.label)} {100 * suspect.probability:.1f} %, "
                f"{shown(suspect.predicted)} {100 * suspect.probability_predicted:.1f} %"
            )
        if len(health.suspects) > LINES:
            click.echo(f"  and {len(health.suspects) - LINES:,} more")
        if health.learned:
            click.echo(
                f"the run was trained on {health.learned:,} of these images, and has learned their labels, "
                "wrong ones too; one that held them out (deeper train --fold 1/5) finds more"
            )
        if health.unknown:
            names = ", ".join(shown(name) for name in [*health.unknown][:8])
            count = sum(health.unknown.values())
            click.echo(
                f"not asked about {count:,} image{'' if count == 1 else 's'} of classes that the run does "
                f"not know: {names}{', ...' if len(health.unknown) > 8 else ''}"
            )


def _next(health: Health, images: str, out: Path | None, run: str | None) -> None:
    if out is None:
        if health.findings or health.suspects:
            words = shlex.quote(images) + (f" --with {shlex.quote(run)}" if run else "")
            click.echo(f"next:  deeper check {words} --out FOLDER   pictures, and a list to exclude")
        return
    click.echo(str(out / "check.html"))
    excluded = len(health.excluded)
    if excluded:
        words = f"deeper train {shlex.quote(images)} --exclude {shlex.quote(str(out / 'exclude.txt'))}"
        click.echo(f"next:  {words}   leaves out {excluded:,} image{'' if excluded == 1 else 's'}")
