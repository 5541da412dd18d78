"""All topics as one page that tells the story in order: one HTML file, with the figures inside."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from functools import cache

import jinja2

from goingdeeper.version import __version__
from goingdeeper.why.charts import told
from goingdeeper.why.claims import sources
from goingdeeper.why.figures import drawn
from goingdeeper.why.index import parts, slides
from goingdeeper.why.run import Shown


def page(shown: Sequence[Shown], machine: str = "") -> str:
    """machine: what it was measured on."""
    pictures = {
        one.topic.name: [
            (f"data:image/svg+xml;base64,{base64.b64encode(drawn(chart, 'svg')).decode()}", told(chart))
            for chart in one.charts
        ]
        for one in shown
    }  # fmt: skip
    counted = Counter(evidence.verdict for one in shown for evidence in one.evidence)
    return _template().render(
        shown=shown,
        pictures=pictures,
        counted=counted.most_common(),
        left=Counter(claim.tier for one in shown for claim in one.left).items(),
        sources=sources(),
        slides=[
            (title, [one for one in slides() if one.source == source]) for source, title in parts().items()
        ],
        seconds=f"{sum(one.seconds for one in shown):.0f}",
        machine=f" on {machine}" if machine else "",
        version=__version__,
    )


@cache
def _template() -> jinja2.Template:
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([
            jinja2.PackageLoader("goingdeeper", "why"), jinja2.PackageLoader("goingdeeper", "reports"),
        ]),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    ).get_template("page.html.jinja")  # fmt: skip
