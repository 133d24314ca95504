"""Conditions along a numeric parameter of their selector, such as alpha or the gap power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.experiments.sweeps import sweeps
from calprune.analyze.metric import Metric
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.results.row import ConditionInfo
from calprune.analyze.statistics.multiple_testing import adjust_p


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
        return self.condition.labels.line(replace(spec, parameters=rest))

    def columns(self) -> dict[str, Any]:
        """See ``Columns``."""
        own = {"parameter": self.parameter, "level": self.level, "baseline": self.baseline}
        return {**self.difference.columns(), **own}


def parameter_effects(
    experiments: Sequence[Experiment],
    metric: str | Metric,
    parameter: str,
    baseline: float,
    options: AnalysisOptions = DEFAULTS,
) -> list[ParameterEffect]:
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
        own: list[ParameterEffect] = []
        for sweep in sweeps(experiment.conditions, parameter):
            for budget in dict.fromkeys(c.condition.budget for c in sweep.runs):
                piled = [c for c in sweep.runs if c.condition.budget == budget]
                base = next((c for c in piled if c.level(parameter) == baseline), None)
                if base is None or len(piled) < 2:
                    continue
                for d in compare([experiment.of(piled)], [metric], base.name, told):
                    value = dict(d.condition.parameters)[parameter]
                    own.append(ParameterEffect(d, parameter, float(value), baseline))
        correction = options.testing.correction
        adjusted = adjust_p([row.difference.p for row in own], correction)
        for row, p in zip(own, adjusted, strict=True):
            signature = row.difference.signature.plus(adjust=f"{correction}{len(own)}")
            corrected = replace(
                row.difference, p_adjusted=float(p), family=len(own), signature=signature
            )
            found.append(replace(row, difference=corrected))
    return found
