"""Do intervals of ECE cover, are floors true, and do tests of equal conditions keep their level?

    OMP_NUM_THREADS=1 python -m benchmarks.coverage [--runs 1000] [--only TABLE] [--images 30,60]

Tables: single, relatives, difference, floor, errors, family, power. Intervals, floors and
tests are the package's own, on simulated answers:

- ``unequal``: 1 to 40 questions an image (log-normal, median 7); ``repeated``: 4, thrice each;
- two answers, or 2 to 5 options offered;
- the logit of being right is normal, plus an image effect of 0, .5 or 1 times a standard normal;
- confidence is exactly the chance of being right (its mean over image effects), or that with its
  logit times 1.35 (over-confident) or .7 (under-confident).

Two conditions have evidence and luck that correlate by .8. The truth of an exactly calibrated model
is 0; of others it is that of 20,000 images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.special import expit, logit, ndtr

from calprune.analyze.arrays import Bools, Floats, Indices
from calprune.analyze.metric import Gapped, resolve
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.permuted_metrics import difference_tests
from calprune.analyze.results.resampled_metrics import (
    ResampledMetrics,
    clusters_of,
    if_calibrated,
    prepared,
)
from calprune.analyze.results.shared_resamples import gap_errors
from calprune.analyze.statistics.multiple_testing import LEVEL, adjust_p

IMAGES = (30, 60, 120, 250, 500)
KINDS = (("unequal", 2), ("unequal", 4), ("repeated", 2), ("repeated", 4))
EFFECTS = (0.0, 0.5, 1.0)
SCALES = {"exact": 1.0, "over": 1.35, "under": 0.7}
RELATIVES = ("ece-equal-mass", "rmsce", "ece-class-wise", "ece-smooth")
ALIKE, FAMILY, DRAWS, PERMUTATIONS, TRUTH = 0.8, 23, 400, 499, 20_000
NODE, WEIGHT = np.polynomial.hermite_e.hermegauss(41)
GRID = np.linspace(-12, 12, 2401)

Line = tuple[str, int, int, float]  # shape, answers, images, effect


class Questions:
    """What conditions share: images, options, and the common part of evidence and luck."""

    def __init__(self, rng: np.random.Generator, line: Line) -> None:
        shape, self.answers, images, self.effect = line
        sizes = np.full(images, 4)
        if shape == "unequal":
            sizes = np.exp(rng.normal(np.log(7), 0.9, images)).round().clip(1, 40).astype(int)
        self.image, self.rng = np.repeat(np.arange(images), sizes), rng
        self.names = np.char.zfill(np.arange(images).astype(str), 5)
        self.times = 3 if shape == "repeated" else 1
        n = len(self.image)
        self.options = rng.integers(2, 6, n) if self.answers == 4 else np.full(n, 2)
        self.common = (rng.normal(size=n), rng.normal(size=images), rng.normal(size=n))
        self.labels = rng.integers(0, self.options)

    def answered(self, scale: float, alike: float = ALIKE) -> Predictions:
        """One condition's answers, its logits times ``scale``."""
        evidence, mood, luck = (
            np.sqrt(alike) * x + np.sqrt(1 - alike) * self.rng.normal(size=len(x))
            for x in self.common
        )
        z = 2.2 + 1.3 * evidence
        if self.answers == 4:
            chance = 1 / self.options
            z = logit(chance + (1 - chance) * expit(np.abs(z) - 1.0))
        right = ndtr(luck) < expit(z + self.effect * mood[self.image])
        believed = expit(scale * logit(averaged(z, self.effect)))
        if self.answers == 2:  # the other answer is then the likelier
            right, believed = (
                np.where(believed < 0.5, ~right, right),
                np.maximum(believed, 1 - believed),
            )
        return self._predictions(believed, right)

    def _predictions(self, confidence: Floats, right: Bools) -> Predictions:
        rows = np.repeat(np.arange(len(self.image)), self.times)
        options, label = self.options[rows], self.labels[rows]
        elsewhere = (label + self.rng.integers(1, self.options)[rows]) % options
        predicted = np.where(right[rows], label, elsewhere).astype(np.intp)
        c = np.minimum(confidence[rows], 1 - 1e-12)
        columns = np.arange(self.options.max())
        offered = columns < options[:, None]
        p = np.where(columns == predicted[:, None], c[:, None], ((1 - c) / (options - 1))[:, None])
        p = np.where(offered, p, 0.0)
        text = np.full(len(rows), "")
        with np.errstate(divide="ignore"):
            logs = np.log(p)
        return Predictions(
            probabilities=p,
            log_probabilities=logs,
            confidence=c,
            correct=right[rows],
            predicted=predicted,
            outcome_column=label.astype(np.intp),
            tied=np.zeros(len(rows), dtype=bool),
            offered=offered,
            replied=np.zeros(len(rows), dtype=bool),
            label=label.astype(np.intp),
            parsed_answer=predicted,
            n_options=options.astype(np.intp),
            id=text,
            split=text,
            category=text,
            cluster=self.names[self.image[rows]],
            duplicate_of=first_of(rows),
        )


