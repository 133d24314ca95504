"""Predictions of sealed files, each read once under each definition."""

from __future__ import annotations

from dataclasses import asdict

from calprune.analyze.options import PredictionOptions
from calprune.analyze.predictions.build import Predictions, read_predictions
from calprune.data.storage.logits import LogitTable


class PredictionCache:
    """Remembers what it has read: (table, options) to predictions."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, PredictionOptions], tuple[LogitTable, Predictions]] = {}

    def __call__(self, table: LogitTable, options: PredictionOptions) -> Predictions:
        """As ``read_predictions``; a table is known by its identity, and kept while it is."""
        key = (id(table), options)
        if key not in self._known:
            self._known[key] = (table, read_predictions(table, **asdict(options)))
        return self._known[key][1]
