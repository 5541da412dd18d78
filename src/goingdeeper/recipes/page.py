"""The recipes as tables, and one with all its settings and where each is printed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from textwrap import shorten, wrap
from typing import Any

from goingdeeper.recipes.optimisers import Rule
from goingdeeper.recipes.recipe import Recipe, passes, printed
from goingdeeper.recipes.settings import as_data, settings
from goingdeeper.tables import grid

OWN = "for your own images"
DEFAULT = "default"
SAME = "A line without a source has that of the line above it."

GROUPS = {
    "length": ("epochs", "iterations", "batch", "size", "stop_after"),
    "optimiser": ("optimiser", "decay_all", "rules", "momentum_schedule", "clip"),
    "rate over time": ("schedule", "until_learning"),
    "trained weights": ("freeze", "norm_frozen", "stage_rate", "head_epochs"),
    "images": ("input", "augmentation", "balance", "bad_share"),
    "loss": ("loss", "head_weights", "stochastic_depth"),
    "statistics and averages": ("norm_batch", "norm_decay", "population", "average"),
    "computing": ("precision", "compile", "recompute", "accumulate"),
}


def overview(recipes: Sequence[Recipe], width: int | None = None) -> str:
    """A line a recipe, under the paper: networks, length, batch, optimiser and rate."""
    room = 200 if width is None else max(20, min(40, width - 56))
    columns = (
        grid.Column("recipe"), grid.Column("networks", spare=1), grid.Column("epochs", right=True),
        grid.Column("batch", right=True), grid.Column("optimiser"), grid.Column("rate", right=True),
    )  # fmt: skip
    parts = []
    for source, group in groupby(recipes, lambda one: one.source):
        title = shorten(source or OWN, width or 1000, placeholder=" ...")
        parts.append(grid.Part(title, tuple(_line(one, room) for one in group)))
    notes = (
        "epochs: of the set of images that the recipe was written for",
        "`deeper recipes NAME` shows all settings and where each is printed",
    )
    return grid.text(grid.Grid("", columns, tuple(parts), notes=notes), width).lstrip("\n")


def details(recipe: Recipe, width: int | None = None) -> str:
    """All settings in groups, each with where it is printed, and what no setting can say."""
    most = 1000 if width is None else max(16, width - 50)
    stated = [
        (title, [(name, _folded(value, most), where) for name, value, where in rows])
        for title, rows in _rows(recipe)
        if rows
    ]
    flat = [row for _, rows in stated for row in rows]
    values = (line for row in flat for line in row[1].split("\n"))
    used = max(len(row[0]) for row in flat) + max(map(len, values)) + 4
    room = 1000 if width is None else max(12, width - used)
    columns = (grid.Column("setting"), grid.Column("value"), grid.Column("source"))
    parts = []
    for title, rows in stated:
        lines, above = [], ""
        for name, value, where in rows:  # as in the line above, where nothing stands
            lines.append((name, value, "\n".join(wrap(where, room)) if where != above else ""))
            above = where
        parts.append(grid.Part(title, tuple(lines)))
    head = "\n".join(line for text in _about(recipe) for line in wrap(text, width or 1000))
    return f"{head}\n" + grid.text(
        grid.Grid("", columns, tuple(parts), notes=(SAME, *recipe.remarks, *_rest(recipe))), width
    )


def markdown(recipes: Sequence[Recipe]) -> str:
    """The table of all recipes, and a section for each."""
    lines = ["| recipe | paper | networks | epochs | batch | optimiser | rate |"]
    lines.append("| --- | --- | --- | ---: | ---: | --- | ---: |")
    for one in recipes:
        name, _, *others = _line(one, 1000)
        cells = (f"[{name}](#{name})", one.source or OWN, ", ".join(one.networks) or "any", *others)
        lines.append(f"| {' | '.join(cells)} |")
    for one in recipes:
        lines += ["", f"## {one.name}", "", *(f"{text}  " for text in _about(one)[1:])]
        lines[-1] = lines[-1].rstrip()
        lines += ["", "| setting | value | source |", "| --- | --- | --- |"]
        rows = (" | ".join(row).replace("\n", ", ") for _, group in _rows(one) for row in group)
        lines += [f"| {row} |" for row in rows]
        lines += ["", *(f"- {text}" for text in (*one.remarks, *_rest(one)))]
    return "\n".join(lines)


def data(recipe: Recipe) -> dict[str, Any]:
    """What `--json` prints of a recipe."""
    return {
        "name": recipe.name,
        "source": recipe.source or None,
        "networks": list(recipe.networks),
        "after": recipe.after or None,
        "takes": list(recipe.takes),
        "images": recipe.images or None,
        "size": recipe.size or None,
        "length_in_epochs": round(passes(recipe), 2),
        "settings": {name: as_data(value) for name, value in settings(recipe).items()},
        "rules": as_data(recipe.rules),
        "printed": {
            name: where for _, rows in _rows(recipe) for name, _, where in rows if where not in ("", DEFAULT)
        },
        "remarks": list(recipe.remarks),
    }


def _line(recipe: Recipe, room: int) -> tuple[str, ...]:
    networks = recipe.networks or ("any",)
    more = f", {len(networks) - 1} more" if len(networks) > 1 else ""
    return (
        recipe.name,
        "\n".join(wrap(f"{networks[0]}{more}", room)),
        f"{passes(recipe):.4g}",
        f"{recipe.batch}",
        type(recipe.optimiser).__name__,
        f"{recipe.optimiser.rate:g}",
    )


def _about(recipe: Recipe) -> list[str]:
    lines = [f"{recipe.name}: {recipe.source or OWN}"]
    lines.append(f"networks: {', '.join(recipe.networks) or 'any'}")
    length = f"{recipe.epochs:,} epochs"
    if recipe.iterations:
        length = f"{recipe.iterations:,} iterations, {passes(recipe):.2f} epochs"
    of = f" of {recipe.images:,} images" if recipe.images else ""
    lines.append(f"length: {length}{of}, in batches of {recipe.batch}")
    if recipe.after:
        taken = f", of which {', '.join(recipe.takes)} are taken" if recipe.takes else ""
        lines.append(f"goes on from: a run of {recipe.after} (--from RUN){taken}")
    return lines


def _rows(recipe: Recipe) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """By group: the settings that are stated or of the recipe's own choice, with value and place."""
    values = {**settings(recipe), **({"size": recipe.size} if recipe.size else {})}
    for title, tops in GROUPS.items():
        rows = []
        for top in tops:
            if top == "rules":
                rows += [(f"rule: {one.of}", _rule(one), printed(recipe, "rules")) for one in recipe.rules]
            rows += [
                (name, _shown(value), printed(recipe, name) or ("" if recipe.source else DEFAULT))
                for name, value in values.items()
                if name.partition(".")[0] == top and _is_own(recipe, name, value)
            ]
        yield title, rows