def first_of(rows: Indices) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """The first row that asks the same, (n,)."""
    return np.searchsorted(rows, rows).astype(np.int32)


@cache
def _averaged(effect: float) -> Floats:
    return np.asarray(logit(expit(GRID[:, None] + effect * NODE) @ (WEIGHT / WEIGHT.sum())))


def averaged(z: Floats, effect: float) -> Floats:
    """Mean of expit(z + effect * normal), interpolated on the logit."""
    if effect == 0:
        return np.asarray(expit(z))
    return np.asarray(expit(np.interp(z, GRID, _averaged(effect))))


@cache
def truth(metric: str, line: Line, scale: float) -> float:
    """The metric of very many images; 0 where confidence is exact."""
    if scale == 1.0:
        return 0.0
    predictions = Questions(np.random.default_rng(1), (*line[:2], TRUTH, line[3])).answered(scale)
    return float(sampled(metric, predictions).point()[0])


def sampled(metric: str, predictions: Predictions) -> ResampledMetrics:
    """A sampler of one metric over images."""
    return prepared(resolve(metric), [predictions])[0]


def lines(
    images: Sequence[int],
    effects: Sequence[float] = EFFECTS,
    kinds: Sequence[tuple[str, int]] = KINDS,
) -> list[Line]:
    """Shapes with answers, numbers of images and image effects."""
    return [(*kind, n, e) for n in images for kind in kinds for e in effects]


def single(runs: int, images: Sequence[int]) -> None:
    """Share of intervals of one ECE that hold its truth, and their mean width."""
    heading("answers", "images", "effect", "confidence", "true ECE", "ECE − true",
            "de-biased − true", "studentised", "bridge", "percentile")  # fmt: skip
    for line in lines(images):
        for name, scale in SCALES.items():
            print_row(line, name, *covered("ece", line, scale, runs))


def relatives(runs: int, images: Sequence[int]) -> None:
    """The same for what is like ECE, unequal clusters only."""
    heading("metric", "answers", "images", "effect", "confidence", "true", "value − true",
            "de-biased − true", "studentised", "bridge", "percentile")  # fmt: skip
    for metric in RELATIVES:
        for line in lines(images, (0.0, 1.0), KINDS[1:2] if "class" in metric else KINDS[:2]):
            for name, scale in SCALES.items():
                print_row(line, name, *covered(metric, line, scale, runs), first=f"{metric} | ")


def covered(metric: str, line: Line, scale: float, runs: int) -> tuple[float, ...]:
    """Truth, biases, and coverage and width of three kinds of interval."""
    true = truth(metric, line, scale)
    total = np.zeros(8)
    for run in range(runs):
        predictions = Questions(np.random.default_rng([run, 5]), line).answered(scale)
        (gap,) = gap_errors([[sampled(metric, predictions)]], 0, [((0, 1.0),)], DRAWS, run)
        ends = [gap.interval("studentised"), gap.interval("bridge")]
        ends.append(tuple(np.quantile(gap.plug[1:], [0.025, 0.975])))
        shares = [x for low, high in ends for x in (low <= true <= high, high - low)]
        total += [gap.plug[0] - true, gap.debiased[0] - true, *shares]
    return (true, *(total / runs))


def difference(runs: int, images: Sequence[int]) -> None:
    """Share of intervals of a paired difference that hold its truth."""
    heading("answers", "images", "effect", "confidence", "true difference", "plug-in − true",
            "de-biased − true", "studentised", "percentile")  # fmt: skip
    pairs = (("exact", "exact"), ("over", "exact"), ("under", "exact"), ("over", "over"),
             ("over", "under"))  # fmt: skip
    for line in lines(images, (0.0, 1.0), KINDS[:3]):
        for pair in pairs:
            one, two = (SCALES[x] for x in pair)
            true = truth("ece", line, one) - truth("ece", line, two)
            total = np.zeros(6)
            for run in range(runs):
                asked = Questions(np.random.default_rng([run, 6]), line)
                cells = [[sampled("ece", asked.answered(x))] for x in (one, two)]
                (gap,) = gap_errors(cells, 0, [((0, 1.0), (1, -1.0))], DRAWS, run)
                ends = [
                    gap.interval("studentised"),
                    tuple(np.quantile(gap.plug[1:], [0.025, 0.975])),
                ]
                shares = [x for low, high in ends for x in (low <= true <= high, high - low)]
                total += [gap.plug[0] - true, gap.debiased[0] - true, *shares]
            print_row(line, " − ".join(pair), true, *(total / runs))


