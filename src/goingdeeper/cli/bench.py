"""`deeper bench`."""

from __future__ import annotations

import shlex
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import click

from goingdeeper.cli import show_json
from goingdeeper.errors import GateError, GoingDeeperError, Interrupted, UsageError, shown
from goingdeeper.files import write_whole

if TYPE_CHECKING:
    from goingdeeper.runs.model import Model
    from goingdeeper.runtimes.runner import Goal
    from goingdeeper.timing.recommend import Choice
    from goingdeeper.timing.rows import Bench
    from goingdeeper.timing.wishes import Wishes


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(dict.fromkeys(name.strip().lower() for name in value.split(",") if name.strip()))
    if not names:
        raise UsageError(f"{param.opts[0]} names nothing; leave it out or name some, with commas between")
    return names


def _counts(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        counts = tuple(dict.fromkeys(int(part) for part in value.split(",")))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise UsageError(f"{param.opts[0]} {value}: whole numbers from 1 on, with commas between")
    return counts


@click.command("bench")
@click.argument("what", metavar="RUN|NETWORK|EXPORT")
@click.option(
    "--runtime", "runtimes", callback=_names, metavar="NAMES", help="Of: eager, onnxruntime, openvino, torch."
)
@click.option(
    "--precision",
    "precisions",
    callback=_names,
    metavar="NAMES",
    help="Of: float32 (the usual), int8.",
)
@click.option(
    "--batch",
    "batches",
    callback=_counts,
    default="1,32",
    show_default=True,
    metavar="NUMBERS",
    help="Images at a time.",
)
@click.option(
    "--against",
    callback=_names,
    metavar="NAMES",
    help="Rivals on the unrewritten network, of: eager (the default), compile, onnxruntime, openvino.",
)
@click.option(
    "--goal",
    type=click.Choice(["latency", "throughput"]),
    default="latency",
    show_default=True,
    help="What to recommend for: the first answer, or many images.",
)
@click.option("--threads", type=click.IntRange(1), help="All that there are, unless given.")
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, help="Blocks of each; 15 to publish."
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    show_default=True,
    help="Of a block; 1 to publish.",
)
@click.option(
    "-o", "out", type=click.Path(path_type=Path), metavar="FILE", help="Draw it: .png, .svg or .pdf."
)
@click.option("--no-keep", is_flag=True, help="Measure only; RUN answers as before.")
@click.option("--forget", is_flag=True, help="Measure nothing; RUN answers by itself again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def bench_command(
    what: str,
    runtimes: tuple[str, ...] | None,
    precisions: tuple[str, ...] | None,
    batches: tuple[int, ...],
    against: tuple[str, ...] | None,
    goal: Goal,
    threads: int | None,
    rounds: int,
    seconds: float,
    out: Path | None,
    no_keep: bool,
    forget: bool,
    as_json: bool,
) -> None:
    """Measure how fast RUN, a NETWORK with random weights, or an EXPORT answers on this machine.

    Each way to run the rewritten network, and each rival on the network as published, is a process of its
    own; they take turns. Logits are compared with the network's own. The fastest export is recommended, and
    kept in RUN for `deeper predict` where several were compared; --forget takes it back. Ctrl-C shows what is
    measured so far.
    """
    if forget:
        _forget(what, as_json)
        return
    if out is not None and (out.suffix.lower() not in (".png", ".svg", ".pdf") or not out.parent.is_dir()):
        raise UsageError(f"-o {out}: give a .png, .svg or .pdf, in a folder that is there")
    from goingdeeper.runtimes.exported import is_export, run_of
    from goingdeeper.timing.bench import bench
    from goingdeeper.timing.candidates import WAYS
    from goingdeeper.timing.wishes import Wishes, checked
    from goingdeeper.weights.hub import local

    wishes = Wishes(
        runtimes or tuple(WAYS), precisions or ("float32",), batches,
        ("eager",) if against is None else against, frozenset(runtimes or ()), threads or 0, rounds, seconds,
    )  # fmt: skip
    place = local(what) if what.startswith("hf:") or Path(what).exists() else None
    run = folder = None
    if place is not None and is_export(place):
        if runtimes or against or precisions:
            raise UsageError(
                f"{what} is an export, of one runtime and no unrewritten network; leave out --runtime, "
                "--precision and --against, or bench the run it was made of"
            )
        found = _of_export(place, wishes)
    else:
        wishes = checked(wishes)
        model = _model(what, place)
        own = None if place is None else run_of(place)
        found = _watched(partial(bench, run=own), model, wishes)
        if own is not None and not what.startswith("hf:"):
            run, folder = own, None if no_keep else model.path
    _show(found, as_json, out, run, folder, goal)


