"""`deeper why`."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from goingdeeper.cli import show_json
from goingdeeper.cli.train import Several
from goingdeeper.data.seeds import check_seed
from goingdeeper.errors import UsageError
from goingdeeper.files import make_folder

if TYPE_CHECKING:
    from goingdeeper.why.claims import Tier
    from goingdeeper.why.trials import Terms


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from goingdeeper.why.claims import topics

    names = (*(one.name for one in topics()), "all", "slides")
    return [name for name in names if name.startswith(incomplete)]


@click.command("why", short_help="Show why these networks work, claim by claim, and what is true of it.")
@click.argument("topic", required=False, shell_complete=_names)
@click.option(
    "--tier",
    type=click.Choice(["arithmetic", "init", "training"]),
    show_default="init, or training with --time or --data",
    help="The costliest evidence to show: arithmetic, networks as they are before training, or training.",
)
@click.option("--time", metavar="TIME", show_default="10m", help="What the trainings of a topic may take.")
@click.option("--data", metavar="IMAGES", help="What to train on, instead of the topic's own images.")
@click.option(
    "--seed",
    "seeds",
    type=Several(numbers=True),
    metavar="N[,N...]",
    show_default="0, and 0-2 of trainings",
    help="Of every draw; trainings take several.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("why"),
    show_default=True,
    help="Folder for figures and records.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def why_command(
    topic: str | None,
    tier: Tier | None,
    time: str | None,
    data: str | None,
    seeds: tuple[int, ...] | None,
    out: Path,
    as_json: bool,
) -> None:
    """Show the claims on a TOPIC: what its sources say, what should come out, what did, and the verdict.

    Figures, as SVG and PNG, and a JSON record go into a folder, and so do the runs of trainings, which are
    taken as they are when the same is asked for again. Without a TOPIC, lists them; `all` shows each one, and
    writes a page that tells the whole story; `slides` lists the lecture's slides and the blog's passages,
    with the commands that show them.
    """
    from goingdeeper.why.claims import TIERS, topics
    from goingdeeper.why.claims import topic as topic_of
    from goingdeeper.why.index import index_record
    from goingdeeper.why.run import UNTRAINED, record, show, write, write_page
    from goingdeeper.why.text import index, listing, page

    width = shutil.get_terminal_size((100, 24)).columns
    if topic is None:
        if as_json:
            known = [{"topic": one.name, "title": one.title, "tiers": one.tiers} for one in topics()]
            show_json({"topics": known})
        else:
            click.echo(listing(width))
        return
    if topic == "slides":
        if as_json:
            show_json(index_record())
        else:
            click.echo(index(width))
        return
    tier = tier or ("training" if time or data else "init")
    terms = _terms(tier, time, data, seeds, out)
    tiers = TIERS[: TIERS.index(tier) + 1]
    names = [one.name for one in topics()] if topic == "all" else [topic_of(topic).name]
    if topic != "all" and (time or data) and "training" not in topic_of(topic).tiers:
        raise UsageError(f"{topic} takes no training; leave --{'time' if time else 'data'} out")
    make_folder(out)
    if not os.access(out, os.W_OK):  # which is told before the work, not after it
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(out))
    found = []
    for name in names:
        seed = (seeds or (0,))[0]
        try:
            shown = show(name, tiers, seed=seed, terms=terms)
        except UsageError as problem:
            if topic != "all" or terms is None:
                raise
            shown = show(name, UNTRAINED, seed=seed)
            shown = replace(shown, notes=(*shown.notes, f"not trained: {problem}"))
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
        kind = "figures and record" if found[0].charts else "record"
        click.echo(f"{kind}: {out / topic}*", err=True)


def _terms(
    tier: Tier, time: str | None, data: str | None, seeds: tuple[int, ...] | None, out: Path
) -> Terms | None:
    """Those of trainings, where there are any. Raises UsageError where an option has no sense."""
    for seed in seeds or ():
        check_seed("seed", seed)
    if tier != "training":
        if time or data:
            raise UsageError(
                f"--{'time' if time else 'data'} is of trainings; give --tier training or no tier"
            )
        if seeds and len(seeds) > 1:
            raise UsageError("several seeds are of trainings; give one, or --tier training")
        return None
    from goingdeeper.cli.watch import Board, Watch
    from goingdeeper.data.sources import open_source
    from goingdeeper.why.trials import Terms

    if data:
        open_source(data)  # so that a wrong one is refused at once, for every topic
    board = Board()

    class Quiet(Watch):
        def note(self, text: str) -> None:
            if not self.name:  # what each of a dozen trainings tells is in its log
                super().note(text)

        def reading(self, done: int, total: int) -> None:
            pass

    plain = Terms(folder=out / "runs", data=data, events=lambda name: Quiet(board, name))
    return replace(plain, time=time or plain.time, seeds=seeds or plain.seeds)
