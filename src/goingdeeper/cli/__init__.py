"""The command `deeper`: its verbs, loaded when called, and how errors leave it."""

from __future__ import annotations

import errno
import os
import signal
import sys
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

import click

from goingdeeper.data.seeds import MOST
from goingdeeper.errors import NO_ROOM, GoingDeeperError, end_process, unknown
from goingdeeper.version import __version__

# Verb -> the module that defines it (under the same name) and the line that `deeper --help` shows for it.
VERBS = {
    "demo": ("train", "Train on the embedded digits and write a report; no network is used."),
    "list": ("show", "List the networks: paper, parameters, multiply-adds, input, published errors."),
    "show": ("show", "Show a network as its paper's table, or one block of it."),
    "draw": ("show", "Draw a network, or one block of it, as an SVG picture."),
    "audit": ("audit", "Compare what the papers print with what is exact."),
    "diff": ("diff", "Compare two networks, or two blocks, layer by layer."),
    "recipes": ("recipes", "List the recipes for training, or one with all its settings."),
    "check": ("check", "Say what is wrong with a collection of images, before training."),
    "prepare": ("prepare", "Make images small once, in a store that loads several times faster."),
    "import": ("importing", "Make a model of weights from elsewhere: a file, a URL, the Hub."),
    "train": ("train", "Train a classifier on a folder of images."),
    "evaluate": ("evaluate", "Score a run, or several together, as the papers did."),
    "predict": ("use", "Classify images with a trained run."),
    "features": ("features", "Write what a trained run knows of images as vectors."),
    "runs": ("use", "List what has been trained, with scores."),
    "compare": ("compare", "Say whether the difference between two runs is real."),
    "bench": ("bench", "Say how fast a network answers here, and which runtime to take."),
    "export": ("export", "Give a model away: ONNX, OpenVINO, torch, other names, the Hub."),
    "why": ("why", "Show why these networks work, claim by claim, and what is true of it."),
}

SEED = click.IntRange(0, MOST)

NO_WRITING = (
    errno.EACCES, errno.EROFS, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG,
)  # fmt: skip


class Verbs(click.Group):
    """The verbs in the order of `VERBS`; help needs none of their modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = import_module(f"goingdeeper.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            raise unknown("command", args[0], VERBS, "`deeper --help` lists them")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would leave with status 1
            _reader_has_gone()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="goingdeeper", message="%(prog)s %(version)s")
@click.pass_context
def deeper(ctx: click.Context) -> None:
    """Inception and ResNet networks, exactly as published: show, draw, train, evaluate, predict.

    \b
    deeper demo                          the whole way on embedded data, in minutes
    deeper train photos/                 a classifier from a folder of class folders
    deeper predict runs/... new.jpg      what is on a picture
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def program() -> NoReturn:
    """The whole life of the process `deeper`: as `main`, and no more once that is done."""
    try:
        main()
    except SystemExit as end:
        end_process(end.code if isinstance(end.code, int) else 0)


def main() -> NoReturn:
    """Runs the command line; errors become one line on stderr and an exit status (see `errors.py`)."""
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        _run()
    finally:
        signal.signal(signal.SIGTERM, before)


class Terminated(SystemExit):
    """SIGTERM where training does not see to it itself: as Ctrl-C, it lets every `finally` clean up."""


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + number)


def _run() -> NoReturn:
    try:
        status = deeper.main(prog_name="deeper", standalone_mode=False)
        sys.stdout.flush()
    except GoingDeeperError as problem:
        _leave(str(problem), problem.exit_status)
    except click.exceptions.Abort:
        _leave("interrupted", 130)
    except click.ClickException as problem:
        context = getattr(problem, "ctx", None)
        place = f" (`{context.command_path} --help` explains)" if context else ""
        _leave(problem.format_message().rstrip(".") + place, 2)
    except KeyboardInterrupt:
        _leave("interrupted", 130)
    except Terminated:
        _leave("terminated", 143)
    except BrokenPipeError:
        _reader_has_gone()
    except (MemoryError, RuntimeError) as problem:
        # torch has no exception of its own for the CPU's memory.
        if not isinstance(problem, MemoryError) and "can't allocate memory" not in str(problem):
            raise
        _leave("not enough memory; a smaller --batch or --size needs less", 5)
    except OSError as problem:
        if problem.errno in NO_ROOM:
            _leave(f"the disk is full{_at(problem)}; free some space and run the same command again", 5)
        if problem.errno in NO_WRITING:
            _leave(f"cannot write{_at(problem)}: {problem.strerror}; choose another place", 5)
        raise
    sys.exit(status if isinstance(status, int) else 0)


def _reader_has_gone() -> NoReturn:
    """Leaves quietly: `| head` has read what it wanted, and nothing is wrong."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    sys.exit(0)


def _at(problem: OSError) -> str:
    place = problem.filename2 or problem.filename
    return f" at {place}" if place else ""


def _leave(message: str, status: int) -> NoReturn:
    click.echo(f"deeper: {message}", err=True)
    sys.exit(status)


def show_json(document: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    import json

    click.echo(json.dumps({"schema": 1, **document}, indent=2, ensure_ascii=False))
