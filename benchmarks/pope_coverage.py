"""Images against rows: do intervals cover the truth, and do tests keep their level, on POPE?

    OMP_NUM_THREADS=1 python -m benchmarks.pope_coverage [runs] [--only coverage|errors|family]

Simulated studies in the shape of POPE: 500 images, 18 yes/no rows each, of which 5,127 are distinct
and the rest repeat one of them exactly. Evidence for the right answer is normal, with a part that
the image shares, so that correctness of different questions of one image correlates by rho. The
model is right in 87 % of rows and overconfident, with a true ECE of .025, or calibrated. Truth is
the same metric on 200,000 quantiles of the evidence. Intervals and tests are the package's own.

Equal conditions have evidence that correlates by .85. ``family`` counts studies in which any of 23
conditions equal to the reference is significant; it takes a quarter of the runs.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit, ndtr, ndtri

from calprune.analyze.arrays import Bools, Floats
from calprune.analyze.metric import Gapped, resolve
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.permuted_metrics import paired_tests, trend_p
from calprune.analyze.results.resampled_metrics import ResampledMetrics, clusters_of, prepared
from calprune.analyze.results.shared_resamples import gap_errors, resampled
from calprune.analyze.statistics.intervals import bounds
from calprune.analyze.statistics.multiple_testing import LEVEL, adjust_p
from calprune.analyze.statistics.paired_tests import mcnemar

METRICS = ("accuracy", "ece", "brier", "aurc")
IMAGES, POSITIVE, NEGATIVE = 500, 3, 9  # questions of an image; a split asks 3 of each
RHO = (0.0, 0.06, 0.14)
ACCURACY, TRUE_ECE, ALIKE, FAMILY = 0.87, 0.025, 0.85, 23
SHIFT = float(ndtri(ACCURACY))


def distinct() -> tuple[np.ndarray, np.ndarray]:
    """Image and distinct question of each of 9,000 rows: positives thrice, negatives as in POPE."""
    rng = np.random.default_rng(0)
    twice = np.full(IMAGES, 1)
    twice[rng.permutation(IMAGES)[: 803 - IMAGES]] += 1
    thrice = np.zeros(IMAGES, dtype=int)
    thrice[rng.permutation(IMAGES)[:35]] = 1
    image, question, at = [], [], 0
    for i in range(IMAGES):
        once = NEGATIVE - 2 * twice[i] - 3 * thrice[i]
        times = [3] * (POSITIVE + thrice[i]) + [2] * twice[i] + [1] * once
        question += np.repeat(np.arange(at, at + len(times)), times).tolist()
        at += len(times)
        image += [i] * (3 * POSITIVE + NEGATIVE)
    return np.array(image), np.array(question)


IMAGE, QUESTION = distinct()
NAMES = np.char.add("im", IMAGE.astype(str))
ROWS = np.char.zfill(np.arange(len(IMAGE)).astype(str), 5)


def believed(evidence: Floats, scale: float) -> Predictions:
    """Binary rows whose evidence for the right answer is given; right where it is above 0."""
    n = len(evidence)
    p = expit(2 * scale * SHIFT * evidence)
    both = np.stack([p, 1 - p], axis=1)
    index, text = np.zeros(n, dtype=np.intp), np.full(n, "")
    own = n == len(IMAGE)
    return Predictions(
        probabilities=both,
        log_probabilities=np.log(both),
        confidence=both.max(axis=1),
        correct=evidence > 0,
        predicted=np.where(evidence > 0, 0, 1).astype(np.intp),
        outcome_column=index,
        tied=np.zeros(n, dtype=bool),
        offered=np.ones((n, 2), dtype=bool),
        replied=np.zeros(n, dtype=bool),
        label=index,
        parsed_answer=index,
        n_options=np.full(n, 2, dtype=np.intp),
        names=("yes", "no"),
        id=ROWS if own else text,
        split=text,
        category=text,
        cluster=NAMES if own else text,
        duplicate_of=np.arange(n, dtype=np.int32),
    )


def truth(scale: float) -> Floats:
    """The metrics of the evidence's distribution."""
    at = (np.arange(200_000) + 0.5) / 200_000
    predictions = believed(SHIFT + ndtri(at), scale)
    one = replace(predictions, cluster=np.full(len(predictions), "one"))
    return ResampledMetrics.of(resolve(METRICS), one, clusters_of(one)).point()


