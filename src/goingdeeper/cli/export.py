"""`deeper export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from goingdeeper.cli import show_json
from goingdeeper.errors import UsageError, shown


@click.command("export", short_help="Give a model away: other libraries' names, or the Hub.")
@click.argument("run")
@click.option("--names", "library", metavar="LIBRARY", help="Write torchvision's, timm's, keras', ... names.")
@click.option("-o", "out", type=click.Path(path_type=Path), metavar="FILE", help="The file of --names.")
@click.option("--as", "model", metavar="MODEL", help="The library's network, where it computes another.")
@click.option("--push", "target", metavar="hf:OWNER/NAME", help="Upload the model with a model card.")
@click.option("--private", is_flag=True, help="With --push: a repository that only you see.")
@click.option("--replace", is_flag=True, help="With --push: another commit where the repository is there.")
@click.option("--message", metavar="TEXT", help="With --push: what the commit says.")
@click.option("--licence", metavar="ID", help="With --push: such as apache-2.0, for the model card.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def export_command(
    run: str,
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
    """Write the model of RUN with another library's names, or push it to the Hugging Face Hub.

    The ending of FILE is its format: .safetensors or .pth, for Keras .h5, for Caffe .caffemodel. Pushing
    needs `hf auth login`; hf:OWNER/NAME can then be given wherever a RUN can.
    """
    if (library is None) == (target is None):
        raise UsageError("give --names LIBRARY and -o FILE, or --push hf:OWNER/NAME")
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