def floor(runs: int, images: Sequence[int]) -> None:
    """Mean noise floor of exactly calibrated models beside their mean ECE."""
    heading("answers", "images", "effect", "mean ECE", "mean floor", "ratio")
    metric: object = resolve("ece")[0]
    assert isinstance(metric, Gapped)
    for line in lines(images):
        total = np.zeros(2)
        for run in range(runs):
            predictions = Questions(np.random.default_rng([run, 7]), line).answered(1.0)
            expected = if_calibrated(metric, predictions, clusters_of(predictions), run) or 0.0
            total += [float(sampled("ece", predictions).point()[0]), expected]
        ece, expected = total / runs
        print(f"| {shown(line)} | {ece:.4f} | {expected:.4f} | {expected / ece:.2f} |", flush=True)


def errors(runs: int, images: Sequence[int]) -> None:
    """Share of equal conditions with p <= 5 %: one run against one, three seeds against one."""
    heading("answers", "images", "effect", "confidence", "1 against 1", "3 seeds against 1")
    for line in lines(images, (0.0, 1.0), (KINDS[0], KINDS[3])):
        for name, scale in (("exact", 1.0), ("over", SCALES["over"])):
            hits = np.zeros(2)
            for run in range(runs):
                asked = Questions(np.random.default_rng([run, 8]), line)
                predictions = [sampled("ece", asked.answered(scale)) for _ in range(4)]
                ours = (predictions[:1], predictions[:3])
                pairs = [(x, predictions[3:]) for x in ours]
                found = difference_tests(pairs, PERMUTATIONS, run)
                hits += np.array([test.p[0] for test in found]) <= LEVEL
            shares = " | ".join(f"{x:.3f}" for x in hits / runs)
            print(f"| {shown(line)} | {name} | {shares} |", flush=True)


def family(runs: int, images: Sequence[int]) -> None:
    """Share of studies with any significant condition among 23 equal to the reference, by Holm."""
    heading("answers", "images", "effect", "uncorrected", "Holm")
    for line in lines(images, (0.0, 1.0), KINDS[:1]):
        hits = np.zeros(2)
        for run in range(runs):
            asked = Questions(np.random.default_rng([run, 9]), line)
            base, *others = (sampled("ece", asked.answered(1.0)) for _ in range(FAMILY + 1))
            pairs = [([x], [base]) for x in others]
            p = np.array([test.p[0] for test in difference_tests(pairs, PERMUTATIONS, run)])
            hits += [(p <= LEVEL).any(), (adjust_p(p, "holm") <= LEVEL).any()]
        print(f"| {shown(line)} | {hits[0] / runs:.3f} | {hits[1] / runs:.3f} |", flush=True)


def power(runs: int, images: Sequence[int]) -> None:
    """Mean power that ``power`` claims for the true difference, and how often the test finds it."""
    heading("answers", "images", "effect", "confidence", "true difference", "uncorrected claim",
            "claim", "test")  # fmt: skip
    for line in lines(images, (0.0, 1.0)):
        for name in ("over", "under"):
            true, total = truth("ece", line, SCALES[name]), np.zeros(3)
            for run in range(runs):
                asked = Questions(np.random.default_rng([run, 10]), line)
                pair = [[sampled("ece", asked.answered(x))] for x in (SCALES[name], 1.0)]
                (gap,) = gap_errors(pair, 0, [((0, 1.0), (1, -1.0))], DRAWS, run)
                sd = float(gap.plug[1:].std(ddof=1))
                predictions = gap.attenuation.expected(true)
                likely = [ndtr(d / sd - 1.96) for d in (true, predictions)]
                p = difference_tests([(pair[0], pair[1])], PERMUTATIONS, run)[0].p[0]
                total += [*likely, p <= LEVEL]
            said = " | ".join(f"{x:.2f}" for x in total / runs)
            print(f"| {shown(line)} | {name} − exact | {true:.3f} | {said} |", flush=True)


def shown(line: Line) -> str:
    """Shape and answers, images, effect: cells of a row."""
    return f"{line[0]}, {line[1]} | {line[2]} | {line[3]:g}"


def print_row(line: Line, name: str, true: float, *found: float, first: str = "") -> None:
    """Truth, two biases, then coverage with its mean width in brackets."""
    biases = " | ".join(f"{x:+.4f}" for x in found[:2])
    shares = [f"{c:.3f} ({w:.3f})" for c, w in zip(found[2::2], found[3::2], strict=True)]
    cells = f"{first}{shown(line)} | {name} | {true:+.4f} | {biases} | {' | '.join(shares)}"
    print(f"| {cells} |", flush=True)


def heading(*columns: str) -> None:
    """Top of a table in Markdown."""
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


TABLES = {f.__name__: f for f in (single, relatives, difference, floor, errors, family, power)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables and the time they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="data sets a line")
    parser.add_argument("--only", choices=TABLES, action="append")
    parser.add_argument("--images", default=",".join(map(str, IMAGES)))
    asked = parser.parse_args(arguments)
    began = time.process_time()
    print(f"{asked.runs} data sets a line, {DRAWS} resamples, {PERMUTATIONS} permutations")
    for name in asked.only or TABLES:
        print(f"\n{name}: {(TABLES[name].__doc__ or '').strip()}")
        TABLES[name](asked.runs, [int(x) for x in asked.images.split(",")])
    print(f"\n{time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
