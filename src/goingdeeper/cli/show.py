"""`deeper list`, `deeper show` and `deeper draw`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import Any, Literal

import click

from goingdeeper.cli import show_json
from goingdeeper.errors import ShapeError, UsageError
from goingdeeper.layers import Network

FEW = 12
"""When a pattern matches no more networks than this, the list says of each what it is."""


def _ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from goingdeeper import catalogue

    return [name for name in catalogue.names() if name.startswith(incomplete)]


def _tables(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from goingdeeper.published import tables

    return [name for name in tables() if name.startswith(incomplete)]


@click.command("list", short_help="List the networks.")
@click.argument("pattern", default="*")
@click.option(
    "--table",
    metavar="NAME",
    shell_complete=_tables,
    help="As rows of a paper's table of results: resnet-table3, ...",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_command(pattern: str, table: str | None, as_json: bool) -> None:
    """List the networks whose id matches PATTERN, such as 'resnet-*'.

    Multiply-adds are of convolutions and fully connected layers, for one image of the input size. Where 12
    networks or fewer match, a line under each tells it from the others.
    """
    if table is not None:
        _list_results(table, pattern, as_json)
        return
    from goingdeeper import catalogue
    from goingdeeper.costs.counts import cost
    from goingdeeper.published.networks import figures, ids
    from goingdeeper.published.results import published_error
    from goingdeeper.tables.grid import rounded

    found = catalogue.names(pattern.lower())
    if not found:
        part = f"*{pattern.lower()}*"
        hint = f"try '{part}'" if pattern and catalogue.names(part) else "`deeper list` shows all of them"
        raise UsageError(f"no network matches '{pattern}'; {hint}")
    printed = {*ids()}  # a network of one's own has no published figures
    rows: list[dict[str, Any]] = []
    for name in found:
        network = catalogue.network(name)
        counted = cost(network)
        error = published_error(name) if name in printed else None
        rows.append({
            "id": name,
            "paper": figures(name).reference if name in printed else None,
            "input": list(network.input),
            "classes": network.classes,
            "params": counted.params,
            "macs": counted.macs,
            "variant": (figures(name).variant or None) if name in printed else None,
            "published_error": error.summary if error else None,
            "published_error_source": error.source if error and not error.own else None,
        })  # fmt: skip
    if as_json:
        show_json({"networks": rows})
        return
    cells = [
        {
            "network": row["id"],
            "paper": row["paper"] or "-",
            "input": f"{row['input'][2]}x{row['input'][1]}",
            "params": rounded(row["params"]),
            "macs": rounded(row["macs"]),
            "published error": _starred(row["published_error"] or "", row["published_error_source"]),
        }
        for row in rows
    ]
    width = shutil.get_terminal_size((200, 24)).columns
    (head, *lines), gone = _aligned(cells, width)
    click.echo(head)
    for line, row in zip(lines, rows, strict=True):
        click.echo(line)
        if row["variant"] and len(rows) <= FEW:
            for told in wrap(row["variant"], max(width - 4, 20)):
                click.echo(f"    {told}")
    notes = (
        ["* not printed in that paper; --json names the source"] if any("*" in one for one in lines) else []
    )
    if gone:
        notes.append(f"left out for want of room: {', '.join(gone)}")
    for note in notes:
        for told in wrap(note, width):
            click.echo(told)


def _list_results(name: str, pattern: str, as_json: bool) -> None:
    from goingdeeper.tables.grid import text
    from goingdeeper.tables.results import data, results_grid, rows_of

    rows = rows_of(name, pattern)
    if as_json:
        show_json({"table": name, "rows": [data(row) for row in rows]})
    else:
        click.echo(text(results_grid(name, rows), _width()))


def _starred(error: str, source: str | None) -> str:
    """An asterisk behind the figures of an error that another source than the network's paper gives."""
    figures, comma, protocol = error.partition(",")
    return f"{figures}*{comma}{protocol}" if source else error


