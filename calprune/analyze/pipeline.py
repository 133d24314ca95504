"""From a sealed file to predictions: built of its logits and replies, calibrated if asked."""

from __future__ import annotations

from dataclasses import asdict

from calprune.analyze.arrays import Floats
from calprune.analyze.calibrators._cross_fitting import out_of_fold
from calprune.analyze.options import PredictionOptions
from calprune.analyze.predictions.answer_scores import AnswerSet
from calprune.analyze.predictions.build import Target, build
from calprune.analyze.predictions.table import Predictions
from calprune.data.storage.logits import LogitTable


def read_predictions(
    table: LogitTable,
    temperature: float | Floats | None = None,
    answer_set: AnswerSet = "offered",
    confidence: str = "auto",
    target: Target = "hard",
    verbalizers: str = "",
    calibrate: str = "",
    folds: int = 5,
    fold_seed: int = 0,
) -> Predictions:
    """Probabilities, confidence and correctness of the rows of a table.

    Args:
        table: one sealed logit file.
        temperature: divides the log-scores, see ``predictions.build.build``.
        answer_set: which answers count, see there.
        confidence: a definition of ``calprune.analyze.confidence``, or ``auto``.
        target: whether replies are correct or not (``hard``), or in part (``soft``).
        verbalizers: which token ids spell the answers.
        calibrate: a calibrator with its parameters, such as ``histogram:bins=10``, fitted and
            applied out of fold over images; empty for none.
        folds: how many folds.
        fold_seed: assigns images to folds.

    Raises:
        Mismatch: logits that are NaN, infinite or missing, or labels that were not offered.
        PlanError: a choice that is unknown or impossible here, replies that no installed scorer can
            judge, or rows that a calibrator cannot learn from.
    """
    built = build(table, temperature, answer_set, confidence, target, verbalizers)
    return out_of_fold(built, calibrate, folds, fold_seed).predictions if calibrate else built


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
