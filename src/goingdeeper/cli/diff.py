"""`deeper diff`."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import Any, Literal

import click

from goingdeeper.cli import show_json
from goingdeeper.layers import Network


def _ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from goingdeeper import catalogue

    return [name for name in catalogue.names() if name.startswith(incomplete)]


@click.command("diff", short_help="Compare two networks, or two blocks.")
@click.argument("a", shell_complete=_ids)
@click.argument("b", shell_complete=_ids)
@click.option("--size", type=click.IntRange(1), metavar="PIXELS", help="Input side of both.")
@click.option("--classes", type=click.IntRange(1), help="Class count of both.")
@click.option("--all", "every", is_flag=True, help="A row for each change; alike ones are joined otherwise.")
@click.option(
    "--style",
    type=click.Choice(["text", "markdown", "html"]),
    default="text",
    show_default=True,
    help="How the table is written.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def diff_command(
    a: str,
    b: str,
    size: int | None,
    classes: int | None,
    every: bool,
    style: Literal["text", "markdown", "html"],
    as_json: bool,
) -> None:
    """Compare the networks A and B, or a block of each, layer by layer.

    A block or stage stands behind a colon, as in googlenet:3a or resnet-50:conv3_x. Layers stand for each
    other by name, the rest in order by kind. What changes in parameters and multiply-adds is B minus A;
    auxiliary heads are compared and summed apart. Each network has its published input and classes unless
    others are given.

    \b
    deeper diff resnet-50 resnet-50-v1.5
    deeper diff googlenet:3a bn-googlenet:3a
    """
    from goingdeeper.comparisons.changes import changes
    from goingdeeper.comparisons.diff import Side, diff

    (network_a, block_a), (network_b, block_b) = (_described(name, size, classes) for name in (a, b))
    found = diff(network_a, network_b, block_a, block_b)
    if not as_json:
        click.echo(changes(found, style, shutil.get_terminal_size((100, 24)).columns, every))
        return

    def described(side: Side) -> dict[str, Any]:
        return {
            "id": side.network.name,
            "name": side.name,
            "address": side.address,
            "input": list(side.root.shapes[0]),
            "classes": side.network.classes,
            "params": side.counts.params,
            "macs": side.counts.macs,
            "params_with_heads": side.counts_with_heads.params,
            "macs_with_heads": side.counts_with_heads.macs,
        }

    show_json({
        "a": described(found.a),
        "b": described(found.b),
        "changes": [asdict(change) for change in found.changes],
        "params": found.params,
        "macs": found.macs,
        "params_with_heads": found.params_with_heads,
        "macs_with_heads": found.macs_with_heads,
        "shared": found.shared,
        "notes": list(found.notes),
    })  # fmt: skip


def _described(name: str, size: int | None, classes: int | None) -> tuple[Network, str | None]:
    from goingdeeper.comparisons.diff import parted
    from goingdeeper.trace import replace_classes, replace_input

    network, block = parted(name)
    channels, height, width = network.input
    network = replace_input(network, (channels, size or height, size or width))
    return replace_classes(network, classes or network.classes), block
