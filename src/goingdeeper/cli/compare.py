"""`deeper compare`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goingdeeper.cli import show_json
from goingdeeper.cli.tell import show_comparison, show_problems
from goingdeeper.errors import shown

if TYPE_CHECKING:
    from goingdeeper.data.sources import Problem


@click.command("compare", short_help="Say whether the difference between two runs is real.")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.argument("images", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def compare_command(a: Path, b: Path, images: str | None, as_json: bool) -> None:
    """Compare runs A and B, by the validation images that both held out, or on IMAGES.

    The difference of the errors has Newcombe's 95 % interval for the same images, and McNemar's mid-p; one
    of the two is called better only where the interval leaves out 0. A and B may be model folders if IMAGES
    are named.
    """
    from goingdeeper import api
    from goingdeeper.cli.watch import Watch
    from goingdeeper.opened import load_trained

    if images is None:
        found = api.compare(a, b)
        problems: tuple[Problem, ...] = ()
        facts = [_of_run(path) for path in (a, b)]
        if facts[0].pop("fingerprint") != facts[1].pop("fingerprint"):
            click.echo(
                "the runs' data are not quite the same: images were changed, left out or divided otherwise; "
                "those of one path are taken for one image",
                err=True,
            )
    else:
        runs = [load_trained(path) for path in (a, b)]
        watch = Watch()
        try:
            evaluation = api.evaluation(runs, images, progress=watch.scoring)
        finally:
            watch.close()
        found, problems = api.compared(evaluation, a, b), evaluation.problems
        evaluation.forget()
        facts = [_of_model(run.model.config) for run in runs]
        for run in runs:
            if run.trained_on(images):
                click.echo(f"these images include those that {shown(run.path)} was trained on", err=True)
    show_problems(problems)
    document = asdict(found)
    for path, one, side in zip((a, b), facts, "ab", strict=True):
        one.update(run=str(path), error=document.pop(f"{side}_error"))
        one["error_interval_95"] = document.pop(f"{side}_interval_95")
    if as_json:
        show_json({"runs": facts, **document, "failed": [asdict(problem) for problem in problems]})
        return
    names = [shown(path) for path in (a, b)]
    for name, one in zip(names, facts, strict=True):
        low, high = one["error_interval_95"]
        click.echo(
            f"{name:<{max(map(len, names))}}  error {one['error']:.2f} % (95 %: {low:.1f} to {high:.1f}, "
            f"n = {found.images})  {one['network']}"
        )
    show_comparison(found)


def _of_run(path: Path) -> dict[str, Any]:
    """What `deeper runs` says of a finished run."""
    from goingdeeper.runs.folder import RunFolder

    run = RunFolder(path).run()
    result = run.get("result") or {}
    return {
        "run": "",
        "network": run.get("network"),
        "data": run["data"].get("name"),
        "val_error": result.get("top1_error"),
        "interval_95": result.get("interval_95"),
        "fingerprint": run["data"].get("fingerprint"),
    }


def _of_model(config: dict[str, Any]) -> dict[str, Any]:
    scores = config.get("scores", {})
    return {
        "run": "",
        "network": config.get("network"),
        "data": config.get("provenance", {}).get("data"),
        "val_error": scores.get("top1_error"),
        "interval_95": scores.get("interval_95"),
    }
