"""Conditions along a numeric parameter of their selector, such as alpha or the gap power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.analyze.experiments.sweeps import Sweep, sweeps
from calprune.analyze.metric import Direction, DisplayUnit, Metric
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.statistics.multiple_testing import adjust_p


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
    experiments: Sequence[Experiment],
    metric: str | Metric,
    parameter: str,
    baseline: float,
    options: AnalysisOptions = DEFAULTS,
) -> list[Change]:
    """Each level of ``parameter`` against ``baseline`` at the same budget, paired.

    Conditions without a counterpart at ``baseline`` are left out. p-values are corrected over all
    that is left of a model and benchmark.

    Args:
        experiments: of any number of models and benchmarks.
        metric: a name or an instance.
        parameter: of selectors, numeric.
        baseline: its value in the references.
        options: all are read but ``by``.
    """
    found, told = [], replace(options, by=None)
    for experiment in experiments:
        own: list[Change] = []
        for sweep in sweeps(experiment.conditions, parameter):
            for budget in dict.fromkeys(c.condition.budget for c in sweep.runs):
                piled = [c for c in sweep.runs if c.condition.budget == budget]
                base = next((c for c in piled if c.level(parameter) == baseline), None)
                if base is None or len(piled) < 2:
                    continue
                by_name = {c.name: c for c in piled}
                for d in compare([experiment.of(piled)], [metric], base.name, told):
                    own.append(_change(sweep, by_name[d.condition], base, d))
        adjusted = adjust_p([c.p for c in own], own[0].correction if own else "holm")
        found += [
            replace(c, p_adjusted=float(p), family=len(own), signature=_signed(c, len(own)))
            for c, p in zip(own, adjusted, strict=True)
        ]
    return found


def _change(sweep: Sweep, runs: ConditionRuns, base: ConditionRuns, d: Difference) -> Change:
    return Change(
        model=d.model,
        benchmark=d.benchmark,
        condition=runs.name,
        reference=base.name,
        selector=sweep.selector,
        others=sweep.others,
        budget=runs.budget,
        kept=runs.kept,
        parameter=sweep.parameter,
        level=runs.level(sweep.parameter) or 0.0,
        baseline=base.level(sweep.parameter) or 0.0,
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
