"""Conditions along a numeric parameter of their selector, such as alpha or the gap power."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from calprune.analyze.experiments.experiment import ConditionRuns, experiments
from calprune.analyze.metric import Metric
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.results.row import ConditionInfo
from calprune.analyze.statistics.multiple_testing import adjust_p
from calprune.data.storage.logits import LogitTable

Line = tuple[str, str]
"""A selector, and as text all of its parameters but one."""


def level(runs: ConditionRuns, parameter: str) -> float | None:
    """The number that a condition's selector was given for ``parameter``; None if there is none."""
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
class ParameterEffect:
    """A condition minus the one that differs in nothing but one parameter.

    Attributes:
        difference: of the two; p is corrected over all conditions of all budgets.
        parameter, level, baseline: what differs, the condition's value and the reference's.
    """

    difference: Difference
    parameter: str
    level: float
    baseline: float

    @property
    def condition(self) -> ConditionInfo:
        """Which is compared."""
        return self.difference.condition

    @property
    def line(self) -> str:
        """What both have in common at any budget, for people."""
        spec = self.condition.spec
        rest = tuple(p for p in spec.parameters if p[0] != self.parameter)
        return replace(spec, parameters=rest, budget=None, scope=None, seed=None).title

    def columns(self) -> dict[str, Any]:
        """See ``Columns``."""
        own = {"parameter": self.parameter, "level": self.level, "baseline": self.baseline}
        return {**self.difference.columns(), **own}


def parameter_effects(
    tables: Sequence[LogitTable],
    metric: str | Metric,
    parameter: str,
    baseline: float,
    options: AnalysisOptions = DEFAULTS,
) -> list[ParameterEffect]:
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
        own: list[ParameterEffect] = []
        for conditions in lines(experiment.conditions, parameter).values():
            for budget in dict.fromkeys(c.budget for c in conditions):
                piled = [c for c in conditions if c.budget == budget]
                base = next((c for c in piled if level(c, parameter) == baseline), None)
                if base is None or len(piled) < 2:
                    continue
                for runs, d in _against(piled, base, metric, options):
                    named = replace(
                        d,
                        condition=ConditionInfo.of(experiment, runs),
                        reference=ConditionInfo.of(experiment, base),
                    )
                    value = level(runs, parameter) or 0.0
                    own.append(ParameterEffect(named, parameter, value, baseline))
        correction = options.testing.correction
        adjusted = adjust_p([c.difference.p for c in own], correction)
        for row, p in zip(own, adjusted, strict=True):
            signature = row.difference.signature.plus(adjust=f"{correction}{len(own)}")
            corrected = replace(
                row.difference, p_adjusted=float(p), family=len(own), signature=signature
            )
            found.append(replace(row, difference=corrected))
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
    return [(names[d.condition.name], d) for d in compare(pile, [metric], reference, options)]


def _same(conditions: Sequence[ConditionRuns], wanted: ConditionRuns) -> ConditionRuns:
    return next(runs for runs in conditions if runs.tables[0] is wanted.tables[0])
