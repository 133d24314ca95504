"""What a metric is: a sum over questions and a last step, or a ranking of questions.

A third kind, ``DataDependentMetric``, names one of the two only when it has seen the answers. A
metric of either shape that adds up sizes of gaps between confidence and accuracy may say which
(``Gapped``): its interval and its noise floor then allow for the bias that taking sizes brings.

Either shape gets intervals, paired tests, groups and a signature without further code. The metrics
themselves are ``calprune.analyze.metrics``, one file each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Protocol, TypeGuard, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.confidence_definition import Scale
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.statistics.clustering import Clusters, cluster_sums
from calprune.analyze.statistics.draws import Draws
from calprune.analyze.statistics.gaps import GapParts
from calprune.errors import PlanError
from calprune.failures import working_on

DisplayUnit = Literal["plain", "percent", "points", "score"]
Requirement = Literal["correct", "score", "confidence", "probabilities"]
"""What a metric reads of predictions: only which are correct; the order of confidence as well;
confidence as the probability of being correct; or the probabilities of all answers."""
WHAT = {
    "correct": "only what is correct, as no probabilities are stored",
    "score": "only a score",
    "confidence": "a probability for the prediction alone",
    "probabilities": "the probabilities of all answers",
}
_ORDER = ("correct", "score", "confidence", "probabilities")
Ranking = Callable[[Draws], Floats]
"""A ranked metric of rows that are sorted already, (draws,) in some draws of their clusters."""
Direction = Literal["lower", "higher", "nearer 0", "neither"]


class MetricDescription(Protocol):
    """What every metric says about itself.

    Attributes:
        name: as on the command line.
        title: column heading.
        direction: which values are better.
        unit: how people see it: three decimals, percent, signed percentage points, or a score of
            any size with one decimal.

    A metric may also have ``requires: ClassVar[Requirement]``; one that does not say is taken to
    read the probabilities of all answers, and is refused where confidence is defined as less.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def direction(self) -> Direction: ...  # noqa: D102
    @property
    def unit(self) -> DisplayUnit: ...  # noqa: D102

    def signature(self, predictions: Predictions) -> str:
        """Name and every choice that changes the number, e.g. ``ece|bins:15|closed:right``."""
        ...


@runtime_checkable
class Additive(MetricDescription, Protocol):
    """A metric that is a function of sums over questions.

    One whose value adds up parts of the benchmark, such as subtasks, may also have
    ``parts(predictions)``, which part each row is in, (n,) counted from 0, or None: a resample then
    draws images within the parts, so that it never misses one.
    """

    def tally(self, predictions: Predictions) -> Floats:
        """Contribution of each question, (n, ...)."""
        ...

    def value(self, total: Floats) -> Floats:
        """The metric (draws,) of summed contributions (draws, ...)."""
        ...


class Tallied(Additive, Protocol):
    """An additive metric that adds up its tally over clusters itself, as that is mostly zeros."""

    def tallied(self, predictions: Predictions, cluster: Indices, clusters: int) -> Floats:
        """The sum of ``tally`` over the rows of each cluster, (clusters, ...), exactly."""
        ...


class Condensed(Additive, Protocol):
    """An additive metric whose value needs less than its sums: a linear function of them."""

    def condensed(self, total: Floats) -> Floats:
        """What the value needs of sums of ``tally``, (draws, ...) or (clusters, ...); linear."""
        ...

    def of_condensed(self, total: Floats) -> Floats:
        """The metric (draws,) from that."""
        ...


