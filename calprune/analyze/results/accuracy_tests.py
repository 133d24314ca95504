"""Tests of a difference in accuracy that need no permutations, beside the permutation test.

A further one is a class that is listed in ``TESTS``: columns of CSV and JSON, the column of the
table and the note below it follow from what it says of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from calprune.analyze.arrays import Bools, Floats
from calprune.analyze.metric import Measure
from calprune.analyze.results.resampled_metrics import ResampledMetrics, clusters_of
from calprune.analyze.statistics.clustering import Clusters
from calprune.analyze.statistics.paired_tests import cluster_t, mcnemar


@dataclass(frozen=True)
class PairedRows:
    """Which of the same n rows are correct under two conditions.

    Attributes:
        ours, theirs: (n,) of each run.
        clusters: images; whatever is resampled, tests follow them.
    """

    ours: tuple[Bools | Floats, ...]
    theirs: tuple[Bools | Floats, ...]
    clusters: Clusters

    @property
    def independent(self) -> bool:
        """Whether these are two runs of right and wrong rows, none of which share an image."""
        runs = (*self.ours, *self.theirs)
        hard = all(run.dtype == np.bool_ for run in runs)
        return hard and len(runs) == 2 and len(self.clusters) == len(runs[0])


class PairedTest(Protocol):
    """One test.

    Attributes:
        heading: of its column in tables.
        columns: names of what ``found`` gives, its p first.
    """

    heading: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]

    def found(self, rows: PairedRows) -> tuple[float, ...] | None:
        """A value for each of ``columns``; None where it cannot be had."""

    def note(self, unit: str) -> str:
        """What it is, for the line below a table; ``unit`` is ``images`` or ``questions``."""


class McNemar:
    """Exact, where no two questions share an image."""

    heading: ClassVar[str] = "p (McNemar)"
    columns: ClassVar[tuple[str, ...]] = ("p_mcnemar",)

    def found(self, rows: PairedRows) -> tuple[float, ...] | None:
        """See ``PairedTest``."""
        if not rows.independent:
            return None
        return (mcnemar(rows.ours[0].astype(np.bool_), rows.theirs[0].astype(np.bool_)),)

    def note(self, unit: str) -> str:
        """See ``PairedTest``."""
        alone = (
            "no question is repeated" if unit == "questions" else "no two questions share an image"
        )
        return f"exact McNemar, as {alone}"


class ClusterT:
    """Robust to dependence within images, where McNemar's would not be; the mean of seeds."""

    heading: ClassVar[str] = "p (t)"
    columns: ClassVar[tuple[str, ...]] = ("p_t", "t")

    def found(self, rows: PairedRows) -> tuple[float, ...] | None:
        """See ``PairedTest``."""
        if rows.independent:
            return None
        ours, theirs = (np.mean(runs, axis=0) for runs in (rows.ours, rows.theirs))
        tested = cluster_t(np.asarray(ours - theirs, dtype=np.float64), rows.clusters)
        return None if tested is None else tested[::-1]

    def note(self, unit: str) -> str:
        """See ``PairedTest``."""
        drawn = "distinct questions" if unit == "questions" else "images"
        return f"cluster-robust t, {drawn} less 1 degrees of freedom"


TESTS: tuple[PairedTest, ...] = (McNemar(), ClusterT())
COLUMNS = tuple(name for test in TESTS for name in test.columns)


@dataclass(frozen=True)
class AccuracyTests:
    """What ``TESTS`` found, one value for each of ``COLUMNS``; None where a test does not apply."""

    values: tuple[float | None, ...] = (None,) * len(COLUMNS)

    def __getitem__(self, column: str) -> float | None:
        return self.values[COLUMNS.index(column)]

    def p(self, test: PairedTest) -> float | None:
        """Of one test."""
        return self[test.columns[0]]

    def columns(self) -> dict[str, Any]:
        """See ``row.Columns``."""
        return dict(zip(COLUMNS, self.values, strict=True))


def accuracy_tests(
    metric: Measure, ours: Sequence[ResampledMetrics], theirs: Sequence[ResampledMetrics]
) -> AccuracyTests:
    """All tests of these runs; none of other metrics than accuracy."""
    if metric.name != "accuracy":
        return AccuracyTests()
    a, b = (tuple(run.predictions.correct for run in runs) for runs in (ours, theirs))
    rows = PairedRows(a, b, clusters_of(ours[0].predictions))
    found: list[float | None] = []
    for test in TESTS:
        found += test.found(rows) or [None] * len(test.columns)
    return AccuracyTests(tuple(found))
