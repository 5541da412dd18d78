"""What the papers print: every network's figures and errors as data, with sources and errata."""

from goingdeeper.published.history import TrainingRun, Winner, bn_runs, winners
from goingdeeper.published.networks import Inferred, NetworkFigures, PrintedLayer, figures, ids, layers
from goingdeeper.published.printed import Printed
from goingdeeper.published.results import Result, ensembles, published_error, results, table, tables

__all__ = [
    "Inferred",
    "NetworkFigures",
    "Printed",
    "PrintedLayer",
    "Result",
    "TrainingRun",
    "Winner",
    "bn_runs",
    "ensembles",
    "figures",
    "ids",
    "layers",
    "published_error",
    "results",
    "table",
    "tables",
    "winners",
]