@click.command("show", short_help="Show a network as its paper's table.")
@click.argument("network", shell_complete=_ids)
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
@click.option("--no-heads", is_flag=True, help="Without its auxiliary heads, as it is deployed.")
@click.option(
    "--style",
    type=click.Choice(["text", "markdown", "html"]),
    default="text",
    show_default=True,
    help="How the table is written.",
)
@click.option(
    "--batch", type=click.IntRange(1), metavar="IMAGES", help="Say what memory their layers' outputs take."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show_command(
    network: str,
    address: str | None,
    by: Literal["stage", "block", "layer"],
    size: int | None,
    classes: int | None,
    no_heads: bool,
    style: Literal["text", "markdown", "html"],
    batch: int | None,
    as_json: bool,
) -> None:
    """Show NETWORK as its paper's table, or the block at ADDRESS, such as 3a, conv3_1 or conv3_x.

    NETWORK is an id, or a file NAME.json that `goingdeeper.to_json` wrote. What the network's sources do not
    say, and is inferred, stands in footnotes.
    """
    from goingdeeper.costs.counts import cost
    from goingdeeper.tables.footnotes import inferred, variant
    from goingdeeper.tables.rows import rows
    from goingdeeper.tables.table import table

    described = _described(network, size, classes, no_heads)
    with _telling_no_heads():
        found = rows(described, address, by, batch=batch)
    if not as_json:
        click.echo(table(described, address, by, style, width=_width(), batch=batch))
        return
    document: dict[str, Any] = {
        "id": described.name,
        "input": list(described.input),
        "classes": described.classes,
        "variant": variant(described) or None,
    }
    if address is None:
        counted = cost(described)
        document |= {
            "params": counted.params,
            "macs": counted.macs,
            "heads": {name: {"params": head.params, "macs": head.macs} for name, head in counted.heads},
            "params_with_heads": counted.params_with_heads,
        }
    else:
        params = sum(row.params for row in found)
        document |= {
            "address": address,
            "params": params,
            "macs": sum(row.macs for row in found),
            "heads": {},
            "params_with_heads": params,
        }
    document["inferred"] = [
        {"layer": one.layer or None, "detail": one.detail} for one in inferred(described, address)
    ]
    if batch is not None:
        document |= {"batch": batch, "activation_bytes": sum(row.activation_bytes or 0 for row in found)}
    show_json({**document, "rows": [row.data() for row in found]})


@click.command("draw", short_help="Draw a network as an SVG picture.")
@click.argument("network", shell_complete=_ids)
@click.argument("address", required=False)
@click.option("--size", type=click.IntRange(1), metavar="PIXELS", help="Input side instead of the published.")
@click.option("--classes", type=click.IntRange(1), help="Class count instead of the published.")
@click.option("--no-heads", is_flag=True, help="Without its auxiliary heads, as it is deployed.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The file; otherwise stdout.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def draw_command(
    network: str,
    address: str | None,
    size: int | None,
    classes: int | None,
    no_heads: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Draw NETWORK, or the block or stage at ADDRESS as the papers draw it, as an SVG picture."""
    from goingdeeper.drawings.draw import draw
    from goingdeeper.files import write_whole

    with _telling_no_heads():
        picture = draw(_described(network, size, classes, no_heads), address)
    if out is not None:
        if out.suffix.lower() != ".svg":
            raise UsageError(f"the drawing is SVG; call the file {out.with_suffix('.svg')}")
        if not out.parent.is_dir():
            raise UsageError(f"there is no folder {out.parent} to write {out.name} into")
        write_whole(out, picture)
    if as_json:
        where = {"svg": picture} if out is None else {"file": str(out)}
        show_json({"id": network, "address": address, **where})
    else:
        click.echo(picture if out is None else str(out))


LAYOUTS: tuple[tuple[str, ...], ...] = (
    (),
    ("tables of the papers",),
    ("tables of the papers", "scales of the errors"),
    ("tables of the papers", "scales of the errors", "input"),
    ("scales of the errors", "paper"),
    ("scales of the errors", "paper", "input"),
    ("paper", "input", "published error"),
)
"""What the list leaves out, the less room the more; never the protocol of an error alone."""


def _aligned(rows: list[dict[str, str]], width: int) -> tuple[list[str], tuple[str, ...]]:
    """A heading and the rows, and what was left out of them for want of room."""
    for gone in LAYOUTS:
        cells = [_cut(row, gone) for row in rows]
        wide = {name: max(len(name), *(len(row[name]) for row in cells)) for name in cells[0]}
        if sum(wide.values()) + 2 * len(wide) - 2 <= width:
            break
    lines = []
    for row in ({name: name for name in wide}, *cells):
        texts = (
            row[name].rjust(wide[name]) if name in ("params", "macs") else row[name].ljust(wide[name])
            for name in wide
        )
        lines.append("  ".join(texts).rstrip())
    return lines, gone


def _cut(row: dict[str, str], gone: tuple[str, ...]) -> dict[str, str]:
    shorter = dict(row)
    if "tables of the papers" in gone:
        shorter["paper"] = row["paper"].partition(",")[0]
    if "scales of the errors" in gone:
        shorter["published error"] = row["published error"].partition(", one scale")[0]
    return {name: text for name, text in shorter.items() if name not in gone}


@contextmanager
def _telling_no_heads() -> Iterator[None]:
    """Name the option where an input is too small for the auxiliary heads alone."""
    try:
        yield
    except ShapeError as problem:
        if not str(problem).endswith("without its heads"):
            raise
        raise ShapeError(f"{problem} (--no-heads)") from None


def _described(name: str, size: int | None, classes: int | None, no_heads: bool) -> Network:
    from dataclasses import replace

    from goingdeeper import catalogue
    from goingdeeper.edits import without_heads

    network = catalogue.network(name)
    network = without_heads(network) if no_heads else network
    channels, height, width = network.input
    return replace(
        network,
        input=(channels, size or height, size or width),
        classes=classes if classes is not None else network.classes,
    )


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns
