"""Scores, thresholds, comparisons and what is wrong with images, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from goingdeeper.errors import shown

if TYPE_CHECKING:
    from goingdeeper.data.sources import Problem
    from goingdeeper.evaluation.compare import Comparison
    from goingdeeper.evaluation.reject import NoneOfThese
    from goingdeeper.evaluation.scores import Score

CONFUSED = 3
CLASSES = 10
"""So many pairs of classes and classes with errors are printed; --json has all."""


def show_problems(problems: Iterable[Problem]) -> None:
    """What is wrong with images, on stderr: a line of each kind."""
    from goingdeeper.data.sources import told

    for line in told(problems):
        click.echo(line, err=True)


def show_score(score: Score) -> None:
    low, high = score.interval_95
    top5 = f" · top-5 error {score.top5_error:.2f} %" if score.top5_error is not None else ""
    click.echo(
        f"top-1 error {score.top1_error:.2f} % (95 %: {low:.1f} to {high:.1f}, n = {score.images}, "
        f"{_views(score)}){top5} · cross-entropy {score.cross_entropy:.4f}"
    )
    if score.uneven:
        sizes = [found.images for found in score.per_class.values()]
        click.echo(
            f"classes are uneven ({min(sizes):,} to {max(sizes):,} images): "
            f"balanced accuracy {score.balanced_accuracy:.2f} % · macro F1 {score.macro_f1:.2f} %"
        )
    if score.calibration:
        found = score.calibration
        click.echo(
            f"calibration error {found.error:.1f} points: "
            f"mean confidence {found.mean_confidence:.1f} %, right {found.accuracy:.1f} %"
        )
    if score.confused:
        pairs = [
            f"{shown(pair.true)} as {shown(pair.predicted)} ({pair.images:,})"
            for pair in score.confused[:CONFUSED]
        ]
        click.echo(f"most confused: {' · '.join(pairs)}")
    wrong = {name: found for name, found in score.per_class.items() if found.wrong}
    for name, each in sorted(wrong.items(), key=lambda pair: -pair[1].error)[:CLASSES]:
        low, high = each.interval_95
        click.echo(
            f"  {name}: {each.wrong} of {each.images} wrong, {each.error:.1f} % ({low:.1f} to {high:.1f})"
        )
    if len(wrong) > CLASSES:
        click.echo(f"  and {len(wrong) - CLASSES} more classes with errors; --json lists all")


def _views(score: Score) -> str:
    models = f"{score.models} models, " if score.models > 1 else ""
    if score.crops is None:
        return f"{models}{score.protocol}"
    return f"{models}{score.crops} crop{'' if score.crops == 1 else 's'}"


def show_threshold(chosen: NoneOfThese) -> None:
    low, high = chosen.interval_95
    least, most = chosen.coverage_interval_95
    click.echo(
        f"none of these below {chosen.threshold:.6f}: rejects {chosen.right_rejected:,} of {chosen.right:,} "
        f"right answers ({chosen.share:g} % asked for)"
    )
    click.echo(
        f"  accepts {chosen.accepted:,} of {chosen.images:,}, {chosen.coverage:.1f} % ({least:.1f} to "
        f"{most:.1f}) · error among these {chosen.error:.2f} % ({low:.1f} to {high:.1f})"
    )
    if chosen.share and chosen.right * chosen.share < 100:
        click.echo(
            f"  of {chosen.right:,} right answers, {chosen.share:g} % is less than one: "
            "the threshold is the least certain of them"
        )


def show_comparison(found: Comparison) -> None:
    click.echo(
        f"wrong: both {found.both_wrong:,} · only the first {found.only_a_wrong:,} · "
        f"only the second {found.only_b_wrong:,} · neither {found.both_right:,}"
    )
    low, high = found.interval_95
    click.echo(
        f"second minus first: {found.difference:+.2f} points (95 %: {low:+.2f} to {high:+.2f}) · "
        f"p {f'= {found.p:.2g}' if found.p >= 0.0001 else '< 0.0001'} (McNemar, mid-p)"
    )
    click.echo(found.verdict)
