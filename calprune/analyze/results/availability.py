"""Which metrics remain where a file holds generated text and no logits of answers."""

from __future__ import annotations

from collections.abc import Sequence

from calprune import registry
from calprune.analyze.confidence_definition import reads_replies
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.metric import Additive, Metric, resolve, resolve_for
from calprune.analyze.options import PredictionOptions
from calprune.analyze.predictions.table import Predictions
from calprune.errors import CalpruneError, PlanError


def check_answers(
    experiments: Sequence[Experiment], metrics: Sequence[Metric], options: PredictionOptions
) -> None:
    """PlanError for metrics that replies alone cannot give; lists those that remain.

    Only files none of whose questions has answers to choose from are looked at.
    """
    every = [(runs, table) for s in experiments for runs in s.conditions for table in runs.tables]
    for runs, table in every:
        if table.answers or table.replies is None or not reads_replies(options.confidence):
            continue
        predictions = runs.read(table, options)
        lost = [m.name for m in metrics if not has_value(m, predictions)]
        if lost:
            named = [resolve(name)[0] for name in registry.names("metrics")]
            left = [m.name for m in named if has_value(m, predictions)]
            raise PlanError(
                f"{predictions.where}: all answers are generated text, without logits of answers "
                f"to choose from, so there is no {', '.join(lost)}; these metrics remain: "
                f"{', '.join(left)}"
            )


def has_value(metric: Metric, predictions: Predictions) -> bool:
    """Whether the metric accepts these rows and any of them counts."""
    try:
        (measure,) = resolve_for([metric], predictions)
        measure.signature(predictions)
        return not isinstance(measure, Additive) or bool(measure.tally(predictions).any())
    except CalpruneError:
        return False
