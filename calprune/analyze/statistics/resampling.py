"""Resampling images: multiplicities, swap masks, and metrics under either.

Rows that share an image are not independent, so images are drawn, with all their questions. A
draw is a multiplicity per image; sums over questions are first taken per image, after which all
draws of all additive metrics are one matrix product. Contributions are rounded to a grid so fine
that all sums are exact in float64: no result depends on row order or on the number of threads.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.metrics import Additive, Measure, Metric, Ranked, resolve_for
from calprune.analyze.metrics._exact import on_grid
from calprune.analyze.predictions.build import Floats, Indices, Predictions

BLOCK = 1000  # draws held at once


@dataclass(frozen=True)
class Clusters:
    """Which rows belong together.

    Attributes:
        code: (n,), index of each row's cluster, in the order of sorted names.
        names: (clusters,), sorted.
    """

    code: Indices
    names: NDArray[np.str_]

    @classmethod
    def of(cls, predictions: Predictions) -> Clusters:
        """The images of these rows."""
        names, code = np.unique(predictions.cluster, return_inverse=True)
        return cls(code.astype(np.intp), names)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def runs(self) -> tuple[Indices | None, Indices]:
        """Rows sorted by cluster (None: they are), and where each cluster's begin."""
        inside = (np.diff(self.code) >= 0).all()
        order = None if inside else np.argsort(self.code, kind="stable")
        code = self.code if order is None else self.code[order]
        return order, np.searchsorted(code, np.arange(len(self))).astype(np.intp)


def multiplicities(clusters: int, draws: int, seed: int) -> Iterator[Floats]:
    """How often each cluster is drawn, in blocks of (up to BLOCK, clusters).

    A row sums to ``clusters``. Depends on nothing but the three arguments, so conditions and
    metrics of one table share their resamples: differences between them are paired.
    """
    rng = np.random.default_rng([seed, clusters])
    for size in _blocks(draws):
        drawn = rng.integers(0, clusters, (size, clusters))
        drawn += np.arange(size)[:, None] * clusters
        counts = np.bincount(drawn.ravel(), minlength=size * clusters)
        yield counts.reshape(size, clusters).astype(np.float64)


def swaps(clusters: int, draws: int, seed: int) -> Iterator[Floats]:
    """Fair coins, 0 or 1, for exchanging two conditions on whole clusters, in blocks."""
    rng = np.random.default_rng([seed, clusters, 1])
    for size in _blocks(draws):
        yield rng.integers(0, 2, (size, clusters), dtype=np.uint8).astype(np.float64)


def _blocks(draws: int) -> Iterator[int]:
    for at in range(0, draws, BLOCK):
        yield min(BLOCK, draws - at)


@dataclass(frozen=True)
class Sampler:
    """Several metrics of one condition, for any multiplicities of its clusters."""

    metrics: tuple[Measure, ...]
    predictions: Predictions
    clusters: Clusters
    sums: tuple[Floats, ...]  # per additive metric (clusters, ...); empty for ranked ones

    @classmethod
    def of(cls, metrics: Sequence[Metric], predictions: Predictions, clusters: Clusters) -> Sampler:
        """Prepare: tally each additive metric and add up its clusters."""
        measures = resolve_for(metrics, predictions)
        sums = [
            cluster_sums(m.tally(predictions), clusters) if isinstance(m, Additive) else np.empty(0)
            for m in measures
        ]
        return cls(measures, predictions, clusters, tuple(sums))

    def point(self) -> Floats:
        """The metrics of the rows as they are, (metrics,)."""
        return self(np.ones((1, len(self.clusters))))[:, 0]

    def __call__(self, weights: Floats, without: Container[int] = ()) -> Floats:
        """Metrics (metrics, draws) for multiplicities (draws, clusters).

        Metrics of the indices ``without`` are not computed, and NaN.
        """
        asked = [s for i, s in enumerate(self.sums) if s.size and i not in without]
        totals = iter(products(weights, asked))
        values = [
            np.full(len(weights), np.nan)
            if i in without
            else metric.weighted(self.predictions, weights, self.clusters.code)
            if isinstance(metric, Ranked)
            else metric.value(next(totals))
            for i, metric in enumerate(self.metrics)
        ]
        return np.stack(values)


def products(weights: Floats, sums: Sequence[Floats]) -> list[Floats]:
    """``weights`` times each array of cluster sums, as one product that skips empty columns."""
    if not sums:
        return []
    flat = np.concatenate([s.reshape(len(s), -1) for s in sums], axis=1)
    used = flat.any(axis=0)
    total = np.zeros((len(weights), flat.shape[1]))
    total[:, used] = weights @ flat[:, used]
    ends = np.cumsum([s[0].size for s in sums])[:-1]
    parts = np.split(total, ends, axis=1)
    return [p.reshape(len(weights), *s.shape[1:]) for p, s in zip(parts, sums, strict=True)]


def cluster_sums(tally: Floats, clusters: Clusters) -> Floats:
    """Sum (n, ...) per cluster, exactly: (clusters, ...)."""
    flat = tally.reshape(len(tally), -1)
    used = flat.any(axis=0)
    order, starts = clusters.runs
    own = on_grid(flat[:, used], len(clusters) * np.bincount(clusters.code).max())
    sums = np.zeros((len(clusters), flat.shape[1]))
    sums[:, used] = np.add.reduceat(own if order is None else own[order], starts, axis=0)
    return sums.reshape(len(clusters), *tally.shape[1:])


def design_effect(predictions: Predictions, clusters: Clusters) -> float:
    """Variance of mean (correct - confidence) with clusters over that of independent rows.

    Where confidence is only a score, of mean correct.
    Never below 1; 1 when every row is its own cluster.
    """
    gap = predictions.correct - (0.0 if predictions.scale == "score" else predictions.confidence)
    gap = gap - gap.mean()
    spread, n = float((gap**2).sum()), len(clusters)
    if n < 2 or spread == 0 or n == len(predictions):
        return 1.0
    per_cluster = np.bincount(clusters.code, gap, n)
    return max(1.0, float((per_cluster**2).sum()) * n / (n - 1) / spread)


def redraws(predictions: Predictions, slot: Indices, bins: int, draws: int, seed: int) -> Floats:
    """Correct answers in each bin if confidence were exactly right, (draws, bins).

    Each row's correctness is redrawn from its confidence (consistency resampling), as if rows
    were independent; widen by the square root of the design effect. ``slot`` must not fall where
    confidence rises.
    """
    order = np.argsort(predictions.confidence)
    right = uniform(draws, len(predictions), seed) < predictions.confidence[order].astype(
        np.float32
    )
    counts = np.zeros((draws, bins))
    present, starts = np.unique(slot[order], return_index=True)
    counts[:, present] = np.add.reduceat(right, starts, axis=1, dtype=np.int32)
    return counts


@lru_cache(maxsize=2)
def uniform(draws: int, n: int, seed: int) -> NDArray[np.float32]:
    """Numbers in [0, 1) for redrawing the correctness of n rows, (draws, n)."""
    return np.random.default_rng([seed, n, 2]).random((draws, n), np.float32)