def overconfident() -> float:
    """Scale of logits at which the true ECE is TRUE_ECE."""
    low, high = 1.0, 3.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if truth(middle)[1] < TRUE_ECE else (low, middle)
    return (low + high) / 2


def shared_part(rho: float) -> float:
    """Share of the evidence's variance that an image's questions have in common."""
    node, weight = np.polynomial.hermite_e.hermegauss(61)
    weight = weight / weight.sum()
    low, high = 0.0, 0.99
    for _ in range(40):
        r = (low + high) / 2
        both = weight @ ndtr((SHIFT + np.sqrt(r) * node) / np.sqrt(1 - r)) ** 2
        found = (both - ACCURACY**2) / (ACCURACY * (1 - ACCURACY))
        low, high = (r, high) if found < rho else (low, r)
    return low if rho else 0.0


def equal_conditions(
    rng: np.random.Generator, r: float, count: int, scale: float
) -> Iterator[Predictions]:
    """Conditions of equal distribution on the same rows."""
    common = noise(rng, r)
    for _ in range(count):
        own = np.sqrt(ALIKE) * common + np.sqrt(1 - ALIKE) * noise(rng, r)
        yield believed(SHIFT + own, scale)


def noise(rng: np.random.Generator, r: float) -> Floats:
    """Standard normal, one value for each distinct question, correlated within images."""
    image = rng.normal(size=IMAGES)[IMAGE]
    question = rng.normal(size=QUESTION.max() + 1)[QUESTION]
    return np.asarray(np.sqrt(r) * image + np.sqrt(1 - r) * question)


def coverage(rho: float, scale: float, runs: int, draws: int) -> None:
    """Share of 95 % intervals that hold the truth, printed as rows of a table."""
    true, r, metrics = truth(scale), shared_part(rho), resolve(METRICS)
    held: dict[str, Floats] = defaultdict(lambda: np.zeros(len(METRICS)))
    for run in range(runs):
        (predictions,) = equal_conditions(np.random.default_rng([run, 1]), r, 1, scale)
        for unit in ("images", "rows"):
            samplers = prepared(metrics, [predictions], unit)
            (values,) = resampled(samplers, draws, run)
            for j, metric in enumerate(samplers[0].metrics):
                found = bounds(values[j])
                low, high = (np.nan if x is None else x for x in (found.low, found.high))
                if isinstance(metric, Gapped):
                    (gap,) = gap_errors([samplers], j, [((0, 1.0),)], draws, run)
                    low, high = gap.interval("studentised")
                held[unit][j] += low - 1e-12 <= true[j] <= high + 1e-12
    for unit, count in held.items():
        shown = " | ".join(f"{x / runs:.2f}" for x in count)
        print(f"| {true[1]:.3f} | {rho:.2f} | {unit} | {shown} |", flush=True)


def errors(rho: float, scale: float, runs: int, draws: int, permutations: int) -> None:
    """Share of equal conditions with p <= 5 %, printed as rows of a table."""
    r, metrics = shared_part(rho), resolve(METRICS)
    hits: dict[str, Floats] = defaultdict(lambda: np.zeros(len(METRICS)))
    for run in range(runs):
        predictions = list(equal_conditions(np.random.default_rng([run, 2]), r, 3, scale))
        for unit in ("images", "rows"):
            three = [prepared(metrics, [one], unit) for one in predictions]
            (a,), (b,) = three[:2]
            p = {f"bootstrap of {unit}, shifted": shifted(*resampled([a, b], draws, run))}
            if unit == "images":
                p["permutation of images"] = paired_tests([(b, a)], permutations, run)[0]
                p["trend over three levels"] = trend_p([0, 1, 2], three, permutations, run)
            for name, found in p.items():
                hits[name] += found <= LEVEL
        hits["McNemar on rows"][0] += (
            mcnemar(hits_of(predictions[1]), hits_of(predictions[0])) <= LEVEL
        )
    for name, count in hits.items():
        shown = [f"{x / runs:.2f}" for x in count]
        shown = [shown[0], "-", "-", "-"] if "McNemar" in name else shown
        print(f"| {rho:.2f} | {name} | {' | '.join(shown)} |", flush=True)


