"""`deeper recipes`."""

from __future__ import annotations

import shutil

import click

from goingdeeper.cli import show_json
from goingdeeper.errors import UsageError


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from goingdeeper.recipes import names

    return [name for name in names() if name.startswith(incomplete)]


@click.command("recipes", short_help="List the recipes, or one with all its settings.")
@click.argument("name", required=False, shell_complete=_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def recipes_command(name: str | None, as_json: bool) -> None:
    """List how the papers trained, and how one would today; or show the recipe NAME.

    Of a recipe, every setting stands beside the place where it is printed, or why it is inferred. `deeper
    train --recipe NAME` trains with it, and --set changes a setting.
    """
    from goingdeeper import catalogue
    from goingdeeper.recipes import recipe, recipes
    from goingdeeper.recipes.page import data, details, overview
    from goingdeeper.recipes.recipe import used_for

    if name is not None and name not in recipes() and name in catalogue.names():
        fitting = [one.name for one in recipes().values() if used_for(one, name)]
        rather = ", ".join(fitting) if fitting else "none; `deeper recipes scratch` fits any"
        raise UsageError(f"'{name}' is a network; the recipes that its sources used: {rather}")
    chosen = [recipe(name)] if name is not None else list(recipes().values())
    if as_json:
        show_json({"recipes": [data(one) for one in chosen]})
    elif name is not None:
        click.echo(details(chosen[0], shutil.get_terminal_size((100, 24)).columns))
    else:
        click.echo(overview(chosen, shutil.get_terminal_size((200, 24)).columns))
