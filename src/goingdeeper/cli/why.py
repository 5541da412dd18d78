"""`deeper why`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from goingdeeper.cli import SEED, show_json

if TYPE_CHECKING:
    from goingdeeper.why.claims import Tier


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from goingdeeper.why.claims import topics

    return [name for name in (*(one.name for one in topics()), "all") if name.startswith(incomplete)]


@click.command("why", short_help="Show why these networks work, claim by claim, and what is true of it.")
@click.argument("topic", required=False, shell_complete=_names)
@click.option(
    "--tier",
    type=click.Choice(["arithmetic", "init"]),
    default="init",
    show_default=True,
    help="The costliest evidence to show: arithmetic, or networks as they are before training.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of random weights and inputs.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("why"),
    show_default=True,
    help="Folder for figures and records.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def why_command(topic: str | None, tier: Tier, seed: int, out: Path, as_json: bool) -> None:
    """Show the claims on a TOPIC: what its sources say, what should come out, what did, and the verdict.

    Figures, as SVG and PNG, and a JSON record go into a folder. Without a TOPIC, lists them; `all` shows each
    one, and writes a page that tells the whole story.
    """
    from goingdeeper.why.claims import TIERS, topics
    from goingdeeper.why.run import record, show, write, write_page
    from goingdeeper.why.text import listing, page

    width = shutil.get_terminal_size((100, 24)).columns
    if topic is None:
        if as_json:
            known = [{"topic": one.name, "title": one.title, "tiers": one.tiers} for one in topics()]
            show_json({"topics": known})
        else:
            click.echo(listing(width))
        return
    names = [one.name for one in topics()] if topic == "all" else [topic]
    found = []
    for name in names:
        shown = show(name, TIERS[: [*TIERS].index(tier) + 1], seed=seed)
        write(shown, out)
        found.append(shown)
        if not as_json:
            click.echo(page(shown, width) + "\n")
    if as_json:
        records = [record(shown) for shown in found]
        show_json({"topics": records} if topic == "all" else records[0])
    if topic == "all":
        click.echo(f"the whole story: {write_page(found, out)}", err=True)
    else:
        click.echo(f"figures and record: {out / topic}*", err=True)