def _rest(recipe: Recipe) -> list[str]:
    """What is left as it is in every recipe."""
    rest = [
        f"{name} {_shown(value)}"
        for name, value in settings(recipe).items()
        if not _is_own(recipe, name, value) and name not in ("epochs", "iterations")
    ]
    return [f"As in every recipe that says nothing else: {', '.join(rest)}."] if rest else []


def _is_own(recipe: Recipe, name: str, value: Any) -> bool:
    if name == ("epochs" if recipe.iterations else "iterations"):
        return False
    if not recipe.source or _neutral().get(name) != value:
        return True
    of_images = name.startswith("augmentation.") and not name.startswith(
        ("augmentation.crop", "augmentation.flip")
    )
    return bool(printed(recipe, name)) and (not of_images or name in dict(recipe.said))


def _folded(value: str, room: int) -> str:
    return "\n".join(part for line in value.split("\n") for part in wrap(line, room))


@cache
def _neutral() -> dict[str, Any]:
    return settings(Recipe("neutral"))


def _rule(rule: Rule) -> str:
    said = []
    if rule.rate != 1:
        said.append(f"rate x{rule.rate:g}")
    if rule.decay is not None:
        said.append(f"decay x{rule.decay:g}")
    if rule.max_norm:
        said.append(f"norm up to {rule.max_norm:g}")
    if rule.schedule:
        said.append(type(rule.schedule).__name__)
        said += [f"{name} {_shown(value)}" for name, value in dataclasses.asdict(rule.schedule).items()]
    return "\n".join(said)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        if len(value) == 1 and isinstance(value[0], tuple) and value[0][0] == "*":
            return f"{value[0][1]:g}"
        pairs = (f"{part[0]}:{part[1]:g}" if isinstance(part, tuple) else _shown(part) for part in value)
        return ", ".join(pairs)
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