@runtime_checkable
class Ranked(MetricDescription, Protocol):
    """A metric that depends on the order of questions."""

    def weighted(self, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> Floats:
        """The metric (draws,) when row i counts ``weights[:, cluster[i]]`` times.

        Args:
            predictions: n rows.
            weights: whole numbers (draws, clusters).
            cluster: (n,), index of each row's cluster.
        """
        ...


class Sorted(Ranked, Protocol):
    """A ranked metric that does once, before any draw, what does not depend on draws: sorting."""

    def ranking(self, predictions: Predictions, cluster: Indices, clusters: int) -> Ranking:
        """The same as ``weighted``, as a function of draws of ``clusters`` clusters."""
        ...


def ranking_of(
    metric: Ranked, predictions: Predictions, cluster: Indices, clusters: int
) -> Ranking:
    """A ranked metric as a function of draws, of either kind."""
    where = predictions.where
    if hasattr(metric, "ranking"):
        with working_on(where):
            ranking: Ranking = metric.ranking(predictions, cluster, clusters)
    else:

        def ranking(draws: Draws) -> Floats:
            return metric.weighted(predictions, draws.weights, cluster)

    def ranked(draws: Draws) -> Floats:
        with working_on(where):
            return _of_draws(metric, where, ranking(draws), len(draws))

    return ranked


def tally_of(metric: Additive, predictions: Predictions, clusters: Clusters) -> Floats:
    """The tally of an additive metric, added up over clusters, (clusters, ...)."""
    own = _defines(metric, "tallied")
    if own is not None and own is _defines(metric, "tally"):  # not one that came after it
        found: Floats = metric.tallied(predictions, clusters.code, len(clusters))  # type: ignore[attr-defined]
        return found
    with working_on(predictions.where):
        tally = metric.tally(predictions)
    if not isinstance(tally, np.ndarray) or not tally.ndim or len(tally) != len(predictions):
        raise PlanError(
            f"{predictions.where}: metric {metric.name!r} gave a tally of {_shape(tally)}, not an "
            f"array with a row for each of {len(predictions)} questions"
        )
    if not np.isfinite(tally.sum()):
        finite = np.isfinite(tally).reshape(len(tally), -1).all(axis=1)
        for row in np.flatnonzero(~finite)[:1]:
            raise PlanError(
                f"{predictions.where}: metric {metric.name!r} gave a tally that is not finite for "
                f"question {str(predictions.id[row])!r}"
            )
    return cluster_sums(tally, clusters)


def value_of(metric: Additive, total: Floats, where: str) -> Floats:
    """The value of an additive metric, (draws,), of sums of its tally (draws, ...).

    PlanError, which begins with ``where``, if it gives anything else.
    """
    with working_on(where):
        return _of_draws(metric, where, metric.value(total), len(total))


def _of_draws(metric: MetricDescription, where: str, found: Floats, draws: int) -> Floats:
    if np.shape(found) != (draws,):
        raise PlanError(
            f"{where}: metric {metric.name!r} gave values of {_shape(found)}, not one for each of "
            f"{draws} draws, ({draws},)"
        )
    return found


def _shape(found: object) -> str:
    return f"shape {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__


def _defines(metric: Any, method: str) -> type | None:
    """The class whose method it is."""
    return next((c for c in type(metric).__mro__ if method in vars(c)), None)


@runtime_checkable
class DataDependentMetric(MetricDescription, Protocol):
    """A metric that depends on what is measured, such as the benchmark's own score."""

    def for_predictions(self, predictions: Predictions) -> Additive | Ranked:
        """The metric for these rows; an error if there is none."""
        ...


@runtime_checkable
class Gapped(MetricDescription, Protocol):
    """A metric that adds up sizes of gaps, such as ECE; also ``Additive`` or ``Ranked``.

    It is the mean over classes of sum over parts of abs(sum of probability - truth), over rows; or,
    where ``squared``, the root of the sum of (gap^2 / rows of the part), over rows.
    """

    @property
    def squared(self) -> bool: ...  # noqa: D102

    def gap_parts(self, predictions: Predictions) -> GapParts:
        """The rows in their parts, which resamples keep."""
        ...


Measure = Additive | Ranked
Metric = Measure | DataDependentMetric


# Python takes 70 microseconds to compare an object with a protocol, and ``resolve`` has done so:
# what it let through is told apart by name.
def is_additive(metric: MetricDescription) -> TypeGuard[Additive]:
    """Whether a metric is a function of sums over questions, and not ranked."""
    return hasattr(metric, "tally")


def has_condensed(metric: MetricDescription) -> TypeGuard[Condensed]:
    """Whether a metric says what its value needs, and no other class has changed the value."""
    own = _defines(metric, "condensed")
    return own is not None and own is _defines(metric, "value")


def is_ranked(metric: MetricDescription) -> TypeGuard[Ranked]:
    """Whether a metric depends on the order of questions, and is not a function of sums."""
    return hasattr(metric, "weighted") and not is_additive(metric)


def is_gapped(metric: MetricDescription) -> TypeGuard[Gapped]:
    """Whether a metric adds up sizes of gaps."""
    return hasattr(metric, "gap_parts") and hasattr(metric, "squared")


def depends_on_data(metric: MetricDescription) -> TypeGuard[DataDependentMetric]:
    """Whether a metric is chosen when the answers are known."""
    return hasattr(metric, "for_predictions")


def resolve_for(metrics: Sequence[Metric], predictions: Predictions) -> tuple[Measure, ...]:
    """The same metrics, those that depend on the rows chosen for these."""
    with working_on(predictions.where):
        found = tuple(
            m.for_predictions(predictions) if depends_on_data(m) else cast(Measure, m)
            for m in metrics
        )
    for metric in found:
        if not supports(metric, predictions.scale):
            way_out = (
                "ask for metrics of what is correct, such as accuracy"
                if predictions.scale == "correct"
                else "--calibrate isotonic or platt makes it a probability, --confidence "
                "answer-set is one"
            )
            raise PlanError(
                f"{predictions.where}: metric {metric.name!r} reads {WHAT[requires(metric)]}, and "
                f"confidence {predictions.convention!r} is {WHAT[predictions.scale]}; {way_out}"
            )
    return found


def spec(metric: MetricDescription) -> str:
    """The name with the parameters that are not as they are by default, as ``resolve`` takes it."""
    return ":".join([metric.name, *(f"{k}={_written(v)}" for k, v in _given(metric))])


def heading_of(metric: MetricDescription) -> str:
    """The title with the same parameters, ``ECE (20 bins)``: no two metrics have equal headings."""
    given = ", ".join(_told(name, value) for name, value in _given(metric))
    return f"{metric.title} ({given})" if given else metric.title


def _told(name: str, value: Any) -> str:
    """A parameter in words: ``20 bins``, ``closed left``."""
    words = name.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"not {words}"
    counted = isinstance(value, int) and words.endswith("s")
    return f"{value} {words}" if counted else f"{words} {_written(value)}"


def _given(metric: Any) -> list[tuple[str, Any]]:
    """Parameters that are not as they are by default."""
    if not is_dataclass(metric):
        return []
    values = [(f, getattr(metric, f.name)) for f in fields(metric) if f.default is not MISSING]
    return [(f.name, value) for f, value in values if value != f.default]


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)


