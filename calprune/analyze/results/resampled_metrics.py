"""Several metrics of one condition, for any multiplicities of its images."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import (
    Gapped,
    Measure,
    Metric,
    Ranking,
    debiased,
    is_additive,
    is_ranked,
    ranking_of,
    resolve_for,
    tally_of,
    value_of,
)
from calprune.analyze.options import Resample
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.statistics.clustering import Clusters
from calprune.analyze.statistics.draws import Draws
from calprune.analyze.statistics.ece_if_calibrated import ece_if_calibrated
from calprune.analyze.statistics.gap_sums import GapSums
from calprune.analyze.statistics.gaps import GapParts
from calprune.analyze.statistics.resampling import products

_last: list[tuple[NDArray[np.str_], Clusters]] = []


@dataclass(frozen=True)
class ResampledMetrics:
    """Metrics of the rows of one condition, added up as far as can be before any draw.

    Attributes:
        metrics: none of them depends on the rows any more.
        predictions: the rows.
        clusters: what is drawn together.
        sums: of each additive metric (clusters, ...), made when first looked at; empty for ranked
            ones.
    """

    metrics: tuple[Measure, ...]
    predictions: Predictions
    clusters: Clusters
    sums: Sequence[Floats]

    @classmethod
    def of(
        cls, metrics: Sequence[Metric], predictions: Predictions, clusters: Clusters
    ) -> ResampledMetrics:
        """The metrics that depend on the rows chosen for these, and what they add up."""
        measures = resolve_for(metrics, predictions)
        return cls(measures, predictions, clusters, _Tallies(measures, predictions, clusters))

    def point(self, without: Container[int] = ()) -> Floats:
        """The metrics of the rows as they are, (metrics,).

        Metrics of the indices ``without`` are not tallied by cluster, which no resample needs.
        """
        one = Clusters(np.zeros(len(self.predictions), dtype=np.intp), np.array([""]))
        totals = iter(
            tally_of(m, self.predictions, one)
            if i in without
            else self.sums[i].sum(axis=0, keepdims=True)
            for i, m in enumerate(self.metrics)
            if is_additive(m)
        )
        return self.values(Draws(np.ones((1, len(self.clusters)))), totals)[:, 0]

    def asked(self, without: Container[int] = ()) -> list[Floats]:
        """Sums of the additive metrics, but for those of the indices ``without``."""
        wanted = (i for i, m in enumerate(self.metrics) if is_additive(m) and i not in without)
        return [self.sums[i] for i in wanted]

    @cached_property
    def rankings(self) -> dict[int, Ranking]:
        """Ranked metrics by index, their rows sorted already."""
        rows = (self.predictions, self.clusters.code, len(self.clusters))
        return {
            i: ranking_of(metric, *rows)
            for i, metric in enumerate(self.metrics)
            if is_ranked(metric)
        }

    def __call__(self, draws: Draws | Floats, without: Container[int] = ()) -> Floats:
        """Metrics (metrics, draws) for multiplicities (draws, clusters).

        Metrics of the indices ``without`` are not computed, and NaN.
        """
        draws = draws if isinstance(draws, Draws) else Draws(draws)
        return self.values(draws, iter(products(draws.weights, self.asked(without))), without)

    def values(
        self, draws: Draws, totals: Iterator[Floats], without: Container[int] = ()
    ) -> Floats:
        """The same from the sums of ``asked`` in these draws."""
        values = [
            np.full(len(draws), np.nan)
            if i in without
            else value_of(metric, next(totals), self.predictions.where)
            if is_additive(metric)
            else self.rankings[i](draws)
            for i, metric in enumerate(self.metrics)
        ]
        return np.stack(values)


class _Tallies(Sequence[Floats]):
    """Sums over clusters of each additive metric, made when first looked at."""

    def __init__(
        self, metrics: Sequence[Measure], predictions: Predictions, clusters: Clusters
    ) -> None:
        self._metrics, self._rows = metrics, (predictions, clusters)
        self._known: dict[int, Floats] = {}

    def __len__(self) -> int:
        return len(self._metrics)

    def __getitem__(self, i: Any) -> Any:
        metric = self._metrics[i]
        if i not in self._known:
            added = tally_of(metric, *self._rows) if is_additive(metric) else np.empty(0)
            self._known[i] = added
        return self._known[i]


def prepared(
    metrics: Sequence[Metric], joined: Sequence[Predictions], resample: Resample = "images"
) -> list[ResampledMetrics]:
    """The metrics of each seed of a condition."""
    return [
        ResampledMetrics.of(metrics, predictions, clusters_of(predictions, resample))
        for predictions in joined
    ]


def has_images(predictions: Predictions) -> bool:
    """Whether it is known which rows share an image."""
    return bool((predictions.cluster != "").any())


def clusters_of(predictions: Predictions, resample: Resample = "images") -> Clusters:
    """What is drawn together: images, or single rows if asked for.

    Where no image is known, rows that repeat one question are drawn together. Remembers the last
    few: conditions of a benchmark share their images.
    """
    column = predictions.unit if resample == "images" else predictions.id
    for known, clusters in _last:
        if _same_memory(known, column) or np.array_equal(known, column):
            return clusters
    _last.insert(0, (column, Clusters.of(column)))
    del _last[16:]
    return _last[0][1]


def _same_memory(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays, both alive, are views of the very same elements."""
    return bool(a.__array_interface__ == b.__array_interface__)


def residual(predictions: Predictions) -> Floats:
    """Correct - confidence (n,), whose design effect is told; where that is a score, correct."""
    return np.asarray(
        predictions.correct - (0.0 if predictions.scale == "score" else predictions.confidence)
    )


def if_calibrated(
    metric: Gapped,
    predictions: Predictions,
    clusters: Clusters,
    seed: int,
    known: tuple[GapParts, GapSums] | None = None,
) -> float | None:
    """See ``ece_if_calibrated``; None with soft targets, whose spread no confidence tells.

    ``known`` are the metric's parts and their sums over these clusters, where these are at hand.
    """
    if predictions.soft:
        return None
    parts = known[0] if known else metric.gap_parts(predictions)
    sums = known[1] if known else GapSums.of(parts, clusters, metric.squared)
    return ece_if_calibrated(parts, sums, seed, debiased(metric))


def stacked(*parts: Predictions) -> Predictions:
    """Rows of the first, then of the next, without tags; all must have the same answers."""
    columns = [part.columns() for part in parts]
    joined: dict[str, Any] = {
        name: np.concatenate([c[name] for c in columns])
        if all(name in c for c in columns)
        else None
        for name in columns[0]
    }
    return replace(parts[0], **joined, tags={})
