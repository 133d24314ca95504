"""Conditions along a numeric parameter of their selector, such as alpha or the gap power."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from calprune.analyze.experiments.experiment import ConditionRuns, Experiment, experiments
from calprune.analyze.metric import Direction, DisplayUnit, Metric
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.statistics.multiple_testing import adjust_p
from calprune.data.storage.logits import LogitTable

Line = tuple[str, str]
"""A selector, and as text all of its parameters but one."""


def level(runs: ConditionRuns, parameter: str) -> float | None:
    """The number that a runs's selector was given for ``parameter``; None if there is none."""
    value = dict(runs.tables[0].condition.parameters).get(parameter)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and value is not None else None


def line(runs: ConditionRuns, parameter: str) -> Line:
    """Selector and the other parameters: what stays the same while ``parameter`` moves."""
    parts = (p for p in runs.parameters.split(" ") if not p.startswith(f"{parameter}="))
    return runs.selector, " ".join(parts)


def lines(conditions: Sequence[ConditionRuns], parameter: str) -> dict[Line, list[ConditionRuns]]:
    """Cells along ``parameter``, where it takes several values; all levels, any budget."""
    found: dict[Line, list[ConditionRuns]] = defaultdict(list)
    for runs in conditions:
        if level(runs, parameter) is not None:
            found[line(runs, parameter)].append(runs)
    return {k: own for k, own in found.items() if len({level(c, parameter) for c in own}) > 1}


def numeric_parameters(conditions: Sequence[ConditionRuns]) -> list[str]:
    """Parameters that move along some line, those with most levels first."""
    names = sorted({name for c in conditions for name, _ in c.tables[0].condition.parameters})
    levels = {
        name: len({level(c, name) for own in lines(conditions, name).values() for c in own})
        for name in names
    }
    return sorted((name for name in names if levels[name]), key=lambda name: -levels[name])


@dataclass(frozen=True)
class Change:
    """A condition minus the one that differs in nothing but one parameter.

    Attributes:
        model, benchmark, condition, reference: what was compared.
        selector, others, budget, kept: what both have in common.
        parameter, level, baseline: what differs, the condition's value and the reference's.
        metric, title, unit, direction, value, reference_value, delta, delta_debiased, low, high,
            interval_of, p: as ``Difference``.
        p_adjusted, correction, family: over all conditions of all budgets.
        signature: the choices behind the numbers.
    """

    model: str
    benchmark: str
    condition: str
    reference: str
    selector: str
    others: str
    budget: str
    kept: float
    parameter: str
    level: float
    baseline: float
    metric: str
    title: str
    unit: DisplayUnit
    direction: Direction
    value: float
    reference_value: float
    delta: float
    delta_debiased: float | None
    low: float | None
    high: float | None
    interval_of: str
    p: float
    p_adjusted: float
    correction: str
    family: int
    signature: str


def changes(
    tables: Sequence[LogitTable],
    metric: str | Metric,
    parameter: str,
    baseline: float,
    options: AnalysisOptions = DEFAULTS,
) -> list[Change]:
    """Each level of ``parameter`` against ``baseline`` at the same budget, paired.

    Conditions without a counterpart at ``baseline`` are left out. p-values are corrected over all
    that is left of a model and benchmark.

    Args:
        tables: sealed logits.
        metric: a name or an instance.
        parameter: of selectors, numeric.
        baseline: its value in the references.
        options: all are read but ``by``, ``each_seed`` and ``common``.
    """
    found = []
    for experiment in experiments(tables):
        own: list[Change] = []
        for (selector, others), conditions in lines(experiment.conditions, parameter).items():
            for budget in dict.fromkeys(c.budget for c in conditions):
                piled = [c for c in conditions if c.budget == budget]
                base = next((c for c in piled if level(c, parameter) == baseline), None)
                if base is None or len(piled) < 2:
                    continue
                for runs, d in _against(piled, base, metric, options):
                    shared = (selector, others, budget, runs.kept)
                    own.append(_change(experiment, runs, base, d, shared, parameter))
        adjusted = adjust_p([c.p for c in own], own[0].correction if own else "holm")
        found += [
            replace(c, p_adjusted=float(p), family=len(own), signature=_signed(c, len(own)))
            for c, p in zip(own, adjusted, strict=True)
        ]
    return found


def _against(
    piled: Sequence[ConditionRuns],
    base: ConditionRuns,
    metric: str | Metric,
    options: AnalysisOptions,
) -> list[tuple[ConditionRuns, Difference]]:
    """Differences to ``base`` with their conditions: alone, these may be called otherwise."""
    pile = [table for runs in piled for table in runs.tables]
    (alone,) = experiments(pile)
    names = {runs.name: _same(piled, runs) for runs in alone.conditions}
    reference = next(name for name, runs in names.items() if runs is base)
    return [(names[d.condition], d) for d in compare(pile, [metric], reference, options)]


def _same(conditions: Sequence[ConditionRuns], wanted: ConditionRuns) -> ConditionRuns:
    return next(runs for runs in conditions if runs.tables[0] is wanted.tables[0])


def _change(
    experiment: Experiment,
    runs: ConditionRuns,
    base: ConditionRuns,
    d: Difference,
    shared: tuple[str, str, str, float],
    parameter: str,
) -> Change:
    selector, others, budget, kept = shared
    return Change(
        model=experiment.model,
        benchmark=experiment.benchmark,
        condition=runs.name,
        reference=base.name,
        selector=selector,
        others=others,
        budget=budget,
        kept=kept,
        parameter=parameter,
        level=level(runs, parameter) or 0.0,
        baseline=level(base, parameter) or 0.0,
        metric=d.metric,
        title=d.title,
        unit=d.unit,
        direction=d.direction,
        value=d.value,
        reference_value=d.reference_value,
        delta=d.delta,
        delta_debiased=d.delta_debiased,
        low=d.low,
        high=d.high,
        interval_of=d.interval_of,
        p=d.p,
        p_adjusted=d.p_adjusted,
        correction=d.correction,
        family=d.family,
        signature=d.signature,
    )


def _signed(change: Change, family: int) -> str:
    """The signature with the family of all budgets."""
    head, _, _ = change.signature.rpartition("|adjust:")
    return f"{head}|adjust:{change.correction}{family}"
