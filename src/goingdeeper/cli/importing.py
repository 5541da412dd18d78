"""`deeper import`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from goingdeeper.cli import show_json
from goingdeeper.errors import UsageError, shown

if TYPE_CHECKING:
    from goingdeeper.weights.importing import Imported


@click.command("import", short_help="Make a model of weights from elsewhere: a file, a URL, the Hub.")
@click.argument("source", required=False)
@click.option("--network", metavar="ID", help="The network, where the file leaves a choice.")
@click.option("--library", metavar="NAME", help="Whose names the file has: torchvision, timm, keras, ...")
@click.option("--classes", metavar="FILE", help="Class names, one a line or a JSON list.")
@click.option("--background", is_flag=True, help="Class 0 means none of the others; drop it.")
@click.option("--mean", metavar="R,G,B", help="Of the input, from 0 to 1, instead of the library's.")
@click.option("--std", metavar="R,G,B", help="Of the input, from 0 to 1, instead of the library's.")
@click.option(
    "--shorter", type=click.IntRange(1), metavar="PIXELS", help="Shorter side that images get first."
)
@click.option("--size", type=click.IntRange(1), metavar="PIXELS", help="Side of the input.")
@click.option("--sha256", metavar="HEX", help="What the file must have; 8 digits or more.")
@click.option("--licence", metavar="ID", help="Of the weights, such as apache-2.0; written into the model.")
@click.option("--golden", metavar="IMAGE", help="The image that the model proves itself with.")
@click.option("-o", "out", metavar="DIR", help="The model's folder; models/LIBRARY-NETWORK unless given.")
@click.option("--force", is_flag=True, help="Replace a model that is there.")
@click.option("--list", "listed", is_flag=True, help="List the public weights that are known by name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def import_command(
    source: str | None,
    network: str | None,
    library: str | None,
    classes: str | None,
    background: bool,
    mean: str | None,
    std: str | None,
    shorter: int | None,
    size: int | None,
    sha256: str | None,
    licence: str | None,
    golden: str | None,
    out: str | None,
    force: bool,
    listed: bool,
    as_json: bool,
) -> None:
    """Make a model of the weights at SOURCE, recognised by their keys and shapes.

    SOURCE is a file (.safetensors, .pth, .h5, .keras, .caffemodel, ...), a URL, a name that --list shows, or
    hf:owner/name[@revision][/FILE] on the Hugging Face Hub. Nothing in a file is executed, and nothing but
    SOURCE is fetched. Fetched files are kept in the Hub's cache; HF_HUB_OFFLINE=1 fetches none.
    """
    if listed:
        _list(as_json)
        return
    if source is None:
        raise UsageError("give a file, a URL, hf:owner/name, or a name that `deeper import --list` shows")
    from goingdeeper.cli.watch import Watch
    from goingdeeper.weights.importing import imported

    watch = Watch()
    try:
        made = imported(
            source, network=network, library=library, classes=classes, background=background,
            mean=_numbers("--mean", mean), std=_numbers("--std", std), shorter=shorter, size=size,
            sha256=sha256, licence=licence, golden=golden, out=out, force=force, progress=watch.fetching,
        )  # fmt: skip
    finally:
        watch.close()
    if as_json:
        show_json(asdict(made) | {"path": str(made.path)})
    else:
        _tell(made)


def _tell(made: Imported) -> None:
    own = "" if made.library == "goingdeeper" else f"{made.library}'s {made.model}: "
    click.echo(f"{own}{made.network} · {made.classes:,} classes · {shown(made.path)}")
    click.echo(f"sha256 {made.sha256}" + (f" · revision {made.revision}" if made.revision else ""))
    if made.published:
        click.echo(f"published, not measured here: {made.published}")
    if made.licence == "unknown":
        click.echo("licence unknown: nothing says under which terms these weights may be used", err=True)
    else:
        click.echo(f"licence {made.licence}")
    if made.left:
        more = f", ... ({len(made.left)} in all)" if len(made.left) > 6 else ""
        click.echo(f"left over: {', '.join(map(shown, made.left[:6]))}{more}", err=True)
    if made.others:
        click.echo(f"fits as well: {', '.join(made.others)} (--network, --library)", err=True)
    for note in made.notes:
        click.echo(note, err=True)
    folder = shlex.quote(str(made.path))
    click.echo(f"next:  deeper predict {folder} IMAGES   or   deeper evaluate {folder} IMAGES")


def _numbers(option: str, text: str | None) -> tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        first, second, third = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text}: give three numbers such as 0.485,0.456,0.406") from None
    return first, second, third


def _list(as_json: bool) -> None:
    from goingdeeper.weights.known import known_weights

    found = known_weights().values()
    if as_json:
        show_json({"weights": [asdict(one) for one in found]})
        return
    wide = max(len(one.id) for one in found)
    broad = max(len(one.network) for one in found)
    for one in found:
        error = f"{one.top1_error:.2f} %" if one.top1_error is not None else ""
        tried = "" if one.tried else "not tried here"
        facts = "  ".join(filter(None, (one.licence or "licence unknown", tried)))
        click.echo(f"{one.id:<{wide}}  {one.network:<{broad}}  {error:>7}  {facts}")