def _forget(what: str, as_json: bool) -> None:
    """The run answers by itself again."""
    from goingdeeper.runs.model import load_model
    from goingdeeper.timing.recommend import forget

    if what.startswith("hf:"):
        raise UsageError(f"{what} is in the Hub's cache, where nothing is kept; --forget is for a run here")
    place = Path(what)
    there = forget(load_model(place).path)
    if as_json:
        show_json({"forgotten": there})
        return
    click.echo(f"{shown(place)} answers by itself{'' if there else ', as before'}")


def _model(what: str, place: Path | None) -> Model:
    """A run's, or a network's of the catalogue with random weights."""
    if place is not None or "/" in what:
        from goingdeeper.runs.model import load_model

        return load_model(place or Path(what))
    from goingdeeper import catalogue
    from goingdeeper.timing.case import random_model

    return random_model(catalogue.network(what))


def _of_export(place: Path, wishes: Wishes) -> Bench:
    from goingdeeper.runtimes.exported import load_export
    from goingdeeper.timing.exports import bench_export, of_export

    exported = load_export(place)
    return _watched(bench_export, exported, of_export(exported, wishes))


def _watched(measure: Callable[..., Bench], subject: Any, wishes: Wishes) -> Bench:
    from goingdeeper.cli.watch import Watch

    watch = Watch()
    try:
        return measure(subject, wishes, note=watch.note, tell=watch.measuring)
    finally:
        watch.close()


def _show(
    found: Bench, as_json: bool, out: Path | None, run: Path | None, folder: Path | None, goal: Goal
) -> None:
    """The table or the document, the picture, the recommendation; then what was wrong, as an exit status."""
    from goingdeeper.runtimes.exported import making
    from goingdeeper.tables.grid import text
    from goingdeeper.timing.recommend import keep, recommended
    from goingdeeper.timing.table import document, grid

    width = max(min(shutil.get_terminal_size((80, 24)).columns, 100), 20)
    # What int8 of random weights costs in accuracy nobody knows.
    known = [row for row in found.rows if not found.noise or row.candidate.precision == "float32"]
    chosen = recommended(known, goal)
    kept, unkept = False, None
    whole = not found.interrupted and not found.wrong
    if chosen is not None and chosen.keepable and folder is not None and whole:
        try:
            keep(chosen, folder)
            kept = True
        except (GoingDeeperError, OSError) as problem:  # told when all that was measured is
            unkept = problem
    if as_json:
        said = None if chosen is None else _data(chosen) | {"kept": kept}
        show_json(document(found) | {"recommended": said})
    elif found.rows:
        click.echo(text(grid(found), width))
    for left_out in found.skipped:
        click.echo(left_out, err=True)
    for one in found.wrong:
        click.echo(f"WRONG {one.said}; refused", err=True)
    if out is not None and found.rows:
        from goingdeeper.timing.picture import picture

        write_whole(out, picture(found, out.suffix.lower()[1:]))
        click.echo(f"drawn: {shown(out)}", err=True)
    if chosen is not None and not as_json:
        click.echo(fill(f"recommended: {chosen.said}", width, subsequent_indent="  "))
    if chosen is not None and folder is not None and run is not None and whole and unkept is None:
        click.echo(_kept(chosen, run) if kept else _unkept(chosen, run), err=True)
    if kept and not as_json:
        assert chosen is not None and run is not None
        program = f"/{chosen.program}" if chosen.program else ""
        export = chosen.program or chosen.export
        there = (run / export / "config.json").is_file()
        command = f"deeper predict {shlex.quote(str(run) + program)} IMAGES" if there else making(run, export)
        click.echo(f"next:  {command}")
    if unkept is not None:
        raise unkept
    if found.interrupted:
        raise Interrupted(
            f"interrupted after {found.rounds} rounds; nothing is kept in the run", signal.SIGINT
        )
    if found.wrong:
        raise GateError(f"{len(found.wrong)} of the candidates do not compute what the network does")
    if found.failed is not None:
        raise found.failed


def _kept(chosen: Choice, run: Path) -> str:
    """What predicts from now on."""
    name = shlex.quote(str(run))
    when = "from now on" if (run / chosen.export / "config.json").is_file() else "once that is there"
    text = (
        f"`deeper predict {name}` answers by {chosen.export} {when}; `deeper bench {name} --forget` ends that"
    )
    if chosen.program:
        text += f"; {chosen.program}, which is faster, answers only where it is named"
    return text


def _unkept(chosen: Choice, run: Path) -> str:
    reason = "it was compared with nothing else that the run can answer by"
    if chosen.compared:
        reason = "a compiled program answers only where it is named"
    return f"not kept in {shown(run)}: {reason}"


def _data(chosen: Choice) -> dict[str, Any]:
    one = chosen.candidate
    return {
        "runtime": one.runtime, "precision": one.precision, "goal": chosen.goal, "batch": one.batch,
        "threads": one.threads, "export": chosen.export, "reason": chosen.reason,
    }  # fmt: skip
