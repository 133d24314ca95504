"""From a sealed file to predictions: built of its logits and replies, calibrated if asked."""

from __future__ import annotations

from calprune.analyze.arrays import Floats
from calprune.analyze.calibrators._cross_fitting import out_of_fold
from calprune.analyze.options import AS_STORED, PredictionOptions
from calprune.analyze.predictions.answer_scores import where
from calprune.analyze.predictions.build import build
from calprune.analyze.predictions.table import Predictions
from calprune.data.storage.logits import LogitTable
from calprune.failures import working_on


def read_predictions(
    table: LogitTable,
    options: PredictionOptions = AS_STORED,
    temperature: float | Floats | None = None,
) -> Predictions:
    """Probabilities, confidence and correctness of the rows of a table.

    Args:
        table: one sealed logit file.
        options: how it is read.
        temperature: divides the log-scores, see ``predictions.build.build``.

    Raises:
        Mismatch: logits that are NaN, infinite or missing, or labels that were not offered.
        PlanError: a choice that is unknown or impossible here, replies that no installed scorer can
            judge, or rows that a calibrator cannot learn from.
    """
    with working_on(where(table)):
        built = build(table, options, temperature)
        if not options.calibrate:
            return built
        return out_of_fold(built, options.calibrate, options.folds, options.fold_seed).predictions


HELD = 96 << 20  # bytes of predictions that are remembered


class PredictionCache:
    """Remembers what it has read: (table, options) to predictions.

    Args:
        held: beyond so many bytes, what was not asked for longest is forgotten and read again.
    """

    def __init__(self, held: int = HELD) -> None:
        self._known: dict[tuple[int, PredictionOptions], tuple[LogitTable, Predictions]] = {}
        self._held, self._size = held, 0

    def __call__(self, table: LogitTable, options: PredictionOptions) -> Predictions:
        """As ``read_predictions``; a table is known by its identity, and kept while it is."""
        key = (id(table), options)
        found = self._known.pop(key, None)
        if found is None:
            found = (table, read_predictions(table, options))
            self._size += _size(found[1])
        self._known[key] = found  # the latest last
        while self._size > self._held and len(self._known) > 1:
            _, oldest = self._known.pop(next(iter(self._known)))
            self._size -= _size(oldest)
        return found[1]


def _size(predictions: Predictions) -> int:
    return sum(column.nbytes for column in predictions.columns().values())
