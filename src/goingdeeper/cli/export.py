"""`deeper export`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from goingdeeper.cli import show_json
from goingdeeper.errors import UsageError, shown
from goingdeeper.runtimes.known import OF_FORMAT, RUNTIMES


@click.command("export")
@click.argument("run")
@click.option(
    "--to",
    "runtime",
    type=click.Choice(list(OF_FORMAT)),
    help="Write what another runtime runs.",
)
@click.option("--int8", is_flag=True, help="With --to onnx or openvino: quantised, and measured.")
@click.option(
    "--limit",
    type=click.FloatRange(0, 100),
    metavar="POINTS",
    help="With --int8: how far the error may grow; 0.5.",
)
@click.option("--auto-exclude", is_flag=True, help="With --int8: keep in fp32 what loses most.")
@click.option("--calibrate", type=int, metavar="N", help="With --int8: by so many images; 300.")
@click.option("--images", metavar="PLACE", help="With --int8: not those of RUN.")
@click.option("--force", is_flag=True, help="With --to: replace an older export.")
@click.option("--names", "library", metavar="LIBRARY", help="Write torchvision's, timm's, keras', ... names.")
@click.option(
    "-o",
    "out",
    type=click.Path(path_type=Path),
    metavar="PLACE",
    help="The file of --names, or the folder of --to.",
)
@click.option("--as", "model", metavar="MODEL", help="The library's network, where it computes another.")
@click.option("--push", "target", metavar="hf:OWNER/NAME", help="Upload the model with a model card.")
@click.option("--private", is_flag=True, help="With --push: a repository that only you see.")
@click.option("--replace", is_flag=True, help="With --push: another commit where the repository is there.")
@click.option("--message", metavar="TEXT", help="With --push: what the commit says.")
@click.option("--licence", metavar="ID", help="With --push: such as apache-2.0, for the model card.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def export_command(
    run: str,
    runtime: str | None,
    int8: bool,
    limit: float | None,
    auto_exclude: bool,
    calibrate: int | None,
    images: str | None,
    force: bool,
    library: str | None,
    out: Path | None,
    model: str | None,
    target: str | None,
    private: bool,
    replace: bool,
    message: str | None,
    licence: str | None,
    as_json: bool,
) -> None:
    """Write the model of RUN for another runtime, with another library's names, or push it to the Hub.

    --to onnx writes a folder (RUN/export/onnx, unless -o names another) with model.onnx, the class names and
    a program that uses it; its logits are compared with the model's own first. --to
    openvino is the same for OpenVINO, --to torch for PyTorch, compiled ahead of time for this processor.

    --int8 (RUN/export/onnx-int8) calibrates on training images of RUN and measures the error on its
    validation images before and after: where it grows by over --limit, nothing is written.

    The ending of FILE is its format: .safetensors or .pth, for Keras .h5, for Caffe .caffemodel. Pushing
    needs `hf auth login`; hf:OWNER/NAME can then be given wherever a RUN can.
    """
    if sum(one is not None for one in (runtime, library, target)) != 1:
        raise UsageError("give --to RUNTIME, or --names LIBRARY and -o FILE, or --push hf:OWNER/NAME")
    _check_trained(run)
    options = {"limit": limit, "auto_exclude": auto_exclude or None, "calibrate": calibrate, "images": images}
    given = {name: value for name, value in options.items() if value is not None}
    if given and not int8:
        raise UsageError(f"--{next(iter(given)).replace('_', '-')} is for --int8; give it, or leave both out")
    if int8 and not (runtime and RUNTIMES[OF_FORMAT[runtime]].int8):
        raise UsageError("--int8 is for --to onnx and --to openvino")
    if force and runtime is None:
        raise UsageError("--force is for --to; leave it out")
    if runtime is not None:
        if model is not None:
            raise UsageError("--as is for --names; leave it out")
        if out is None and run.startswith("hf:"):
            raise UsageError(f"{run} is in the Hub's cache, where nothing else goes; name a folder with -o")
        if int8:
            _export_int8(run, runtime, out, force, given, as_json)
        else:
            _export(run, runtime, out, force, as_json)
        return
    if target is not None:
        if out is not None or model is not None:
            raise UsageError("-o and --as are for --names; --push uploads the model as it is")
        _push(run, target, private, replace, message, licence, as_json)
        return
    if out is None:
        raise UsageError(f"--names {library}: give the file with -o, such as -o weights.safetensors")
    from goingdeeper.runs.model import load_model
    from goingdeeper.weights.export import export
    from goingdeeper.weights.hub import local

    done = export(load_model(local(run)), str(library), out, model)
    if as_json:
        show_json(asdict(done) | {"file": str(done.file)})
        return
    click.echo(f"{done.library}'s {done.model} · {done.tensors:,} tensors · {shown(done.file)}")
    for note in done.notes:
        click.echo(note, err=True)


def _export(run: str, runtime: str, out: Path | None, force: bool, as_json: bool) -> None:
    from goingdeeper.deploy.export import export
    from goingdeeper.runs.model import load_model
    from goingdeeper.runtimes.exported import export_name, run_of
    from goingdeeper.weights.hub import local

    place = local(run)
    folder = out or run_of(place) / export_name(runtime, int8=False)
    done = export(load_model(place), folder, to=runtime, force=force)
    if as_json:
        files = [str(done.path / name) for name in done.files]
        show_json({"files": files, "parity": done.parity, "gate": None})
        return
    click.echo(f"{shown(done.path)} · logits within {done.parity:.0e} of the model's own")
    click.echo(_next(done.path))


def _export_int8(
    run: str, runtime: str, out: Path | None, force: bool, given: dict[str, Any], as_json: bool
) -> None:
    from goingdeeper.cli.watch import Watch
    from goingdeeper.deploy.int8 import export_int8, told
    from goingdeeper.runs.model import load_model
    from goingdeeper.runtimes.exported import export_name, run_of
    from goingdeeper.weights.hub import local

    place = local(run)
    folder = out or run_of(place) / export_name(runtime, int8=True)
    watch = Watch()
    try:
        done = export_int8(
            load_model(place), folder, to=runtime, force=force, note=watch.note, progress=watch.scoring,
            **given,
        )  # fmt: skip
    finally:
        watch.close()
    if as_json:
        facts = {"gate": asdict(done.gate), "excluded": done.excluded, "calibration": done.calibration}
        show_json({"files": [str(done.path / name) for name in done.files], "parity": done.parity, **facts})
        return
    click.echo(f"{shown(done.path)} · {told(done.gate)}")
    click.echo(_next(done.path))


def _next(folder: Path) -> str:
    name = shlex.quote(shown(folder))
    return f"next:  deeper predict {name} IMAGE     or the program in {shown(folder / 'README.md')}"


def _check_trained(run: str) -> None:
    """Raises UsageError for a network's id, which has no weights."""
    from goingdeeper import catalogue

    if run in catalogue.names() and not Path(run).exists():
        raise UsageError(
            f"{run} is a network, which has no weights; name a run of it, or a model of `deeper import`"
        )


def _push(
    run: str,
    target: str,
    private: bool,
    replace: bool,
    message: str | None,
    licence: str | None,
    as_json: bool,
) -> None:
    from goingdeeper.weights.hub import local, push

    url = push(
        local(run), target, private=private, message=message or "", licence=licence or "", replace=replace
    )
    if as_json:
        show_json({"pushed": target, "url": url})
        return
    click.echo(f"{target} · {url}")
    click.echo(f"next:  deeper predict {target} IMAGES")
