"""A topic, shown: its tiers run, its figures and record written."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goingdeeper.data.processors import processor
from goingdeeper.data.seeds import check_seed
from goingdeeper.errors import unknown
from goingdeeper.files import make_folder, write_whole
from goingdeeper.why.charts import Chart, told
from goingdeeper.why.claims import TIERS, Claim, Evidence, Tier, Topic, topic
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from goingdeeper.why.trials import Terms

UNTRAINED: tuple[Tier, ...] = ("arithmetic", "init")
"""The tiers that take seconds."""


@dataclass(frozen=True)
class Shown:
    """left: the claims whose tier was not asked for."""

    topic: Topic
    evidence: tuple[Evidence, ...]
    charts: tuple[Chart, ...]
    notes: tuple[str, ...]
    left: tuple[Claim, ...]
    seconds: float


def show(
    name: str, tiers: Tier | Collection[Tier] = UNTRAINED, *, seed: int = 0, terms: Terms | None = None
) -> Shown:
    """Computes and measures what there is on a topic.

    tiers: one of `TIERS`, or several. seed: of random weights and inputs. terms: of trainings, for that tier;
    a script needs the guard `if __name__ == "__main__":` for it. Raises UsageError for an unknown topic or
    tier, and for a time that is too short for trainings to show anything.
    """
    about = topic(name)
    tiers = (tiers,) if isinstance(tiers, str) else tiers
    check_seed("seed", seed)
    for tier in tiers:
        if tier not in TIERS:
            raise unknown("tier", tier, TIERS, f"there are {', '.join(TIERS)}")
    start = time.perf_counter()
    parts = [_part(name, tier, seed, terms) for tier in about.tiers if tier in tiers]
    evidence = {one.claim.id: one for part in parts for one in part.evidence}
    return Shown(
        about,
        tuple(evidence[claim.id] for claim in about.claims if claim.id in evidence),
        tuple(chart for part in parts for chart in part.charts),
        tuple(note for part in parts for note in part.notes),
        tuple(claim for claim in about.claims if claim.id not in evidence),
        time.perf_counter() - start,
    )


def _part(name: str, tier: Tier, seed: int, terms: Terms | None) -> Part:
    module: Any = import_module(f"goingdeeper.why.evidence.{name.replace('-', '_')}")
    found: Part
    if tier == "arithmetic":
        found = module.arithmetic()
    elif tier == "init":
        found = module.init(seed)
    else:
        from goingdeeper.why.trials import Terms

        found = module.training(terms or Terms())
    return found


def record(shown: Shown) -> dict[str, Any]:
    """What the JSON record of a topic holds."""
    return {
        "topic": shown.topic.name,
        "title": shown.topic.title,
        "claims": [
            {
                "id": one.claim.id,
                "tier": one.claim.tier,
                "claim": one.claim.said,
                "source": one.claim.source,
                "expected": [asdict(quantity) for quantity in one.claim.expected],
                "seen": list(one.seen),
                "verdict": one.verdict,
                "because": one.because,
            }
            for one in shown.evidence
        ],
        "not_shown": [
            {"id": claim.id, "tier": claim.tier, "claim": claim.said, "source": claim.source}
            for claim in shown.left
        ],
        "notes": list(shown.notes),
        "figures": [
            {"kind": type(chart).__name__.lower(), "text": told(chart), **asdict(chart)}
            for chart in shown.charts
        ],
        "seconds": round(shown.seconds, 3),
    }


def write(shown: Shown, folder: Path) -> list[Path]:
    """The figures as SVG and PNG, and the record as JSON, in a folder that is made if need be.

    The record is `TOPIC.json`, or `TOPIC-training.json` where trainings are in it.
    """
    from goingdeeper.why.figures import FORMATS, drawn

    make_folder(folder)
    written = []
    for chart in shown.charts:
        for form in FORMATS:
            written.append(folder / f"{chart.name}.{form}")
            write_whole(written[-1], drawn(chart, form))
    trained = any(one.claim.tier == "training" for one in shown.evidence)
    # Of a name of its own, so that the next look at the topic, in a second, does not take its place.
    written.append(folder / f"{shown.topic.name}{'-training' if trained else ''}.json")
    document = json.dumps({"schema": 1, **record(shown)}, indent=2, ensure_ascii=False)
    write_whole(written[-1], f"{document}\n".encode())
    return written


def write_page(shown: Sequence[Shown], folder: Path) -> Path:
    """All of them as one page, `index.html` in the folder."""
    from goingdeeper.why.page import page

    make_folder(folder)
    place = folder / "index.html"
    write_whole(place, page(shown, processor()).encode())
    return place
