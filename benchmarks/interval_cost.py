"""What the studentised interval costs, against the percentile interval that it replaces.

    OMP_NUM_THREADS=1 python -m benchmarks.interval_cost [conditions] [resamples]

ECE and its relatives of made-up conditions in POPE's shape, 9,000 rows on 500 images, from
predictions to intervals; CPU seconds in turns, medians of three. ``estimate`` is the whole,
predictions and noise floor included.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.bootstrap import made_up
from calprune.analyze.metric import resolve
from calprune.analyze.options import AnalysisOptions, Resampling
from calprune.analyze.pipeline import read_predictions
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.estimate import estimate
from calprune.analyze.results.resampled_metrics import prepared
from calprune.analyze.results.shared_resamples import gap_errors, resampled
from calprune.analyze.study import Study

METRICS = ("ece", "ece-equal-mass", "ece-class-wise", "rmsce", "ece-smooth")


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds."""
    began = time.process_time()
    work()
    return time.process_time() - began


def percentile(name: str, predictions: Sequence[Predictions], draws: int) -> object:
    """Resampled values, from predictions; quantiles cost nothing."""
    return resampled([prepared(resolve(name), [one])[0] for one in predictions], draws, 0)


def studentised(name: str, predictions: Sequence[Predictions], draws: int) -> object:
    """Intervals, from predictions."""
    cells = [prepared(resolve(name), [one]) for one in predictions]
    found = gap_errors(cells, 0, [((i, 1.0),) for i in range(len(cells))], draws, 0)
    return [gap.interval("studentised") for gap in found]


def main() -> None:
    """Print a row for each metric."""
    count = int(sys.argv[1]) if sys.argv[1:] else 20
    draws = int(sys.argv[2]) if sys.argv[2:] else 1000
    tables = [made_up(i) for i in range(count)]
    experiments = Study(tuple(tables)).experiments(each_seed=False)
    predictions = [read_predictions(t) for t in tables]
    print("| metric | percentile, s | studentised, s | ratio |\n|---|---|---|---|")
    for name in METRICS:
        few = predictions[: 2 if name == "ece-smooth" else count]
        show(name, partial(percentile, name, few, draws), partial(studentised, name, few, draws))
    usual, ours = (AnalysisOptions(Resampling(draws, interval=x)) for x in ("percentile", "auto"))
    show(
        "ece, estimate",
        lambda: estimate(experiments, ["ece"], usual),
        lambda: estimate(experiments, ["ece"], ours),
    )


def show(name: str, usual: Callable[[], object], ours: Callable[[], object]) -> None:
    """One row."""
    usual(), ours()  # loads what is loaded when first used
    turns = [(seconds(usual), seconds(ours)) for _ in range(3)]
    old, new = (statistics.median(x) for x in zip(*turns, strict=True))
    print(f"| {name} | {old:.2f} | {new:.2f} | {new / old:.2f} |", flush=True)


if __name__ == "__main__":
    main()
