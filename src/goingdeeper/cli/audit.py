"""`deeper audit`."""

from __future__ import annotations

import shutil
from typing import Literal

import click

from goingdeeper.cli import show_json


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from goingdeeper.published import ensembles, ids

    return [name for name in (*ids(), *ensembles()) if name.startswith(incomplete)]


@click.command("audit", short_help="Compare what the papers print with what is exact.")
@click.argument("networks", nargs=-1, metavar="[NETWORK]...", shell_complete=_names)
@click.option(
    "--style",
    type=click.Choice(["text", "markdown"]),
    default="text",
    show_default=True,
    help="How the table is written.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def audit_command(networks: tuple[str, ...], style: Literal["text", "markdown"], as_json: bool) -> None:
    """Compare what the papers print of each NETWORK with what is exact, and say why they differ.

    NETWORK is an id, a pattern such as 'resnet-*', or an ensemble: prelu-net, resnet or vgg; without one,
    everything that is printed. A printed figure agrees if the exact one, rounded or truncated to its last
    digit, is the same. The exit status is 6 if one differs without an erratum, or agrees in spite of one.
    """
    from goingdeeper.comparisons.audit import audit
    from goingdeeper.comparisons.audit_page import markdown, text
    from goingdeeper.published import ensembles

    found = audit(networks or None)
    for name in dict.fromkeys(map(str.lower, networks)):
        if name in ensembles():
            click.echo(
                f"{name}: an ensemble, several networks together; '{name}-*' for the networks", err=True
            )
    if as_json:
        show_json({"figures": [one.data() for one in found.figures], "unexplained": len(found.unexplained)})
    elif style == "markdown":
        click.echo(markdown(found))
    else:
        click.echo(text(found, shutil.get_terminal_size((100, 24)).columns))
    found.check()
