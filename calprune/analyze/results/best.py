"""Which conditions of a comparison are best, as far as a paired test can tell: bold in print."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.experiments.pairing import aligned
from calprune.analyze.metric import Metric, resolve
from calprune.analyze.options import AnalysisOptions
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.compare import Difference
from calprune.analyze.results.estimate import grouped
from calprune.analyze.results.permuted_metrics import difference_tests
from calprune.analyze.results.resampled_metrics import prepared
from calprune.analyze.results.row import MetricInfo
from calprune.analyze.statistics.multiple_testing import LEVEL, adjust_p

Place = tuple[str, MetricInfo, str]
"""A family of comparisons: where, of which metric, and in which group."""


@dataclass(frozen=True)
class Best:
    """The best conditions of a family, the reference among them if it is.

    Attributes:
        names: the one with the best value, and all that are not significantly worse, wherever
            another is: of those that are compared with one reference, one set each.
        comparisons: how many tests against the best were corrected together; 0 if none is best.
    """

    names: frozenset[str] = frozenset()
    comparisons: int = 0


def place_of(row: Difference) -> Place:
    """The family that a row is in."""
    return row.condition.place, row.metric, row.group


def best_of(
    experiments: Sequence[Experiment],
    metrics: Sequence[str | Metric],
    rows: Sequence[Difference],
    options: AnalysisOptions,
) -> dict[Place, Best]:
    """The best of each family of ``compare``, from the same arguments and what it returned.

    Each condition is tested against the one that has the best value, by the test of ``compare``;
    p-values are corrected over all of these tests of the family, and what is worse at 5 % is not
    among the best. Where each budget has a reference, each has a best.
    """
    found: dict[Place, Best] = {}
    for experiment in experiments:
        own = [row for row in rows if row.condition.place == experiment.title]
        if not own:
            continue
        base = next(c for c in experiment.conditions if c.name == own[0].reference.name)
        predictions = aligned(experiment, base, options.predictions)
        for group, part in grouped(experiment, predictions, options.by).items():
            there = [row for row in own if row.group == group]
            if there:
                found |= _of_group(there, part, resolve(metrics), options)
    return found


def _of_group(
    rows: Sequence[Difference],
    part: Mapping[str, list[Predictions]],
    metrics: Sequence[Metric],
    options: AnalysisOptions,
) -> dict[Place, Best]:
    families: dict[Place, list[Difference]] = defaultdict(list)
    for row in rows:
        families[place_of(row)].append(row)
    bests = {place: _leaders(own) for place, own in families.items()}
    known = {place: _tested(own) for place, own in families.items()}
    wanted = {
        (one, best)
        for place, leaders in bests.items()
        for best, others in leaders
        for one in others
        if (one, best) not in known[place]
    }
    p: dict[tuple[str, str], dict[MetricInfo, float]] = {}
    if wanted:
        pairs = sorted(wanted)
        names = dict.fromkeys(name for pair in pairs for name in pair)
        sides = {name: prepared(metrics, part[name], options.resampling.unit) for name in names}
        tests = difference_tests(
            [(sides[one], sides[best]) for one, best in pairs],
            options.testing.permutations,
            options.resampling.seed,
        )
        for pair, test in zip(pairs, tests, strict=True):
            measured = sides[pair[0]][0].metrics
            told = zip(measured, test.p, strict=True)
            p[pair] = {MetricInfo.of(metric): float(value) for metric, value in told}
    found = {}
    for place in families:
        tested = [(one, best) for best, others in bests[place] for one in others]
        there = known[place]
        raw = [there[pair] if pair in there else p[pair][place[1]] for pair in tested]
        found[place] = _judged(tested, adjust_p(raw, options.testing.correction).tolist())
    return found


Leader = tuple[str, tuple[str, ...]]
"""The condition with the best value, and all others that are compared with the same reference."""


def _leaders(rows: Sequence[Difference]) -> list[Leader]:
    """Of one family, reference by reference; none where no value is better than another."""
    sets: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        sets[row.reference.name][row.reference.name] = row.reference_value
        sets[row.reference.name][row.condition.name] = row.value
    direction, found = rows[0].metric.direction, []
    for values in sets.values():
        loss = {
            name: {"higher": -value, "nearer 0": abs(value)}.get(direction, value)
            for name, value in values.items()
            if not math.isnan(value)
        }
        if direction != "neither" and len(loss) > 1:
            best = min(loss, key=loss.__getitem__)
            found.append((best, tuple(name for name in loss if name != best)))
    return found


def _tested(rows: Sequence[Difference]) -> dict[tuple[str, str], float]:
    """The p of each pair that ``compare`` tested, either way round."""
    found = {(row.condition.name, row.reference.name): row.p for row in rows}
    return found | {(reference, name): p for (name, reference), p in found.items()}


def _judged(tested: Sequence[tuple[str, str]], adjusted: Sequence[float]) -> Best:
    names: set[str] = set()
    for leader in dict.fromkeys(best for _, best in tested):
        each = zip(tested, adjusted, strict=True)
        own = {one: p for (one, best), p in each if best == leader}
        if any(p <= LEVEL for p in own.values()):
            names |= {leader, *(one for one, p in own.items() if p > LEVEL)}
    return Best(frozenset(names), len(tested))
