"""`deeper list`, `deeper show` and `deeper draw`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

import click

from goingdeeper.cli import show_json
from goingdeeper.errors import UsageError
from goingdeeper.layers import Network


@click.command("list", short_help="List the networks.")
@click.argument("pattern", default="*")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_command(pattern: str, as_json: bool) -> None:
    """List the networks whose id matches PATTERN, such as 'resnet-*'.

    Multiply-adds are of convolutions and fully connected layers, for one image of the input size.
    """
    from goingdeeper import catalogue
    from goingdeeper.costs.counts import cost
    from goingdeeper.published.networks import figures
    from goingdeeper.published.results import published_error

    found = catalogue.names(pattern)
    if not found:
        raise UsageError(f"no network matches '{pattern}'; `deeper list` shows all of them")
    rows: list[dict[str, Any]] = []
    for name in found:
        network = catalogue.network(name)
        counted = cost(network)
        error = published_error(name)
        rows.append({
            "id": name,
            "paper": figures(name).reference,
            "input": list(network.input),
            "classes": network.classes,
            "params": counted.params,
            "macs": counted.macs,
            "published_error": f"{error.errors}, {error.protocol}".strip(", ") if error else None,
        })  # fmt: skip
    if as_json:
        show_json({"networks": rows})
        return
    wide = max(len(row["id"]) for row in rows)
    papers = max(len(row["paper"]) for row in rows)
    room = _width() - wide - papers - 36
    click.echo(
        f"{'network':<{wide}}  {'paper':<{papers}}  {'input':<7}  {'params':>7} {'macs':>7}  published error"
    )
    for row in rows:
        size = f"{row['input'][2]}x{row['input'][1]}"
        error_text = row["published_error"] or ""
        if len(error_text) > max(room, 12):
            error_text = error_text.partition(",")[0]
        line = (
            f"{row['id']:<{wide}}  {row['paper']:<{papers}}  {size:<7}  "
            f"{_units(row['params']):>7} {_units(row['macs']):>7}  {error_text}"
        )
        click.echo(line.rstrip())


@click.command("show", short_help="Show a network as its paper's table.")
@click.argument("network")
@click.argument("address", required=False)
@click.option(
    "--by",
    type=click.Choice(["stage", "block", "layer"]),
    default="stage",
    show_default=True,
    help="One row a stage, as papers have it, a block, or a layer.",
)
@click.option("--size", type=click.IntRange(1), metavar="PIXELS", help="Input side instead of the published.")
@click.option("--classes", type=click.IntRange(1), help="Class count instead of the published.")
@click.option(
    "--style",
    type=click.Choice(["text", "markdown", "html"]),
    default="text",
    show_default=True,
    help="How the table is written.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show_command(
    network: str,
    address: str | None,
    by: Literal["stage", "block", "layer"],
    size: int | None,
    classes: int | None,
    style: Literal["text", "markdown", "html"],
    as_json: bool,
) -> None:
    """Show NETWORK as its paper's table, or the block at ADDRESS, such as 3a or conv3_1."""
    from goingdeeper.costs.counts import cost
    from goingdeeper.costs.rows import rows
    from goingdeeper.costs.table import table

    described = _described(network, size, classes)
    if not as_json:
        click.echo(table(described, address, by, style, width=_width()))
        return
    counted = cost(described)
    show_json({
        "id": described.name,
        "input": list(described.input),
        "params": counted.params,
        "macs": counted.macs,
        "heads": {name: {"params": head.params, "macs": head.macs} for name, head in counted.heads},
        "params_with_heads": counted.params_with_heads,
        "rows": [row.data() for row in rows(described, address, by)],
    })  # fmt: skip


@click.command("draw", short_help="Draw a network as an SVG picture.")
@click.argument("network")
@click.argument("address", required=False)
@click.option("--size", type=click.IntRange(1), metavar="PIXELS", help="Input side instead of the published.")
@click.option("--classes", type=click.IntRange(1), help="Class count instead of the published.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The file; otherwise stdout.")
def draw_command(
    network: str, address: str | None, size: int | None, classes: int | None, out: Path | None
) -> None:
    """Draw NETWORK, or the block at ADDRESS as the papers draw it, as an SVG picture."""
    from goingdeeper.costs.draw import draw
    from goingdeeper.runs.folder import write_whole

    picture = draw(_described(network, size, classes), address)
    if out is None:
        click.echo(picture)
        return
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent} to write {out.name} into")
    write_whole(out, picture)
    click.echo(str(out))


def _described(name: str, size: int | None, classes: int | None) -> Network:
    from dataclasses import replace

    from goingdeeper import catalogue

    network = catalogue.network(name)
    channels, height, width = network.input
    return replace(
        network,
        input=(channels, size or height, size or width),
        classes=classes if classes is not None else network.classes,
    )


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def _units(count: int) -> str:
    """`25.6M`; 10^3, 10^6, 10^9"""
    value = float(count)
    for unit in ("", "K", "M"):
        if value < 999.5:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.3g}G" if value < 999.5 else f"{value:.0f}G"