def hits_of(predictions: Predictions) -> Bools:
    """Which rows are correct, (n,)."""
    return np.asarray(predictions.correct, dtype=np.bool_)


def shifted(ours: Floats, theirs: Floats) -> Floats:
    """p that a bootstrapped difference is 0, its distribution moved there, (metrics,)."""
    delta = ours - theirs
    far = np.abs(delta[:, 1:] - delta[:, :1]) >= np.abs(delta[:, :1])
    return np.asarray((1 + far.sum(axis=1)) / delta.shape[1])


def family(rho: float, scale: float, runs: int, permutations: int) -> None:
    """Share of studies with any significant condition among 23 equal to the reference."""
    r, metrics = shared_part(rho), resolve(METRICS[:3])
    hits: dict[tuple[str, str], Floats] = defaultdict(lambda: np.zeros(3))
    for run in range(runs):
        conditions = equal_conditions(np.random.default_rng([run, 3]), r, FAMILY + 1, scale)
        predictions = list(conditions)
        tests = {}
        for unit in ("images", "rows"):
            base, *others = (prepared(metrics, [one], unit)[0] for one in predictions)
            found = paired_tests([(one, base) for one in others], permutations, run)
            tests[f"permutation of {unit}"] = np.stack(found)
        right = [hits_of(one) for one in predictions]
        exact = [mcnemar(one, right[0]) for one in right[1:]]
        tests["McNemar on rows"] = np.array([[p, 1.0, 1.0] for p in exact])
        for name, p in tests.items():
            holm = np.stack([adjust_p(column, "holm") for column in p.T], axis=1)
            hits[name, "none"] += (p <= LEVEL).any(axis=0)
            hits[name, "Holm"] += (holm <= LEVEL).any(axis=0)
    for (name, correction), count in hits.items():
        shown = [f"{x / runs:.2f}" for x in count]
        shown = [shown[0], "-", "-"] if "McNemar" in name else shown
        print(f"| {rho:.2f} | {name} | {correction} | {' | '.join(shown)} |", flush=True)


def heading(*columns: str) -> None:
    """Top of a table in Markdown."""
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the three tables and the time they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=int, nargs="?", default=200)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--permutations", type=int, default=999)
    parser.add_argument("--only", choices=("coverage", "errors", "family"))
    chosen = parser.parse_args(arguments)
    runs, only = chosen.runs, chosen.only
    scale, began = overconfident(), time.process_time()
    print(f"{runs} runs, {chosen.draws} resamples, {chosen.permutations} permutations")
    if only in (None, "coverage"):
        heading("true ECE", "rho", "resampled", "accuracy", "ECE", "Brier", "AURC")
        for rho in RHO:
            coverage(rho, scale, runs, chosen.draws)
        coverage(0.06, 1.0, runs, chosen.draws)
    if only in (None, "errors"):
        heading("rho", "test of equal conditions", "accuracy", "ECE", "Brier", "AURC")
        for rho in RHO:
            errors(rho, scale, runs, chosen.draws, chosen.permutations)
    if only in (None, "family"):
        studies = max(1, runs // 4)
        print(f"\n{studies} studies of {FAMILY} conditions")
        heading("rho", "test", "correction", "accuracy", "ECE", "Brier")
        family(0.06, scale, studies, chosen.permutations)
    print(f"\n{time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
