"""Peak memory where every row is a cluster of its own: a million rows, a thousand resamples.

    OMP_NUM_THREADS=1 python -m benchmarks.many_clusters [rows] [resamples]

One condition with the metrics of ``bootstrap``, in a process of its own. What is held at once is
bounded by bytes: the quick form's few resamples need about a tenth less memory than a thousand.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from benchmarks.bootstrap import METRICS, drawn, made_up
from benchmarks.process import charged
from benchmarks.ratio import Ratio, show
from calprune.analyze.results.estimate import estimate
from calprune.analyze.study import Study

ROWS, DRAWS, FEW = 1_000_000, 1000, 8


def resampled(rows: int, draws: int) -> None:
    """Estimate what a condition of so many images with one question each scores."""
    experiments = Study((made_up(1, rows, 1),)).experiments(each_seed=False)
    estimate(experiments, METRICS, drawn(draws))


def measured(quick: bool) -> Iterable[Ratio]:
    """Peak memory; few resamples in the quick form."""
    yield _peak(ROWS, FEW if quick else DRAWS)


def _peak(rows: int, draws: int) -> Ratio:
    words = ("-m", "benchmarks.many_clusters", "--here", str(rows), str(draws))
    return Ratio(
        f"{rows:,} single-row clusters, {draws:,} resamples, peak",
        charged(words).mib,
        "MiB",
        1024,
    )


def main() -> None:
    """Print the peak, or with --here be the process that is measured."""
    here = "--here" in sys.argv
    given = [int(a) for a in sys.argv[1:] if a != "--here"]
    rows, draws = (*given, *(ROWS, DRAWS)[len(given) :])
    if here:
        resampled(rows, draws)
    else:
        show([_peak(rows, draws)])


if __name__ == "__main__":
    main()