def requires(metric: MetricDescription) -> Requirement:
    """What a metric reads: its own ``requires``, or everything where it does not say."""
    found: Requirement = getattr(metric, "requires", "probabilities")
    return found


def supports(metric: MetricDescription, scale: Scale) -> bool:
    """Whether what predictions hold is enough for a metric."""
    return _ORDER.index(requires(metric)) <= _ORDER.index(scale)


def never_negative(metric: MetricDescription) -> bool:
    """Whether 0 is the least a metric can be: errors are, unless they say ``below_zero = True``."""
    return metric.direction == "lower" and not getattr(metric, "below_zero", False)


def debiased(metric: MetricDescription) -> bool:
    """Whether a metric of sizes of gaps is already less its expected bias: it may be below 0."""
    return is_gapped(metric) and bool(getattr(metric, "below_zero", False))


def resolve(metrics: str | Sequence[str | Metric]) -> list[Metric]:
    """Metrics by name, with parameters as in ``ece:bins=10``, or as they are.

    PlanError for unknown names, parameters and values, and for unfit plug-ins.
    """
    found = []
    for metric in dict.fromkeys([metrics] if isinstance(metrics, str) else metrics):
        made = registry.make("metrics", metric) if isinstance(metric, str) else metric
        if not isinstance(made, Additive | Ranked | DataDependentMetric):
            raise PlanError(
                f"metric {metric!r} has neither tally and value nor weighted: see "
                "calprune.analyze.metrics for the two shapes"
            )
        if made not in found:  # ece:bins=15 is ece
            found.append(made)
    if not found:
        raise PlanError(f"no metric asked for; known: {', '.join(registry.names('metrics'))}")
    return found


def mean_of(column: NDArray[Any]) -> Floats:
    """Tally of a plain mean: (value, 1) of each question, (n, 2); ValueError for no (n,)."""
    if np.ndim(column) != 1:
        raise ValueError(f"mean_of takes a number of each question, (n,), not {np.shape(column)}")
    return np.stack([column, np.ones(len(column))], axis=1).astype(np.float64)
