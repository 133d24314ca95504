"""How long intervals take: images as weights, against a plain loop over resamples.

    python -m benchmarks.bootstrap [conditions] [resamples]

Prints CPU seconds, which do not depend on how busy the machine is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.ratio import Ratio, show
from calprune.analyze.metrics import _walk
from calprune.analyze.options import AnalysisOptions, Resampling
from calprune.analyze.pipeline import read_predictions
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.estimate import estimate
from calprune.analyze.study import Study
from calprune.data.condition import ALL_TOKENS, Budget, Condition
from calprune.data.storage.logits import LogitTable

METRICS = ("accuracy", "ece", "brier", "nll", "aurc")
IMAGES, PER_IMAGE = 500, 18
LOOPED = 60  # resamples of the plain loop that are timed; the rest is extrapolated


def made_up(number: int, images: int = IMAGES, per_image: int = PER_IMAGE) -> LogitTable:
    """Yes/no questions, as many as POPE's if nothing else is said, about 86 % answered rightly."""
    n = images * per_image
    shared, own = np.random.default_rng(0), np.random.default_rng([number, 1])
    label = shared.integers(0, 2, n)
    logits = own.normal(0, 1, (n, 2, 2))
    logits[np.arange(n), label] += 1.5
    budget = ALL_TOKENS if number == 0 else Budget("count", number)
    selector = "full" if number == 0 else "scope"
    condition = Condition(
        *("pope", "b", "toy", "m", "t"), ((1, 2), (3, 4)), "f", selector, (), 1, budget
    )
    column = np.zeros(n, dtype=np.float32)
    return LogitTable(
        path=Path(f"{number}.h5"),
        condition=condition,
        provenance={},
        id=np.arange(n).astype(str),
        split=np.full(n, "all"),
        category=np.full(n, ""),
        cluster=np.repeat(np.arange(images), per_image).astype(str),
        duplicate_of=np.arange(n, dtype=np.int32),
        label=label.astype(np.int16),
        offered=np.ones((n, 2), dtype=bool),
        answers=("yes", "no"),
        answer_tokens=np.array([[1, 2], [3, 4]], dtype=np.int32),
        answer_logits=logits.astype(np.float32),
        log_z=column,
        entropy=column,
        mean_logit=column,
        top_token=np.zeros((n, 1), dtype=np.int32),
        top_logit=column[:, None],
        tokens=np.full((n, 1), 100, dtype=np.int32),
        visual=np.full((n, 1), 64, dtype=np.int32),
    )


def plain(predictions: Predictions, rows: np.ndarray) -> list[float]:
    """All metrics of some rows, as one would write them first."""
    c, y = predictions.confidence[rows], predictions.correct[rows]
    ece = 0.0
    for low in np.arange(15) / 15:
        inside = (c > low) & (c <= low + 1 / 15)
        if inside.any():
            ece += inside.mean() * abs(c[inside].mean() - y[inside].mean())
    yes = predictions.probabilities[rows, 0]
    brier = ((yes - (predictions.outcome_column[rows] == 0)) ** 2).mean()
    nll = -predictions.log_probabilities[rows, predictions.outcome_column[rows]].mean()
    wrong = ~y[np.argsort(-c)]
    aurc = (np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean()
    return [y.mean(), ece, brier, nll, aurc]


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def looped(predictions: Predictions) -> None:
    """Resample images one draw after another."""
    rng = np.random.default_rng(0)
    rows_of = np.arange(len(predictions)).reshape(IMAGES, PER_IMAGE)
    for _ in range(LOOPED):
        plain(predictions, rows_of[rng.integers(0, IMAGES, IMAGES)].ravel())


def drawn(draws: int) -> AnalysisOptions:
    """So many resamples, all else as usual."""
    return AnalysisOptions(Resampling(draws))


def study_of(conditions: int) -> Study:
    """Conditions that share their images, as files of one benchmark do."""
    tables = [made_up(i) for i in range(conditions)]
    return Study(tuple(replace(t, id=tables[0].id, cluster=tables[0].cluster) for t in tables))


def from_logits(study: Study, draws: int, compiled: bool) -> float:
    """CPU seconds of all estimates, with AURC's walk compiled and loaded, or in numpy."""
    experiments = study.experiments(each_seed=False)  # anew: it remembers predictions
    taken = _walk._kernel() if compiled else None
    with patch.object(_walk, "_kernel_for", lambda _: taken):
        return seconds(lambda: estimate(experiments, METRICS, drawn(draws)))


def ratios(conditions: int, draws: int, turns: int) -> Iterable[Ratio]:
    """The loop, numpy and compiled in turn; least seconds of each."""
    study = study_of(conditions)
    read = read_predictions(study.tables[0])
    for compiled in (False, True):
        from_logits(study, 1, compiled)
    seen = [
        (
            seconds(lambda: looped(read)) / LOOPED * draws * conditions,
            from_logits(study, draws, False),
            from_logits(study, draws, True),
        )
        for _ in range(turns)
    ]
    loop, plain_numpy, compiled = (min(column) for column in zip(*seen, strict=True))
    shape = (
        f"{conditions} x {IMAGES * PER_IMAGE:,} x {draws:,} x {len(METRICS)} metrics from logits"
    )
    yield Ratio(f"{shape}, against a plain loop", loop / compiled, "x", 250, "higher")
    yield Ratio(f"{shape}, a plain loop, AURC in numpy", loop / plain_numpy, "x", 100, "higher")


def measured(quick: bool) -> Iterable[Ratio]:
    """The shape of POPE under sixty conditions."""
    yield from ratios(60, 1000, 2 if quick else 5)


def main() -> None:
    """Time all and print their ratios."""
    given = [int(a) for a in sys.argv[1:]]
    conditions, draws = (*given, *(60, 1000)[len(given) :])
    show(ratios(conditions, draws, 3))


if __name__ == "__main__":
    main()
