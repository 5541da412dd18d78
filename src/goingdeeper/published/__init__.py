"""What the papers print: every network's figures and errors as data, with sources and errata."""

from goingdeeper.published.history import TrainingRun, Winner, bn_runs, winners
from goingdeeper.published.networks import NetworkFigures, Printed, PrintedLayer, figures, ids, layers
from goingdeeper.published.results import Result, published_error, results, table, tables

__all__ = [
    "NetworkFigures",
    "Printed",
    "PrintedLayer",
    "Result",
    "TrainingRun",
    "Winner",
    "bn_runs",
    "figures",
    "ids",
    "layers",
    "published_error",
    "results",
    "table",
    "tables",
    "winners",
]
